/* What the matrix kernels do with a sum before it is stored: shared by gemm_sm90.cu and gemm_mma.cu. */
#ifndef VNP_GEMM_EPILOGUE_CUH
#define VNP_GEMM_EPILOGUE_CUH

#include "half.cuh"

/* GELU for results that are rounded to 11 bits or fewer: max(v, 0) - |v| h with h = erfc(|v| / sqrt 2) / 2 = 2^q(|v|).
 * q is a minimax fit weighted by the FP16 spacing of the result: at most 0.12 of it off, everywhere. The falling
 * leading term sends the tail to zero; NaN stays NaN, an infinity gives NaN. */
static __device__ __forceinline__ float gelu_short(float v)
{
    const float a = fabsf(v);
    float q = fmaf(a, -3.2680693e-4f, 5.8888076e-3f), h;
    q = fmaf(a, q, -4.8444781e-2f);
    q = fmaf(a, q, -4.6384010e-1f);
    q = fmaf(a, q, -1.1493058f);
    q = fmaf(a, q, -1.0001115f);
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(h) : "f"(q));
    return fmaf(-a, h, fmaxf(v, 0.0f));
}

/* GELU to FP32: erff is good to 2 ulp, erfcf keeps the tail's digits. */
static __device__ __forceinline__ float gelu_full(float v)
{
    return 0.5f * v * erfcf(-0.70710678f * v);
}

/* Rotates the pair (x1, x2), columns i and i + head_dim / 2 of a head. */
static __device__ __forceinline__ void rotate(float &x1, float &x2, float c, float s)
{
    const float y1 = x1 * c - x2 * s;
    x2 = x2 * c + x1 * s;
    x1 = y1;
}

#endif
