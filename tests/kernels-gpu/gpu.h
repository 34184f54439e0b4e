/* What the GPU kernels' tests share: skipping without a device, arrays of any dtype on both sides, random numbers. */
#ifndef TESTS_GPU_H
#define TESTS_GPU_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "block.h"
#include "cuda_check.h"
#include "half.h"
#include "xmalloc.h"

static inline void need_gpu(void)
{
    int n = 0;
    if (cudaGetDeviceCount(&n) != cudaSuccess || n == 0)
        skip();
}

/* VNP_TEST_LIGHT is set: less of the same kind is enough, as under compute-sanitizer, which takes a hundred times as
 * long. */
static inline bool light(void)
{
    return getenv("VNP_TEST_LIGHT") != NULL;
}

/* A 64-bit linear congruential generator; sums of uniforms stand in for the normal distribution. */
static inline float uniform(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (float)(*seed >> 40) * 0x1p-24f;
}
static inline float normal(uint64_t *seed)
{
    float s = 0;
    for (int i = 0; i < 4; i++)
        s += uniform(seed);
    return (s - 2) * 1.7320508f;
}

/* The nearest value that the dtype can hold. */
static inline float rounded(float v, enum vnp_dtype dtype)
{
    return dtype == VNP_F32 ? v : dtype == VNP_F16 ? vnp_f16_f32(vnp_f32_f16(v)) : vnp_bf16_f32(vnp_f32_bf16(v));
}

/* n floats as an array of the dtype on the device. */
static inline void *to_device(const float *v, int64_t n, enum vnp_dtype dtype)
{
    void *d, *h = xmalloc((size_t)n * 4);
    for (int64_t i = 0; i < n; i++)
        if (dtype == VNP_F32)
            ((float *)h)[i] = v[i];
        else
            ((uint16_t *)h)[i] = dtype == VNP_F16 ? vnp_f32_f16(v[i]) : vnp_f32_bf16(v[i]);
    const size_t bytes = (size_t)n * vnp_dtype_bytes(dtype);
    CUDA_CHECK(cudaMalloc(&d, bytes ? bytes : 1));
    CUDA_CHECK(cudaMemcpy(d, h, bytes, cudaMemcpyHostToDevice));
    free(h);
    return d;
}
static inline void *bytes_to_device(const void *v, size_t bytes)
{
    void *d;
    CUDA_CHECK(cudaMalloc(&d, bytes ? bytes : 1));
    CUDA_CHECK(cudaMemcpy(d, v, bytes, cudaMemcpyHostToDevice));
    return d;
}

/* Room for n elements on the device, every byte 0xff: NaN in each dtype, so that what is not written shows. */
static inline void *poisoned(int64_t n, enum vnp_dtype dtype)
{
    void *d;
    const size_t bytes = (size_t)n * vnp_dtype_bytes(dtype);
    CUDA_CHECK(cudaMalloc(&d, bytes ? bytes : 1));
    CUDA_CHECK(cudaMemset(d, 0xff, bytes));
    return d;
}

/* n elements from the device as floats; the caller frees. */
static inline float *from_device(const void *d, int64_t n, enum vnp_dtype dtype)
{
    float *v = xmalloc((size_t)n * 4 + 1);
    uint16_t *h = xmalloc((size_t)n * 4 + 1);
    CUDA_CHECK(cudaMemcpy(dtype == VNP_F32 ? (void *)v : (void *)h, d, (size_t)n * vnp_dtype_bytes(dtype),
                          cudaMemcpyDeviceToHost));
    for (int64_t i = 0; dtype != VNP_F32 && i < n; i++)
        v[i] = dtype == VNP_F16 ? vnp_f16_f32(h[i]) : vnp_bf16_f32(h[i]);
    free(h);
    return v;
}

#endif
