/* out = epilogue(A x W^T) on Hopper, F16 and BF16.
 *
 *   out[i][j] = epilogue(sum over t of A[i][t] * W[j][t] + bias[j])       (gemm.h: shapes, types, epilogues)
 *
 * A [m][k], W [n][k], out and residual [m][n], row-major, 16-byte aligned, n and k multiples of 8; sums in FP32 by
 * wgmma, in steps of 16 along k in ascending order whatever the tile: every tile shape gives the same bits.
 *
 * Grid: as many clusters of two blocks as the device holds, each walking over every so many-th tile of 256 x tile_n of
 * out. Its blocks have the same columns and neighbouring 128 rows: each loads its A, and half of W for both.
 *
 * Block: a producer thread (copy engine) and two consumer warpgroups. A ring of stages of 64 columns of k joins them;
 * the producer runs ahead into the next tile while this one's epilogue is worked on. The warpgroups have a tile
 * together, 64 rows x tile_n each (the second starts a little later), or every second tile in turn, 128 x tile_n: then
 * one finishes and stores a tile while the other multiplies the next, and the matrix units never wait for an epilogue;
 * but a tile has fewer columns, as all its sums are in one warpgroup's registers.
 *
 * Shared memory: stages x (128 + tile_n) x 128 B, two chunks (in turn: all) of 16 rows a consumer warp to store from,
 * two tiles' bias (and gain).
 *
 * Reads per cluster and tile: (256 + tile_n) x k x 2 B, from L2 but for the first use, and the residual once; writes
 * 256 x tile_n x 2 B by bulk copies (a gate: half as many), and 8 B of moments a row.
 *
 * Rows past m and columns past n: the copy engine reads zeros there and writes nothing. NaN passes through. */
#include "gemm_impl.h"

#include <atomic>
#include <cudaTypedefs.h>

#include "gemm_sm90_epilogue.cuh"
#include "launch.cuh"
#include "sm90_wgmma.cuh"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900 /* where the kernels below are empty */
#define VNP_CLUSTER(blocks)
#else
#define VNP_CLUSTER(blocks) __cluster_dims__(blocks)
#endif

