/* attention, 16-bit storage, mma.sync: every device from sm_80 on, every head dimension.
 *
 *   out[t, h] = sum_j softmax_j(q[t, h] . k[j, h]) v[j, h]      j over the tokens of t's sequence
 *   with ALiBi: softmax_j(scale q[t, h] . k[j, h] - slope[h] |t - j|)
 *
 * qkv [tokens, 3, heads, D], out [tokens, heads, D], both T = __half or __nv_bfloat16, rows dense, 16-byte aligned.
 * Block: ROW_WARPS x HEADS warps. A tile is ROW_WARPS * 16 * M = 64 query rows of HEADS heads; each warp has one head
 * and M groups of 16 rows. Grid: tiles * ceil(heads / HEADS), heads fastest, so that neighbours read the same rows.
 * Shared memory: q of the tile and two stages of STEPS * 64 keys and values, HEADS * (1 + 4 STEPS) * 64 * ceil16(D) * 2
 * bytes. The sum of a row's probabilities is made by the matrix unit too, as if v had a column of ones.
 * Reads q once, k and v once a tile of 64 rows (the L2 serves all but the first); writes out once.
 * Keys behind the end of the sequence are zeros in shared memory and -inf as scores: nothing crosses a border, NaN
 * included. NaN or Inf in q, k or v of a sequence makes NaN in the rows that see it. */
#include "attention.h"
#include "attention_tile.cuh"
#include "attention_wgmma.h"
#include "cuda_check.h"
#include "half.cuh"
#include "launch.cuh"
#include "target.h"

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

/* c += a b, or c = a b; and the storage type's 1 twice, for sums of rows. */
template <typename T> struct matrix_unit;
#define MMA(type, c, a, b0, b1)                                                                                        \
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." type "." type ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, " \
                 "{%0,%1,%2,%3};"                                                                                      \
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                                      \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1))
#define MMA_FIRST(type, c, a, b0, b1)                                                                                  \
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." type "." type ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, " \
                 "{%10,%10,%10,%10};"                                                                                  \
                 : "=f"(c[0]), "=f"(c[1]), "=f"(c[2]), "=f"(c[3])                                                      \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "f"(0.0f))
