/* The gate of the feed-forward.
 *
 *   out[t, i] = gelu(in[t, i]) * in[t, width + i]      gelu(v) = v * 0.5 * (1 + erf(v / sqrt 2))
 *
 * in [rows, 2 width], out [rows, width], both T = float, __half or __nv_bfloat16, dense, 16-byte aligned.
 * A block of 128 threads a row; a thread takes 8 elements of out at a time. No shared memory. Reads in once, writes out
 * once: 6 bytes an element of out in the 16-bit types, 12 in FP32; bound by memory. NaN in either half makes its
 * element NaN; an infinite gate too in the 16-bit types (gelu_short), and a product that is too large becomes Inf. */
#include "cuda_check.h"
#include "geglu.h"
#include "gemm_epilogue.cuh"
#include "half.cuh"

template <typename T> static __device__ __forceinline__ float gelu(float v)
{
    return gelu_short(v);
}
template <> __device__ __forceinline__ float gelu<float>(float v)
{
    return gelu_full(v);
}

template <typename T>
static __global__ void __launch_bounds__(128) geglu(const T *__restrict__ in, T *__restrict__ out, int64_t width)
{
    const T *gate = in + static_cast<int64_t>(blockIdx.x) * 2 * width;
    T *dst = out + static_cast<int64_t>(blockIdx.x) * width;
    for (int64_t i = threadIdx.x * 8; i < width; i += 128 * 8) {
        float v[8], u[8];
        vnp_load8(gate + i, v);
        vnp_load8(gate + width + i, u);
#pragma unroll
        for (int j = 0; j < 8; j++)
            v[j] = gelu<T>(v[j]) * u[j];
        vnp_store8(dst + i, v);
    }
}

template <typename T> static void launch(const vnp_geglu_params *p, cudaStream_t stream)
{
    geglu<T><<<static_cast<unsigned>(p->rows), 128, 0, stream>>>(static_cast<const T *>(p->d_in),
                                                                 static_cast<T *>(p->d_out), p->width);
    CUDA_CHECK_LAUNCH();
}

extern "C" void vnp_geglu(const vnp_geglu_params *p, cudaStream_t stream)
{
    if (p->rows == 0)
        return;
    if (p->dtype == VNP_F32)
        launch<float>(p, stream);
    else if (p->dtype == VNP_F16)
        launch<__half>(p, stream);
    else
        launch<__nv_bfloat16>(p, stream);
}
