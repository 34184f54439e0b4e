/* Pooling one sequence: by hand, against sums in extended precision, NaN, dtypes, conversions. */
#include <float.h>

#include "../lib.h"
#include "half.h"
#include "pool.h"

static void test_by_hand(void **state)
{
    (void)state;
    static const float v[5][3] = {{1, -4, 0.5f}, {2, -3, 0.25f}, {6, -2, -8}, {-1, -5, 0}, {2, -1, 1}};
    float dst[3];
    vnp_pool_vectors(VNP_POOL_MEAN, VNP_F32, v, 5, 3, dst);
    assert_true(dst[0] == 2 && dst[1] == -3 && dst[2] == -1.25f);
    vnp_pool_vectors(VNP_POOL_MAX, VNP_F32, v, 5, 3, dst);
    assert_true(dst[0] == 6 && dst[1] == -1 && dst[2] == 1);
    vnp_pool_vectors(VNP_POOL_MAX, VNP_F32, v[1], 3, 3, dst);
    assert_true(dst[0] == 6 && dst[1] == -2 && dst[2] == 0.25f);
    vnp_pool_vectors(VNP_POOL_CLS, VNP_F32, v, 5, 3, dst);
    assert_memory_equal(dst, v[0], sizeof dst);
    vnp_pool_vectors(VNP_POOL_MEAN, VNP_F32, v[3], 1, 3, dst);
    assert_memory_equal(dst, v[3], sizeof dst);
}

static void test_no_vectors_are_zeros(void **state)
{
    (void)state;
    static const float zeros[3];
    for (int pool = VNP_POOL_MEAN; pool <= VNP_POOL_MAX; pool++) {
        float dst[3] = {1, NAN, 3};
        vnp_pool_vectors((enum vnp_pool)pool, VNP_F32, zeros, 0, 3, dst);
        assert_memory_equal(dst, zeros, sizeof dst);
    }
}

/* Sums that cancel: single precision would lose them. */
static void test_mean_is_exact_to_rounding(void **state)
{
    (void)state;
    static const int64_t widths[] = {1, 7, 320, 1023, 1024, 1025, 2560};
    static const int64_t counts[] = {1, 2, 3, 4, 5, 7, 8, 63, 1022};
    uint64_t seed = 5;
    for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++)
        for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
            int64_t width = widths[w], count = counts[c];
            float *v = malloc((size_t)(width * count) * sizeof *v), *dst = malloc((size_t)width * sizeof *dst);
            for (int64_t i = 0; i < width * count; i++)
                v[i] = (float)((t_uniform(&seed) - 0.5) * (i % 97 == 0 ? 1e4 : 1));
            vnp_pool_vectors(VNP_POOL_MEAN, VNP_F32, v, count, width, dst);
            for (int64_t j = 0; j < width; j++) {
                long double sum = 0, magnitude = 0;
                for (int64_t i = 0; i < count; i++) {
                    sum += v[i * width + j];
                    magnitude += fabsl((long double)v[i * width + j]);
                }
                long double want = sum / count, tolerance = fabsl(want) * 0x1p-24L * 1.0001L + magnitude * 1e-15L;
                assert_true(fabsl(dst[j] - want) <= tolerance);
            }
            vnp_pool_vectors(VNP_POOL_MAX, VNP_F32, v, count, width, dst);
            for (int64_t j = 0; j < width; j++) {
                float want = v[j];
                for (int64_t i = 1; i < count; i++)
                    want = fmaxf(want, v[i * width + j]);
                assert_true(dst[j] == want);
            }
            free(v);
            free(dst);
        }
}

/* The order of the sum is part of the contract: other stages repeat it. */
static void test_order_of_the_sum(void **state)
{
    (void)state;
    static const float v[6] = {0x1p54f, 3, -0x1p54f, 5, 7, 11};
    float dst;
    vnp_pool_vectors(VNP_POOL_MEAN, VNP_F32, v, 6, 1, &dst);
    double four = ((double)v[0] + v[1]) + ((double)v[2] + v[3]);
    assert_true(dst == (float)(((four + v[4]) + v[5]) / 6));
    vnp_pool_vectors(VNP_POOL_MEAN, VNP_F32, v, 4, 1, &dst);
    assert_true(dst == (float)(four / 4));
    float many[70] = {[0] = 0x1p54f, [32] = 3, [36] = -0x1p54f, [40] = 5, [64] = 7};
    vnp_pool_vectors(VNP_POOL_MEAN, VNP_F32, many, 70, 1, &dst);
    assert_true(dst == (float)(((0x1p54 + ((3 - 0x1p54) + 5)) + 7) / 70)); /* runs of 32 */
    assert_true(dst != (float)((((0x1p54 + 3) - 0x1p54) + 5 + 7) / 70));   /* what one run would give */
}

