/* attention, 16-bit storage, wgmma: Hopper (sm_90a), head dimensions 64 and 128.
 *
 *   out[t, h] = sum_j softmax_j(q[t, h] . k[j, h]) v[j, h]      j over the tokens of t's sequence
 *   with ALiBi: softmax_j(scale q[t, h] . k[j, h] - slope[h] |t - j|)
 *
 * qkv [tokens, 3, heads, D], out [tokens, heads, D], both T = __half or __nv_bfloat16, rows dense, 16-byte aligned.
 * Block: one warpgroup, 64 query rows of one head. Grid: n_tiles * heads, heads fastest.
 * Shared memory: q of the tile and two stages of 64 keys and values, 5 * 64 * D * 2 bytes in panels of 64 dimensions
 * with the 128-byte swizzle: the matrix unit reads k and v there once for all 64 rows, which is what mma.sync can't.
 * Reads q once, k and v once a tile of 64 rows (the L2 serves all but the first); writes out once.
 * Keys behind the end of the sequence are zeros in shared memory and -inf as scores: nothing crosses a border, NaN
 * included. NaN or Inf in q, k or v of a sequence makes NaN in the rows that see it. */
#include "attention_tile.cuh"
#include "attention_wgmma.h"
#include "cuda_check.h"
#include "half.cuh"
#include "launch.cuh"

/* For other targets the kernel is empty, and vnp_attention() never launches it there. */
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define PANEL (64 * 128) /* bytes of 64 rows x 64 dimensions */

/* A panel as a matrix operand. The two strides, in bytes: between groups of eight rows 1024; between panels PANEL. */
static __device__ __forceinline__ uint64_t descriptor(uint32_t addr)
{
    return (addr & 0x3ffff) >> 4 | static_cast<uint64_t>(PANEL >> 4) << 16 | static_cast<uint64_t>(1024 >> 4) << 32 |
           static_cast<uint64_t>(1) << 62;
}

#define ACC(c)                                                                                                         \
    "+f"(c[0][0]), "+f"(c[0][1]), "+f"(c[0][2]), "+f"(c[0][3]), "+f"(c[1][0]), "+f"(c[1][1]), "+f"(c[1][2]),           \
        "+f"(c[1][3]), "+f"(c[2][0]), "+f"(c[2][1]), "+f"(c[2][2]), "+f"(c[2][3]), "+f"(c[3][0]), "+f"(c[3][1]),       \
        "+f"(c[3][2]), "+f"(c[3][3]), "+f"(c[4][0]), "+f"(c[4][1]), "+f"(c[4][2]), "+f"(c[4][3]), "+f"(c[5][0]),       \
        "+f"(c[5][1]), "+f"(c[5][2]), "+f"(c[5][3]), "+f"(c[6][0]), "+f"(c[6][1]), "+f"(c[6][2]), "+f"(c[6][3]),       \
        "+f"(c[7][0]), "+f"(c[7][1]), "+f"(c[7][2]), "+f"(c[7][3])
#define ACC_LIST                                                                                                       \
    "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,"  \
    "%30,%31}"
/* c[64 x 64] (+)= A B: A and B from shared memory, both with the summed dimension contiguous; */
#define WGMMA_SS(type, c, a, b, add)                                                                                   \
    asm volatile("{.reg .pred p; setp.ne.b32 p, %34, 0;\n"                                                             \
                 "wgmma.mma_async.sync.aligned.m64n64k16.f32." type "." type " " ACC_LIST                              \
                 ", %32, %33, p, 1, 1, 0, 0;}"                                                                         \
                 : ACC(c)                                                                                              \
                 : "l"(a), "l"(b), "r"(add))
/* or A from registers and B with the summed dimension in rows. */
#define WGMMA_RS(type, c, a, b)                                                                                        \
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32." type "." type " " ACC_LIST                              \
                 ", {%32,%33,%34,%35}, %36, 1, 1, 1, 1;"                                                               \
                 : ACC(c)                                                                                              \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))

template <typename T> struct matrix_unit;
template <> struct matrix_unit<__half> {
    static __device__ __forceinline__ void ss(float (&c)[8][4], uint64_t a, uint64_t b, int add)
    {
        WGMMA_SS("f16", c, a, b, add);
    }
    static __device__ __forceinline__ void rs(float (&c)[8][4], const uint32_t (&a)[4], uint64_t b)
    {
        WGMMA_RS("f16", c, a, b);
    }
};
template <> struct matrix_unit<__nv_bfloat16> {
    static __device__ __forceinline__ void ss(float (&c)[8][4], uint64_t a, uint64_t b, int add)
    {
        WGMMA_SS("bf16", c, a, b, add);
    }
    static __device__ __forceinline__ void rs(float (&c)[8][4], const uint32_t (&a)[4], uint64_t b)
    {
        WGMMA_RS("bf16", c, a, b);
    }
};

