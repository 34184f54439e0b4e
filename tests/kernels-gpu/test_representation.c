/* vnp_representation(): every token's values against loops in double, with the scales that vnp_row_scales() makes; what
 * is pooled against vnp_pool_vectors() of them, the same bytes. */
#include "gpu.h"
#include "layernorm.h"
#include "representation.h"

static const enum vnp_dtype dtypes[] = {VNP_F32, VNP_F16, VNP_BF16};
static const int32_t cu[] = {0, 2, 5, 57, 187, 188, 1212}; /* the first and the last but one have no residues */
#define N 6

struct problem {
    enum vnp_dtype dtype;
    int width;
    float *x, *w, *b, eps;
};

static struct problem make(enum vnp_dtype dtype, int width, float offset, uint64_t seed)
{
    const int64_t all = (int64_t)cu[N] * width;
    struct problem p = {dtype, width, xmalloc((size_t)all * 4), NULL, NULL, 1e-5f};
    p.w = xmalloc((size_t)width * 4), p.b = xmalloc((size_t)width * 4);
    for (int64_t i = 0; i < all; i++)
        p.x[i] = rounded(normal(&seed) * (i % width == 3 ? 300 : 1) + offset, dtype); /* one massive channel */
    for (int j = 0; j < width; j++)
        p.w[j] = 1 + 0.3f * normal(&seed), p.b[j] = 0.2f * normal(&seed);
    return p;
}

static void drop(struct problem *p)
{
    free(p->x), free(p->w), free(p->b);
}

/* Sequences [first, first + n) by themselves; special: 1 when the first and the last token of each are special ones.
 * flags [n], or NULL. The caller frees the result. */
static float *run(const struct problem *p, enum vnp_pool pool, int special, bool normed, int first, int n,
                  uint8_t *flags)
{
    const int64_t tokens = cu[first + n] - cu[first], vectors = pool == VNP_POOL_NONE ? tokens : n;
    const size_t bytes = (size_t)p->width * 4;
    int32_t offsets[N + 1];
    for (int i = 0; i <= n; i++)
        offsets[i] = cu[first + i] - cu[first];
    void *d_x = to_device(p->x + (int64_t)cu[first] * p->width, tokens * p->width, p->dtype);
    void *d_w = bytes_to_device(p->w, bytes), *d_b = bytes_to_device(p->b, bytes);
    void *d_cu = bytes_to_device(offsets, (size_t)(n + 1) * 4), *d_flags = bytes_to_device((uint8_t[N]){0}, N);
    float *d_moments = poisoned(tokens * 2, VNP_F32), *d_scale = poisoned(tokens, VNP_F32);
    float *d_shift = poisoned(tokens, VNP_F32), *d_out = poisoned(vectors * p->width, VNP_F32);
    vnp_row_moments(d_x, p->dtype, tokens, p->width, d_moments, 0);
    vnp_row_scales(d_moments, p->width, tokens, p->width, p->eps, d_scale, d_shift, 0);
    const struct vnp_representation_params r = {.dtype = p->dtype,
                                                .d_x = d_x,
                                                .d_scale = d_scale,
                                                .d_shift = d_shift,
                                                .d_w = normed ? d_w : NULL,
                                                .d_b = normed ? d_b : NULL,
                                                .tokens = tokens,
                                                .width = p->width,
                                                .d_cu = d_cu,
                                                .n = n,
                                                .pool = pool,
                                                .prefix = special,
                                                .suffix = special,
                                                .d_out = d_out,
                                                .d_nonfinite = d_flags};
    vnp_representation(&r, 0);
    CUDA_CHECK(cudaDeviceSynchronize());
    if (flags)
        CUDA_CHECK(cudaMemcpy(flags, d_flags, (size_t)n, cudaMemcpyDeviceToHost));
    float *got = from_device(d_out, vectors * p->width, VNP_F32);
    cudaFree(d_x), cudaFree(d_w), cudaFree(d_b), cudaFree(d_cu), cudaFree(d_flags), cudaFree(d_moments);
    cudaFree(d_scale), cudaFree(d_shift), cudaFree(d_out);
    return got;
}

