/* Agreement statistics against plain sums, and shortest decimals against strtof. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jsonout.h"
#include "stats.h"

static uint64_t seed = 42;
static uint32_t random_bits(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 32);
}
static float random_float(void)
{
    return (float)random_bits() / 4294967296.0F - 0.5F;
}

static void near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%.17g is not within %g of %.17g", got, tolerance, want);
}

static void cosines(void **state)
{
    (void)state;
    struct vnp_pair p;
    const float a[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, b[] = {-2, -4, -6, -8, -10, -12, -14, -16, -18},
                c[] = {0, 0, 0, 0, 0, 0, 0, 0, 1}, zero[9] = {0};
    vnp_pair_compare(&p, a, a, 9);
    near(p.cosine, 1, 1e-15);
    assert_true(p.max_diff == 0 && p.finite);
    vnp_pair_compare(&p, a, b, 9);
    near(p.cosine, -1, 1e-15);
    assert_true(p.max_diff == 27);
    vnp_pair_compare(&p, a, c, 9);
    near(p.cosine, 9 / sqrt(285), 1e-15);
    near(p.norm_a, sqrt(285), 1e-12);
    assert_true(p.norm_b == 1 && p.max_diff == 8);
    vnp_pair_compare(&p, zero, zero, 9);
    assert_true(p.cosine == 1);
    vnp_pair_compare(&p, zero, c, 9);
    assert_true(p.cosine == 0);
    const float tiny[] = {1e-30F, 2e-30F}, huge[] = {1e38F, 2e38F};
    vnp_pair_compare(&p, tiny, huge, 2);
    near(p.cosine, 1, 1e-7);
    assert_true(p.finite);
}

/* In any place, on either side, with any width: never a number, never above a threshold. */
static void not_finite(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int width = 1; width < 20; width++)
        for (int at = 0; at < width; at++)
            for (int side = 0; side < 3; side++)
                for (int k = 0; k < 3; k++) {
                    float a[20], b[20];
                    struct vnp_pair p;
                    for (int i = 0; i < width; i++)
                        a[i] = b[i] = 1;
                    if (side != 0)
                        a[at] = bad[k];
                    if (side != 1)
                        b[at] = bad[k];
                    vnp_pair_compare(&p, a, b, width);
                    assert_false(p.finite);
                    assert_true(isnan(p.cosine) && isnan(p.max_diff));
                }
    struct vnp_agreement g;
    vnp_agreement_init(&g);
    const float one[] = {1, 2}, nan[] = {1, NAN};
    vnp_agreement_add(&g, one, one, 2, NULL);
    vnp_agreement_add(&g, one, nan, 2, NULL);
    vnp_agreement_add(&g, one, one, 2, NULL);
    assert_true(isnan(g.min_cosine) && isnan(vnp_agreement_mean_cosine(&g)));
    assert_int_equal(g.nonfinite, 1);
    assert_int_equal(g.vectors, 3);
    near(g.a.values.mean, 1.5, 1e-15);
    vnp_agreement_free(&g);
}

/* An offset that a naive sum of squares would drown in. */
static void moments(void **state)
{
    (void)state;
    enum { N = 40, WIDTH = 333 };
    static float x[N][WIDTH];
    struct vnp_moments m = {0};
    long double sum = 0, squares = 0;
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < WIDTH; k++)
            sum += x[i][k] = 10000 + random_float();
        vnp_moments_add(&m, x[i], WIDTH);
    }
    for (int i = 0; i < N; i++)
        for (int k = 0; k < WIDTH; k++)
            squares += (x[i][k] - sum / (N * WIDTH)) * (x[i][k] - sum / (N * WIDTH));
    near(m.mean, (double)(sum / (N * WIDTH)), 1e-9);
    near(vnp_moments_std(&m), (double)sqrtl(squares / (N * WIDTH)), 1e-9);
    struct vnp_moments none = {0};
    vnp_moments_add(&none, x[0], 0);
    assert_true(vnp_moments_std(&none) == 0);
}

static void outliers(void **state)
{
    (void)state;
    enum { N = 1000, WIDTH = 10 };
    struct vnp_agreement g;
    vnp_agreement_init(&g);
    int planted = 0;
    for (int i = 0; i < N; i++) {
        float a[WIDTH], b[WIDTH];
        for (int k = 0; k < WIDTH; k++)
            a[k] = b[k] = 2 + random_float();
        if (i % 100 == 0) {
            a[i / 100] = i % 200 ? 9 : -9;
            planted++;
        }
        vnp_agreement_add(&g, a, b, WIDTH, NULL);
    }
    assert_int_equal(vnp_side_outliers(&g.a, 3), planted);
    assert_int_equal(vnp_side_outliers(&g.b, 3), 0);
    vnp_agreement_free(&g);
    vnp_agreement_init(&g); /* values that are all one have none */
    const float same[] = {0.1F, 0.1F};
    vnp_agreement_add(&g, same, same, 2, NULL);
    assert_int_equal(vnp_side_outliers(&g.a, 3), 0);
    vnp_agreement_free(&g);
}

