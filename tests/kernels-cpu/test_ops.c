/* Each operation of the CPU path against the same formula written plainly in double, over awkward shapes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "alibi.h"
#include "cpu_attention.h"
#include "cpu_blas.h"
#include "cpu_embed.h"
#include "cpu_layernorm.h"
#include "cpu_linear.h"
#include "cpu_rotary.h"
#include "cpu_threads.h"
#include "cpu_tiles.h"
#include "parallel.h"

static uint64_t state_of_random = 88172645463325252u;

/* Uniform in [-1, 1). */
static float rnd(void)
{
    state_of_random ^= state_of_random << 13;
    state_of_random ^= state_of_random >> 7;
    state_of_random ^= state_of_random << 17;
    return (float)((double)(state_of_random >> 11) * 0x1p-52 - 1.0);
}

static float *random_floats(int64_t n)
{
    float *x = test_malloc((size_t)(n ? n : 1) * sizeof *x);
    for (int64_t i = 0; i < n; i++)
        x[i] = rnd();
    return x;
}

static void near_to(float got, double want, double tolerance)
{
    if (!(fabs((double)got - want) <= tolerance))
        fail_msg("%.9g, wanted %.9g within %.2g", (double)got, want, tolerance);
}

static void test_layernorm(void **state)
{
    static const int widths[] = {1, 2, 15, 16, 17, 48, 320, 1280};
    (void)state;
    for (size_t k = 0; k < sizeof widths / sizeof *widths; k++) {
        const int w = widths[k], rows = 3;
        float *x = random_floats(rows * w), *g = random_floats(w), *b = random_floats(w), *y = random_floats(rows * w);
        for (int i = 0; i < w; i++)
            x[w + i] += 1000; /* a mean far from 0 */
        if (w > 2)
            x[2 * w + 1] = 500; /* a massive channel */
        vnp_cpu_layernorm(y, x, g, b, rows, w, 1e-5f);
        for (int r = 0; r < rows; r++) {
            double mean = 0, var = 0;
            for (int i = 0; i < w; i++)
                mean += (double)x[r * w + i] / w;
            for (int i = 0; i < w; i++)
                var += ((double)x[r * w + i] - mean) * ((double)x[r * w + i] - mean) / w;
            for (int i = 0; i < w; i++) {
                const double z = ((double)x[r * w + i] - mean) / sqrt(var + (double)1e-5f);
                near_to(y[r * w + i], z * (double)g[i] + (double)b[i], (r == 1 ? 3e-4 : 1e-6) * (1 + fabs(z)));
            }
        }
        x[w - 1] = NAN;
        vnp_cpu_layernorm(x, x, g, b, 1, w, 1e-5f); /* in place */
        for (int i = 0; i < w; i++)
            assert_true(isnan(x[i]));
        assert_false(isnan(x[w]));
        test_free(x), test_free(g), test_free(b), test_free(y);
    }
}

static double naive_linear(const struct vnp_cpu_linear *p, int64_t r, int64_t c)
{
    double v = p->bias ? (double)p->bias[c] : 0, factor = 0;
    for (int64_t i = 0; i < p->k; i++)
        v += (double)p->x[r * p->k + i] * (double)p->w[c * p->k + i];
    for (int64_t i = 0; p->w2 && i < p->k; i++)
        factor += (double)p->x[r * p->k + i] * (double)p->w2[c * p->k + i];
    const double gelu = v / 2 * (1 + erf(v / sqrt(2.0)));
    return p->epilogue == VNP_CPU_BIAS_GELU ? gelu : p->epilogue == VNP_CPU_GEGLU ? gelu * factor : v;
}

static void check_linear(int64_t rows, int64_t n, int64_t k, enum vnp_cpu_epilogue epilogue)
{
    const int64_t stride = n + 5;
    float *x = random_floats(rows * k), *w = random_floats(n * k), *w2 = random_floats(n * k), *bias = random_floats(n);
    float *out = random_floats(rows * stride), *before = random_floats(rows * stride),
          *scratch = random_floats(rows * n);
    memcpy(before, out, (size_t)(rows * stride) * sizeof *out);
    struct vnp_cpu_linear p = {rows, n, k, x, w, rows % 2 ? bias : NULL, out, stride, epilogue, scratch, NULL};
    if (epilogue == VNP_CPU_GEGLU)
        p.w2 = w2;
    vnp_cpu_linear(&p);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < n; c++) {
            const double old = epilogue == VNP_CPU_BIAS_ADD ? (double)before[r * stride + c] : 0;
            const double want = naive_linear(&p, r, c) + old; /* of products of two sums the error grows with them */
            near_to(out[r * stride + c], want, (2e-6 * sqrt((double)k) + 1e-6) * (1 + sqrt(fabs(want))));
        }
        assert_memory_equal(out + r * stride + n, before + r * stride + n, 5 * sizeof *out);
    }
    test_free(x), test_free(w), test_free(w2), test_free(bias);
    test_free(out), test_free(before), test_free(scratch);
}