static void test_half_vectors(void **state)
{
    (void)state;
    enum { WIDTH = 1031, COUNT = 11 };
    uint16_t v[COUNT][WIDTH];
    float dst[WIDTH];
    for (int dtype = VNP_F16; dtype <= VNP_BF16; dtype++) {
        uint64_t seed = 21;
        for (int i = 0; i < COUNT; i++)
            for (int j = 0; j < WIDTH; j++) {
                float x = (float)(t_uniform(&seed) - 0.5);
                v[i][j] = dtype == VNP_F16 ? vnp_f32_f16(x) : vnp_f32_bf16(x);
            }
        for (int pool = VNP_POOL_MEAN; pool <= VNP_POOL_MAX; pool++) {
            vnp_pool_vectors((enum vnp_pool)pool, (enum vnp_dtype)dtype, v, COUNT, WIDTH, dst);
            for (int j = 0; j < WIDTH; j++) {
                double sum = 0, max = -1, first = 0;
                for (int i = 0; i < COUNT; i++) {
                    double x = dtype == VNP_F16 ? vnp_f16_f32(v[i][j]) : vnp_bf16_f32(v[i][j]);
                    first = i == 0 ? x : first;
                    sum += x; /* exact: so few bits */
                    max = x > max ? x : max;
                }
                double want = pool == VNP_POOL_MEAN ? sum / COUNT : pool == VNP_POOL_MAX ? max : first;
                assert_true(dst[j] == (float)want);
            }
        }
    }
}

static void test_same_bytes_anywhere(void **state)
{
    (void)state;
    enum { WIDTH = 1283, COUNT = 51 };
    static const enum vnp_dtype dtypes[] = {VNP_F32, VNP_F16, VNP_BF16};
    float first[WIDTH], again[WIDTH];
    for (int d = 0; d < 3; d++) {
        size_t unit = vnp_dtype_bytes(dtypes[d]), bytes = WIDTH * COUNT * unit;
        uint8_t *v = malloc(bytes + 128);
        uint64_t seed = 11;
        for (size_t i = 0; i < WIDTH * COUNT; i++) {
            float x = (float)(t_uniform(&seed) - 0.5);
            uint16_t h = d == 1 ? vnp_f32_f16(x) : vnp_f32_bf16(x);
            memcpy(v + i * unit, d == 0 ? (const void *)&x : (const void *)&h, unit);
        }
        for (int pool = VNP_POOL_MEAN; pool <= VNP_POOL_MAX; pool++) {
            vnp_pool_vectors((enum vnp_pool)pool, dtypes[d], v, COUNT, WIDTH, first);
            for (size_t shift = unit; shift <= 64; shift += 3 * unit) {
                memmove(v + shift, v, bytes);
                vnp_pool_vectors((enum vnp_pool)pool, dtypes[d], v + shift, COUNT, WIDTH, again);
                assert_memory_equal(first, again, sizeof first);
                memmove(v, v + shift, bytes);
            }
        }
        free(v);
    }
}

static void test_nan_and_inf(void **state)
{
    (void)state;
    for (int at = 0; at < 9; at++)
        for (int column = 0; column < 5; column++) {
            float v[9][5], dst[5];
            for (int i = 0; i < 45; i++)
                v[i / 5][i % 5] = (float)i;
            v[at][column] = NAN;
            vnp_pool_vectors(VNP_POOL_MAX, VNP_F32, v, 9, 5, dst);
            for (int j = 0; j < 5; j++)
                assert_true(j == column ? isnan(dst[j]) : dst[j] == (float)(40 + j));
            vnp_pool_vectors(VNP_POOL_MEAN, VNP_F32, v, 9, 5, dst);
            for (int j = 0; j < 5; j++)
                assert_true(j == column ? isnan(dst[j]) : dst[j] == (float)(20 + j));
            v[at][column] = INFINITY;
            vnp_pool_vectors(VNP_POOL_MAX, VNP_F32, v, 9, 5, dst);
            assert_true(isinf(dst[column]));
        }
    float v[3] = {-INFINITY, NAN, INFINITY};
    assert_false(vnp_all_finite(VNP_F32, v, 1));
    assert_false(vnp_all_finite(VNP_F32, v + 1, 1));
    assert_true(vnp_all_finite(VNP_F32, (const float[]){FLT_MAX, -0.0f, 1e-45f}, 3));
    assert_false(vnp_all_finite(VNP_F16, (const uint16_t[]){1, 0x7bff, 0x7c00}, 3));
    assert_true(vnp_all_finite(VNP_F16, (const uint16_t[]){1, 0x7bff, 0xfbff}, 3));
    assert_false(vnp_all_finite(VNP_BF16, (const uint16_t[]){0x7c00, 0xffff}, 2));
    assert_true(vnp_all_finite(VNP_BF16, (const uint16_t[]){0x7c00, 0x7f7f}, 2));
    assert_true(vnp_all_finite(VNP_F32, v, 0));
}

