/* out = epilogue(A x W^T) on any device from sm_80, F16, BF16 and TF32: mma.sync fed by cp.async and ldmatrix.
 *
 *   out[i][j] = epilogue(sum over t of A[i][t] * W[j][t] + bias[j])       (gemm.h: shapes, types, epilogues)
 *
 * A [m][k], W [n][k], out and residual [m][n], row-major, 16-byte aligned, n and k multiples of 8; sums in FP32 along k
 * in ascending order. TF32: FP32 storage, each operand rounded to nearest (ties away) as it leaves shared memory.
 *
 * Grid: one block a tile of 128 x 128 of out, down bands of eight tiles of rows.
 *
 * Block: 256 threads, warps 4 x 2, each 32 x 64.
 *
 * Shared memory: 3 stages of 128 rows of A and of W, 128 bytes of k a row, 16-byte columns XORed with the row: 96 KiB.
 *
 * Reads a tile: 256 x k elements; writes 128 x 128. Rows past m and columns past n and k read as zero and are not
 * written. NaN passes through. */
#include "gemm_impl.h"

#include <atomic>
#include <type_traits>

#include "gemm_epilogue.cuh"

namespace
{

enum epilogue { EP_BIAS, EP_GELU, EP_GEGLU, EP_RESIDUAL, EP_NORMED, EP_ROTARY };

struct gemm_args {
    const void *a, *w, *residual;
    const float *bias; /* [n] or NULL */
    void *out;
    const int32_t *pos;
    const float *rotary;
    float q_scale;
    int m, n, k;
    int tiles_m, tiles_n;
    const float *row_scale; /* [m] or NULL */
    const float *row_shift; /* [m], EP_NORMED */
    const float *gain;      /* [n], EP_NORMED */
};

constexpr int block_threads = 256, tile_m = 128, tile_n = 128, row_bytes = 128, stages = 3, band = 8;
constexpr int side_bytes = tile_m * row_bytes, shared_bytes = stages * 2 * side_bytes;

__device__ __forceinline__ void copy_16(uint32_t dst, const void *src, bool in)
{
    const int bytes = in ? 16 : 0; /* the rest of the sixteen are zeros */
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(dst), "l"(src), "r"(bytes) : "memory");
}

__device__ __forceinline__ void load_matrices(uint32_t (&v)[4], uint32_t src)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3])
                 : "r"(src)
                 : "memory");
}

/* d += a [16][32 bytes of k] x b [8][32 bytes of k]^T */
template <class T>
__device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
#define VNP_MMA(shape)                                                                                                 \
    asm volatile("mma.sync.aligned." shape " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"          \
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                                                      \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1))
    if constexpr (std::is_same<T, __half>::value)
        VNP_MMA("m16n8k16.row.col.f32.f16.f16.f32");
    else if constexpr (std::is_same<T, __nv_bfloat16>::value)
        VNP_MMA("m16n8k16.row.col.f32.bf16.bf16.f32");
    else
        VNP_MMA("m16n8k8.row.col.f32.tf32.tf32.f32");
#undef VNP_MMA
}

template <class T> __device__ __forceinline__ void round_operand(uint32_t (&v)[4])
{
    if constexpr (std::is_same<T, float>::value) {
#pragma unroll
        for (int i = 0; i < 4; i++)
            asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(v[i]) : "f"(__uint_as_float(v[i])));
    }
}

/* 128 rows x 128 bytes of k from row0, element k0, into one side of a stage. */
template <class T>
__device__ __forceinline__ void load_side(uint32_t dst, const void *src, int row0, int rows, int k0, int k)
{
    constexpr int wide = 16 / sizeof(T);
#pragma unroll
    for (int i = 0; i < tile_m * (row_bytes / 16) / block_threads; i++) {
        const int at = threadIdx.x + i * block_threads, row = at / 8, column = at % 8;
        const bool in = row0 + row < rows && k0 + column * wide < k;
        const T *p = (const T *)src + (in ? (int64_t)(row0 + row) * k + k0 + column * wide : 0);
        copy_16(dst + row * row_bytes + ((column ^ (row & 7)) << 4), p, in);
    }
}

struct place {
    int row, column; /* of the warp's 32 x 64 in out */
    int lane;
};

