/* vnp_layernorm() and its parts against loops in double over the same rounded inputs. */
#include "gpu.h"
#include "layernorm.h"

#define EPS 1e-5f /* ESM-2's; DNABERT-S has 1e-12 */

static const enum vnp_dtype dtypes[] = {VNP_F32, VNP_F16, VNP_BF16};

struct rows {
    enum vnp_dtype dtype;
    int64_t n;
    int width;
    float *x, *w, *b, eps;
};

static struct rows make(enum vnp_dtype dtype, int64_t n, int width, float offset, uint64_t seed)
{
    struct rows r = {dtype, n, width, NULL, NULL, NULL, EPS};
    r.x = xmalloc((size_t)n * (size_t)width * 4), r.w = xmalloc((size_t)width * 4), r.b = xmalloc((size_t)width * 4);
    for (int64_t i = 0; i < n * width; i++)
        r.x[i] = rounded(normal(&seed) * (i % width == 3 ? 300 : 1) + offset, dtype); /* one massive channel */
    for (int j = 0; j < width; j++)
        r.w[j] = 1 + 0.3f * normal(&seed), r.b[j] = 0.2f * normal(&seed);
    return r;
}

static void drop(struct rows *r)
{
    free(r->x), free(r->w), free(r->b);
}

/* flags: one byte for each group of 3 rows, or NULL. The caller frees the result. */
static float *run(const struct rows *r, int normalise, uint8_t *flags)
{
    const int64_t all = r->n * r->width;
    const size_t groups = (size_t)(r->n + 2) / 3;
    int32_t *sequence = xmalloc((size_t)r->n * 4);
    for (int64_t i = 0; i < r->n; i++)
        sequence[i] = (int32_t)(i / 3);
    void *d_x = to_device(r->x, all, r->dtype), *d_w = to_device(r->w, r->width, VNP_F32);
    float *d_out = poisoned(all, VNP_F32);
    void *d_b = to_device(r->b, r->width, VNP_F32), *d_sequence = bytes_to_device(sequence, (size_t)r->n * 4);
    void *d_flags = flags ? bytes_to_device(flags, groups) : NULL;
    const struct vnp_layernorm_params p = {
        r->dtype, d_x,        d_out,  normalise ? d_w : NULL, normalise ? d_b : NULL, r->n, r->width,
        r->eps,   d_sequence, d_flags};
    vnp_layernorm(&p, 0);
    CUDA_CHECK(cudaDeviceSynchronize());
    if (flags)
        CUDA_CHECK(cudaMemcpy(flags, d_flags, groups, cudaMemcpyDeviceToHost));
    float *v = from_device(d_out, all, VNP_F32);
    cudaFree(d_x), cudaFree(d_out), cudaFree(d_w), cudaFree(d_b), cudaFree(d_sequence), cudaFree(d_flags);
    free(sequence);
    return v;
}

static void compare(const struct rows *r, const float *got)
{
    for (int64_t i = 0; i < r->n; i++) {
        const float *x = r->x + i * r->width, *g = got + i * r->width;
        double mean = 0, variance = 0;
        for (int j = 0; j < r->width; j++)
            mean += x[j];
        mean /= r->width;
        for (int j = 0; j < r->width; j++)
            variance += (x[j] - mean) * (x[j] - mean);
        const double rstd = 1 / sqrt(variance / r->width + r->eps);
        for (int j = 0; j < r->width; j++) {
            const double normed = (x[j] - mean) * rstd * r->w[j], want = normed + r->b[j];
            /* FP32 rounding of the mean counts in units of the row's values over their spread. */
            const double slack =
                4e-7 * (fabs(mean) * rstd + 1) * fabs(r->w[j]) + 2e-6 * fabs(normed) + 1e-7 * fabs(r->b[j]);
            if (!(fabs(g[j] - want) <= slack + 2e-6 * fabs(want)))
                fail_msg("type %d, %lld x %d: row %lld column %d: %.8g, wanted %.8g", r->dtype, (long long)r->n,
                         r->width, (long long)i, j, g[j], want);
        }
    }
}

