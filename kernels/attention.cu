/* attention, 16-bit storage, mma.sync: every device from sm_80 on, every head dimension.
 *
 *   out[t, h] = sum_j softmax_j(q[t, h] . k[j, h]) v[j, h]      j over the tokens of t's sequence
 *
 * qkv [tokens, 3, heads, D], out [tokens, heads, D], both T = __half or __nv_bfloat16, rows dense, 16-byte aligned.
 * Block: ROW_WARPS x HEADS warps. A tile is ROW_WARPS * 16 * M = 64 query rows of HEADS heads; each warp has one head and
 * M groups of 16 rows. Grid: n_tiles * ceil(heads / HEADS), heads fastest, so that neighbours read the same rows.
 * Shared memory: q of the tile and two stages of 64 keys and values, HEADS * 5 * 64 * ceil16(D) * 2 bytes.
 * Reads q once, k and v once a tile of 64 rows (the L2 serves all but the first); writes out once.
 * Keys behind the end of the sequence are zeros in shared memory and -inf as scores: nothing crosses a border, NaN
 * included. NaN or Inf in q, k or v of a sequence makes NaN in the rows that see it. */
#include "attention.h"
#include "attention_tile.cuh"
#include "attention_wgmma.h"
#include "cuda_check.h"
#include "half.cuh"

static __device__ __forceinline__ void load_matrices(uint32_t (&r)[4], uint32_t addr)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(addr)
                 : "memory");
}
static __device__ __forceinline__ void load_matrices_transposed(uint32_t (&r)[4], uint32_t addr)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(addr)
                 : "memory");
}

