/* vnp_geglu() against double over the same rounded inputs; and behind a product without a bias, as the feed-forward of
 * DNABERT-S has it. */
#include "geglu.h"
#include "gemm.h"
#include "gpu.h"

static const enum vnp_dtype dtypes[] = {VNP_F32, VNP_F16, VNP_BF16};

static double gelu(double v)
{
    return 0.5 * v * erfc(-v * 0.7071067811865476);
}

/* Half a unit in the last place, and what GELU itself may be off by: in FP32 some units, else an eighth of FP16's. */
static double slack(enum vnp_dtype dtype, double want)
{
    const double unit = dtype == VNP_F32 ? 1e-6 : dtype == VNP_F16 ? 0x1p-11 + 0x1p-13 : 0x1p-8 + 0x1p-13;
    return unit * fabs(want) + (dtype == VNP_F16 ? 0x1p-24 : 0);
}

/* Where GELU is small its error is absolute (erfc's tail; FP16's smallest spacing), and the factor stretches it. */
static double stretched(enum vnp_dtype dtype, double factor)
{
    return dtype == VNP_F32 ? 1e-8 * fabs(factor) : 0x1p-24 * fabs(factor);
}

static float *run(const float *in, enum vnp_dtype dtype, int64_t rows, int64_t width)
{
    void *d_in = to_device(in, 2 * rows * width, dtype), *d_out = poisoned(rows * width, dtype);
    const struct vnp_geglu_params p = {dtype, d_in, d_out, rows, width};
    vnp_geglu(&p, 0);
    CUDA_CHECK(cudaDeviceSynchronize());
    float *got = from_device(d_out, rows * width, dtype);
    cudaFree(d_in), cudaFree(d_out);
    return got;
}

static void against_double(void **state)
{
    const int64_t widths[] = {8, 48, 128, 1024, 1032, 3072}, rows[] = {1, 3, 130};
    uint64_t seed = 31;
    (void)state;
    need_gpu();
    for (size_t t = 0; t < 3; t++)
        for (size_t w = 0; w < 6; w++)
            for (size_t r = 0; r < 3; r++) {
                const int64_t width = widths[w], all = 2 * rows[r] * width;
                float *in = xmalloc((size_t)all * 4);
                for (int64_t i = 0; i < all; i++)
                    in[i] = rounded(4 * normal(&seed), dtypes[t]);
                float *got = run(in, dtypes[t], rows[r], width);
                for (int64_t i = 0; i < all / 2; i++) {
                    const float *x = in + i / width * 2 * width + i % width;
                    const double want = gelu(x[0]) * (double)x[width];
                    if (!(fabs(got[i] - want) <= slack(dtypes[t], want) + stretched(dtypes[t], x[width])))
                        fail_msg("dtype %d, row %d of %d, column %d: gelu(%g) * %g is %.8g, wanted %.8g", dtypes[t],
                                 (int)(i / width), (int)width, (int)(i % width), x[0], x[width], got[i], want);
                }
                free(got), free(in);
            }
}

/* NaN and Inf in one element show there, in no other. */
static void nothing_is_hidden(void **state)
{
    const float bad[] = {NAN, INFINITY};
    uint64_t seed = 32;
    (void)state;
    need_gpu();
    for (size_t t = 0; t < 3; t++)
        for (int kind = 0; kind < 4; kind++) {
            float in[5 * 2 * 64];
            for (int i = 0; i < 5 * 2 * 64; i++)
                in[i] = rounded(1 + normal(&seed), dtypes[t]);
            in[3 * 128 + (kind / 2) * 64 + 21] = bad[kind % 2];
            float *got = run(in, dtypes[t], 5, 64);
            for (int i = 0; i < 5 * 64; i++)
                assert_int_equal(isfinite(got[i]) == 0, i == 3 * 64 + 21);
            free(got);
        }
}

/* A [rows, k] times W [2 ffn, k], no bias, then the gate. */
static void behind_a_product(void **state)
{
    enum { ROWS = 131, K = 64, FFN = 96 };
    static const enum vnp_gemm_type types[] = {VNP_GEMM_F32, VNP_GEMM_F16, VNP_GEMM_BF16};
    uint64_t seed = 33;
    float *a = xmalloc(ROWS * K * 4), *w = xmalloc(2 * FFN * K * 4);
    (void)state;
    need_gpu();
    for (size_t t = 0; t < 3; t++) {
        for (int i = 0; i < ROWS * K; i++)
            a[i] = rounded(normal(&seed), dtypes[t]);
        for (int i = 0; i < 2 * FFN * K; i++)
            w[i] = rounded(0.2f * normal(&seed), dtypes[t]);
        void *d_a = to_device(a, ROWS * K, dtypes[t]), *d_w = to_device(w, 2 * FFN * K, dtypes[t]);
        void *d_wide = poisoned(ROWS * 2 * FFN, dtypes[t]);
        const struct vnp_gemm_params p = {.type = types[t],
                                          .epilogue = VNP_GEMM_BIAS,
                                          .m = ROWS,
                                          .n = 2 * FFN,
                                          .k = K,
                                          .d_a = d_a,
                                          .d_w = d_w,
                                          .d_out = d_wide};
        assert_int_equal(vnp_gemm(&p, 0), cudaSuccess);
        CUDA_CHECK(cudaDeviceSynchronize());
        float *wide = from_device(d_wide, ROWS * 2 * FFN, dtypes[t]), *got = run(wide, dtypes[t], ROWS, FFN);
        for (int i = 0; i < ROWS * FFN; i++) {
            double sum[2] = {0, 0};
            for (int half = 0; half < 2; half++)
                for (int k = 0; k < K; k++)
                    sum[half] += (double)a[i / FFN * K + k] * w[(half * FFN + i % FFN) * K + k];
            const double unit = dtypes[t] == VNP_F32 ? 2e-6 : dtypes[t] == VNP_F16 ? 2e-3 : 1.6e-2;
            const double want = gelu(sum[0]) * sum[1], size = fabs(sum[0] * sum[1]) + fabs(sum[0]) + fabs(sum[1]);
            if (!(fabs(got[i] - want) <= unit * (fabs(want) + size)))
                fail_msg("dtype %d, row %d, column %d: %.8g, wanted %.8g", dtypes[t], i / FFN, i % FFN, got[i], want);
        }
        cudaFree(d_a), cudaFree(d_w), cudaFree(d_wide);
        free(wide), free(got);
    }
    free(a), free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(against_double), cmocka_unit_test(nothing_is_hidden),
                                       cmocka_unit_test(behind_a_product)};
    return cmocka_run_group_tests_name("geglu-gpu", tests, NULL, NULL);
}