static void compare(const struct problem *p, const float *got)
{
    for (int64_t i = 0; i < cu[N]; i++) {
        const float *x = p->x + i * p->width, *g = got + i * p->width;
        double mean = 0, variance = 0;
        for (int j = 0; j < p->width; j++)
            mean += x[j];
        mean /= p->width;
        for (int j = 0; j < p->width; j++)
            variance += (x[j] - mean) * (x[j] - mean);
        const double rstd = 1 / sqrt(variance / p->width + p->eps);
        for (int j = 0; j < p->width; j++) {
            const double normed = (x[j] - mean) * rstd * p->w[j], want = normed + p->b[j];
            /* FP32 rounding of the mean, and of what is left of x without it, counts in units of the row's values over
             * their spread. */
            const double size = (fabs(mean) + fabs(x[j])) * rstd + 1;
            const double slack = 4e-7 * size * fabs(p->w[j]) + 2e-6 * fabs(normed) + 1e-7 * fabs(p->b[j]);
            if (!(fabs(g[j] - want) <= slack + 2e-6 * fabs(want)))
                fail_msg("type %d, width %d: row %lld column %d: %.8g, wanted %.8g", p->dtype, p->width, (long long)i,
                         j, g[j], want);
        }
    }
}

static void tokens_against_double(void **state)
{
    const int widths[] = {8, 72, 256, 264, 320, 640, 1280, 2560, 5120};
    (void)state;
    need_gpu();
    for (int t = 0; t < 3; t++)
        for (size_t w = 0; w < sizeof widths / sizeof *widths; w += light() ? 3 : 1)
            for (int far = 0; far < 2; far++) {
                struct problem p = make(dtypes[t], widths[w], far ? 200 : 0, (uint64_t)t * 1000 + w * 10);
                float *got = run(&p, VNP_POOL_NONE, 1, true, 0, N, NULL);
                compare(&p, got);
                free(got);
                drop(&p);
            }
}

/* Rows so small that an eps of 1e-5 would be all there is of the variance; and one of 1e-12 some. */
static void small_rows(void **state)
{
    const float sizes[] = {1e-2f, 1e-4f, 1e-6f};
    (void)state;
    need_gpu();
    for (int size = 0; size < 3; size++) {
        struct problem p = make(VNP_F32, 768, 0, (uint64_t)size + 20);
        p.eps = 1e-12f;
        for (int64_t i = 0; i < (int64_t)cu[N] * p.width; i++)
            p.x[i] *= sizes[size] / (i % p.width == 3 ? 300 : 1);
        float *got = run(&p, VNP_POOL_NONE, 0, true, 0, N, NULL);
        compare(&p, got);
        free(got);
        drop(&p);
    }
}

static void without_weights_values_pass(void **state)
{
    (void)state;
    need_gpu();
    for (int t = 0; t < 3; t++) {
        struct problem p = make(dtypes[t], 480, 0, 6);
        float *got = run(&p, VNP_POOL_NONE, 1, false, 0, N, NULL);
        for (int64_t i = 0; i < (int64_t)cu[N] * p.width; i++)
            assert_true(got[i] == p.x[i]);
        free(got);
        drop(&p);
    }
}

static void pooled_as_on_the_cpu(void **state)
{
    const int widths[] = {8, 24, 320, 1280};
    (void)state;
    need_gpu();
    for (int turn = 0; turn < 3 * 4 * 2 * 3; turn += light() ? 7 : 1) {
        const enum vnp_pool pool = VNP_POOL_MEAN + turn % 3;
        const int width = widths[turn / 3 % 4], special = turn / 12 % 2;
        struct problem p = make(dtypes[turn / 24], width, -3, 11);
        float *tokens = run(&p, VNP_POOL_NONE, 0, true, 0, N, NULL), *got = run(&p, pool, special, true, 0, N, NULL);
        for (int i = 0; i < N; i++) {
            int64_t first = 0, count = 0;
            float want[1280];
            if (cu[i + 1] - cu[i] >= 2 * special)
                vnp_pool_span(&(struct vnp_head){.prefix = 1, .suffix = 1}, pool, !special,
                              (uint32_t)(cu[i + 1] - cu[i]), &first, &count);
            else if (pool == VNP_POOL_CLS)
                count = 1;
            vnp_pool_vectors(pool, VNP_F32, tokens + (cu[i] + first) * width, count, width, want);
            assert_memory_equal(got + i * width, want, (size_t)width * 4);
        }
        free(tokens), free(got);
        drop(&p);
    }
}