static void against_double(void **state)
{
    const int widths[] = {8, 64, 72, 256, 264, 320, 480, 640, 1280, 1288, 2560, 5120};
    const int64_t rows[] = {1, 7, 8, 9, 131};
    (void)state;
    need_gpu();
    for (size_t t = 0; t < 3; t++)
        for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
            for (size_t n = 0; n < sizeof rows / sizeof *rows; n++)
                for (int far = 0; far < 2; far++) {
                    struct rows r = make(dtypes[t], rows[n], widths[w], far ? 200 : 0, t * 1000 + w * 10 + n);
                    float *got = run(&r, 1, NULL);
                    compare(&r, got);
                    free(got);
                    drop(&r);
                }
}

/* Rows so small that an eps of 1e-5 would be all there is of the variance; and one of 1e-12 some. */
static void small_rows(void **state)
{
    const float sizes[] = {1e-2f, 1e-4f, 1e-6f};
    (void)state;
    need_gpu();
    for (int size = 0; size < 3; size++) {
        struct rows r = make(VNP_F32, 9, 768, 0, (uint64_t)size + 20);
        r.eps = 1e-12f;
        for (int64_t i = 0; i < r.n * r.width; i++)
            r.x[i] *= sizes[size] / (i % r.width == 3 ? 300 : 1);
        float *got = run(&r, 1, NULL);
        compare(&r, got);
        free(got);
        drop(&r);
    }
}

/* Two rows in three have NaN for neighbours. */
static void moments_against_double(void **state)
{
    const int widths[] = {8, 264, 320, 640, 2560, 5120};
    (void)state;
    need_gpu();
    for (int dtype = 0; dtype < 3; dtype++)
        for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
            struct rows r = make((enum vnp_dtype)dtype, 19, widths[w], w % 2 ? 200 : 0, 30 + w);
            for (int64_t i = 1; i < r.n; i += 3)
                r.x[i * r.width + r.width - 1] = NAN;
            void *d_x = to_device(r.x, r.n * r.width, r.dtype);
            float *d_moments = poisoned(r.n * 2, VNP_F32);
            vnp_row_moments(d_x, r.dtype, r.n, r.width, d_moments, 0);
            CUDA_CHECK(cudaDeviceSynchronize());
            float *got = from_device(d_moments, r.n * 2, VNP_F32);
            for (int64_t i = 0; i < r.n; i++) {
                const float *x = r.x + i * r.width;
                double sum = 0, size = 0, squares = 0;
                for (int j = 0; j < r.width; j++)
                    sum += x[j], size += fabs(x[j]);
                for (int j = 0; j < r.width; j++)
                    squares += (x[j] - sum / r.width) * (x[j] - sum / r.width);
                const double slack = 1e-5 * squares + 1e-13 * size * size;
                const bool right =
                    i % 3 == 1 ? isnan(got[2 * i]) && isnan(got[2 * i + 1])
                               : fabs(got[2 * i] - sum) <= 1e-6 * size && fabs(got[2 * i + 1] - squares) <= slack;
                if (!right)
                    fail_msg("type %d, width %d, row %d: %.9g, %.9g; exact %.9g, %.9g", dtype, r.width, (int)i,
                             got[2 * i], got[2 * i + 1], sum, squares);
            }
            cudaFree(d_x), cudaFree(d_moments);
            free(got);
            drop(&r);
        }
}

