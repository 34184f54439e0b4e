/* The polynomials were fitted for this file: weighted minimax (Lawson's iteration on 400 Chebyshev nodes, targets from
 * mpmath with 50 digits), then rounded to FP32. tests/kernels-cpu/test_math.c measures what is left of the error. */
#include "cpu_math.h"

#include <math.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* Adding and subtracting 1.5 * 2^23 rounds to a whole number, which then sits in the low bits. */
#define ROUNDER 0x1.8p23f

INLINE float exp_one(float x)
{
    /* Written so that NaN falls through both comparisons. */
    const float c = x < -87.3f ? -87.3f : x > 88.0f ? 88.0f : x;
    const float shifted = c * 0x1.715476p0f + ROUNDER; /* x / ln 2 */
    const float n = shifted - ROUNDER;
    /* ln 2 in two parts, the first with 9 bits, so that n times it is exact. */
    const float r = (c - n * 0x1.63p-1f) - n * -0x1.bd0106p-13f;
    float p = 0.00019790341f;
    p = p * r + 0.0013944659f;
    p = p * r + 0.008333497f;
    p = p * r + 0.041666295f;
    p = p * r + 0.16666666f;
    p = p * r + 0.5f;
    p = p * (r * r) + r + 1.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) + 0x3f800000u; /* 2^n */
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

/* |x| < 1: x + x P(x^2). Beyond: 1 - exp(-a Q(a)), the fit of -ln(erfc(a)) / a, up to 4, where erf is 1 in FP32. */
INLINE float erf_one(float x)
{
    const float a = fabsf(x), t = x * x;
    float p = 7.889123e-05f;
    p = p * t - 0.0008020842f;
    p = p * t + 0.0051895357f;
    p = p * t - 0.026854444f;
    p = p * t + 0.112836f;
    p = p * t - 0.37612626f;
    p = p * t + 0.12837917f;
    const float small = x + x * p;
    const float b = a > 4.0f ? 4.0f : a;
    float q = 3.9467614e-06f;
    q = q * b - 3.3325512e-05f;
    q = q * b - 0.00011303088f;
    q = q * b + 0.0031084963f;
    q = q * b - 0.022968229f;
    q = q * b + 0.105547346f;
    q = q * b + 0.63547546f;
    q = q * b + 1.1285849f;
    const float large = copysignf(1.0f - exp_one(-q * b), x);
    return a < 1.0f ? small : large;
}

VNP_CPU_CLONES
void vnp_cpu_exp(float *y, const float *x, float shift, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = exp_one(x[i] - shift);
}

VNP_CPU_CLONES
void vnp_cpu_erf(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = erf_one(x[i]);
}

INLINE float gelu_one(float x)
{
    return 0.5f * x * (1.0f + erf_one(x * 0x1.6a09e6p-1f)); /* 1 / sqrt(2) */
}

VNP_CPU_CLONES
void vnp_cpu_gelu(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = gelu_one(x[i]);
}

VNP_CPU_CLONES
void vnp_cpu_geglu(float *y, const float *x, const float *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = gelu_one(x[i]) * v[i];
}