template <typename T>
static __device__ __forceinline__ void mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);
template <>
__device__ __forceinline__ void mma<__half>(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
template <>
__device__ __forceinline__ void mma<__nv_bfloat16>(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* What the compiler must know of one kernel. */
template <typename T, int DIM, int HEADS_, int ROW_WARPS_> struct shape {
    using type = T;
    static constexpr int D = DIM, HEADS = HEADS_, ROW_WARPS = ROW_WARPS_;
    static constexpr int K16 = (D + 15) / 16;      /* steps of 16 along the head dimension */
    static constexpr int CHUNKS = K16 * 2;         /* 16-byte chunks of a row in shared memory, */
    static constexpr int SWZ = CHUNKS > 8 ? 8 : CHUNKS; /* swizzled in panels of this many */
    static constexpr int M = VNP_ATTENTION_ROWS / 16 / ROW_WARPS;
    static constexpr int THREADS = 32 * HEADS * ROW_WARPS;
    static constexpr int TILE = 64 * CHUNKS * 16; /* bytes of 64 rows of one head */
    static constexpr int SMEM = 5 * HEADS * TILE;
};

/* Offset of a chunk in one head's tile: panels of 8 chunks, each of 64 rows. */
template <class S> static __device__ __forceinline__ uint32_t chunk_at(int row, int chunk)
{
    return (chunk / S::SWZ) * 64 * S::SWZ * 16 + vnp_swizzle<S::SWZ>(row, chunk % S::SWZ);
}

/* Starts copying 64 rows of HEADS heads; rows from `valid` on become zeros. `src` is the first row's first head. */
template <class S>
static __device__ __forceinline__ void load_tile(uint32_t dst, const typename S::type *src, int64_t stride, int valid,
                                                 int heads)
{
    constexpr int per_head = S::D / 8, per_row = per_head * S::HEADS;
#pragma unroll
    for (int i = threadIdx.x; i < 64 * per_row; i += S::THREADS) {
        const int row = i / per_row, c = i % per_row, head = c / per_head;
        const bool ok = row < valid && head < heads;
        vnp_copy16(dst + head * S::TILE + chunk_at<S>(row, c % per_head), ok ? src + row * stride + c * 8 : src, ok);
    }
}

/* s = q k^T for 16 rows and up to 64 keys; groups of 16 keys from `groups` on are left at zero. */
template <class S>
static __device__ __forceinline__ void scores(float (&s)[8][4], const uint32_t (&q)[S::K16][4], uint32_t keys, int groups)
{
    const int lane = threadIdx.x & 31, row = (lane >> 4) * 8 + (lane & 7), chunk = (lane >> 3) & 1;
#pragma unroll
    for (int g = 0; g < 4; g++) {
#pragma unroll
        for (int e = 0; e < 4; e++)
            s[2 * g][e] = s[2 * g + 1][e] = 0;
        if (g < groups) {
#pragma unroll
            for (int k = 0; k < S::K16; k++) {
                uint32_t b[4];
                load_matrices(b, keys + chunk_at<S>(g * 16 + row, k * 2 + chunk));
                mma<typename S::type>(s[2 * g], q[k], b[0], b[1]);
                mma<typename S::type>(s[2 * g + 1], q[k], b[2], b[3]);
            }
        }
    }
}

/* o += p v for 16 rows; p in the layout that scores() left. */
template <class S>
static __device__ __forceinline__ void weighted(float (&o)[S::D / 8][4], const float (&p)[8][4], uint32_t values, int groups)
{
    using T = typename S::type;
    const int lane = threadIdx.x & 31, row = ((lane >> 3) & 1) * 8 + (lane & 7), chunk = lane >> 4;
#pragma unroll
    for (int g = 0; g < 4; g++) {
        if (g >= groups)
            continue;
        const uint32_t a[4] = {vnp_half<T>::pack(p[2 * g][0], p[2 * g][1]), vnp_half<T>::pack(p[2 * g][2], p[2 * g][3]),
                               vnp_half<T>::pack(p[2 * g + 1][0], p[2 * g + 1][1]),
                               vnp_half<T>::pack(p[2 * g + 1][2], p[2 * g + 1][3])};
#pragma unroll
        for (int n = 0; n < S::K16; n++) {
            uint32_t b[4];
            load_matrices_transposed(b, values + chunk_at<S>(g * 16 + row, n * 2 + chunk));
            mma<T>(o[2 * n], a, b[0], b[1]);
            if (2 * n + 1 < S::D / 8)
                mma<T>(o[2 * n + 1], a, b[2], b[3]);
        }
    }
}

/* The warp's 16 rows of o over their sums, through its own rows of the q tile, to global memory in whole lines. */
template <class S>
static __device__ __forceinline__ void store(typename S::type *out, int64_t stride, const float (&o)[S::D / 8][4],
                                             const float (&sum)[2], uint8_t *q, int row0, int rows)
{
    using T = typename S::type;
    const int lane = threadIdx.x & 31;
    const float inv[2] = {1 / vnp_quad_sum(sum[0]), 1 / vnp_quad_sum(sum[1])};
#pragma unroll
    for (int n = 0; n < S::D / 8; n++)
#pragma unroll
        for (int r = 0; r < 2; r++)
            *reinterpret_cast<uint32_t *>(q + chunk_at<S>(row0 + lane / 4 + 8 * r, n) + (lane & 3) * 4) =
                vnp_half<T>::pack(o[n][2 * r] * inv[r], o[n][2 * r + 1] * inv[r]);
    __syncwarp();
    for (int i = lane; i < 16 * (S::D / 8); i += 32) {
        const int row = row0 + i / (S::D / 8), c = i % (S::D / 8);
        if (row < rows)
            *reinterpret_cast<uint4 *>(out + row * stride + c * 8) =
                *reinterpret_cast<const uint4 *>(q + chunk_at<S>(row, c));
    }
}

/* The fourth chunk of a row of head dimension 24 is zero in every tile, for good. */
template <class S> static __device__ __forceinline__ void clear_padding(uint8_t *smem)
{
    if constexpr (S::CHUNKS * 8 != S::D) {
        for (int i = threadIdx.x; i < 5 * S::HEADS * 64; i += S::THREADS)
            *reinterpret_cast<uint4 *>(smem + i / 64 * S::TILE + chunk_at<S>(i % 64, S::CHUNKS - 1)) = make_uint4(0, 0, 0, 0);
    }
}

template <class S>
static __global__ void __launch_bounds__(S::THREADS)
    attention_mma(const typename S::type *__restrict__ qkv, typename S::type *__restrict__ out,
                  const vnp_attention_tile *__restrict__ tiles, int heads)
{
    using T = typename S::type;
    extern __shared__ __align__(128) uint8_t smem[];
    const int groups_of_heads = (heads + S::HEADS - 1) / S::HEADS;
    const vnp_attention_tile tile = tiles[blockIdx.x / groups_of_heads];
    const int head0 = blockIdx.x % groups_of_heads * S::HEADS, heads_here = min(S::HEADS, heads - head0);
    const int64_t width = static_cast<int64_t>(heads) * S::D, stride = 3 * width;
    const int rows = min(VNP_ATTENTION_ROWS, tile.length - tile.query), steps = (tile.length + VNP_KEYS - 1) / VNP_KEYS;
    const int warp = threadIdx.x / 32, lane = threadIdx.x & 31, head = warp / S::ROW_WARPS;
    const int row0 = warp % S::ROW_WARPS * 16 * S::M;
    const T *base = qkv + tile.first * stride + head0 * S::D;
    const uint32_t q_tile = vnp_smem(smem), kv_tile = q_tile + S::HEADS * S::TILE;

    clear_padding<S>(smem);
    load_tile<S>(q_tile, base + tile.query * stride, stride, rows, heads_here);
    load_tile<S>(kv_tile, base + width, stride, tile.length, heads_here);
    load_tile<S>(kv_tile + S::HEADS * S::TILE, base + 2 * width, stride, tile.length, heads_here);
    vnp_copy_commit();

    uint32_t q[S::M][S::K16][4];
    float o[S::M][S::D / 8][4] = {}, top[S::M][2], sum[S::M][2] = {};
#pragma unroll
    for (int m = 0; m < S::M; m++)
        top[m][0] = top[m][1] = -INFINITY;

    for (int step = 0; step < steps; step++) {
        vnp_copy_wait<0>();
        __syncthreads();
        if (step + 1 < steps) {
            const uint32_t next = kv_tile + ((step + 1) & 1) * 2 * S::HEADS * S::TILE;
            const int key = (step + 1) * VNP_KEYS;
            load_tile<S>(next, base + width + key * stride, stride, tile.length - key, heads_here);
            load_tile<S>(next + S::HEADS * S::TILE, base + 2 * width + key * stride, stride, tile.length - key, heads_here);
            vnp_copy_commit();
        }
        if (step == 0) {
#pragma unroll
            for (int m = 0; m < S::M; m++)
#pragma unroll
                for (int k = 0; k < S::K16; k++)
                    load_matrices(q[m][k], q_tile + head * S::TILE +
                                               chunk_at<S>(row0 + m * 16 + (lane & 15), k * 2 + (lane >> 4)));
        }
        const uint32_t keys = kv_tile + (step & 1) * 2 * S::HEADS * S::TILE + head * S::TILE;
        const int valid = tile.length - step * VNP_KEYS, groups = min(4, (valid + 15) / 16);
#pragma unroll
        for (int m = 0; m < S::M; m++) {
            if (row0 + m * 16 >= rows)
                break;
            float s[8][4], scale[2];
            scores<S>(s, q[m], keys, groups);
            vnp_softmax_step(s, valid, top[m], sum[m], scale);
#pragma unroll
            for (int n = 0; n < S::D / 8; n++)
                o[m][n][0] *= scale[0], o[m][n][1] *= scale[0], o[m][n][2] *= scale[1], o[m][n][3] *= scale[1];
            weighted<S>(o[m], s, keys + S::HEADS * S::TILE, groups);
        }
    }
    if (head >= heads_here)
        return;
#pragma unroll
    for (int m = 0; m < S::M; m++)
        if (row0 + m * 16 < rows)
            store<S>(out + (static_cast<int64_t>(tile.first) + tile.query) * width + (head0 + head) * S::D, width, o[m],
                     sum[m], smem + head * S::TILE, row0 + m * 16, rows);
}

template <class S> static void launch(const vnp_attention_params *p, cudaStream_t stream)
{
    const int64_t blocks = p->n_tiles * ((p->heads + S::HEADS - 1) / S::HEADS);
    if (S::SMEM > 48 * 1024)
        CUDA_CHECK(cudaFuncSetAttribute(attention_mma<S>, cudaFuncAttributeMaxDynamicSharedMemorySize, S::SMEM));
    attention_mma<S><<<static_cast<unsigned>(blocks), S::THREADS, S::SMEM, stream>>>(
        static_cast<const typename S::type *>(p->d_qkv), static_cast<typename S::type *>(p->d_out), p->d_tiles, p->heads);
    CUDA_CHECK_LAUNCH();
}

template <typename T> static void launch_mma(const vnp_attention_params *p, cudaStream_t stream)
{
    switch (p->head_dim) {
    case 16:
        launch<shape<T, 16, 2, 4>>(p, stream);
        break;
    case 24:
        launch<shape<T, 24, 2, 4>>(p, stream);
        break;
    case 32:
        launch<shape<T, 32, 2, 4>>(p, stream);
        break;
    case 64:
        launch<shape<T, 64, 1, 4>>(p, stream);
        break;
    default:
        launch<shape<T, 128, 1, 4>>(p, stream);
    }
}

static bool use_wgmma(int head_dim)
{
    int device, major;
    if (head_dim < 64)
        return false;
    CUDA_CHECK(cudaGetDevice(&device));
    CUDA_CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
    return major == 9;
}

extern "C" int vnp_attention_supports(int head_dim)
{
    return head_dim == 16 || head_dim == 24 || head_dim == 32 || head_dim == 64 || head_dim == 128;
}

extern "C" const char *vnp_attention_kernel(vnp_dtype dtype, int head_dim)
{
    if (dtype == VNP_F32)
        return "attention_fp32";
    return use_wgmma(head_dim) ? "attention_wgmma" : "attention_mma";
}

extern "C" void vnp_attention(const vnp_attention_params *p, cudaStream_t stream)
{
    if (p->n_tiles == 0)
        return;
    if (p->dtype == VNP_F32)
        vnp_attention_fp32(p, stream);
    else if (use_wgmma(p->head_dim))
        vnp_attention_wgmma(p, stream);
    else if (p->dtype == VNP_F16)
        launch_mma<__half>(p, stream);
    else
        launch_mma<__nv_bfloat16>(p, stream);
}
