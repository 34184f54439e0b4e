/* vnp_pool() against loops in double. */
#include "gpu.h"
#include "pool.h"

static const int32_t cu[] = {0, 2, 5, 57, 187, 2187}; /* the first sequence has no residues */
#define N 5

static float *run(enum vnp_pooling pooling, const float *hidden, const int32_t *offsets, int64_t n, int width)
{
    void *d_hidden = to_device(hidden, (int64_t)offsets[n] * width, VNP_F32), *d_out = poisoned(n * width, VNP_F32);
    void *d_cu = bytes_to_device(offsets, (size_t)(n + 1) * 4);
    const struct vnp_pool_params p = {pooling, d_hidden, d_out, d_cu, n, width, 1, 1};
    vnp_pool(&p, 0);
    float *got = from_device(d_out, n * width, VNP_F32);
    cudaFree(d_hidden), cudaFree(d_out), cudaFree(d_cu);
    return got;
}

static double wanted(enum vnp_pooling pooling, const float *hidden, int i, int width, int column)
{
    double sum = 0, top = -INFINITY;
    const int residues = cu[i + 1] - cu[i] - 2;
    if (pooling == VNP_POOL_CLS)
        return hidden[(int64_t)cu[i] * width + column];
    for (int t = cu[i] + 1; t < cu[i + 1] - 1; t++) {
        sum += hidden[(int64_t)t * width + column];
        top = fmax(top, hidden[(int64_t)t * width + column]);
    }
    return residues <= 0 ? 0 : pooling == VNP_POOL_MEAN ? sum / residues : top;
}

static void against_double(void **state)
{
    const int widths[] = {4, 20, 320, 1280};
    (void)state;
    need_gpu();
    for (int w = 0; w < 4; w++) {
        uint64_t seed = 11;
        const int width = widths[w];
        float *hidden = xmalloc((size_t)cu[N] * (size_t)width * 4);
        for (int64_t i = 0; i < (int64_t)cu[N] * width; i++)
            hidden[i] = normal(&seed) - 3;
        for (enum vnp_pooling p = VNP_POOL_MEAN; p <= VNP_POOL_MAX; p++) {
            float *got = run(p, hidden, cu, N, width);
            for (int i = 0; i < N; i++)
                for (int j = 0; j < width; j++)
                    if (!(got[i * width + j] == (float)wanted(p, hidden, i, width, j)))
                        fail_msg("pooling %d sequence %d column %d: %.9g, wanted %.9g", p, i, j, got[i * width + j],
                                 wanted(p, hidden, i, width, j));
            free(got);
        }
        free(hidden);
    }
}

static void nan_shows(void **state)
{
    uint64_t seed = 12;
    float *hidden = xmalloc((size_t)cu[N] * 64 * 4);
    (void)state;
    need_gpu();
    for (int64_t i = 0; i < (int64_t)cu[N] * 64; i++)
        hidden[i] = normal(&seed);
    hidden[(cu[3] + 17) * 64 + 9] = NAN;
    for (enum vnp_pooling p = VNP_POOL_MEAN; p <= VNP_POOL_MAX; p++) {
        float *got = run(p, hidden, cu, N, 64);
        for (int i = 0; i < N; i++)
            for (int j = 0; j < 64; j++)
                assert_int_equal(isnan(got[i * 64 + j]) != 0, p != VNP_POOL_CLS && i == 3 && j == 9);
        free(got);
    }
    free(hidden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(against_double), cmocka_unit_test(nan_shows)};
    return cmocka_run_group_tests_name("pool-gpu", tests, NULL, NULL);
}