static void test_linear(void **state)
{
    static const int64_t shapes[][3] = {{1, 1, 1},   {1, 320, 320}, {2, 33, 17},
                                        {3, 16, 64}, {65, 96, 384}, {129, 50, 96}};
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int e = VNP_CPU_BIAS; e <= VNP_CPU_GEGLU; e++)
            check_linear(shapes[i][0], shapes[i][1], shapes[i][2], e);
}

static void test_rotary(void **state)
{
    static const int dims[] = {2, 16, 24, 32, 64, 128};
    (void)state;
    for (size_t k = 0; k < sizeof dims / sizeof *dims; k++) {
        const int d = dims[k], heads = 3, rows = 4, pos = 1019, stride = heads * d + 2;
        float *x = random_floats(rows * stride), *before = random_floats(rows * stride);
        float *table = random_floats((pos + rows) * (int64_t)d);
        memcpy(before, x, (size_t)(rows * stride) * sizeof *x);
        vnp_cpu_rotary_table(table, pos + rows, d);
        vnp_cpu_rotary(x, stride, rows, heads, d, pos, 0.25f, table);
        for (int r = 0; r < rows; r++)
            for (int h = 0; h < heads; h++)
                for (int i = 0; i < d / 2; i++) {
                    const float *in = before + r * stride + h * d, *out = x + r * stride + h * d;
                    const float angle = (float)(pos + r) * (1.0f / powf(10000.0f, (float)(2 * i) / (float)d));
                    const double c = cos((double)angle), s = sin((double)angle), a = (double)in[i],
                                 b = (double)in[i + d / 2];
                    near_to(out[i], (a * c - b * s) / 4, 2e-4); /* powf may differ in its last place: 1e-7 x 1022 */
                    near_to(out[i + d / 2], (b * c + a * s) / 4, 2e-4);
                }
        test_free(x), test_free(before), test_free(table);
    }
}

/* The queries are those from position `pos` on. */
static void check_attention(int64_t queries, int64_t keys, int d, float scale, float slope, int64_t pos)
{
    const int64_t stride = 3 * d + 4;
    float *qkv = random_floats(keys * stride), *out = random_floats(queries * d);
    float *scores = random_floats(queries * (keys + 1));
    for (int64_t i = 0; i < keys * stride; i++)
        qkv[i] *= 3;
    const struct vnp_cpu_attention p = {.queries = queries,
                                        .keys = keys,
                                        .head_dim = d,
                                        .q = qkv + pos * stride,
                                        .k = qkv + d,
                                        .v = qkv + 2 * d,
                                        .stride = stride,
                                        .out = out,
                                        .out_stride = d,
                                        .scores = scores,
                                        .scale = scale,
                                        .slope = slope,
                                        .pos = pos};
    vnp_cpu_attention(&p);
    double *s = test_malloc((size_t)keys * sizeof *s);
    for (int64_t i = 0; i < queries; i++) {
        double max = -INFINITY, sum = 0;
        for (int64_t j = 0; j < keys; j++) {
            s[j] = 0;
            for (int c = 0; c < d; c++)
                s[j] += (double)p.q[i * stride + c] * (double)p.k[j * stride + c];
            s[j] = s[j] * (double)scale - (double)slope * fabs((double)(pos + i - j));
            max = fmax(max, s[j]);
        }
        for (int64_t j = 0; j < keys; j++)
            sum += s[j] = exp(s[j] - max);
        for (int c = 0; c < d; c++) {
            double want = 0;
            for (int64_t j = 0; j < keys; j++)
                want += s[j] / sum * (double)p.v[j * stride + c];
            near_to(out[i * d + c], want, 1e-4);
        }
    }
    test_free(qkv), test_free(out), test_free(scores), test_free(s);
}

static void test_attention(void **state)
{
    static const int dims[] = {16, 24, 32, 64, 128};
    static const int64_t lengths[] = {1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 513};
    (void)state;
    for (size_t k = 0; k < sizeof dims / sizeof *dims; k++)
        for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
            check_attention(lengths[l] < 20 ? lengths[l] : 20, lengths[l], dims[k], 1, 0, 0);
}

