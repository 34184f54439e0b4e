/* vnp_lookup() copies the rows of its table, whatever the width of ids and rows; and nothing else. */
#include "gpu.h"
#include "lookup.h"

#define VOCAB 200
#define TOKENS 777
#define GUARD 16 /* bytes behind each result that must stay */

static uint8_t *random_bytes(size_t n, uint64_t *seed)
{
    uint8_t *p = xmalloc(n);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(uniform(seed) * 256);
    return p;
}

/* What is on the device, after `bytes` of it a guard of 0xAB. */
static uint8_t *fetched(const void *d, size_t bytes)
{
    uint8_t *p = xmalloc(bytes + GUARD);
    CUDA_CHECK(cudaMemcpy(p, d, bytes + GUARD, cudaMemcpyDeviceToHost));
    for (size_t i = bytes; i < bytes + GUARD; i++)
        assert_int_equal(p[i], 0xAB);
    return p;
}

static void *guarded(size_t bytes)
{
    void *d;
    CUDA_CHECK(cudaMalloc(&d, bytes + GUARD));
    CUDA_CHECK(cudaMemset(d, 0xAB, bytes + GUARD));
    return d;
}

static void check(int id_bytes, int x_bytes, int64_t tokens)
{
    uint64_t seed = 5;
    const int row_bytes = 4 * x_bytes;
    uint8_t *rows = random_bytes((size_t)(VOCAB * row_bytes), &seed), ids8[TOKENS];
    uint16_t ids[TOKENS];
    float scales[2 * VOCAB];
    for (int i = 0; i < 2 * VOCAB; i++)
        scales[i] = normal(&seed);
    for (int t = 0; t < TOKENS; t++)
        ids8[t] = (uint8_t)(ids[t] = (uint16_t)(t < 2 ? t * (VOCAB - 1) : (int)(uniform(&seed) * VOCAB)));
    const size_t n = (size_t)tokens, x = (size_t)x_bytes;
    const struct vnp_lookup_table table = {.d_rows = bytes_to_device(rows, (size_t)(VOCAB * row_bytes)),
                                           .d_scales = (float *)bytes_to_device(scales, sizeof scales),
                                           .x_bytes = x_bytes,
                                           .qkv_bytes = 3 * x_bytes};
    void *d_ids = id_bytes == 1 ? bytes_to_device(ids8, sizeof ids8) : bytes_to_device(ids, sizeof ids);
    const struct vnp_lookup_params p = {.table = &table,
                                        .d_ids = d_ids,
                                        .id_bytes = id_bytes,
                                        .tokens = tokens,
                                        .d_x = guarded(n * x),
                                        .d_qkv = guarded(n * 3 * x),
                                        .d_scale = (float *)guarded(n * 4),
                                        .d_shift = (float *)guarded(n * 4)};
    vnp_lookup(&p, 0);
    uint8_t *got_x = fetched(p.d_x, n * x), *got_qkv = fetched(p.d_qkv, n * 3 * x);
    float *scale = (float *)(void *)fetched(p.d_scale, n * 4), *shift = (float *)(void *)fetched(p.d_shift, n * 4);
    for (size_t t = 0; t < n; t++) {
        const uint8_t *row = rows + ids[t] * row_bytes;
        assert_memory_equal(got_x + t * x, row, x);
        assert_memory_equal(got_qkv + t * 3 * x, row + x, 3 * x);
        assert_true(scale[t] == scales[2 * ids[t]] && shift[t] == scales[2 * ids[t] + 1]);
    }
    cudaFree(table.d_rows), cudaFree(table.d_scales), cudaFree(d_ids);
    cudaFree(p.d_x), cudaFree(p.d_qkv), cudaFree(p.d_scale), cudaFree(p.d_shift);
    free(rows), free(got_x), free(got_qkv), free(scale), free(shift);
}

static void copies_rows(void **state)
{
    const int widths[] = {16, 48, 512, 1536, 3072};
    (void)state;
    need_gpu();
    for (int w = 0; w < 5; w++)
        for (int bytes = 1; bytes <= 2; bytes++) {
            check(bytes, widths[w], TOKENS);
            check(bytes, widths[w], 1);
        }
}

static void no_tokens(void **state)
{
    (void)state;
    need_gpu();
    check(2, 512, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(copies_rows), cmocka_unit_test(no_tokens)};
    return cmocka_run_group_tests_name("lookup-gpu", tests, NULL, NULL);
}
