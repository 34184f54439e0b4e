/* The arithmetic behind vnp-plan: the GPU's memory and speed beside what was measured, the census, and the texts. */
#include "../lib.h"
#include "census.h"
#include "gpu_memory.h"
#include "gpu_speed.h"
#include "model_roles.h"
#include "net_cpu.h"
#include "plan_show.h"
#include "synth.h"

/* bench/results/gpu-20261128T*.txt: "fp16, batches of 8192 tokens: X GB at most", hidden states a token. */
static void test_gpu_memory(void **state)
{
    (void)state;
    static const struct {
        const char *shape;
        double gb;
    } measured[] = {{"3B", 6.46}, {"650M", 1.71}, {"8M", 0.13}};
    for (int i = 0; i < 3; i++) {
        struct vnp_synth s;
        struct vnp_err err;
        assert_int_equal(vnp_synth_init(&s, measured[i].shape, 1, false, &err), VNP_OK);
        const struct vnp_gpu_net_options o = {.type = VNP_GEMM_F16,
                                              .layer = s.config.layers,
                                              .pool = VNP_POOL_NONE,
                                              .workspaces = VNP_WORKSPACES,
                                              .tokens = 8192};
        const struct vnp_gpu_memory m = vnp_gpu_memory(&s.config, &o, VNP_SLOTS, false);
        const double gb = (double)(m.weights + m.per_token * o.tokens) * 1e-9;
        assert_true(gb > 0.75 * measured[i].gb && gb < 1.05 * measured[i].gb + 0.01);
        /* what fits is what the tokens take, and 512 more don't */
        const int64_t bytes = m.weights + m.margin + m.per_token * 20480;
        assert_int_equal(vnp_gpu_memory_tokens(&m, bytes), 20480);
        assert_int_equal(vnp_gpu_memory_tokens(&m, bytes - 1), 19968);
        assert_true(vnp_gpu_memory_tokens(&m, m.weights) < 0);
    }
}

static void test_gpu_memory_grows(void **state)
{
    (void)state;
    struct vnp_synth s;
    struct vnp_err err;
    assert_int_equal(vnp_synth_init(&s, "650M", 1, false, &err), VNP_OK);
    struct vnp_gpu_net_options o = {.type = VNP_GEMM_F16, .layer = 33, .pool = VNP_POOL_NONE, .workspaces = 1};
    const struct vnp_gpu_memory f16 = vnp_gpu_memory(&s.config, &o, VNP_SLOTS, false);
    const struct vnp_gpu_memory second = vnp_gpu_memory(&s.config, &o, VNP_SLOTS, true);
    o.type = VNP_GEMM_F32;
    const struct vnp_gpu_memory f32 = vnp_gpu_memory(&s.config, &o, VNP_SLOTS, false);
    assert_true(f32.weights > f16.weights * 19 / 10 && f32.per_token > f16.per_token);
    assert_true(second.weights > f16.weights + f32.weights && second.per_token == f16.per_token);
    const struct vnp_gpu_parts parts = vnp_gpu_parts(&s.config, &o);
    o.workspaces = 2;
    assert_int_equal(vnp_gpu_memory(&s.config, &o, VNP_SLOTS, false).per_token,
                     f32.per_token + vnp_gpu_parts_sum(&parts));
    o.layer = 3;
    assert_true(vnp_gpu_memory(&s.config, &o, VNP_SLOTS, false).weights < f32.weights / 5);
}