/* DNABERT-S's scores: scaled after the product, less slope x distance; queries from the middle of a sequence too. */
static void test_attention_alibi(void **state)
{
    static const int64_t lengths[] = {1, 2, 17, 64, 129, 1022, 9000};
    float slopes[12];
    (void)state;
    vnp_alibi_slopes(slopes, 12);
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
        for (int h = 0; h < 12; h += l < 5 ? 1 : 4) {
            const int64_t n = lengths[l] < 7 ? lengths[l] : 7;
            check_attention(n, lengths[l], 64, 0.125f, slopes[h], 0);
            check_attention(n, lengths[l], 64, 0.125f, slopes[h], (lengths[l] - n) / 2);
            check_attention(n, lengths[l], 16, 0.25f, slopes[h], lengths[l] - n);
        }
}

/* DNABERT-S's twelve, and the published rule's for others: one list a number of heads. */
static void test_alibi_slopes(void **state)
{
    static const double exponents[][12] = {{8},
                                           {4, 8},
                                           {4, 8, 2},
                                           {2, 4, 6, 8},
                                           {2, 4, 6, 8, 1},
                                           {2, 4, 6, 8, 1, 3},
                                           {2, 4, 6, 8, 1, 3, 5},
                                           {1, 2, 3, 4, 5, 6, 7, 8},
                                           {0},
                                           {0},
                                           {0},
                                           {1, 2, 3, 4, 5, 6, 7, 8, 0.5, 1.5, 2.5, 3.5}};
    float slopes[20];
    (void)state;
    for (int heads = 1; heads <= 12; heads++) {
        vnp_alibi_slopes(slopes, heads);
        for (int h = 0; h < heads && exponents[heads - 1][0] > 0; h++)
            near_to(slopes[h], exp2(-exponents[heads - 1][h]), 6e-8);
    }
    vnp_alibi_slopes(slopes, 20); /* 16, and four of 32's */
    near_to(slopes[15], exp2(-8), 1e-8);
    near_to(slopes[16], exp2(-0.25), 1e-7);
    near_to(slopes[19], exp2(-1.75), 1e-7);
}

static void test_attention_nonfinite(void **state)
{
    float q[2] = {NAN, 1}, k[2] = {1, 2}, v[2] = {1, 2}, out[2], scores[6];
    (void)state;
    struct vnp_cpu_attention p = {2, 2, 1, q, k, v, 1, out, 1, scores, 1, 0, 0};
    vnp_cpu_attention(&p);
    assert_true(isnan(out[0]));
    near_to(out[1], (1 * exp(-1.0) + 2) / (exp(-1.0) + 1), 1e-6);
    p.slope = 1; /* q k^T is 1, 2; the distances are 1, 0 */
    vnp_cpu_attention(&p);
    assert_true(isnan(out[0]));
    near_to(out[1], (1 * exp(-2.0) + 2) / (exp(-2.0) + 1), 1e-6);
}

static void test_embed(void **state)
{
    const float word[] = {1, 2, 3, 4, 5, 6}; /* three ids of width 2 */
    const uint8_t ids[] = {0, 2, 1, 2}, plain[] = {2, 0};
    const uint16_t wide[] = {2, 0};
    float out[8], out2[4];
    (void)state;
    vnp_cpu_embed_esm2(out, word, ids, 1, 4, 2, 1, 1); /* a quarter is <mask> (id 1) */
    near_to(out[0], 1 * 0.88 / 0.75, 1e-6);
    near_to(out[3], 6 * 0.88 / 0.75, 1e-6);
    assert_true(out[4] == 0 && out[5] == 0);
    vnp_cpu_embed_esm2(out, word, plain, 1, 2, 2, 1, 1);
    near_to(out[0], 5 * 0.88, 1e-6);
    vnp_cpu_embed_esm2(out2, word, wide, 2, 2, 2, 1, 1);
    assert_memory_equal(out, out2, sizeof out2);
    vnp_cpu_embed_esm2(out, word, ids, 1, 4, 2, 0, 1); /* no token dropout: <mask> is a word like others */
    assert_true(out[0] == 1 && out[4] == 3 && out[5] == 4);
    const float type[] = {0.5f, -1};
    vnp_cpu_embed_bert(out, word, type, ids, 1, 4, 2);
    assert_true(out[0] == 1.5f && out[1] == 1 && out[2] == 5.5f && out[3] == 5 && out[4] == 3.5f);
    vnp_cpu_embed_bert(out, word, type, plain, 1, 2, 2);
    vnp_cpu_embed_bert(out2, word, type, wide, 2, 2, 2);
    assert_memory_equal(out, out2, sizeof out2);
}

