/* What the producer, the consumers and the epilogues of gemm_sm90.cu share: the arguments, what a kernel's template
 * arguments settle, the walk over the tiles, the ring of stages, the places in shared memory. */
#ifndef VNP_GEMM_SM90_TILE_CUH
#define VNP_GEMM_SM90_TILE_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "sm90_ptx.cuh"

namespace
{

enum epilogue { EP_BIAS, EP_GELU, EP_GEGLU, EP_RESIDUAL, EP_NORMED, EP_ROTARY };

struct gemm_args {
    CUtensorMap a, w, out, residual;
    const float *bias;      /* [n] or NULL */
    const float *row_scale; /* [m] or NULL */
    const float *row_shift; /* [m], EP_NORMED */
    const float *gain;      /* [n], EP_NORMED */
    float2 *moments;        /* [m][tiles_n] of out, with a residual; or NULL */
    const int32_t *pos;     /* [m], EP_ROTARY */
    const float *rotary;    /* [positions][head / 2][2], EP_ROTARY */
    float q_scale;
    int m, n, k;
    int tiles_m, tiles_n; /* of a cluster: of 128 rows a block, and of tile_n */
    int group;            /* tiles_m are walked through in bands of this many, for L2 */
};

constexpr int block_threads = 384;
constexpr int skew = 2; /* stages that the second warpgroup starts behind the first */
constexpr int skew_barrier = 1;
constexpr int turn_barrier = 2; /* and the next: it is this warpgroup's turn to multiply */

/* Everything that a kernel's template arguments settle. `in_turn`: each warpgroup has tiles of its own. */
template <class T_, int tile_n_, int ep_, int head_ = 16, bool in_turn_ = false> struct config {
    using T = T_;
    static constexpr int ep = ep_, head = head_;
    static constexpr bool residual = ep == EP_RESIDUAL || ep == EP_NORMED;
    static_assert(tile_n_ % head == 0, "a tile holds whole heads");
    static constexpr bool in_turn = in_turn_;
    static constexpr int slabs = in_turn ? 2 : 1; /* of 64 rows that a warpgroup has of a tile */
    static constexpr int cluster = 2;             /* blocks that share W: neighbours down the rows */
    static constexpr int tile_m = 128, tile_n = tile_n_, tile_k = 64;
    static constexpr int accumulators = tile_n / 2; /* of a slab, in a thread */
    static constexpr int readers = in_turn ? 4 : 8; /* warps of a block that read a stage */
    static constexpr int a_bytes = tile_m * tile_k * 2, w_bytes = tile_n * tile_k * 2;
    static constexpr int stage_bytes = a_bytes + w_bytes;
    static constexpr int chunk = tile_n % 64 ? 32 : 64; /* columns that one bulk copy of a result or a residual has */
    static constexpr int chunks = tile_n / chunk;
    static constexpr int box_bytes = tile_m * chunk * 2;                 /* of the residual, in a stage of the ring */
    static constexpr int stage_boxes = stage_bytes / box_bytes;          /* of them in one stage */
    static constexpr int out_chunk = ep == EP_GEGLU ? chunk / 2 : chunk; /* what becomes of one in the result */
    static constexpr int slot_bytes = 16 * out_chunk * 2; /* a warp's staging area: chunks of its 16 rows */
    static constexpr int slots = in_turn ? chunks : 2;
    static constexpr int staging_bytes = 8 * slots * slot_bytes;
    static constexpr int bias_bytes = tile_n * (ep == EP_NORMED ? 8 : 4); /* and gain; two tiles' worth are kept */
    static constexpr int barrier_bytes = 512;
    static constexpr int rest_bytes = staging_bytes + 2 * bias_bytes + barrier_bytes;
    static constexpr int stages = (232448 - rest_bytes) / stage_bytes;
    static constexpr int shared_bytes = stages * stage_bytes + rest_bytes;
};

struct tile {
    int row, column;
};

/* The t-th tile of a cluster: down the rows of a band first, so that a wave of clusters shares both operands in L2. */
template <class C> __device__ __forceinline__ tile tile_at(const gemm_args &args, int t)
{
    const int band_tiles = args.group * args.tiles_n;
    const int band = t / band_tiles, rest = t - band * band_tiles;
    const int height = min(args.group, args.tiles_m - band * args.group);
    const int column = rest / height;
    return {(band * args.group + rest - column * height) * C::cluster * C::tile_m, column * C::tile_n};
}

/* Position in the ring of stages. */
template <int stages> struct ring {
    int stage = 0;
    uint32_t phase = 0;
    __device__ __forceinline__ void next()
    {
        if (++stage == stages) {
            stage = 0;
            phase ^= 1;
        }
    }
    __device__ __forceinline__ void skip(int steps)
    {
        stage += steps;
        phase ^= stage / stages & 1;
        stage %= stages;
    }
};

/* Shared-memory addresses of this block. */
template <class C> struct layout {
    uint32_t base;
    __device__ __forceinline__ uint32_t a(int stage) const
    {
        return base + stage * C::stage_bytes;
    }
    __device__ __forceinline__ uint32_t w(int stage) const
    {
        return a(stage) + C::a_bytes;
    }
    __device__ __forceinline__ uint32_t staging() const
    {
        return base + C::stages * C::stage_bytes;
    }
    __device__ __forceinline__ uint32_t bias(int buffer) const
    {
        return staging() + C::staging_bytes + buffer * C::bias_bytes;
    }
    __device__ __forceinline__ uint32_t full(int stage) const
    {
        return bias(2) + 8 * stage;
    }
    __device__ __forceinline__ uint32_t empty(int stage) const
    {
        return full(C::stages + stage);
    }
    __device__ __forceinline__ uint32_t bias_full(int buffer) const
    {
        return full(2 * C::stages + buffer);
    }
    __device__ __forceinline__ uint32_t bias_empty(int buffer) const
    {
        return bias_full(2 + buffer);
    }
    __device__ __forceinline__ uint32_t residual_full(int warp, int slot) const /* in_turn */
    {
        return bias_full(4 + warp * C::slots + slot);
    }
    __device__ __forceinline__ uint32_t slot(int warp, int slot) const
    {
        return staging() + (warp * C::slots + slot) * C::slot_bytes;
    }
};

/* What one consumer warp knows about itself. */
struct warp_place {
    int group; /* 0, 1: consumer warpgroup */
    int warp;  /* 0..7 among the consumers */
    int row;   /* its first of 16 rows in the tile, or in a slab of it */
    int lane;
};

/* Hands a stage back to the producers of all blocks of the cluster, for this warp. */
template <class C> __device__ __forceinline__ void release(layout<C> smem, warp_place me, int stage)
{
    if (me.lane < C::cluster)
        mbar_arrive_remote(smem.empty(stage), me.lane);
}

} // namespace

#endif