/* The sums of the warp's 32 x 64: acc[mi][ni] is 16 x 8, in mma.sync's layout. */
template <class T>
__device__ __forceinline__ void accumulate(float (&acc)[2][8][4], const gemm_args &args, uint32_t shared, int row0,
                                           int column0)
{
    constexpr int step_k = row_bytes / sizeof(T);
    const int steps = (args.k + step_k - 1) / step_k, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const uint32_t a_row = warp / 2 * 32 + lane % 16, a_half = lane / 16;                   /* ldmatrix: rows, then k */
    const uint32_t w_row = warp % 2 * 64 + lane / 16 * 8 + lane % 8, w_half = lane / 8 % 2; /* k, then rows */
#pragma unroll
    for (int s = 0; s < stages - 1; s++) {
        if (s < steps) {
            load_side<T>(shared + s * 2 * side_bytes, args.a, row0, args.m, s * step_k, args.k);
            load_side<T>(shared + s * 2 * side_bytes + side_bytes, args.w, column0, args.n, s * step_k, args.k);
        }
        asm volatile("cp.async.commit_group;" ::: "memory");
    }
    for (int step = 0; step < steps; step++) {
        asm volatile("cp.async.wait_group %0;" ::"n"(stages - 2) : "memory");
        __syncthreads();
        const int next = step + stages - 1;
        if (next < steps) {
            const uint32_t dst = shared + next % stages * 2 * side_bytes;
            load_side<T>(dst, args.a, row0, args.m, next * step_k, args.k);
            load_side<T>(dst + side_bytes, args.w, column0, args.n, next * step_k, args.k);
        }
        asm volatile("cp.async.commit_group;" ::: "memory");
        const uint32_t a_side = shared + step % stages * 2 * side_bytes, w_side = a_side + side_bytes;
#pragma unroll
        for (int kk = 0; kk < row_bytes / 32; kk++) {
            uint32_t a[2][4], w[4][4];
#pragma unroll
            for (int mi = 0; mi < 2; mi++) {
                load_matrices(a[mi], a_side + (a_row + 16 * mi) * row_bytes + (((2 * kk + a_half) ^ (a_row & 7)) << 4));
                round_operand<T>(a[mi]);
            }
#pragma unroll
            for (int ni = 0; ni < 4; ni++) {
                load_matrices(w[ni], w_side + (w_row + 16 * ni) * row_bytes + (((2 * kk + w_half) ^ (w_row & 7)) << 4));
                round_operand<T>(w[ni]);
            }
#pragma unroll
            for (int mi = 0; mi < 2; mi++)
#pragma unroll
                for (int ni = 0; ni < 8; ni++)
                    multiply<T>(acc[mi][ni], a[mi], w[ni / 2][ni % 2 * 2], w[ni / 2][ni % 2 * 2 + 1]);
        }
    }
}

/* Scales the rows of the warp's sums. */
__device__ __forceinline__ void scale_rows(float (&acc)[2][8][4], const gemm_args &args, place me)
{
    if (args.row_scale == nullptr)
        return;
#pragma unroll
    for (int mi = 0; mi < 2; mi++)
#pragma unroll
        for (int y = 0; y < 2; y++) {
            const int row = me.row + 16 * mi + 8 * y + me.lane / 4;
            const float scale = row < args.m ? args.row_scale[row] : 1.0f;
#pragma unroll
            for (int ni = 0; ni < 8; ni++)
                acc[mi][ni][2 * y] *= scale, acc[mi][ni][2 * y + 1] *= scale;
        }
}

/* Adds the bias to the warp's sums; columns past n are left alone. */
__device__ __forceinline__ void add_bias(float (&acc)[2][8][4], const gemm_args &args, place me)
{
    if (args.bias == nullptr)
        return;
#pragma unroll
    for (int ni = 0; ni < 8; ni++) {
        if (me.column + 8 * ni >= args.n)
            continue;
        const float2 b = *(const float2 *)(args.bias + me.column + 8 * ni + 2 * (me.lane % 4));
#pragma unroll
        for (int mi = 0; mi < 2; mi++) {
            acc[mi][ni][0] += b.x;
            acc[mi][ni][1] += b.y;
            acc[mi][ni][2] += b.x;
            acc[mi][ni][3] += b.y;
        }
    }
}

