/* The check that vnp-gpu-forward makes of itself, here of vectors that the CPU made: right ones pass, any others don't.
 */
#include "../lib.h"
#include "net_cpu.h"
#include "self_check.h"

#define N 5

static struct vnp_model *model;
static const uint32_t tokens[N] = {3, 600, 40, 64, 2};
static const uint32_t residues[N] = {5, 900, 90, 100, 0};
static const uint64_t ordinals[N] = {10, 11, 12, 13, 14};
static uint16_t ids[709];
static float *hidden;         /* [709, width], right */
static float pooled[N * 128]; /* of all tokens */
static int width;

static int set_up(void **state)
{
    char command[1024];
    const char *build = getenv("VNP_BUILD");
    struct vnp_err err;
    struct vnp_cpu_net *net;
    const float *out;
    uint64_t seed = 5;
    (void)state;
    char *folder = t_folder(), *path = t_path(folder, "model");
    snprintf(command, sizeof command, "'%s'/bin/vnp-model synth dnabert-s:2x2x128 --seed 6 -q -o %s",
             build ? build : "build", path);
    assert_int_equal(system(command), 0);
    assert_int_equal(vnp_model_open(&model, path, &err), VNP_OK);
    free(path);
    t_remove(folder);
    width = vnp_model_config(model)->width;
    for (int i = 0; i < 709; i++)
        ids[i] = (uint16_t)t_between(&seed, 0, 4095);
    struct vnp_cpu_threads *threads = vnp_cpu_threads_new(2);
    assert_int_equal(vnp_cpu_net_open(&net, model, threads, &err), VNP_OK);
    assert_int_equal(vnp_cpu_net_forward(net, &(struct vnp_cpu_batch){N, tokens, ids, 2}, 2, &out, &err), VNP_OK);
    hidden = malloc((size_t)(709 * width) * sizeof *hidden);
    memcpy(hidden, out, (size_t)(709 * width) * sizeof *hidden);
    for (int i = 0, at = 0; i < N; at += (int)tokens[i++])
        vnp_pool_vectors(VNP_POOL_MEAN, VNP_F32, hidden + at * width, tokens[i], width, pooled + i * width);
    vnp_cpu_net_close(net);
    vnp_cpu_threads_free(threads);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vnp_model_close(model);
    free(hidden);
    return 0;
}

static const struct vnp_head head = {.prefix = 1, .suffix = 1, .token_bytes = 2};

static struct vnp_self_check fresh(enum vnp_pool pool)
{
    return (struct vnp_self_check){.model = model,
                                   .head = &head,
                                   .name = "in",
                                   .layer = 2,
                                   .pool = pool,
                                   .all_tokens = pool == VNP_POOL_MEAN,
                                   .least = VNP_SELF_CHECK_LEAST};
}

static struct vnp_block block(const uint32_t *flags, const float *vectors)
{
    return (struct vnp_block){
        .n = N, .ordinal = ordinals, .residues = residues, .tokens = tokens, .flags = flags, .bulk = vectors};
}

static void right_vectors_pass(void **state)
{
    const uint32_t flags[N] = {0};
    struct vnp_err err;
    (void)state;
    struct vnp_self_check c = fresh(VNP_POOL_NONE);
    struct vnp_block b = block(flags, hidden);
    assert_int_equal(vnp_self_check(&c, &b, ids, &err), VNP_OK);
    assert_true(c.proven[0] && !c.proven[1]);
    b.bulk = NULL; /* nobody looks any more */
    assert_int_equal(vnp_self_check(&c, &b, ids, &err), VNP_OK);
    c = fresh(VNP_POOL_MEAN);
    b.bulk = pooled;
    assert_int_equal(vnp_self_check(&c, &b, ids, &err), VNP_OK);
    assert_true(c.proven[0]);
}