/* Two workspaces where there is room for them, else one. */
static void test_gpu_memory_fits(void **state)
{
    (void)state;
    struct vnp_synth s;
    struct vnp_err err;
    assert_int_equal(vnp_synth_init(&s, "650M", 1, false, &err), VNP_OK);
    struct vnp_gpu_net_options o = {
        .type = VNP_GEMM_F16, .layer = 33, .pool = VNP_POOL_NONE, .workspaces = 2, .tokens = 8192};
    const struct vnp_gpu_memory two = vnp_gpu_memory(&s.config, &o, VNP_SLOTS, true);
    const int64_t bytes = two.weights + two.margin + two.per_token * o.tokens;
    assert_int_equal(vnp_gpu_memory_fit(&s.config, &o, VNP_SLOTS, true, bytes).per_token, two.per_token);
    assert_int_equal(o.workspaces, 2);
    const struct vnp_gpu_memory fit = vnp_gpu_memory_fit(&s.config, &o, VNP_SLOTS, true, bytes - 1);
    assert_int_equal(o.workspaces, 1);
    assert_int_equal(fit.per_token, vnp_gpu_memory(&s.config, &o, VNP_SLOTS, true).per_token);
    assert_true(fit.weights == two.weights && fit.per_token < two.per_token);
    assert_int_equal(vnp_gpu_memory_fit(&s.config, &o, VNP_SLOTS, true, 0).per_token, fit.per_token);
    assert_int_equal(o.workspaces, 1);
}

/* DNABERT-S: the weights are what its tensors take, matrices in FP16; and a batch has the feed-forward's halves, and
 * what becomes of them, instead of rotary angles. */
static void test_gpu_memory_dnabert(void **state)
{
    static const char *const shapes[] = {"dnabert-s", "dnabert-s:2x3x48"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct vnp_synth s;
        struct vnp_err err;
        int64_t bytes = 0;
        assert_int_equal(vnp_synth_init(&s, shapes[i], 1, false, &err), VNP_OK);
        const int64_t layers = s.config.layers, w = s.config.width, f = s.config.ffn;
        for (int r = 0; r < VNP_N_ROLES; r++) {
            int64_t shape[2] = {0, 1};
            const int dimensions = vnp_role_shape(&s.config, r, shape);
            if (dimensions > 0)
                bytes += (r < VNP_N_GLOBAL_ROLES ? 4 : layers * (dimensions == 2 ? 2 : 4)) * shape[0] * shape[1];
        }
        bytes += layers * 2 * f * 4; /* the bias that a LayerNorm brings to the gated product */
        const int64_t said = vnp_gpu_weights_bytes(&s.config, VNP_F16, s.config.layers);
        assert_true(said >= bytes && said <= bytes + (layers * 12 + 4) * VNP_GPU_ALIGN);
        struct vnp_gpu_net_options o = {.type = VNP_GEMM_F16, .layer = s.config.layers, .pool = VNP_POOL_MEAN};
        const struct vnp_gpu_parts half = vnp_gpu_parts(&s.config, &o);
        assert_int_equal(half.wide, 2 * (f > 3 * w ? f : 3 * w));
        assert_int_equal(half.rotary, 0);
        assert_int_equal(half.shift, half.scale);
        assert_int_equal(half.x, 2 * w);
        o.type = VNP_GEMM_F32;
        assert_int_equal(vnp_gpu_parts(&s.config, &o).wide, 2 * half.wide);
    }
}

/* DNABERT-S's table by token id: of each id that a stream can have x, q, k, v, a scale and a shift. */
static void test_gpu_table(void **state)
{
    struct vnp_model_config c = {
        .arch = VNP_DNABERT_S, .width = 768, .ffn = 3072, .layers = 12, .heads = 12, .vocab = 4096};
    struct vnp_gpu_net_options o = {
        .type = VNP_GEMM_F16, .layer = 12, .pool = VNP_POOL_MEAN, .workspaces = 1, .tokens = 8192};
    (void)state;
    assert_int_equal(vnp_gpu_table_bytes(&c, &o), 4096 * (4 * 768 * 2 + 8));
    const int64_t with = vnp_gpu_memory(&c, &o, 4, false).weights - vnp_gpu_weights_bytes(&c, VNP_F16, 12);
    const int64_t beside = vnp_gpu_memory(&c, &o, 4, true).weights - vnp_gpu_memory(&c, &o, 4, false).weights;
    assert_int_equal(with, vnp_gpu_table_bytes(&c, &o));
    o.type = VNP_GEMM_F32;
    assert_int_equal(vnp_gpu_table_bytes(&c, &o), 4096 * (4 * 768 * 4 + 8));
    assert_true(beside >= vnp_gpu_weights_bytes(&c, VNP_F32, 12) + vnp_gpu_table_bytes(&c, &o));
    c.vocab = 100000;
    assert_int_equal(vnp_gpu_table_rows(&c, &o), 65536);
    o.layer = 0;
    assert_int_equal(vnp_gpu_table_rows(&c, &o), 0);
    o.layer = 12, c.arch = VNP_ESM2;
    assert_int_equal(vnp_gpu_table_bytes(&c, &o), 0);
}