/* Parts of any width give the row's scale and shift, whatever their means are. */
static void scales_from_parts(void **state)
{
    enum { ROWS = 70, WIDTH = 1288 };
    const int columns[] = {8, 160, 192, 256, WIDTH, 2 * WIDTH};
    (void)state;
    need_gpu();
    struct rows r = make(VNP_F32, ROWS, WIDTH, 20, 40);
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
        const int parts = (WIDTH + columns[c] - 1) / columns[c];
        float *moments = xcalloc((size_t)(ROWS * parts) * 2, sizeof *moments);
        for (int i = 0; i < ROWS * parts; i++) {
            const float *x = r.x + i / parts * WIDTH + i % parts * columns[c];
            const int n = i % parts + 1 < parts ? columns[c] : WIDTH - i % parts * columns[c];
            double sum = 0, squares = 0;
            for (int j = 0; j < n; j++)
                sum += x[j];
            for (int j = 0; j < n; j++)
                squares += (x[j] - sum / n) * (x[j] - sum / n);
            moments[2 * i] = (float)sum, moments[2 * i + 1] = (float)squares;
        }
        float *d_moments = to_device(moments, ROWS * parts * 2, VNP_F32), *d_scale = poisoned(ROWS, VNP_F32);
        float *d_shift = poisoned(ROWS, VNP_F32);
        vnp_row_scales(d_moments, columns[c], ROWS, WIDTH, EPS, d_scale, NULL, 0);
        float *alone = from_device(d_scale, ROWS, VNP_F32);
        vnp_row_scales(d_moments, columns[c], ROWS, WIDTH, EPS, d_scale, d_shift, 0);
        float *scale = from_device(d_scale, ROWS, VNP_F32), *shift = from_device(d_shift, ROWS, VNP_F32);
        assert_memory_equal(alone, scale, ROWS * sizeof *scale);
        for (int i = 0; i < ROWS; i++) {
            double mean = 0, variance = 0;
            for (int j = 0; j < WIDTH; j++)
                mean += (double)r.x[i * WIDTH + j] / WIDTH;
            for (int j = 0; j < WIDTH; j++)
                variance += (r.x[i * WIDTH + j] - mean) * (r.x[i * WIDTH + j] - mean) / WIDTH;
            const double want = 1 / sqrt(variance + EPS);
            if (!(fabs(scale[i] - want) <= 2e-6 * want))
                fail_msg("parts of %d: row %d: %.9g, exact %.9g", columns[c], i, scale[i], want);
            if (!(fabs(shift[i] + mean * want) <= 4e-6 * (1 + fabs(mean * want))))
                fail_msg("parts of %d: row %d: shift %.9g, exact %.9g", columns[c], i, shift[i], -mean * want);
        }
        cudaFree(d_moments), cudaFree(d_scale), cudaFree(d_shift);
        free(moments), free(scale), free(shift), free(alone);
    }
    drop(&r);
}

static void constant_rows_are_the_bias(void **state)
{
    (void)state;
    need_gpu();
    struct rows r = make(VNP_F16, 5, 1280, 0, 3);
    for (int64_t i = 0; i < r.n * r.width; i++)
        r.x[i] = 7.5f;
    float *got = run(&r, 1, NULL);
    for (int64_t i = 0; i < r.n * r.width; i++)
        assert_true(got[i] == r.b[i % r.width]);
    free(got);
    drop(&r);
}

static void flags_name_the_sequence(void **state)
{
    const float bad[] = {NAN, INFINITY, -INFINITY};
    (void)state;
    need_gpu();
    for (int normalise = 0; normalise < 2; normalise++)
        for (size_t t = 0; t < 3; t++)
            for (int kind = 0; kind < 3; kind++)
                for (int64_t row = 0; row < 20; row += 4) {
                    uint8_t flags[7] = {0};
                    struct rows r = make(dtypes[t], 20, 640, 0, 4);
                    r.x[row * r.width + 77 * (row % 8)] = bad[kind];
                    float *got = run(&r, normalise, flags);
                    for (int i = 0; i < 7; i++)
                        assert_int_equal(flags[i], i == row / 3);
                    free(got);
                    drop(&r);
                }
}

static void without_weights_values_pass(void **state)
{
    (void)state;
    need_gpu();
    for (size_t t = 0; t < 3; t++) {
        uint8_t flags[4] = {0};
        struct rows r = make(dtypes[t], 10, 480, 0, 6);
        float *got = run(&r, 0, flags);
        for (int64_t i = 0; i < r.n * r.width; i++)
            assert_true(got[i] == r.x[i]);
        for (int i = 0; i < 4; i++)
            assert_int_equal(flags[i], 0);
        free(got);
        drop(&r);
    }
}

static void same_bytes_at_any_place(void **state)
{
    (void)state;
    need_gpu();
    struct rows r = make(VNP_F16, 37, 2560, 0, 8);
    float *all = run(&r, 1, NULL);
    for (int64_t i = 0; i < 37; i += 5) {
        struct rows one = r;
        one.n = 1;
        one.x = r.x + i * r.width;
        float *got = run(&one, 1, NULL);
        assert_memory_equal(got, all + i * r.width, (size_t)r.width * 4);
        free(got);
    }
    free(all);
    drop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_double),          cmocka_unit_test(constant_rows_are_the_bias),
        cmocka_unit_test(flags_name_the_sequence), cmocka_unit_test(without_weights_values_pass),
        cmocka_unit_test(same_bytes_at_any_place), cmocka_unit_test(small_rows),
        cmocka_unit_test(moments_against_double),  cmocka_unit_test(scales_from_parts),
    };
    return cmocka_run_group_tests_name("layernorm-gpu", tests, NULL, NULL);
}