/* Turns q and k; columns i and i + head / 2 of a head lie in one thread, head / 16 column groups apart. */
template <int head> __device__ __forceinline__ void rotate_warp(float (&acc)[2][8][4], const gemm_args &args, place me)
{
    constexpr int half = head / 16;
    const int width = args.n / 3;
#pragma unroll
    for (int mi = 0; mi < 2; mi++)
#pragma unroll
        for (int y = 0; y < 2; y++) {
            const int row = me.row + 16 * mi + 8 * y + me.lane / 4;
            const int pos = row < args.m ? args.pos[row] : 0;
            const float *table = args.rotary + (int64_t)pos * head + 4 * (me.lane % 4);
#pragma unroll
            for (int ni = 0; ni < 8; ni++) {
                const int first = me.column + ni / (2 * half) * head;
                if (ni % (2 * half) >= half || first >= 2 * width)
                    continue;
                const float4 cs = *(const float4 *)(table + 16 * (ni % half));
                const float scale = first < width ? args.q_scale : 1.0f;
                float *x1 = acc[mi][ni] + 2 * y, *x2 = acc[mi][ni + half] + 2 * y;
                x1[0] *= scale, x1[1] *= scale, x2[0] *= scale, x2[1] *= scale;
                rotate(x1[0], x2[0], cs.x, cs.y);
                rotate(x1[1], x2[1], cs.z, cs.w);
            }
        }
}

template <class T> __device__ __forceinline__ float gelu(float v)
{
    return std::is_same<T, float>::value ? gelu_full(v) : gelu_short(v);
}