template <> struct matrix_unit<__half> {
    static constexpr uint32_t ones = 0x3c003c00;
    static __device__ __forceinline__ void add(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
    {
        MMA("f16", c, a, b0, b1);
    }
    static __device__ __forceinline__ void set(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
    {
        MMA_FIRST("f16", c, a, b0, b1);
    }
};
template <> struct matrix_unit<__nv_bfloat16> {
    static constexpr uint32_t ones = 0x3f803f80;
    static __device__ __forceinline__ void add(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
    {
        MMA("bf16", c, a, b0, b1);
    }
    static __device__ __forceinline__ void set(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
    {
        MMA_FIRST("bf16", c, a, b0, b1);
    }
};

/* What the compiler must know of one kernel. */
template <typename T, int DIM, int HEADS_, int ROW_WARPS_, int STEPS_, int BLOCKS_> struct shape {
    using type = T;
    static constexpr int D = DIM, HEADS = HEADS_, ROW_WARPS = ROW_WARPS_;
    static constexpr int STEPS = STEPS_;                /* of 64 keys in a stage */
    static constexpr int BLOCKS = BLOCKS_;              /* of a multiprocessor, to bound the registers */
    static constexpr int K16 = (D + 15) / 16;           /* steps of 16 along the head dimension */
    static constexpr int CHUNKS = K16 * 2;              /* 16-byte chunks of a row in shared memory, */
    static constexpr int SWZ = CHUNKS > 8 ? 8 : CHUNKS; /* swizzled in panels of this many */
    static constexpr int M = VNP_ATTENTION_ROWS / 16 / ROW_WARPS;
    static constexpr int THREADS = 32 * HEADS * ROW_WARPS;
    static constexpr int TILE = 64 * CHUNKS * 16; /* bytes of 64 rows of one head */
    static constexpr int TILES = HEADS * TILE;    /* of all heads */
    static constexpr int SMEM = (1 + 4 * STEPS) * TILES;
};

/* Offset of a chunk in one head's tile: panels of 8 chunks, each of 64 rows. */
template <class S> static __device__ __forceinline__ uint32_t chunk_at(int row, int chunk)
{
    return (chunk / S::SWZ) * 64 * S::SWZ * 16 + vnp_swizzle<S::SWZ>(row, chunk % S::SWZ);
}

/* A thread's part in loading tiles of 64 rows of HEADS heads: one 16-byte chunk of every PASS-th row. */
template <class S> struct loader {
    static constexpr int PER_HEAD = S::D / 8, PER_ROW = PER_HEAD * S::HEADS;
    static constexpr int PASSES = (64 * PER_ROW + S::THREADS - 1) / S::THREADS, PASS = 64 / PASSES;
    static_assert(PASS % 8 == 0, "rows of a thread share their swizzle");
    using T = typename S::type;
    int row;      /* the first of them; far beyond any tile for threads without a part */
    uint32_t to;  /* its place in a tile */
    int64_t from; /* its offset from the tile's first element */

    /* heads: how many there are from the tile's first one on; those behind it stay what they are. */
    __device__ __forceinline__ loader(int64_t stride, int heads)
    {
        const int c = threadIdx.x % PER_ROW, head = c / PER_HEAD;
        row = threadIdx.x / PER_ROW;
        to = head * S::TILE + chunk_at<S>(row, c % PER_HEAD);
        from = row * stride + c * 8;
        if (row >= PASS || head >= heads)
            row = 1 << 30;
    }
    /* Starts the copy; rows from `valid` on become zeros, those that no group of 16 reaches are left alone. */
    __device__ __forceinline__ void start(uint32_t dst, const T *src, int64_t stride, int valid) const
    {
        const T *at = src + from;
#pragma unroll
        for (int i = 0; i < 64; i += PASS, at += PASS * stride)
            if (row + i < valid + 15)
                vnp_copy16(dst + to + i * S::SWZ * 16, at, row + i < valid);
    }
    /* A stage: keys and values from `key` on. src: the sequence's first key. */
    __device__ __forceinline__ void stage(uint32_t dst, const T *src, int64_t stride, int64_t width, int key,
                                          int length) const
    {
#pragma unroll
        for (int i = 0; i < S::STEPS; i++, key += VNP_KEYS) {
            if (key >= length)
                break;
            start(dst + 2 * i * S::TILES, src + key * stride, stride, length - key);
            start(dst + (2 * i + 1) * S::TILES, src + key * stride + width, stride, length - key);
        }
        vnp_copy_commit();
    }
};

/* Where this lane's rows of a tile are, for keys and for values: groups of 16 rows share the swizzle, so that a group
 * more is a constant more. */
template <class S> struct lane_offsets {
    uint32_t key[S::K16], value[S::K16];
    static constexpr uint32_t GROUP = 16 * S::SWZ * 16;

    __device__ __forceinline__ lane_offsets()
    {
        const int lane = threadIdx.x & 31;
#pragma unroll
        for (int k = 0; k < S::K16; k++) {
            key[k] = chunk_at<S>((lane >> 4) * 8 + (lane & 7), k * 2 + ((lane >> 3) & 1));
            value[k] = chunk_at<S>(((lane >> 3) & 1) * 8 + (lane & 7), k * 2 + (lane >> 4));
        }
    }
};

/* What a warp knows of 16 of its rows. */
template <class S> struct rows_state {
    uint32_t q[S::K16][4];
    float o[S::D / 8][4], sum[4], top[2] = {-INFINITY, -INFINITY};
};

/* How a warp's scores are finished: for its head, from the first of 16 rows and the first key in the sequence. */
template <class Scores> struct bias_at {
    Scores scores;
    float slope;
    int row, key;
};

/* 16 rows meet GROUPS groups of 16 keys, of which those from `valid` on don't count. */
template <class S, int GROUPS, class Scores>
static __device__ __forceinline__ void meet(rows_state<S> &r, const lane_offsets<S> &at, uint32_t keys, int valid,
                                            const bias_at<Scores> &bias)
{
    using unit = matrix_unit<typename S::type>;
    using half = vnp_half<typename S::type>;
    float s[2 * GROUPS][4], scale[2];
    const uint32_t values = keys + S::TILES;
#pragma unroll
    for (int g = 0; g < GROUPS; g++)
#pragma unroll
        for (int k = 0; k < S::K16; k++) {
            uint32_t b[4];
            load_matrices(b, keys + at.key[k] + g * at.GROUP);
            if (k == 0) {
                unit::set(s[2 * g], r.q[k], b[0], b[1]);
                unit::set(s[2 * g + 1], r.q[k], b[2], b[3]);
            } else {
                unit::add(s[2 * g], r.q[k], b[0], b[1]);
                unit::add(s[2 * g + 1], r.q[k], b[2], b[3]);
            }
        }
    bias.scores.finish(s, bias.slope, bias.row, bias.key);
    vnp_softmax_step<2 * GROUPS>(s, valid, bias.scores.unit(), r.top, scale);
#pragma unroll
    for (int n = 0; n < S::D / 8; n++)
        r.o[n][0] *= scale[0], r.o[n][1] *= scale[0], r.o[n][2] *= scale[1], r.o[n][3] *= scale[1];
    r.sum[0] *= scale[0], r.sum[2] *= scale[1];
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
        const uint32_t a[4] = {half::pack(s[2 * g][0], s[2 * g][1]), half::pack(s[2 * g][2], s[2 * g][3]),
                               half::pack(s[2 * g + 1][0], s[2 * g + 1][1]),
                               half::pack(s[2 * g + 1][2], s[2 * g + 1][3])};
        unit::add(r.sum, a, unit::ones, unit::ones);
#pragma unroll
        for (int n = 0; n < S::K16; n++) {
            uint32_t b[4];
            load_matrices_transposed(b, values + at.value[n] + g * at.GROUP);
            unit::add(r.o[2 * n], a, b[0], b[1]);
            if (2 * n + 1 < S::D / 8)
                unit::add(r.o[2 * n + 1], a, b[2], b[3]);
        }
    }
}

/* The same for the keys of a step, of which `valid` count: no more groups than hold one of them. */
template <class S, class Scores>
static __device__ __forceinline__ void meet_step(rows_state<S> &r, const lane_offsets<S> &at, uint32_t keys, int valid,
                                                 const bias_at<Scores> &bias)
{
    if (valid > 48)
        meet<S, 4>(r, at, keys, valid, bias);
    else if (valid > 32)
        meet<S, 3>(r, at, keys, valid, bias);
    else if (valid > 16)
        meet<S, 2>(r, at, keys, valid, bias);
    else
        meet<S, 1>(r, at, keys, valid, bias);
}

/* The warp's 16 rows of q from `row0` on. */
template <class S> static __device__ __forceinline__ void load_queries(rows_state<S> &r, uint32_t q, int row0)
{
    const int lane = threadIdx.x & 31;
#pragma unroll
    for (int k = 0; k < S::K16; k++)
        load_matrices(r.q[k], q + chunk_at<S>(row0 + (lane & 15), k * 2 + (lane >> 4)));
}

/* The warp's 16 rows of o over their sums, through its own rows of the q tile, to global memory in whole lines. */
template <class S>
static __device__ __forceinline__ void store(typename S::type *out, int64_t stride, const float (&o)[S::D / 8][4],
                                             const float (&sum)[4], uint8_t *q, int row0, int rows)
{
    using T = typename S::type;
    const int lane = threadIdx.x & 31;
    const float inv[2] = {1 / sum[0], 1 / sum[2]};
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
        for (int i = threadIdx.x; i < S::SMEM / S::TILE * 64; i += S::THREADS)
            *reinterpret_cast<uint4 *>(smem + i / 64 * S::TILE + chunk_at<S>(i % 64, S::CHUNKS - 1)) =
                make_uint4(0, 0, 0, 0);
    }
}

template <class S, class Scores>
static __global__ void __launch_bounds__(S::THREADS, S::BLOCKS)
    attention_mma(const typename S::type *__restrict__ qkv, typename S::type *__restrict__ out,
                  const vnp_attention_tile *__restrict__ tiles, int heads, Scores scores)
{
    using T = typename S::type;
    extern __shared__ __align__(128) uint8_t smem[];
    const int groups_of_heads = (heads + S::HEADS - 1) / S::HEADS;
    vnp_let_next_start();
    vnp_await_results();
    const vnp_attention_tile tile = tiles[blockIdx.x / groups_of_heads];
    const int head0 = blockIdx.x % groups_of_heads * S::HEADS, heads_here = min(S::HEADS, heads - head0);
    const int64_t width = static_cast<int64_t>(heads) * S::D, stride = 3 * width;
    const int rows = min(VNP_ATTENTION_ROWS, tile.length - tile.query);
    const int warp = threadIdx.x / 32, head = warp / S::ROW_WARPS;
    const int row0 = warp % S::ROW_WARPS * 16 * S::M;
    const T *base = qkv + tile.first * stride + head0 * S::D;
    const uint32_t q_tile = vnp_smem(smem), kv_tile = q_tile + S::TILES;

    clear_padding<S>(smem);
    const loader<S> load(stride, heads_here);
    load.start(q_tile, base + tile.query * stride, stride, rows);
    load.stage(kv_tile, base + width, stride, width, 0, tile.length);

    const lane_offsets<S> at;
    rows_state<S> r[S::M] = {};
    const float slope = scores.slope(min(head0 + head, heads - 1));
    for (int step = 0; step * VNP_KEYS < tile.length; step++) {
        const int stage = step / S::STEPS;
        if (step % S::STEPS == 0) {
            vnp_copy_wait<0>();
            __syncthreads();
            const int next = (stage + 1) * S::STEPS * VNP_KEYS;
            if (next < tile.length)
                load.stage(kv_tile + ((stage + 1) & 1) * 2 * S::STEPS * S::TILES, base + width, stride, width, next,
                           tile.length);
        }
        if (step == 0) {
#pragma unroll
            for (int m = 0; m < S::M; m++)
                load_queries<S>(r[m], q_tile + head * S::TILE, row0 + m * 16);
        }
        const uint32_t keys = kv_tile + ((stage & 1) * S::STEPS + step % S::STEPS) * 2 * S::TILES + head * S::TILE;
        const int valid = tile.length - step * VNP_KEYS;
#pragma unroll
        for (int m = 0; m < S::M; m++) {
            if (row0 + m * 16 >= rows)
                break;
            const bias_at<Scores> bias = {scores, slope, tile.query + row0 + m * 16, step * VNP_KEYS};
            meet_step<S>(r[m], at, keys, valid, bias);
        }
    }
    if (head >= heads_here)
        return;
#pragma unroll
    for (int m = 0; m < S::M; m++)
        if (row0 + m * 16 < rows)
            store<S>(out + (static_cast<int64_t>(tile.first) + tile.query) * width + (head0 + head) * S::D, width,
                     r[m].o, r[m].sum, smem + head * S::TILE, row0 + m * 16, rows);
}

template <class S, class Scores> static void launch(const vnp_attention_params *p, Scores scores, cudaStream_t stream)
{
    const int64_t blocks = p->work.tiles * ((p->heads + S::HEADS - 1) / S::HEADS);
    if (S::SMEM > 48 * 1024)
        CUDA_CHECK(
            cudaFuncSetAttribute(attention_mma<S, Scores>, cudaFuncAttributeMaxDynamicSharedMemorySize, S::SMEM));
    CUDA_CHECK(vnp_launch(vnp_attention_is_brief(p), attention_mma<S, Scores>, static_cast<unsigned>(blocks),
                          S::THREADS, S::SMEM, stream, static_cast<const typename S::type *>(p->d_qkv),
                          static_cast<typename S::type *>(p->d_out), p->d_tiles, p->heads, scores));
}

template <typename T, class Scores>
static void by_dimension(const vnp_attention_params *p, Scores scores, cudaStream_t stream)
{
    switch (p->head_dim) {
    case 16:
        launch<shape<T, 16, 1, 4, 1, 8>>(p, scores, stream);
        break;
    case 24:
        launch<shape<T, 24, 1, 4, 1, 6>>(p, scores, stream);
        break;
    case 32:
        launch<shape<T, 32, 1, 4, 1, 6>>(p, scores, stream);
        break;
    case 64:
        launch<shape<T, 64, 1, 4, 1, 4>>(p, scores, stream);
        break;
    default:
        launch<shape<T, 128, 1, 4, 1, 2>>(p, scores, stream);
    }
}

template <typename T> static void launch_mma(const vnp_attention_params *p, cudaStream_t stream)
{
    if (p->d_slopes != nullptr)
        by_dimension<T>(p, vnp_alibi_scores(p), stream);
    else
        by_dimension<T>(p, vnp_scores{}, stream);
}

static bool use_wgmma(int head_dim)
{
    return head_dim >= 64 && vnp_target() == 90;
}

extern "C" int vnp_attention_supports(int head_dim)
{
    return head_dim == 16 || head_dim == 24 || head_dim == 32 || head_dim == 64 || head_dim == 128;
}

extern "C" const char *vnp_attention_kernel(vnp_dtype dtype, int head_dim)
{
    if (dtype == VNP_F32)
        return "attention_fp32";
    if (!use_wgmma(head_dim))
        return "attention_mma";
    return head_dim == 64 ? "attention_wgmma, attention_whole" : "attention_wgmma";
}

extern "C" void vnp_attention(const vnp_attention_params *p, cudaStream_t stream)
{
    if (p->work.tiles == 0)
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
