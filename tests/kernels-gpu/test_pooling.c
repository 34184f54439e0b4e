/* vnp_pooling() against the pooling on the CPU: the same bytes. */
#include "gpu.h"
#include "pooling.h"

static const int32_t cu[] = {0, 2, 5, 57, 187, 2187}; /* the first sequence has no residues */
#define N 5

/* special: 1 when the first and the last token of each are special ones, 0 when all count. */
static float *run(enum vnp_pool pool, const float *hidden, const int32_t *offsets, int64_t n, int width, int special)
{
    void *d_hidden = to_device(hidden, (int64_t)offsets[n] * width, VNP_F32), *d_out = poisoned(n * width, VNP_F32);
    void *d_cu = bytes_to_device(offsets, (size_t)(n + 1) * 4);
    const struct vnp_pooling_params p = {pool, d_hidden, d_out, d_cu, n, width, special, special};
    vnp_pooling(&p, 0);
    float *got = from_device(d_out, n * width, VNP_F32);
    cudaFree(d_hidden), cudaFree(d_out), cudaFree(d_cu);
    return got;
}

static void as_on_the_cpu(void **state)
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
        for (int turn = 0; turn < 6; turn++) {
            const enum vnp_pool p = VNP_POOL_MEAN + turn / 2;
            float *got = run(p, hidden, cu, N, width, turn % 2);
            for (int i = 0; i < N; i++) {
                int64_t first, count;
                float want[1280];
                vnp_pool_span(&(struct vnp_head){.prefix = 1, .suffix = 1}, p, turn % 2 == 0,
                              (uint32_t)(cu[i + 1] - cu[i]), &first, &count);
                vnp_pool_vectors(p, VNP_F32, hidden + (cu[i] + first) * width, count, width, want);
                assert_memory_equal(got + i * width, want, (size_t)width * 4);
            }
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
    for (enum vnp_pool p = VNP_POOL_MEAN; p <= VNP_POOL_MAX; p++) {
        float *got = run(p, hidden, cu, N, 64, 1);
        for (int i = 0; i < N; i++)
            for (int j = 0; j < 64; j++)
                assert_int_equal(isnan(got[i * 64 + j]) != 0, p != VNP_POOL_CLS && i == 3 && j == 9);
        free(got);
    }
    free(hidden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_on_the_cpu), cmocka_unit_test(nan_shows)};
    return cmocka_run_group_tests_name("pooling-gpu", tests, NULL, NULL);
}