static void test_halves_survive(void **state)
{
    (void)state;
    uint16_t *all = malloc(65536 * 2), *back = malloc(65536 * 2);
    float *wide = malloc(65536 * 4);
    int64_t at;
    for (int i = 0; i < 65536; i++)
        all[i] = (uint16_t)i;
    assert_true(vnp_convert(VNP_F16, all, 65536, VNP_F32, wide, &at));
    assert_true(vnp_convert(VNP_F32, wide, 65536, VNP_F16, back, &at));
    for (int i = 0; i < 65536; i++)
        if ((i & 0x7c00) == 0x7c00 && (i & 0x3ff) != 0)
            assert_true(isnan(wide[i]) && (back[i] & 0x7c00) == 0x7c00 && (back[i] & 0x3ff) != 0);
        else
            assert_int_equal(back[i], i);
    assert_true(wide[1] == 0x1p-24f && wide[0x3c00] == 1 && wide[0x7bff] == 65504 && isinf(wide[0xfc00]));
    free(all);
    free(back);
    free(wide);
}

static void test_what_fp16_cannot_hold(void **state)
{
    (void)state;
    float v[3000];
    static float w[3000];
    uint16_t h[3000];
    int64_t at = -1;
    for (int i = 0; i < 3000; i++)
        v[i] = 65519.0f; /* rounds to 65504 */
    v[7] = INFINITY;     /* is infinite already: kept */
    v[8] = NAN;
    assert_true(vnp_convert(VNP_F32, v, 3000, VNP_F16, h, &at));
    assert_int_equal(h[0], 0x7bff);
    assert_int_equal(h[7], 0x7c00);
    v[2040] = -65520.0f;
    v[2047] = 1e30f;
    v[2900] = 1e30f;
    assert_false(vnp_convert(VNP_F32, v, 3000, VNP_F16, h, &at));
    assert_int_equal(at, 2040);
    assert_true(vnp_convert(VNP_F32, v, 3000, VNP_F32, w, &at));
}

static void test_spans(void **state)
{
    (void)state;
    struct vnp_head head = {.prefix = 1, .suffix = 2};
    int64_t first, count;
    vnp_pool_span(&head, VNP_POOL_MEAN, false, 10, &first, &count);
    assert_true(first == 1 && count == 7);
    vnp_pool_span(&head, VNP_POOL_MAX, true, 10, &first, &count);
    assert_true(first == 0 && count == 10);
    vnp_pool_span(&head, VNP_POOL_NONE, false, 3, &first, &count);
    assert_true(first == 1 && count == 0);
    vnp_pool_span(&head, VNP_POOL_CLS, false, 10, &first, &count);
    assert_true(first == 0 && count == 1);
}

static void test_names(void **state)
{
    (void)state;
    enum vnp_pool pool;
    for (int i = VNP_POOL_MEAN; i <= VNP_POOL_NONE; i++) {
        assert_true(vnp_pool_parse(vnp_pool_name((enum vnp_pool)i), &pool));
        assert_int_equal(pool, i);
    }
    assert_false(vnp_pool_parse("median", &pool));
    assert_false(vnp_pool_parse("", &pool));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_no_vectors_are_zeros),
        cmocka_unit_test(test_mean_is_exact_to_rounding),
        cmocka_unit_test(test_order_of_the_sum),
        cmocka_unit_test(test_half_vectors),
        cmocka_unit_test(test_same_bytes_anywhere),
        cmocka_unit_test(test_nan_and_inf),
        cmocka_unit_test(test_halves_survive),
        cmocka_unit_test(test_what_fp16_cannot_hold),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
