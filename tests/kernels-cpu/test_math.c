/* exp, erf and GELU against libm in double, and the claims of cpu_math.h. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cpu_math.h"

#define N 4096
#define STRETCHES 500

/* Units in the last place of the FP32 number nearest to `want`. */
static double ulps(float got, double want)
{
    const float nearest = fabsf((float)want);
    return fabs((double)got - want) / (double)(nextafterf(nearest, INFINITY) - nearest);
}

/* Fills x with one of the stretches that [lo, hi] is cut into. */
static void stretch(float *x, double lo, double hi, int which)
{
    for (int i = 0; i < N; i++)
        x[i] = (float)(lo + (hi - lo) * (which + (double)i / N) / STRETCHES);
}

/* The larger of the two, and NaN for good: fmax() would drop it. */
static double worse(double a, double b)
{
    return a >= b ? a : b > a || isnan(b) ? b : a;
}

static void test_exp(void **state)
{
    static float x[N], y[N];
    double worst = 0;
    (void)state;
    for (int k = 0; k < STRETCHES; k++) {
        stretch(x, -87.3, 88.0, k);
        vnp_cpu_exp(y, x, 0, N);
        for (int i = 0; i < N; i++)
            worst = worse(worst, ulps(y[i], exp((double)x[i])));
    }
    print_message("# exp: %.3f ulp\n", worst);
    assert_true(worst <= 1.0);
    const float odd[] = {-88, -1e30f, -INFINITY, 0, 100, INFINITY, NAN, 5};
    vnp_cpu_exp(y, odd, 0, 8);
    for (int i = 0; i < 3; i++)
        assert_true(y[i] >= 0 && y[i] <= 1.3e-38f);
    assert_true(y[3] == 1.0f);
    assert_true(y[4] == y[5] && y[5] > 1.6e38f && y[5] < INFINITY);
    assert_true(isnan(y[6]));
    vnp_cpu_exp(y, odd + 7, 5, 1);
    assert_true(y[0] == 1.0f);
}

static void test_erf(void **state)
{
    static float x[N], y[N];
    double worst = 0;
    (void)state;
    for (int k = 0; k < STRETCHES; k++) {
        stretch(x, -5, 5, k);
        vnp_cpu_erf(y, x, N);
        for (int i = 0; i < N; i++)
            worst = worse(worst, ulps(y[i], erf((double)x[i])));
    }
    print_message("# erf: %.3f ulp\n", worst);
    assert_true(worst <= 1.5);
    const float odd[] = {0, 1e-30f, 50, -50, INFINITY, -INFINITY, NAN};
    vnp_cpu_erf(y, odd, 7);
    assert_true(y[0] == 0 && ulps(y[1], erf(1e-30)) <= 1.5);
    assert_true(y[2] == 1 && y[3] == -1 && y[4] == 1 && y[5] == -1);
    assert_true(isnan(y[6]));
}

static void test_gelu(void **state)
{
    static float x[N], y[N];
    double worst = 0;
    (void)state;
    for (int k = 0; k < STRETCHES; k++) {
        stretch(x, -10, 10, k);
        vnp_cpu_gelu(y, x, N);
        for (int i = 0; i < N; i++)
            if (x[i] != 0) {
                const double want = (double)x[i] / 2 * (1 + erf((double)x[i] / sqrt(2.0)));
                worst = worse(worst, fabs((double)y[i] - want) / fabs((double)x[i]));
            }
    }
    print_message("# gelu: %.2g of |x|\n", worst);
    assert_true(worst <= 1.5e-7);
}

/* The vector part and the tail of a loop, and any neighbours: the same bits. */
static void test_position(void **state)
{
    float x[67], y[67], one;
    (void)state;
    for (int n = 1; n <= 67; n++) {
        for (int i = 0; i < n; i++)
            x[i] = (i * 7 + n) % 13 - 6.3f;
        vnp_cpu_gelu(y, x, n);
        for (int i = 0; i < n; i++) {
            vnp_cpu_gelu(&one, x + i, 1);
            assert_memory_equal(&one, &y[i], sizeof one);
        }
        vnp_cpu_exp(y, x, 1.5f, n);
        for (int i = 0; i < n; i++) {
            vnp_cpu_exp(&one, x + i, 1.5f, 1);
            assert_memory_equal(&one, &y[i], sizeof one);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exp),
        cmocka_unit_test(test_erf),
        cmocka_unit_test(test_gelu),
        cmocka_unit_test(test_position),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
