/* Exponential, error function and GELU in FP32, the same value for the same argument whatever stands beside it. */
#ifndef VNP_CPU_MATH_H
#define VNP_CPU_MATH_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Loops over floats are compiled for the vector widths there are and picked when the program starts. The clones differ
 * in width alone: -std=c11 keeps gcc from contracting to FMA and from reordering. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define VNP_CPU_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define VNP_CPU_CLONES
#endif

/* y[i] = exp(x[i] - shift), i < n; y may be x. With d = x[i] - shift: within 1 ulp for -87.3 <= d <= 88; at
 * most 1.3e-38 below that range, which is 0 for a softmax; clamped to exp(88) above; NaN stays NaN. */
void vnp_cpu_exp(float *y, const float *x, float shift, int64_t n);

/* y[i] = erf(x[i]), within 1.5 ulp; y may be x. NaN stays NaN. */
void vnp_cpu_erf(float *y, const float *x, int64_t n);

/* y[i] = x[i] / 2 * (1 + erf(x[i] / sqrt(2))): the exact GELU; y may be x. */
void vnp_cpu_gelu(float *y, const float *x, int64_t n);

/* y[i] = gelu(x[i]) * v[i]; y may be x. */
void vnp_cpu_geglu(float *y, const float *x, const float *v, int64_t n);

#ifdef __cplusplus
}
#endif
#endif