/* Every row in exactly one tile, none over the limit, and the cut of a sequence the same in any batch. */
static void test_tiles(void **state)
{
    const uint32_t tokens[] = {1, 255, 256, 257, 3, 1024, 20000, 512};
    static struct vnp_cpu_tile tiles[4096], alone[4096];
    (void)state;
    for (int64_t limit = 0; limit <= 256; limit += 128) {
        const int64_t n = vnp_cpu_tiles(tiles, tokens, 8, limit);
        int64_t row = 0, at = 0;
        assert_int_equal(n, vnp_cpu_tiles(NULL, tokens, 8, limit));
        for (int s = 0; s < 8; s++) {
            const int64_t own = vnp_cpu_tiles(alone, &tokens[s], 1, limit);
            for (int64_t i = 0, pos = 0; i < own; i++, at++) {
                assert_int_equal(tiles[at].row, row);
                assert_int_equal(tiles[at].pos, pos);
                assert_int_equal(tiles[at].length, tokens[s]);
                assert_true(tiles[at].rows > 0 && tiles[at].rows <= (limit ? limit : VNP_CPU_QUERIES));
                assert_int_equal(alone[i].rows, tiles[at].rows);
                row += tiles[at].rows;
                pos += tiles[at].rows;
                assert_true(i < own - 1 || pos == tokens[s]);
            }
        }
        assert_int_equal(at, n);
    }
    int64_t part;
    assert_int_equal(vnp_cpu_split(5120, 320, 16, &part), 16);
    assert_int_equal(part, 320);
    assert_int_equal(vnp_cpu_split(480, 320, 16, &part), 2);
    assert_int_equal(part, 240);
}

static void count_task(void *ctx, int64_t task, int worker)
{
    assert_true(worker >= 0 && worker < 3);
    ((int *)ctx)[task]++;
}

static void test_threads(void **state)
{
    static int seen[1000];
    (void)state;
    struct vnp_cpu_threads *t = vnp_cpu_threads_new(3);
    assert_non_null(t);
    assert_int_equal(vnp_cpu_threads_n(t), 3);
    assert_true(vnp_cpu_count() >= 1);
    for (int round = 0; round < 200; round++)
        vnp_cpu_threads_run(t, round % 3 ? 1000 : 1, count_task, seen);
    vnp_cpu_threads_run(t, 0, count_task, seen);
    assert_int_equal(seen[0], 200);
    for (int i = 1; i < 1000; i++)
        assert_int_equal(seen[i], 133);
    vnp_cpu_threads_free(t);
}

/* What the tiles rest on: a product of one shape gives a row the same bytes wherever the buffers lie. */
static void test_alignment(void **state)
{
    const int64_t m = 37, n = 65, k = 301;
    float *a = random_floats(m * k + 16), *b = random_floats(n * k + 16), *c = random_floats(m * n + 16);
    float *want = random_floats(m * n);
    float *a0 = random_floats(m * k), *b0 = random_floats(n * k);
    (void)state;
    vnp_cpu_gemm_nt(m, n, k, a0, k, b0, k, want, n);
    for (int shift = 0; shift < 16; shift++) {
        memcpy(a + shift, a0, (size_t)(m * k) * sizeof *a);
        memcpy(b + (15 - shift), b0, (size_t)(n * k) * sizeof *b);
        vnp_cpu_gemm_nt(m, n, k, a + shift, k, b + (15 - shift), k, c + shift, n);
        assert_memory_equal(c + shift, want, (size_t)(m * n) * sizeof *c);
    }
    test_free(a), test_free(b), test_free(c), test_free(want), test_free(a0), test_free(b0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layernorm),       cmocka_unit_test(test_linear),
        cmocka_unit_test(test_rotary),          cmocka_unit_test(test_attention),
        cmocka_unit_test(test_attention_alibi), cmocka_unit_test(test_attention_nonfinite),
        cmocka_unit_test(test_alibi_slopes),    cmocka_unit_test(test_embed),
        cmocka_unit_test(test_tiles),           cmocka_unit_test(test_threads),
        cmocka_unit_test(test_alignment),
    };
    vnp_cpu_blas_init();
    print_message("# OpenBLAS kernels: %s\n", vnp_cpu_blas_core());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