namespace
{

/* The bias of a tile's columns, and their gain, into the buffer that the last tile but one has left. */
template <class C>
__device__ __forceinline__ void fetch_bias(const gemm_args &args, layout<C> smem, int column, const ring<2> &b)
{
    const int bytes = min(C::tile_n, args.n - column) * 4;
    mbar_wait(smem.bias_empty(b.stage), b.phase ^ 1);
    mbar_expect(smem.bias_full(b.stage), C::ep == EP_NORMED ? 2 * bytes : bytes);
    bulk_load(smem.bias(b.stage), args.bias + column, bytes, smem.bias_full(b.stage));
    if (C::ep == EP_NORMED)
        bulk_load(smem.bias(b.stage) + C::tile_n * 4, args.gain + column, bytes, smem.bias_full(b.stage));
}

/* The tile's residual, in stages that follow those of its sums. */
template <class C>
__device__ __forceinline__ void fetch_residual(const gemm_args &args, layout<C> smem, ring<C::stages> &r, int row,
                                               int column)
{
    for (int first = 0; first < C::chunks; first += C::stage_boxes) {
        const int boxes = min(C::stage_boxes, C::chunks - first);
        mbar_wait(smem.empty(r.stage), r.phase ^ 1);
        mbar_expect(smem.full(r.stage), boxes * C::box_bytes);
        for (int i = 0; i < boxes; i++)
            tma_load(smem.a(r.stage) + i * C::box_bytes, &args.residual, column + (first + i) * C::chunk, row,
                     smem.full(r.stage));
        r.next();
    }
}

/* One thread: fills the ring, stage after stage, tile after tile. */
template <class C> __device__ __forceinline__ void produce(const gemm_args &args, layout<C> smem, int rank)
{
    constexpr int share = C::tile_n / C::cluster; /* rows of W that this block fetches for all */
    const int clusters = gridDim.x / C::cluster, tiles = args.tiles_m * args.tiles_n;
    const int steps = (args.k + C::tile_k - 1) / C::tile_k;
    ring<C::stages> r;
    ring<2> b;
    for (int t = blockIdx.x / C::cluster; t < tiles; t += clusters) {
        const tile at = tile_at<C>(args, t);
        const int row = at.row + rank * C::tile_m, column = at.column + rank * share;
        if (args.bias != nullptr)
            fetch_bias<C>(args, smem, at.column, b);
        b.next();
        for (int step = 0; step < steps; step++) {
            mbar_wait(smem.empty(r.stage), r.phase ^ 1);
            mbar_expect(smem.full(r.stage), C::stage_bytes);
            tma_load(smem.a(r.stage), &args.a, step * C::tile_k, row, smem.full(r.stage));
            tma_load_multicast(smem.w(r.stage) + rank * share * C::tile_k * 2, &args.w, step * C::tile_k, column,
                               smem.full(r.stage), (1 << C::cluster) - 1);
            r.next();
        }
        if (C::residual && !C::in_turn)
            fetch_residual<C>(args, smem, r, row, at.column);
    }
}

/* A matrix in shared memory, 64 columns wide with the 128-byte swizzle: 1024 bytes from eight rows to the next eight.
 */
[[maybe_unused]] __device__ __forceinline__ uint64_t descriptor(uint32_t address)
{
    return (uint64_t)((address & 0x3ffff) >> 4) | 1ull << 16 | (uint64_t)(1024 >> 4) << 32 | 1ull << 62;
}

/* Steps `begin` to `end` of a tile's sums, acc += A x W^T over 64 columns of k each. A stage is handed back as soon as
 * it has been read; that of the last step, in `last`, is still being multiplied. */
template <class C>
__device__ __forceinline__ void accumulate(float (&acc)[C::slabs][C::accumulators], layout<C> smem, warp_place me,
                                           ring<C::stages> &r, int &last, int begin, int end)
{
    constexpr int slab_bytes = C::a_bytes / 2;
    for (int step = begin; step < end; step++) {
        mbar_wait(smem.full(r.stage), r.phase);
        const uint64_t a = descriptor(smem.a(r.stage) + (C::in_turn ? 0 : me.group * slab_bytes)),
                       w = descriptor(smem.w(r.stage));
        wgmma_fence();
#pragma unroll
        for (int i = 0; i < C::tile_k / 16; i++)
#pragma unroll
            for (int s = 0; s < C::slabs; s++)
                wgmma<typename C::T>(acc[s], a + s * (slab_bytes >> 4) + 2 * i, w + 2 * i, step | i);
        wgmma_commit();
        if (step > 0) {
            wgmma_wait<1>();
            release(smem, me, last);
        }
        last = r.stage;
        r.next();
    }
}

/* From sums to memory. The bias's buffer is handed back. */
template <class C>
__device__ __forceinline__ void finish(float (&acc)[C::slabs][C::accumulators], const float4 (&turn)[C::head / 16][2],
                                       const row_factor (&factor)[C::slabs][2], const gemm_args &args, layout<C> smem,
                                       ring<C::stages> &r, const ring<2> &b, warp_place me, tile at)
{
    if (args.bias != nullptr)
        mbar_wait(smem.bias_full(b.stage), b.phase);
#pragma unroll
    for (int s = 0; s < C::slabs; s++) {
        const tile slab = {at.row + 64 * s, at.column};
        if constexpr (C::ep == EP_ROTARY)
            rotate_tile<C>(acc[s], turn, factor[s], args, smem.bias(b.stage), me, slab);
        store_tile<C>(acc[s], factor[s], args, smem, r, smem.bias(b.stage), me, slab, s);
    }
    __syncwarp();
    if (me.lane == 0)
        mbar_arrive(smem.bias_empty(b.stage));
}

/* A consumer warpgroup: sums and finishes its 64 rows of each of the cluster's tiles. */
template <class C> __device__ __forceinline__ void consume(const gemm_args &args, layout<C> smem, int rank)
{
    const int warp = __shfl_sync(0xffffffff, (int)threadIdx.x / 32 - 4, 0); /* the same in all lanes, and known to be */
    const warp_place me = {warp / 4, warp, 16 * warp, (int)threadIdx.x % 32};
    const int clusters = gridDim.x / C::cluster, tiles = args.tiles_m * args.tiles_n;
    const int steps = (args.k + C::tile_k - 1) / C::tile_k;
    float acc[C::slabs][C::accumulators];
    ring<C::stages> r;
    ring<2> b;
    int pause =
        me.group == 0 ? min(skew, steps) : 0; /* in the first tile: let the second warpgroup start after so many */
    if (me.group == 1)
        named_barrier_sync(skew_barrier, 256);
    for (int t = blockIdx.x / C::cluster; t < tiles; t += clusters) {
        int last = 0;
        float4 turn[C::head / 16][2];
        row_factor factor[C::slabs][2];
        tile at = tile_at<C>(args, t);
        at.row += rank * C::tile_m;
        load_factors<C>(factor, args, me, at);
        accumulate<C>(acc, smem, me, r, last, 0, pause);
        if (pause)
            named_barrier_arrive(skew_barrier, 256);
        accumulate<C>(acc, smem, me, r, last, pause, steps);
        if constexpr (C::ep == EP_ROTARY)
            load_turns<C>(turn, args, me, at);
        wgmma_wait<0>();
        release(smem, me, last);
        finish<C>(acc, turn, factor, args, smem, r, b, me, at);
        b.next();
        pause = 0;
    }
}

/* A consumer warpgroup that has every second tile to itself: it multiplies while the other finishes the one before. The
 * turn passes when all products of a tile have been given to the tensor cores: by then each of its stages was seen
 * full, so that the other's waits on the ring can't take one round for the next but one. */
template <class C> __device__ __forceinline__ void consume_in_turn(const gemm_args &args, layout<C> smem, int rank)
{
    const int warp = __shfl_sync(0xffffffff, (int)threadIdx.x / 32 - 4, 0);
    const warp_place me = {warp / 4, warp, 16 * (warp % 4), (int)threadIdx.x % 32};
    const int clusters = gridDim.x / C::cluster, tiles = args.tiles_m * args.tiles_n;
    const int steps = (args.k + C::tile_k - 1) / C::tile_k;
    float acc[C::slabs][C::accumulators];
    ring<C::stages> r;
    ring<2> b;
    int group = 0; /* whose tile it is */
    if (me.group == 1)
        named_barrier_arrive(turn_barrier, 256);
    for (int t = blockIdx.x / C::cluster; t < tiles; t += clusters, group ^= 1, b.next()) {
        if (group != me.group) {
            r.skip(steps);
            continue;
        }
        int last = 0;
        const float4 unused[C::head / 16][2] = {};
        row_factor factor[C::slabs][2];
        tile at = tile_at<C>(args, t);
        at.row += rank * C::tile_m;
        load_factors<C>(factor, args, me, at);
        if constexpr (C::residual)
            fetch_residual_early<C>(args, smem, me, at);
        named_barrier_sync(turn_barrier + group, 256);
        accumulate<C>(acc, smem, me, r, last, 0, steps);
        if (t + clusters < tiles)
            named_barrier_arrive(turn_barrier + (group ^ 1), 256);
        wgmma_wait<0>();
        release(smem, me, last);
        finish<C>(acc, unused, factor, args, smem, r, b, me, at);
    }
}

template <class C>
__global__ void VNP_CLUSTER(C::cluster) __launch_bounds__(block_threads, 1)
    gemm_kernel(const __grid_constant__ gemm_args args)
{
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
    extern __shared__ __align__(1024) unsigned char shared[];
    const layout<C> smem = {smem_address(shared)};
    const int rank = cluster_rank();
    if (threadIdx.x == 0) {
        tma_prefetch_map(&args.a);
        tma_prefetch_map(&args.w);
        for (int s = 0; s < C::stages; s++) {
            mbar_init(smem.full(s), 1);
            mbar_init(smem.empty(s), C::readers * C::cluster); /* the consumer warps of all blocks */
        }
        for (int i = 0; i < 2; i++) {
            mbar_init(smem.bias_full(i), 1);
            mbar_init(smem.bias_empty(i), C::readers);
        }
        for (int i = 0; i < (C::in_turn && C::residual ? 8 * C::slots : 0); i++)
            mbar_init(smem.residual_full(0, i), 1);
        mbar_init_fence();
    }
    cluster_sync();
    vnp_await_results();
    if (threadIdx.x < 128) {
        registers_down<C::in_turn ? 24 : 40>();
        if (threadIdx.x == 0) {
            produce<C>(args, smem, rank);
            vnp_let_next_start(); /* earlier, the blocks that wait slow down these */
        }
        __syncwarp();
    } else {
        registers_up<C::in_turn ? 240 : 232>();
        if constexpr (C::in_turn)
            consume_in_turn<C>(args, smem, rank);
        else
            consume<C>(args, smem, rank);
        if (threadIdx.x % 32 == 0)
            tma_store_wait_read<0>();
        __syncwarp();
    }
    cluster_sync(); /* a block's shared memory must outlive what the other sends there */
#endif
}

/* The driver's encoder of tensor maps, found once. */
PFN_cuTensorMapEncodeTiled_v12000 map_encoder(void)
{
    static std::atomic<PFN_cuTensorMapEncodeTiled_v12000> known;
    PFN_cuTensorMapEncodeTiled_v12000 encode = known.load();
    if (encode == nullptr) {
        void *found = nullptr;
        cudaDriverEntryPointQueryResult result;
        if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault, &result) !=
                cudaSuccess ||
            result != cudaDriverEntryPointSuccess)
            return nullptr;
        encode = (PFN_cuTensorMapEncodeTiled_v12000)found;
        known.store(encode);
    }
    return encode;
}

