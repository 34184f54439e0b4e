/* out = epilogue(A x W^T) in true FP32: fused multiply-adds along k in ascending order, nothing else.
 *
 *   out[i][j] = epilogue(sum over t of A[i][t] * W[j][t] + bias[j])       (gemm.h: shapes, epilogues)
 *
 * A [m][k], W [n][k], out and residual [m][n], row-major FP32, 16-byte aligned, n and k multiples of 8.
 *
 * Grid: one block a tile of 128 x 128 of out, down bands of eight tiles of rows.
 *
 * Block: 256 threads, each 8 x 8 results in four quarters of 4 x 4. Shared memory: two buffers of 8 columns of k of A
 * and of W, transposed: 16.5 KiB. The next columns are in registers while the present ones are multiplied.
 *
 * Reads a tile: 256 x k x 4 B; writes 128 x 128 x 4 B. Rows past m and columns past n read as zero and are not written.
 * NaN passes through. */
#include "gemm_impl.h"

#include "gemm_epilogue.cuh"

namespace
{

struct gemm_args {
    const float *a, *w, *bias, *residual;
    float *out;
    int m, n, k;
    int tiles_m, tiles_n;
    const float *row_scale; /* [m] or NULL */
    const float *row_shift; /* [m], BIAS_NORMED */
    const float *gain;      /* [n], BIAS_NORMED */
};

constexpr int block_threads = 256, tile_m = 128, tile_n = 128, tile_k = 8, pitch = 132, band = 8;

/* One thread's share of a tile's next eight columns: four consecutive k of one row. */
__device__ __forceinline__ float4 fetch(const float *src, int row, int rows, int k0, int k)
{
    if (row >= rows)
        return make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    return __ldg((const float4 *)(src + (int64_t)row * k + k0));
}

__device__ __forceinline__ void put(float (*dst)[pitch], int row, int k0, float4 v)
{
    dst[k0][row] = v.x;
    dst[k0 + 1][row] = v.y;
    dst[k0 + 2][row] = v.z;
    dst[k0 + 3][row] = v.w;
}

__device__ __forceinline__ void multiply(float (&acc)[8][8], const float (*a)[pitch], const float (*w)[pitch], int y,
                                         int x)
{
#pragma unroll
    for (int t = 0; t < tile_k; t++) {
        const float4 a0 = *(const float4 *)(a[t] + 4 * y), a1 = *(const float4 *)(a[t] + 64 + 4 * y);
        const float4 w0 = *(const float4 *)(w[t] + 4 * x), w1 = *(const float4 *)(w[t] + 64 + 4 * x);
        const float av[8] = {a0.x, a0.y, a0.z, a0.w, a1.x, a1.y, a1.z, a1.w};
        const float wv[8] = {w0.x, w0.y, w0.z, w0.w, w1.x, w1.y, w1.z, w1.w};
#pragma unroll
        for (int i = 0; i < 8; i++)
#pragma unroll
            for (int j = 0; j < 8; j++)
                acc[i][j] = fmaf(av[i], wv[j], acc[i][j]);
    }
}

__device__ __forceinline__ void load_four(float (&v)[4], const float *p)
{
    *(float4 *)v = *(const float4 *)p;
}

/* Four neighbouring results of one row. */
template <int ep>
__device__ __forceinline__ void finish(const gemm_args &args, int row, int column, float scale, const float *v)
{
    constexpr bool normed = ep == VNP_GEMM_BIAS_NORMED;
    const int64_t at = (int64_t)row * args.n + column;
    float r[4], old[4] = {}, gain[4] = {}, bias[4] = {};
    if (args.bias != nullptr)
        load_four(bias, args.bias + column);
    if (normed || ep == VNP_GEMM_BIAS_RESIDUAL)
        load_four(old, args.residual + at);
    if (normed)
        load_four(gain, args.gain + column);
#pragma unroll
    for (int j = 0; j < 4; j++) {
        r[j] = fmaf(v[j], normed ? 1.0f : scale, bias[j]);
        if (ep == VNP_GEMM_BIAS_GELU)
            r[j] = gelu_full(r[j]);
        if (ep == VNP_GEMM_BIAS_RESIDUAL)
            r[j] += old[j];
        if (normed)
            r[j] = fmaf(gain[j], fmaf(old[j], scale, args.row_shift[row]), r[j]);
    }
    *(float4 *)(args.out + at) = make_float4(r[0], r[1], r[2], r[3]);
}

/* Four neighbouring results of one row: of the columns that pass the GELU, in the lanes with x & 2 clear; what they are
 * multiplied with is eight columns on, two lanes away. */
__device__ __forceinline__ void gate(const gemm_args &args, int row, int column, float scale, const float *v, int x)
{
    float r[4], bias[4] = {};
    if (args.bias != nullptr && column < args.n)
        load_four(bias, args.bias + column);
#pragma unroll
    for (int j = 0; j < 4; j++) {
        const float by = fmaf(v[j], scale, bias[j]);
        r[j] = gelu_full(by) * __shfl_xor_sync(~0u, by, 2);
    }
    if (!(x & 2) && row < args.m && column < args.n)
        *(float4 *)(args.out + (int64_t)row * (args.n / 2) + column / 16 * 8 + column % 8) =
            make_float4(r[0], r[1], r[2], r[3]);
}

template <int ep> __global__ void __launch_bounds__(block_threads, 2) gemm_kernel(const gemm_args args)
{
    __shared__ float a[2][tile_k][pitch], w[2][tile_k][pitch];
    const int band_tiles = band * args.tiles_n, b = blockIdx.x / band_tiles, rest = blockIdx.x - b * band_tiles;
    const int height = min(band, args.tiles_m - b * band);
    const int row0 = (b * band + rest % height) * tile_m, column0 = rest / height * tile_n;
    const int load_row = threadIdx.x / 2, load_k = threadIdx.x % 2 * 4;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int y = warp / 2 * 4 + lane / 8, x = warp % 2 * 8 + lane % 8; /* 0..15 each */
    float acc[8][8] = {};
    put(a[0], load_row, load_k, fetch(args.a, row0 + load_row, args.m, load_k, args.k));
    put(w[0], load_row, load_k, fetch(args.w, column0 + load_row, args.n, load_k, args.k));
    __syncthreads();
    int now = 0;
    for (int k0 = tile_k; k0 < args.k; k0 += tile_k) {
        const float4 next_a = fetch(args.a, row0 + load_row, args.m, k0 + load_k, args.k);
        const float4 next_w = fetch(args.w, column0 + load_row, args.n, k0 + load_k, args.k);
        multiply(acc, a[now], w[now], y, x);
        now ^= 1;
        put(a[now], load_row, load_k, next_a);
        put(w[now], load_row, load_k, next_w);
        __syncthreads();
    }
    multiply(acc, a[now], w[now], y, x);
#pragma unroll
    for (int i = 0; i < 8; i++) {
        const int row = row0 + i / 4 * 64 + 4 * y + i % 4;
        const float scale = args.row_scale != nullptr && row < args.m ? args.row_scale[row] : 1.0f;
#pragma unroll
        for (int j = 0; j < 8; j += 4) {
            const int column = column0 + j * 16 + 4 * x;
            if (ep == VNP_GEMM_GEGLU)
                gate(args, row, column, scale, acc[i] + j, x);
            else if (row < args.m && column < args.n)
                finish<ep>(args, row, column, scale, acc[i] + j);
        }
    }
}

} // namespace