static void same_bytes_at_any_place(void **state)
{
    (void)state;
    need_gpu();
    for (enum vnp_pool pool = VNP_POOL_MEAN; pool <= VNP_POOL_NONE; pool++) {
        struct problem p = make(VNP_F16, light() ? 264 : 2560, 0, 8);
        float *all = run(&p, pool, 1, true, 0, N, NULL);
        for (int i = 0; i < N; i++) {
            const int64_t at = pool == VNP_POOL_NONE ? cu[i] : i, n = pool == VNP_POOL_NONE ? cu[i + 1] - cu[i] : 1;
            float *alone = run(&p, pool, 1, true, i, 1, NULL);
            assert_memory_equal(alone, all + at * p.width, (size_t)(n * p.width) * 4);
            free(alone);
        }
        free(all);
        drop(&p);
    }
}

/* Wherever it is: in tokens that are not pooled, in each warp's runs and in later ones; and in the pooled column when it
 * is. */
static void nonfinite_shows(void **state)
{
    const float bad[] = {NAN, INFINITY, -INFINITY};
    static const struct {
        int sequence, row;
    } places[] = {{0, 0}, {0, 1}, {3, 0}, {3, 1}, {3, 17}, {3, 40}, {3, 129}, {4, 0}, {5, 300}, {5, 1000}};
    (void)state;
    need_gpu();
    for (int turn = 0; turn < 3 * 4 * 10 * 2 * 3; turn += light() ? 19 : 1) {
        const enum vnp_pool pool = VNP_POOL_MEAN + turn / 3 % 4;
        const int at = places[turn / 12 % 10].sequence, row = places[turn / 12 % 10].row, normed = turn / 120 % 2;
        struct problem p = make(dtypes[turn / 240], 264, 0, 12);
        uint8_t flags[N];
        p.x[(cu[at] + row) * p.width + 259] = bad[turn % 3];
        float *got = run(&p, pool, 1, normed, 0, N, flags);
        for (int i = 0; i < N; i++)
            assert_int_equal(flags[i], i == at);
        const bool seen = pool == VNP_POOL_CLS ? row == 0 : row > 0 && row + 1 < cu[at + 1] - cu[at];
        for (int i = 0; i < N && pool != VNP_POOL_NONE && turn % 3 == 0; i++)
            assert_int_equal(isnan(got[i * p.width + 259]) != 0, seen && i == at);
        free(got);
        drop(&p);
    }
}

/* A row without variance: what is left of it is the rounding of its mean over its deviation, sqrt(eps). */
static void constant_rows_are_the_bias(void **state)
{
    (void)state;
    need_gpu();
    struct problem p = make(VNP_F16, 1280, 0, 3);
    for (int64_t i = 0; i < (int64_t)cu[N] * p.width; i++)
        p.x[i] = 7.5f;
    float *got = run(&p, VNP_POOL_NONE, 0, true, 0, N, NULL);
    for (int64_t i = 0; i < (int64_t)cu[N] * p.width; i++) {
        const float w = p.w[i % p.width], b = p.b[i % p.width];
        assert_true(fabsf(got[i] - b) <= 0x1p-23f * 7.5f / sqrtf(p.eps) * fabsf(w) + 1e-7f);
    }
    free(got);
    drop(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_against_double),       cmocka_unit_test(small_rows),
        cmocka_unit_test(without_weights_values_pass), cmocka_unit_test(pooled_as_on_the_cpu),
        cmocka_unit_test(same_bytes_at_any_place),     cmocka_unit_test(nonfinite_shows),
        cmocka_unit_test(constant_rows_are_the_bias),
    };
    return cmocka_run_group_tests_name("representation-gpu", tests, NULL, NULL);
}
