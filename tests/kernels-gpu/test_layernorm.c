/* What a LayerNorm needs to know of a row, against loops in double over the same rounded inputs. */
#include "gpu.h"
#include "layernorm.h"

#define EPS 1e-5f /* ESM-2's; DNABERT-S has 1e-12 */

struct rows {
    enum vnp_dtype dtype;
    int64_t n;
    int width;
    float *x;
};

static struct rows make(enum vnp_dtype dtype, int64_t n, int width, float offset, uint64_t seed)
{
    struct rows r = {dtype, n, width, xmalloc((size_t)n * (size_t)width * 4)};
    for (int64_t i = 0; i < n * width; i++)
        r.x[i] = rounded(normal(&seed) * (i % width == 3 ? 300 : 1) + offset, dtype); /* one massive channel */
    return r;
}

static void drop(struct rows *r)
{
    free(r->x);
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
        vnp_row_scales(d_moments, columns[c], ROWS, WIDTH, EPS, d_scale, d_shift, 0);
        float *scale = from_device(d_scale, ROWS, VNP_F32), *shift = from_device(d_shift, ROWS, VNP_F32);
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
        free(moments), free(scale), free(shift);
    }
    drop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(moments_against_double), cmocka_unit_test(scales_from_parts)};
    return cmocka_run_group_tests_name("layernorm-gpu", tests, NULL, NULL);
}