/* Nothing may move across these: the matrix unit works on the registers meanwhile. */
static __device__ __forceinline__ void wgmma_begin(void)
{
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
static __device__ __forceinline__ void wgmma_end(void)
{
    asm volatile("wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;" ::: "memory");
}

/* A thread's part in loading tiles of 64 rows of one head: one 16-byte chunk of every PASS-th row. */
template <typename T, int D> struct loader {
    static constexpr int CHUNKS = D / 8, PASS = 128 / CHUNKS;
    int row;      /* the first of them */
    uint32_t to;  /* its place in a tile */
    int64_t from; /* its offset from the tile's first element */

    __device__ __forceinline__ loader(int64_t stride)
    {
        const int c = threadIdx.x % CHUNKS;
        row = threadIdx.x / CHUNKS;
        to = c / 8 * PANEL + vnp_swizzle<8>(row, c % 8); /* PASS is a multiple of 8: the swizzle is that of every row */
        from = row * stride + c * 8;
    }
    /* Starts the copy; rows from `valid` on become zeros. */
    __device__ __forceinline__ void start(uint32_t dst, const T *src, int64_t stride, int valid) const
    {
        static_assert(PASS % 8 == 0, "rows of a thread share their swizzle");
        const T *at = src + from;
#pragma unroll
        for (int i = 0; i < 64; i += PASS, at += PASS * stride)
            vnp_copy16(dst + to + i * 128, at, row + i < valid);
    }
};

/* The warp's 16 rows of o over their sums, through its own rows of the q tile, to global memory in whole lines. */
template <typename T, int D>
static __device__ __forceinline__ void store(T *out, int64_t stride, const float (&o)[D / 64][8][4],
                                             const float (&sum)[2], uint8_t *q, int rows)
{
    const int lane = threadIdx.x & 31, row0 = threadIdx.x / 32 * 16;
    const float inv[2] = {1 / vnp_quad_sum(sum[0]), 1 / vnp_quad_sum(sum[1])};
#pragma unroll
    for (int n = 0; n < D / 8; n++)
#pragma unroll
        for (int r = 0; r < 2; r++)
            *reinterpret_cast<uint32_t *>(q + n / 8 * PANEL + vnp_swizzle<8>(row0 + lane / 4 + 8 * r, n % 8) +
                                          (lane & 3) * 4) =
                vnp_half<T>::pack(o[n / 8][n % 8][2 * r] * inv[r], o[n / 8][n % 8][2 * r + 1] * inv[r]);
    __syncwarp();
#pragma unroll
    for (int i = lane; i < 16 * (D / 8); i += 32) {
        const int row = row0 + i / (D / 8), c = i % (D / 8);
        if (row < rows)
            *reinterpret_cast<uint4 *>(out + row * stride + c * 8) =
                *reinterpret_cast<const uint4 *>(q + c / 8 * PANEL + vnp_swizzle<8>(row, c % 8));
    }
}

/* This lane's share of each row's sum. */
static __device__ __forceinline__ void add_exponentials(const float (&p)[8][4], float (&sum)[2],
                                                        const float (&scale)[2])
{
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float even = 0, odd = 0;
#pragma unroll
        for (int j = 0; j < 8; j++)
            even += p[j][2 * r], odd += p[j][2 * r + 1];
        sum[r] = fmaf(sum[r], scale[r], even + odd);
    }
}

/* o's two rows of this lane by their scales, unless these are 1 in all lanes: then the same values without the work. */
template <int D> static __device__ __forceinline__ void scale_rows(float (&o)[D / 64][8][4], const float (&scale)[2])
{
    if (__any_sync(~0u, scale[0] != 1 || scale[1] != 1)) {
#pragma unroll
        for (int n = 0; n < D / 8; n++) {
            float *c = o[n / 8][n % 8];
            c[0] *= scale[0], c[1] *= scale[0], c[2] *= scale[1], c[3] *= scale[1];
        }
    }
}

/* The softmax's weights as wgmma's operand in registers: four groups of 16 keys. */
template <typename T> static __device__ __forceinline__ void pack_weights(uint32_t (&p)[4][4], const float (&s)[8][4])
{
#pragma unroll
    for (int g = 0; g < 4; g++)
#pragma unroll
        for (int e = 0; e < 4; e++)
            p[g][e] = vnp_half<T>::pack(s[2 * g + e / 2][e % 2 * 2], s[2 * g + e / 2][e % 2 * 2 + 1]);
}