static double esm2_tflops(int width, int64_t budget)
{
    return vnp_gpu_h200_tflops(&(struct vnp_model_config){.arch = VNP_ESM2, .width = width}, budget);
}

static void test_gpu_speed(void **state)
{
    (void)state;
    assert_float_equal(esm2_tflops(1280, 8192), 549.7, 0.01);
    assert_float_equal(esm2_tflops(1280, 16384), 567.9, 0.01);
    assert_float_equal(esm2_tflops(64, 8192), esm2_tflops(320, 8192), 0);
    assert_float_equal(esm2_tflops(5120, 8192), esm2_tflops(2560, 8192), 0);
    const struct vnp_model_config dnabert_s = {.arch = VNP_DNABERT_S, .width = 768};
    assert_float_equal(vnp_gpu_h200_tflops(&dnabert_s, 8192), 536.8, 0.01);
    assert_float_equal(vnp_gpu_h200_tflops(&dnabert_s, 16384), 559.7, 0.01);
    for (int width = 320; width < 2560; width += 80) {
        const double here = esm2_tflops(width, 8192), next = esm2_tflops(width + 80, 8192);
        assert_true(next > here && next < here * 1.3);
    }
}

/* Rows of a census: a whole record, a cut one, an empty one, and one in two windows that come last first. */
static void test_census(void **state)
{
    (void)state;
    const uint64_t ordinal[] = {0, 1, 2, 3, 3}, total[] = {10, 90, 0, 25, 25}, start[] = {0, 0, 0, 15, 0};
    const uint32_t residues[] = {10, 50, 0, 10, 20}, tokens[] = {12, 52, 2, 12, 22};
    const uint32_t flags[] = {0, VNP_TRUNCATED, VNP_EMPTY, 0, 0};
    const uint32_t window[] = {0, 0, 0, 1, 0}, windows[] = {1, 1, 1, 2, 2};
    const struct vnp_str id[] = {{"a", 1}, {"bc", 2}, {"d", 1}, {"efg", 3}, {"efg", 3}};
    const struct vnp_block b = {5, ordinal, id, residues, total, flags, tokens, window, windows, start, NULL, 0};
    struct vnp_census c = {0};
    vnp_census_add(&c, &b, 100);
    assert_int_equal(c.records, 4);
    assert_int_equal(c.rows, 5);
    assert_int_equal(c.windowed, 1);
    assert_int_equal(c.tokens, 100);
    assert_int_equal(c.residues, 125);
    assert_int_equal(c.shortest, 0);
    assert_int_equal(c.longest, 90);
    assert_int_equal(c.kept, 10 + 50 + 25);
    assert_int_equal(c.truncated, 1);
    assert_int_equal(c.empty, 1);
    assert_int_equal(c.id_bytes, 7);
    assert_int_equal(c.longest_row, 52);
    assert_float_equal(vnp_census_used(&c, 100), 1, 0);
    vnp_census_add(&c, &b, 99); /* larger than the budget: apart */
    assert_int_equal(c.batches, 1);
    assert_int_equal(c.oversize, 1);
    assert_float_equal(vnp_census_used(&c, 200), 0.5, 0);
}