/* Gates each even column group of the warp's sums with the next; the four that result come first. */
template <class T> __device__ __forceinline__ void gate_warp(float (&acc)[2][8][4])
{
#pragma unroll
    for (int mi = 0; mi < 2; mi++)
#pragma unroll
        for (int ni = 0; ni < 4; ni++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                acc[mi][ni][i] = gelu<T>(acc[mi][2 * ni][i]) * acc[mi][2 * ni + 1][i];
}

template <class T> __device__ __forceinline__ float2 load_two(const void *p, int64_t at)
{
    if constexpr (std::is_same<T, float>::value)
        return *(const float2 *)((const float *)p + at);
    else
        return vnp_half<T>::unpack(*(const uint32_t *)((const T *)p + at));
}

template <class T> __device__ __forceinline__ void store_two(void *p, int64_t at, float x, float y)
{
    if constexpr (std::is_same<T, float>::value)
        *(float2 *)((float *)p + at) = make_float2(x, y);
    else
        *(uint32_t *)((T *)p + at) = vnp_half<T>::pack(x, y);
}

/* Two neighbouring results of a row of `width`: the epilogue's last step and the store. */
template <class T, int ep>
__device__ __forceinline__ void finish(const gemm_args &args, int row, int column, int width, float x, float y)
{
    const int64_t at = (int64_t)row * width + column;
    if (ep == EP_GELU) {
        x = gelu<T>(x);
        y = gelu<T>(y);
    }
    if (ep == EP_RESIDUAL) {
        const float2 old = load_two<T>(args.residual, at);
        x += old.x;
        y += old.y;
    }
    if (ep == EP_NORMED) {
        const float2 old = load_two<T>(args.residual, at), gain = *(const float2 *)(args.gain + column);
        const float scale = args.row_scale[row], shift = args.row_shift[row];
        x = fmaf(gain.x, fmaf(old.x, scale, shift), x);
        y = fmaf(gain.y, fmaf(old.y, scale, shift), y);
    }
    store_two<T>(args.out, at, x, y);
}

template <class T, int ep, int head> __global__ void __launch_bounds__(block_threads) gemm_kernel(const gemm_args args)
{
    extern __shared__ __align__(1024) unsigned char raw[];
    const int band_tiles = band * args.tiles_n, b = blockIdx.x / band_tiles, rest = blockIdx.x - b * band_tiles;
    const int height = min(band, args.tiles_m - b * band);
    const int row0 = (b * band + rest % height) * tile_m, column0 = rest / height * tile_n;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const place me = {row0 + warp / 2 * 32, column0 + warp % 2 * 64, lane};
    float acc[2][8][4] = {};
    accumulate<T>(acc, args, (uint32_t)__cvta_generic_to_shared(raw), row0, column0);
    if (ep != EP_NORMED)
        scale_rows(acc, args, me);
    add_bias(acc, args, me);
    if constexpr (ep == EP_ROTARY)
        rotate_warp<head>(acc, args, me);
    if constexpr (ep == EP_GEGLU)
        gate_warp<T>(acc);
    constexpr int share = ep == EP_GEGLU ? 2 : 1; /* columns of the product that make one of out */
    const int width = args.n / share, column = me.column / share + 2 * (lane % 4);
#pragma unroll
    for (int mi = 0; mi < 2; mi++)
#pragma unroll
        for (int y = 0; y < 2; y++) {
            const int row = me.row + 16 * mi + 8 * y + lane / 4;
            if (row >= args.m)
                continue;
#pragma unroll
            for (int ni = 0; ni < 8 / share; ni++)
                if (column + 8 * ni < width)
                    finish<T, ep>(args, row, column + 8 * ni, width, acc[mi][ni][2 * y], acc[mi][ni][2 * y + 1]);
        }
}

template <class T, int ep, int head = 16> int launch(const vnp_gemm_params *p, cudaStream_t stream)
{
    static std::atomic<uint64_t> ready; /* devices where the kernel may use its shared memory */
    int device = 0;
    cudaError_t status = cudaGetDevice(&device);
    if (status == cudaSuccess && !(ready.load() >> (device & 63) & 1)) {
        status =
            cudaFuncSetAttribute(gemm_kernel<T, ep, head>, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
        if (status == cudaSuccess)
            ready |= 1ull << (device & 63);
    }
    if (status != cudaSuccess)
        return status;
    const int tiles_m = (int)((p->m + tile_m - 1) / tile_m), tiles_n = (int)((p->n + tile_n - 1) / tile_n);
    const gemm_args args = {p->d_a,      p->d_w,         p->d_residual,  p->d_bias, p->d_out,  p->d_pos,
                            p->d_rotary, p->q_scale,     (int)p->m,      (int)p->n, (int)p->k, tiles_m,
                            tiles_n,     p->d_row_scale, p->d_row_shift, p->d_gain};
    if ((int64_t)tiles_m * tiles_n > INT32_MAX)
        return cudaErrorInvalidValue;
    gemm_kernel<T, ep, head><<<tiles_m * tiles_n, block_threads, shared_bytes, stream>>>(args);
    return cudaGetLastError();
}

template <class T> int launch_epilogue(const vnp_gemm_params *p, cudaStream_t stream)
{
    switch (p->epilogue) {
    case VNP_GEMM_BIAS:
        return launch<T, EP_BIAS>(p, stream);
    case VNP_GEMM_BIAS_GELU:
        return launch<T, EP_GELU>(p, stream);
    case VNP_GEMM_GEGLU:
        return launch<T, EP_GEGLU>(p, stream);
    case VNP_GEMM_BIAS_RESIDUAL:
        return launch<T, EP_RESIDUAL>(p, stream);
    case VNP_GEMM_BIAS_NORMED:
        return launch<T, EP_NORMED>(p, stream);
    case VNP_GEMM_BIAS_ROTARY:
        if (p->head_dim == 16)
            return launch<T, EP_ROTARY, 16>(p, stream);
        if (p->head_dim == 32)
            return launch<T, EP_ROTARY, 32>(p, stream);
        if (p->head_dim == 64)
            return launch<T, EP_ROTARY, 64>(p, stream);
    }
    return cudaErrorInvalidValue;
}

} // namespace

int vnp_gemm_mma_rotates(int32_t head_dim)
{
    return head_dim == 16 || head_dim == 32 || head_dim == 64;
}

int vnp_gemm_mma(const struct vnp_gemm_params *p, cudaStream_t stream)
{
    switch (p->type) {
    case VNP_GEMM_F16:
        return launch_epilogue<__half>(p, stream);
    case VNP_GEMM_BF16:
        return launch_epilogue<__nv_bfloat16>(p, stream);
    case VNP_GEMM_TF32:
        return launch_epilogue<float>(p, stream);
    case VNP_GEMM_F32:
        break;
    }
    return cudaErrorInvalidValue;
}