/* The sequence of 64 tokens is the one, and its vectors begin at token 643. */
static void wrong_vectors_do_not(void **state)
{
    const uint32_t flags[N] = {0};
    struct vnp_err err;
    (void)state;
    float *wrong = malloc((size_t)(709 * width) * sizeof *wrong);
    for (int kind = 0; kind < 5; kind++) {
        float *at = wrong + 643 * width;
        memcpy(wrong, hidden, (size_t)(709 * width) * sizeof *wrong);
        if (kind == 0)
            at[5 * width + 3] = NAN;
        else if (kind == 1)
            at[5 * width + 3] = INFINITY;
        else if (kind == 2)
            memset(at, 0, (size_t)(64 * width) * sizeof *at);
        else if (kind == 3) /* two halves of the sequence changed places: its mean stays what it is */
            memcpy(at, hidden + 675 * width, (size_t)(32 * width) * sizeof *at),
                memcpy(at + 32 * width, hidden + 643 * width, (size_t)(32 * width) * sizeof *at);
        else
            for (int i = 0; i < 64 * width; i++)
                at[i] += i % 16 == 0 ? 1 : 0;
        struct vnp_self_check c = fresh(VNP_POOL_NONE);
        const struct vnp_block b = block(flags, wrong);
        assert_int_equal(vnp_self_check(&c, &b, ids, &err), VNP_SOFTWARE);
        assert_non_null(strstr(err.msg, "in: record 13: cosine "));
        assert_non_null(strstr(err.msg, "vnp-cpu-forward takes the same input"));
        assert_false(c.proven[0]);
    }
    free(wrong);
    float means[N * 128];
    memcpy(means, pooled, sizeof means);
    means[3 * width + 1] = NAN;
    struct vnp_self_check c = fresh(VNP_POOL_MEAN);
    const struct vnp_block b = block(flags, means);
    assert_int_equal(vnp_self_check(&c, &b, ids, &err), VNP_SOFTWARE);
}

/* What was redone in FP32 comes from other kernels, and is proven apart; what is not finite is nobody's proof. */
static void kinds_are_apart(void **state)
{
    const uint32_t some[N] = {VNP_REDONE, 0, VNP_NONFINITE, VNP_REDONE | VNP_NONFINITE, 0};
    const uint32_t none[N] = {VNP_NONFINITE, VNP_NONFINITE, VNP_NONFINITE, VNP_NONFINITE, VNP_NONFINITE};
    struct vnp_err err;
    (void)state;
    float *wrong = malloc((size_t)(709 * width) * sizeof *wrong);
    memcpy(wrong, hidden, (size_t)(709 * width) * sizeof *wrong);
    struct vnp_self_check c = fresh(VNP_POOL_NONE);
    struct vnp_block b = block(none, wrong);
    assert_int_equal(vnp_self_check(&c, &b, ids, &err), VNP_OK);
    assert_false(c.proven[0] || c.proven[1]);
    b.flags = some; /* of 600 and of 2 tokens: the second, an empty record, which leaves the proof open */
    assert_int_equal(vnp_self_check(&c, &b, ids, &err), VNP_OK);
    assert_true(!c.proven[0] && c.proven[1]);
    c = fresh(VNP_POOL_NONE);
    wrong[0] = 1e4f; /* the redone one */
    assert_int_equal(vnp_self_check(&c, &b, ids, &err), VNP_SOFTWARE);
    assert_non_null(strstr(err.msg, "record 10"));
    free(wrong);
}

/* Only long ones: the shortest of them. */
static void long_sequences(void **state)
{
    const uint32_t flags[2] = {0}, long_tokens[2] = {668, 600};
    struct vnp_err err;
    (void)state;
    uint16_t *more = malloc(1268 * sizeof *more);
    float *vectors = calloc((size_t)(1268 * width), sizeof *vectors);
    memcpy(more + 668, ids + 3, 600 * sizeof *more);
    memcpy(vectors + 668 * width, hidden + 3 * width, (size_t)(600 * width) * sizeof *vectors);
    struct vnp_self_check c = fresh(VNP_POOL_NONE);
    const struct vnp_block b = {
        .n = 2, .ordinal = ordinals, .residues = residues, .tokens = long_tokens, .flags = flags, .bulk = vectors};
    assert_int_equal(vnp_self_check(&c, &b, more, &err), VNP_OK);
    assert_true(c.proven[0]);
    free(more);
    free(vectors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(right_vectors_pass), cmocka_unit_test(wrong_vectors_do_not),
                                       cmocka_unit_test(kinds_are_apart), cmocka_unit_test(long_sequences)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