/* The sample is spread over the stream, however long that is, and never more than its room. */
static void test_sample(void **state)
{
    (void)state;
    const uint64_t zero = 0;
    const uint32_t none = 0;
    const struct vnp_str id = {"a", 1};
    struct vnp_census c = {0};
    for (uint32_t i = 0; i < 100000; i++) {
        const uint64_t total = i;
        const struct vnp_block b = {1, &zero, &id, &i, &total, &none, &i, NULL, NULL, NULL, NULL, 0};
        vnp_census_add(&c, &b, 1 << 30);
        assert_true(c.n_sample <= VNP_CENSUS_SAMPLE && c.n_sample >= (i > 0));
        assert_true(i < 1000 || c.n_sample >= VNP_CENSUS_SAMPLE / 2);
    }
    assert_int_equal(c.filled, 99999); /* the first row has no tokens */
    for (int64_t i = 0; i < c.n_sample; i++)
        assert_int_equal(c.sample[i], (uint64_t)i * c.stride + 1);
    assert_true((uint64_t)c.n_sample * c.stride >= 99999);
}

/* Whatever the size of the sample: each of its rows once, then again. */
static void test_sampled(void **state)
{
    (void)state;
    struct vnp_census c = {0};
    for (uint32_t i = 0; i < VNP_CENSUS_SAMPLE; i++)
        c.sample[i] = i + 1;
    for (c.n_sample = 1; c.n_sample <= VNP_CENSUS_SAMPLE; c.n_sample++) {
        bool seen[VNP_CENSUS_SAMPLE] = {false};
        for (int64_t i = 0; i < c.n_sample; i++) {
            const uint32_t row = vnp_census_sampled(&c, i) - 1;
            assert_true(row < c.n_sample && !seen[row]);
            assert_int_equal(vnp_census_sampled(&c, i + c.n_sample) - 1, row);
            seen[row] = true;
        }
    }
}

static void test_trial(void **state)
{
    (void)state;
    static const char *const shapes[] = {"2x2x32", "dnabert-s:2x2x32"};
    const uint32_t tokens[] = {2, 300, 17};
    for (int i = 0; i < 2; i++) {
        struct vnp_synth s;
        struct vnp_err err;
        double rate = -1;
        assert_int_equal(vnp_synth_init(&s, shapes[i], 1, false, &err), VNP_OK);
        struct vnp_cpu_threads *t = vnp_cpu_threads_new(2);
        assert_int_equal(vnp_cpu_net_trial(&s.config, t, tokens, 3, 0.01, &rate, &err), VNP_OK);
        assert_true(rate > 1e6 && rate < 1e14);
        vnp_cpu_threads_free(t);
    }
}

static void test_texts(void **state)
{
    (void)state;
    static const struct {
        double x;
        const char *bytes, *time;
    } want[] = {{0, "0 bytes", "0 s"},
                {999, "999 bytes", "16 min 39 s"},
                {0.5, "0 bytes", "0.5 s"},
                {9.96, "10 bytes", "10 s"},
                {99, "99 bytes", "99 s"},
                {59.7 * 60, "3.58 kB", "59 min 42 s"},
                {3599.6, "3.60 kB", "1 h 0 min"},
                {100000, "100 kB", "1 d 3 h"},
                {999999, "1.00 MB", "11 d 13 h"},
                {6.28e9, "6.28 GB", "72685 d 4 h"}};
    char text[VNP_PLAN_TEXT];
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        assert_string_equal(vnp_plan_bytes(text, want[i].x), want[i].bytes);
        assert_string_equal(vnp_plan_time(text, want[i].x), want[i].time);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gpu_memory),
                                       cmocka_unit_test(test_gpu_memory_grows), cmocka_unit_test(test_gpu_memory_fits),
                                       cmocka_unit_test(test_gpu_memory_dnabert),
                                       cmocka_unit_test(test_gpu_table),
                                       cmocka_unit_test(test_gpu_speed),
                                       cmocka_unit_test(test_census),
                                       cmocka_unit_test(test_sample),
                                       cmocka_unit_test(test_sampled),
                                       cmocka_unit_test(test_trial),
                                       cmocka_unit_test(test_texts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