/* A map of the matrix p [rows][columns] in boxes of box_rows x box_columns, 64 columns with the 128-byte swizzle or 32
 * with the 64-byte one. */
template <class T>
bool make_map(CUtensorMap *map, const void *p, int64_t rows, int64_t columns, int box_rows, int box_columns)
{
    const PFN_cuTensorMapEncodeTiled_v12000 encode = map_encoder();
    const cuuint64_t size[2] = {(cuuint64_t)columns, (cuuint64_t)rows}, stride[1] = {(cuuint64_t)columns * sizeof(T)};
    const cuuint32_t box[2] = {(cuuint32_t)box_columns, (cuuint32_t)box_rows}, step[2] = {1, 1};
    return encode != nullptr &&
           encode(map,
                  std::is_same<T, __half>::value ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
                  2, (void *)p, size, stride, box, step, CU_TENSOR_MAP_INTERLEAVE_NONE,
                  box_columns == 64 ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_64B,
                  CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

template <class C> int launch(const vnp_gemm_params *p, cudaStream_t stream)
{
    using T = typename C::T;
    static std::atomic<uint64_t> ready; /* devices where the kernel may use its shared memory */
    int device = 0, sms = 0;
    cudaError_t status = cudaGetDevice(&device);
    if (status == cudaSuccess)
        status = cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device);
    if (status == cudaSuccess && !(ready.load() >> (device & 63) & 1)) {
        status = cudaFuncSetAttribute(gemm_kernel<C>, cudaFuncAttributeMaxDynamicSharedMemorySize, C::shared_bytes);
        if (status == cudaSuccess)
            ready |= 1ull << (device & 63);
    }
    if (status != cudaSuccess)
        return status;
    gemm_args args;
    bool ok = make_map<T>(&args.a, p->d_a, p->m, p->k, C::tile_m, C::tile_k) &&
              make_map<T>(&args.w, p->d_w, p->n, p->k, C::tile_n / C::cluster, C::tile_k) &&
              make_map<T>(&args.out, p->d_out, p->m, C::ep == EP_GEGLU ? p->n / 2 : p->n, 16, C::out_chunk);
    if (C::residual)
        ok = ok && make_map<T>(&args.residual, p->d_residual, p->m, p->n, C::in_turn ? 16 : C::tile_m, C::chunk);
    if (!ok)
        return cudaErrorInvalidValue;
    args.bias = p->d_bias;
    args.row_scale = p->d_row_scale;
    args.row_shift = p->d_row_shift;
    args.gain = p->d_gain;
    args.moments = (float2 *)p->d_moments;
    args.pos = p->d_pos;
    args.rotary = p->d_rotary;
    args.q_scale = p->q_scale;
    args.m = (int)p->m;
    args.n = (int)p->n;
    args.k = (int)p->k;
    args.tiles_m = (int)((p->m + C::cluster * C::tile_m - 1) / (C::cluster * C::tile_m));
    args.tiles_n = (int)((p->n + C::tile_n - 1) / C::tile_n);
    args.group = 8;
    const int64_t tiles = (int64_t)args.tiles_m * args.tiles_n;
    const int most = sms / C::cluster, clusters = (int)(tiles < most ? tiles : most);
    const bool brief = 2.0 * (double)p->m * (double)p->n * (double)p->k < 1.5e10;
    return vnp_launch(brief, gemm_kernel<C>, C::cluster * clusters, block_threads, C::shared_bytes, stream, args);
}

template <class T, int tile_n, bool in_turn> int launch_rotary(const vnp_gemm_params *p, cudaStream_t stream)
{
    if (p->head_dim == 16)
        return launch<config<T, tile_n, EP_ROTARY, 16, in_turn>>(p, stream);
    if (p->head_dim == 32)
        return launch<config<T, tile_n, EP_ROTARY, 32, in_turn>>(p, stream);
    if constexpr (tile_n % 64 == 0)
        if (p->head_dim == 64)
            return launch<config<T, tile_n, EP_ROTARY, 64, in_turn>>(p, stream);
    if constexpr (tile_n % 128 == 0)
        if (p->head_dim == 128)
            return launch<config<T, tile_n, EP_ROTARY, 128, in_turn>>(p, stream);
    return cudaErrorInvalidValue;
}

template <class T, int tile_n, bool in_turn> int launch_epilogue(const vnp_gemm_params *p, cudaStream_t stream)
{
    switch (p->epilogue) {
    case VNP_GEMM_BIAS:
        return launch<config<T, tile_n, EP_BIAS, 16, in_turn>>(p, stream);
    case VNP_GEMM_BIAS_GELU:
        return launch<config<T, tile_n, EP_GELU, 16, in_turn>>(p, stream);
    case VNP_GEMM_BIAS_RESIDUAL:
        return launch<config<T, tile_n, EP_RESIDUAL, 16, in_turn>>(p, stream);
    case VNP_GEMM_BIAS_NORMED:
        return launch<config<T, tile_n, EP_NORMED, 16, in_turn>>(p, stream);
    case VNP_GEMM_BIAS_ROTARY:
        return launch_rotary<T, tile_n, in_turn>(p, stream);
    case VNP_GEMM_GEGLU:
        if constexpr (in_turn && tile_n == 192)
            return launch<config<T, tile_n, EP_GEGLU, 16, in_turn>>(p, stream);
    }
    return cudaErrorInvalidValue;
}

template <class T> int launch_tile(const vnp_gemm_params *p, enum vnp_sm90_tile tile, cudaStream_t stream)
{
    switch (tile) {
    case VNP_SM90_TOGETHER_256:
        return launch_epilogue<T, 256, false>(p, stream);
    case VNP_SM90_TOGETHER_160:
        return launch_epilogue<T, 160, false>(p, stream);
    case VNP_SM90_TURN_192:
        return launch_epilogue<T, 192, true>(p, stream);
    case VNP_SM90_TURN_160:
        return launch_epilogue<T, 160, true>(p, stream);
    case VNP_SM90_NONE:
        break;
    }
    return cudaErrorInvalidValue;
}

/* What tiles of this width make of n columns, those left over in the last one counted in. */
int64_t rounded_up(int64_t n, int tile)
{
    return (n + tile - 1) / tile * tile;
}

} // namespace