static void percentages(void **state)
{
    (void)state;
    near(vnp_percent(2, 3), 50, 1e-12);
    near(vnp_percent(-2, -1), 50, 1e-12);
    assert_true(vnp_percent(0, 0) == 0 && isinf(vnp_percent(0, 1)) && isnan(vnp_percent(NAN, 1)));
}

static void known_decimals(void **state)
{
    (void)state;
    static const struct {
        float x;
        const char *text;
    } cases[] = {{0, "0.0"}, {-0.0F, "-0.0"}, {1, "1.0"}, {-1.5F, "-1.5"}, {0.1F, "0.1"}, {100, "100.0"},
                 {123456, "123456.0"}, {0.0001F, "0.0001"}, {0.00001F, "1e-05"}, {1.5e-7F, "1.5e-07"},
                 {0.12100612F, "0.12100612"}, {0.0011595711F, "0.0011595711"}, {16777216, "16777216.0"},
                 {1e15F, "1000000000000000.0"}, {1e16F, "1e+16"}, {3.4028235e38F, "3.4028235e+38"}, {1e-45F, "1e-45"},
                 {1.1754944e-38F, "1.1754944e-38"}, {NAN, "nan"}, {INFINITY, "inf"}, {-INFINITY, "-inf"},
                 {0.33333334F, "0.33333334"}, {9.5367432e-07F, "9.536743e-07"}};
    char text[VNP_FLOAT_TEXT];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = vnp_float_text(text, cases[i].x);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(n, strlen(text));
    }
}

/* Reads back, and no text of fewer digits does: any finite float. */
static void decimals_are_shortest(void **state)
{
    (void)state;
    for (int round = 0; round < 200000; round++) {
        uint32_t bits = random_bits() & 0x7fffffff;
        if (round % 2)
            bits = 0x30000000 + bits % 0x10000000; /* the range of embeddings */
        if (round % 16 == 0)
            bits &= 0x7f800000; /* powers of two */
        float x;
        memcpy(&x, &bits, 4);
        if (!isfinite(x) || x == 0)
            continue;
        char text[VNP_FLOAT_TEXT], shorter[32];
        vnp_float_text(text, x);
        if (strtof(text, NULL) != x)
            fail_msg("%s does not read back as %.9g", text, (double)x);
        int digits = 0, zeros = 0;
        for (const char *c = text; *c != '\0' && *c != 'e'; c++)
            if (*c >= '0' && *c <= '9' && (digits > 0 || *c != '0')) {
                digits++;
                zeros = *c == '0' ? zeros + 1 : 0;
            }
        digits -= zeros;
        snprintf(shorter, sizeof shorter, "%.*e", digits - 2, (double)x);
        if (digits > 1 && strtof(shorter, NULL) == x)
            fail_msg("%s: %s would do", text, shorter);
    }
}

static void json_strings(void **state)
{
    (void)state;
    static const struct {
        const char *text, *json;
    } cases[] = {{"sp|P1|a", "\"sp|P1|a\""}, {"\"\\/", "\"\\\"\\\\/\""},
                 {"a\tb\n\x01\x7f", "\"a\\u0009b\\u000a\\u0001\\u007f\""},
                 {"\xc3\xa9\xe2\x82\xac\xf0\x9f\xa7\xac", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\xa7\xac\""},
                 {"\xff" "a\xc3", "\"\\ufffda\\ufffd\""}, {"\xc0\xaf", "\"\\ufffd\\ufffd\""},
                 {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},
                 {"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
                 {"\xe0\x80\x80", "\"\\ufffd\\ufffd\\ufffd\""}, {"", "\"\""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct vnp_text t = {0};
        vnp_text_json(&t, cases[i].text, strlen(cases[i].text));
        vnp_text_add(&t, "", 1);
        assert_string_equal(t.p, cases[i].json);
        free(t.p);
    }
    struct vnp_text t = {0};
    vnp_text_json(&t, "a\0b", 3);
    vnp_text_plain(&t, "x\ty\x1b[", 5);
    vnp_text_uint(&t, UINT64_MAX);
    vnp_text_float(&t, NAN, "null");
    vnp_text_add(&t, "", 1);
    assert_string_equal(t.p, "\"a\\u0000b\"x?y?[18446744073709551615null");
    free(t.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cosines),       cmocka_unit_test(not_finite),  cmocka_unit_test(moments),
        cmocka_unit_test(outliers),      cmocka_unit_test(percentages), cmocka_unit_test(known_decimals),
        cmocka_unit_test(decimals_are_shortest), cmocka_unit_test(json_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