int vnp_gemm_fp32(const struct vnp_gemm_params *p, cudaStream_t stream)
{
    const int64_t tiles_m = (p->m + tile_m - 1) / tile_m, tiles_n = (p->n + tile_n - 1) / tile_n;
    if (tiles_m * tiles_n > INT32_MAX)
        return cudaErrorInvalidValue;
    const gemm_args args = {(const float *)p->d_a,
                            (const float *)p->d_w,
                            p->d_bias,
                            (const float *)p->d_residual,
                            (float *)p->d_out,
                            (int)p->m,
                            (int)p->n,
                            (int)p->k,
                            (int)tiles_m,
                            (int)tiles_n,
                            p->d_row_scale,
                            p->d_row_shift,
                            p->d_gain};
    const unsigned blocks = (unsigned)(tiles_m * tiles_n);
    switch (p->epilogue) {
    case VNP_GEMM_BIAS:
        gemm_kernel<VNP_GEMM_BIAS><<<blocks, block_threads, 0, stream>>>(args);
        break;
    case VNP_GEMM_BIAS_GELU:
        gemm_kernel<VNP_GEMM_BIAS_GELU><<<blocks, block_threads, 0, stream>>>(args);
        break;
    case VNP_GEMM_BIAS_RESIDUAL:
        gemm_kernel<VNP_GEMM_BIAS_RESIDUAL><<<blocks, block_threads, 0, stream>>>(args);
        break;
    case VNP_GEMM_BIAS_NORMED:
        gemm_kernel<VNP_GEMM_BIAS_NORMED><<<blocks, block_threads, 0, stream>>>(args);
        break;
    case VNP_GEMM_GEGLU:
        gemm_kernel<VNP_GEMM_GEGLU><<<blocks, block_threads, 0, stream>>>(args);
        break;
    case VNP_GEMM_BIAS_ROTARY:
        return cudaErrorInvalidValue;
    }
    return cudaGetLastError();
}