enum vnp_sm90_tile vnp_gemm_sm90_tile(const struct vnp_gemm_params *p)
{
    const int head = p->epilogue == VNP_GEMM_BIAS_ROTARY ? p->head_dim : 16;
    if (head != 16 && head != 32 && head != 64 && head != 128)
        return VNP_SM90_NONE;
    if (p->epilogue == VNP_GEMM_GEGLU)
        return VNP_SM90_TURN_192;
    /* Over a long k an epilogue weighs little, and 256 columns move less through L2; over a very short one neither way
     * hides it, and a narrow product has too few tiles for turns. Narrower tiles run slower, and leave fewer columns
     * over in the narrow models. */
    if (p->k >= 512 && p->k < 5120 && p->n >= 512 && head <= 64)
        return head == 64 || 100 * rounded_up(p->n, 192) <= 103 * rounded_up(p->n, 160) ? VNP_SM90_TURN_192
                                                                                        : VNP_SM90_TURN_160;
    return head >= 64 || 10 * rounded_up(p->n, 256) <= 11 * rounded_up(p->n, 160) ? VNP_SM90_TOGETHER_256
                                                                                  : VNP_SM90_TOGETHER_160;
}

int32_t vnp_gemm_sm90_columns(enum vnp_sm90_tile tile)
{
    static const int32_t columns[] = {[VNP_SM90_NONE] = 0,
                                      [VNP_SM90_TOGETHER_256] = 256,
                                      [VNP_SM90_TOGETHER_160] = 160,
                                      [VNP_SM90_TURN_192] = 192,
                                      [VNP_SM90_TURN_160] = 160};
    return columns[tile];
}

int vnp_gemm_sm90(const struct vnp_gemm_params *p, enum vnp_sm90_tile tile, cudaStream_t stream)
{
    return p->type == VNP_GEMM_F16 ? launch_tile<__half>(p, tile, stream) : launch_tile<__nv_bfloat16>(p, tile, stream);
}
