/* LayerNorm folded into the linear layers that read what it gives.
 *
 *   out[i][j] = W[i][j] gain[j] - mean over j of W[i][j] gain[j]
 *   bias[i]  += sum over j of W[i][j] shift[j]
 *
 * Each row of out sums to zero, so that the mean of x drops out of out x, and its deviation alone is left to divide by.
 * Where LayerNorm's result is a residual, bias[i] += shift[i].
 *
 * W [rows, width] of In, out [rows, width] of Out, gain, shift [width] and bias [rows] FP32, dense. One warp a row,
 * eight rows a block; the second reading of a row comes from the caches. No shared memory. Sums in FP32: over every
 * 32nd column, then a butterfly. NaN in a row of W stays in it. Used while a model is loaded, never in the forward
 * pass. */
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "cuda_check.h"
#include "fold.h"
#include "lanes.cuh"

#define WARPS 8

template <typename In, typename Out>
static __global__ void __launch_bounds__(32 * WARPS)
    fold(Out *__restrict__ out, const In *__restrict__ w, int64_t rows, int width, const float *__restrict__ gain,
         const float *__restrict__ shift, float *__restrict__ bias)
{
    const int lane = threadIdx.x & 31;
    const int64_t row = static_cast<int64_t>(blockIdx.x) * WARPS + threadIdx.x / 32;
    if (row >= rows)
        return;
    const In *from = w + row * width;
    float sum = 0, shifted = 0;
    for (int j = lane; j < width; j += 32) {
        const float v = static_cast<float>(from[j]);
        sum = fmaf(v, gain[j], sum);
        shifted = fmaf(v, shift[j], shifted);
    }
    const float mean = vnp_warp_sum(sum) / static_cast<float>(width);
    shifted = vnp_warp_sum(shifted);
    if (lane == 0)
        bias[row] += shifted;
    for (int j = lane; j < width; j += 32)
        out[row * width + j] = static_cast<Out>(fmaf(static_cast<float>(from[j]), gain[j], -mean));
}

template <typename In>
static void to(void *d_out, vnp_dtype out, const void *d_w, int64_t rows, int width, const float *gain,
               const float *shift, float *bias, cudaStream_t stream)
{
    const unsigned blocks = static_cast<unsigned>((rows + WARPS - 1) / WARPS);
    const In *w = static_cast<const In *>(d_w);
    if (out == VNP_F32)
        fold<<<blocks, 32 * WARPS, 0, stream>>>(static_cast<float *>(d_out), w, rows, width, gain, shift, bias);
    else if (out == VNP_F16)
        fold<<<blocks, 32 * WARPS, 0, stream>>>(static_cast<__half *>(d_out), w, rows, width, gain, shift, bias);
    else
        fold<<<blocks, 32 * WARPS, 0, stream>>>(static_cast<__nv_bfloat16 *>(d_out), w, rows, width, gain, shift, bias);
    CUDA_CHECK_LAUNCH();
}

extern "C" void vnp_fold_layernorm(void *d_out, vnp_dtype out, const void *d_w, vnp_dtype in, int64_t rows, int width,
                                   const float *d_gain, const float *d_shift, float *d_bias, cudaStream_t stream)
{
    if (rows == 0)
        return;
    if (in == VNP_F32)
        to<float>(d_out, out, d_w, rows, width, d_gain, d_shift, d_bias, stream);
    else if (in == VNP_F16)
        to<__half>(d_out, out, d_w, rows, width, d_gain, d_shift, d_bias, stream);
    else
        to<__nv_bfloat16>(d_out, out, d_w, rows, width, d_gain, d_shift, d_bias, stream);
}

static __global__ void __launch_bounds__(256) add(float *bias, const float *__restrict__ shift, int width)
{
    const int i = static_cast<int>(blockIdx.x * 256 + threadIdx.x);
    if (i < width)
        bias[i] += shift[i];
}

extern "C" void vnp_fold_shift(float *d_bias, const float *d_shift, int width, cudaStream_t stream)
{
    add<<<static_cast<unsigned>((width + 255) / 256), 256, 0, stream>>>(d_bias, d_shift, width);
    CUDA_CHECK_LAUNCH();
}