template <typename T, int D, class Scores>
static __device__ __forceinline__ void run(const T *qkv, T *out, const vnp_attention_tile tile, int head, int heads,
                                           Scores scores, uint8_t *smem)
{
    constexpr int panels = D / 64, bytes = panels * PANEL;
    const int64_t width = static_cast<int64_t>(heads) * D, stride = 3 * width;
    const int rows = min(VNP_ATTENTION_ROWS, tile.length - tile.query), steps = (tile.length + VNP_KEYS - 1) / VNP_KEYS;
    const bool active = static_cast<int>(threadIdx.x / 32 * 16) < rows;
    const T *base = qkv + tile.first * stride + head * D;
    const uint32_t q = vnp_smem(smem), kv = q + bytes;
    const float slope = scores.slope(head);
    const loader<T, D> load(stride);
    const auto fetch = [&](int step) { /* its keys and values */
        const uint32_t to = kv + (step & 1) * 2 * bytes;
        const T *from = base + width + step * VNP_KEYS * stride;
        load.start(to, from, stride, tile.length - step * VNP_KEYS);
        load.start(to + bytes, from + width, stride, tile.length - step * VNP_KEYS);
        vnp_copy_commit();
    };
    load.start(q, base + tile.query * stride, stride, rows);
    fetch(0);
    if (steps > 1)
        fetch(1);

    float o[panels][8][4] = {}, top[2] = {-INFINITY, -INFINITY}, sum[2] = {};
    for (int step = 0; step < steps; step++) {
        if (step == 0 && steps > 1)
            vnp_copy_wait<1>();
        else
            vnp_copy_wait<0>();
        asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
        __syncthreads();
        const uint32_t k = kv + (step & 1) * 2 * bytes, v = k + bytes;
        if (step > 0 && step + 1 < steps)
            fetch(step + 1); /* where the step before lay: all warps are through with it */
        float s[8][4], scale[2];
        wgmma_begin();
#pragma unroll
        for (int i = 0; i < D / 16; i++) {
            const uint32_t at = i / 4 * PANEL + i % 4 * 32;
            matrix_unit<T>::ss(s, descriptor(q + at), descriptor(k + at), i > 0);
        }
        wgmma_end();
        if (active) {
            scores.finish(s, slope, tile.query + static_cast<int>(threadIdx.x / 32 * 16), step * VNP_KEYS);
            vnp_softmax_step<8>(s, tile.length - step * VNP_KEYS, scores.unit(), top, scale);
            add_exponentials(s, sum, scale);
            scale_rows<D>(o, scale);
        }
        uint32_t p[4][4];
        pack_weights<T>(p, s);
        wgmma_begin();
#pragma unroll
        for (int g = 0; g < 4; g++)
#pragma unroll
            for (int n = 0; n < panels; n++)
                matrix_unit<T>::rs(o[n], p[g], descriptor(v + n * PANEL + g * 2048));
        wgmma_end();
    }
    if (active)
        store<T, D>(out + (static_cast<int64_t>(tile.first) + tile.query) * width + head * D, width, o, sum, smem,
                    rows);
}

#endif

template <typename T, int D, class Scores>
static __global__ void __launch_bounds__(128, D == 64 ? 5 : 2)
    attention_wgmma(const T *__restrict__ qkv, T *__restrict__ out, const vnp_attention_tile *__restrict__ tiles,
                    int heads, Scores scores)
{
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    extern __shared__ __align__(1024) uint8_t smem[];
    vnp_let_next_start();
    vnp_await_results();
    run<T, D>(qkv, out, tiles[blockIdx.x / heads], blockIdx.x % heads, heads, scores, smem);
#endif
}

template <typename T, int D, class Scores>
static void launch(const vnp_attention_params *p, Scores scores, cudaStream_t stream)
{
    const int smem = 5 * 64 * D * 2;
    if (smem > 48 * 1024)
        CUDA_CHECK(
            cudaFuncSetAttribute(attention_wgmma<T, D, Scores>, cudaFuncAttributeMaxDynamicSharedMemorySize, smem));
    CUDA_CHECK(vnp_launch(vnp_attention_is_brief(p), attention_wgmma<T, D, Scores>,
                          static_cast<unsigned>(p->n_tiles * p->heads), 128, smem, stream,
                          static_cast<const T *>(p->d_qkv), static_cast<T *>(p->d_out), p->d_tiles, p->heads, scores));
}

template <typename T, class Scores>
static void by_dimension(const vnp_attention_params *p, Scores scores, cudaStream_t stream)
{
    p->head_dim == 64 ? launch<T, 64>(p, scores, stream) : launch<T, 128>(p, scores, stream);
}

template <typename T> static void by_scores(const vnp_attention_params *p, cudaStream_t stream)
{
    if (p->d_slopes != nullptr)
        by_dimension<T>(p, vnp_scores_alibi{p->d_slopes, p->scale}, stream);
    else
        by_dimension<T>(p, vnp_scores{}, stream);
}

extern "C" void vnp_attention_wgmma(const vnp_attention_params *p, cudaStream_t stream)
{
    if (p->dtype == VNP_F16)
        by_scores<__half>(p, stream);
    else
        by_scores<__nv_bfloat16>(p, stream);
}
