/* out = epilogue(A x W^T) on Hopper, F16 and BF16.
 *
 *   out[i][j] = epilogue(sum over t of A[i][t] * W[j][t] + bias[j])       (gemm.h: shapes, types, epilogues)
 *
 * A [m][k], W [n][k], out and residual [m][n], row-major, 16-byte aligned, n and k multiples of 8; sums in FP32 by
 * wgmma, in steps of 16 along k in ascending order whatever the tile: every tile shape gives the same bits.
 *
 * Grid: as many clusters of two blocks as the device holds, each walking over tiles of 256 x tile_n of out. The two blocks
 * have the same columns and neighbouring 128 rows: each loads its A and half of W, which is multicast to both.
 * Block: a producer warp (copy engine) and two consumer warpgroups of 64 rows x tile_n each. A ring of stages of 64 columns of
 * k joins them. The second warpgroup starts later, so that one's epilogue runs under the other's matrix work; the
 * producer runs ahead into the next tile all the while.
 * Shared memory: stages x (128 + tile_n) x 128 B, and per consumer warp a staging area in the copy engine's layout.
 * Reads per cluster and tile: (256 + tile_n) x k x 2 B, from L2 but for the first use. Writes m x n x 2 B by bulk stores.
 * Rows past m and columns past n: the copy engine reads zeros there and writes nothing. NaN passes through. */
#include "gemm_impl.h"

#include <atomic>
#include <cudaTypedefs.h>

#include "gemm_epilogue.cuh"
#include "sm90_ptx.cuh"
#include "sm90_wgmma.cuh"

namespace
{

enum epilogue { EP_BIAS, EP_GELU, EP_RESIDUAL, EP_RESIDUAL_F32, EP_ROTARY };

struct gemm_args {
    CUtensorMap a, w, out, residual;
    const float *bias;         /* [n] or NULL */
    const float *residual_f32; /* [m][n], EP_RESIDUAL_F32 */
    float *out_f32;            /* [m][n], EP_RESIDUAL_F32 */
    const int32_t *pos;        /* [m], EP_ROTARY */
    const float *rotary;       /* [positions][head / 2][2], EP_ROTARY */
    float q_scale;
    int m, n, k;
    int tiles_m, tiles_n; /* of 256 and of tile_n */
    int group;            /* tiles_m are walked through in bands of this many, for L2 */
};

/* Everything that a kernel's template arguments settle. */
template <class T_, int tile_n_, int ep_, int head_ = 16> struct config {
    using T = T_;
    static constexpr int ep = ep_, head = head_;
    static_assert(tile_n_ % head == 0, "a tile holds whole heads");
    static constexpr int tile_m = 128, tile_n = tile_n_, tile_k = 64;
    static constexpr int accumulators = tile_n / 2;
    static constexpr int chunk = tile_n % 64 ? 32 : 64; /* columns of one bulk store */
    static constexpr int chunks = tile_n / chunk;
    static constexpr int chunk_bytes = 16 * chunk * 2; /* of one warp */
    static constexpr int slots = ep == EP_RESIDUAL_F32 ? 0 : tile_n == 256 && ep != EP_RESIDUAL ? 2 : chunks;
    static constexpr int a_bytes = tile_m * tile_k * 2, w_bytes = tile_n * tile_k * 2;
    static constexpr int stage_bytes = a_bytes + w_bytes;
    static constexpr int staging_bytes = 8 * slots * chunk_bytes;
    static constexpr int barrier_bytes = 256;
    static constexpr int most = (232448 - staging_bytes - barrier_bytes) / stage_bytes;
    static constexpr int stages = most > 8 ? 8 : most;
    static constexpr int shared_bytes = stages * stage_bytes + staging_bytes + barrier_bytes;
};

constexpr int block_threads = 384;
constexpr int skew = 2;        /* stages that the second warpgroup starts behind the first */
constexpr int skew_barrier = 1;

struct tile {
    int row, column;
};

/* The t-th tile of 256 x tile_n: down the rows of a band first, so that a wave of clusters shares both operands in L2. */
__device__ __forceinline__ tile tile_at(const gemm_args &args, int t, int tile_n)
{
    const int band_tiles = args.group * args.tiles_n;
    const int band = t / band_tiles, rest = t - band * band_tiles;
    const int height = min(args.group, args.tiles_m - band * args.group);
    const int column = rest / height;
    return {(band * args.group + rest - column * height) * 256, column * tile_n};
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
};

/* Shared-memory addresses of this block. */
template <class C> struct layout {
    uint32_t base;
    __device__ __forceinline__ uint32_t a(int stage) const { return base + stage * C::stage_bytes; }
    __device__ __forceinline__ uint32_t w(int stage) const { return a(stage) + C::a_bytes; }
    __device__ __forceinline__ uint32_t staging() const { return base + C::stages * C::stage_bytes; }
    __device__ __forceinline__ uint32_t full(int stage) const { return staging() + C::staging_bytes + 8 * stage; }
    __device__ __forceinline__ uint32_t empty(int stage) const { return full(C::stages + stage); }
    __device__ __forceinline__ uint32_t residual(int warp) const { return full(2 * C::stages + warp); }
};

/* One thread: fills the ring, stage after stage, tile after tile. */
template <class C> __device__ __forceinline__ void produce(const gemm_args &args, layout<C> smem, int rank)
{
    const int clusters = gridDim.x / 2, tiles = args.tiles_m * args.tiles_n;
    const int steps = (args.k + C::tile_k - 1) / C::tile_k;
    ring<C::stages> r;
    for (int t = blockIdx.x / 2; t < tiles; t += clusters) {
        const tile at = tile_at(args, t, C::tile_n);
        const int row = at.row + rank * C::tile_m, column = at.column + rank * (C::tile_n / 2);
        for (int step = 0; step < steps; step++) {
            mbar_wait(smem.empty(r.stage), r.phase ^ 1);
            mbar_expect(smem.full(r.stage), C::stage_bytes);
            tma_load(smem.a(r.stage), &args.a, step * C::tile_k, row, smem.full(r.stage));
            tma_load_multicast(smem.w(r.stage) + rank * (C::w_bytes / 2), &args.w, step * C::tile_k, column,
                               smem.full(r.stage), 3);
            r.next();
        }
    }
}

/* A matrix in shared memory, 64 columns wide with the 128-byte swizzle: 1024 bytes from eight rows to the next eight. */
__device__ __forceinline__ uint64_t descriptor(uint32_t address)
{
    return (uint64_t)((address & 0x3ffff) >> 4) | 1ull << 16 | (uint64_t)(1024 >> 4) << 32 | 1ull << 62;
}

/* What one consumer warp knows about itself. */
struct warp_place {
    int group; /* 0, 1: consumer warpgroup */
    int warp;  /* 0..7 among the consumers: rows 16 * warp of the tile */
    int lane;
};

/* Fetches this warp's part of the residual into its staging area: in time for the epilogue, once the last tile's stores
 * have left it. */
template <class C>
__device__ __forceinline__ void fetch_residual(const gemm_args &args, layout<C> smem, warp_place me, int row, int column)
{
    if (me.lane == 0) {
        const uint32_t slot = smem.staging() + me.warp * C::slots * C::chunk_bytes, bar = smem.residual(me.warp);
        tma_store_wait_read<0>();
        mbar_expect(bar, C::slots * C::chunk_bytes);
        for (int c = 0; c < C::chunks; c++)
            tma_load(slot + c * C::chunk_bytes, &args.residual, column + c * C::chunk, row + 16 * me.warp, bar);
    }
    __syncwarp();
}

/* Brings this warp's part of an FP32 residual towards L2. */
template <class C>
__device__ __forceinline__ void prefetch_residual_f32(const gemm_args &args, warp_place me, int row, int column)
{
    const int lines = 16 * C::tile_n / 32;
    for (int i = me.lane; i < lines; i += 32) {
        const int y = row + 16 * me.warp + i / (C::tile_n / 32), x = column + i % (C::tile_n / 32) * 32;
        if (y < args.m && x < args.n)
            asm volatile("prefetch.global.L2 [%0];" ::"l"(args.residual_f32 + (int64_t)y * args.n + x));
    }
    __syncwarp();
}

/* The sums of one tile: acc = A x W^T over all of k. Frees each stage as soon as both blocks' copies may be replaced. */
template <class C>
__device__ __forceinline__ void accumulate(float (&acc)[C::accumulators], const gemm_args &args, layout<C> smem,
                                           warp_place me, ring<C::stages> &r, tile at, bool first)
{
    const int steps = (args.k + C::tile_k - 1) / C::tile_k;
    int last = 0;
    for (int step = 0; step < steps; step++) {
        mbar_wait(smem.full(r.stage), r.phase);
        const uint64_t a = descriptor(smem.a(r.stage) + me.group * (C::a_bytes / 2)), w = descriptor(smem.w(r.stage));
        wgmma_fence();
#pragma unroll
        for (int i = 0; i < C::tile_k / 16; i++)
            wgmma<typename C::T>(acc, a + 2 * i, w + 2 * i, step | i);
        wgmma_commit();
        if (step > 0) {
            wgmma_wait<1>();
            if (me.lane < 2)
                mbar_arrive_remote(smem.empty(last), me.lane);
        } else if (C::ep == EP_RESIDUAL) {
            fetch_residual<C>(args, smem, me, at.row, at.column);
        } else if (C::ep == EP_RESIDUAL_F32) {
            prefetch_residual_f32<C>(args, me, at.row, at.column);
        }
        if (first && me.group == 0 && step == min(skew, steps) - 1)
            named_barrier_arrive(skew_barrier, 256);
        last = r.stage;
        r.next();
    }
    wgmma_wait<0>();
    if (me.lane < 2)
        mbar_arrive_remote(smem.empty(last), me.lane);
}

/* Loads bias[column + 8j], bias[column + 8j + 1] for j < count; zero where there is none. */
template <int count> __device__ __forceinline__ void load_bias(float2 (&b)[count], const gemm_args &args, int column)
{
    const int groups = args.bias == nullptr ? 0 : (args.n - column + 7) / 8;
    const float2 *p = (const float2 *)(args.bias + column);
#pragma unroll
    for (int j = 0; j < count; j++)
        b[j] = j < groups ? __ldg(p + 4 * j) : make_float2(0.0f, 0.0f);
}

/* Adds the bias and turns q and k by their rows' positions, in place: columns i and i + head / 2 of a head are in the same
 * thread, head / 16 column groups apart. A row of the table serves all heads of the tile. */
template <class C>
__device__ __forceinline__ void rotate_tile(float (&acc)[C::accumulators], const gemm_args &args, warp_place me, tile at)
{
    constexpr int half = C::head / 16, heads = C::tile_n / C::head;
    const int row = at.row + 16 * me.warp + me.lane / 4, width = args.n / 3;
    const float *table[2];
#pragma unroll
    for (int y = 0; y < 2; y++) {
        const int pos = row + 8 * y < args.m ? __ldg(args.pos + row + 8 * y) : 0;
        table[y] = args.rotary + (int64_t)pos * C::head + 4 * (me.lane % 4);
    }
#pragma unroll
    for (int j = 0; j < half; j++) {
        const float4 turn[2] = {__ldg((const float4 *)(table[0] + 16 * j)), __ldg((const float4 *)(table[1] + 16 * j))};
#pragma unroll
        for (int h = 0; h < heads; h++) {
            const int column = at.column + h * C::head + 8 * j + 2 * (me.lane % 4);
            float2 b1[1], b2[1];
            load_bias(b1, args, column);
            load_bias(b2, args, column + C::head / 2);
            float *x1 = acc + 4 * (h * 2 * half + j), *x2 = x1 + 4 * half;
#pragma unroll
            for (int i = 0; i < 4; i++) {
                x1[i] += i % 2 ? b1[0].y : b1[0].x;
                x2[i] += i % 2 ? b2[0].y : b2[0].x;
            }
            if (at.column + h * C::head >= 2 * width)
                continue;
            const float scale = at.column + h * C::head < width ? args.q_scale : 1.0f;
#pragma unroll
            for (int i = 0; i < 4; i++) {
                x1[i] *= scale;
                x2[i] *= scale;
                const float4 cs = turn[i / 2];
                rotate(x1[i], x2[i], i % 2 ? cs.z : cs.x, i % 2 ? cs.w : cs.y);
            }
        }
    }
}

/* Finishes and stores one tile through the staging area: 16 rows of a chunk of columns at a time, each warp for itself. */
template <class C>
__device__ __forceinline__ void store_tile(float (&acc)[C::accumulators], const gemm_args &args, layout<C> smem,
                                           warp_place me, tile at, uint32_t residual_phase)
{
    using T = typename C::T;
    const int row_in = me.lane % 16, odd = me.lane / 16; /* the row and 16-byte column this lane addresses in ldmatrix, stmatrix */
    const int twist = C::chunk == 64 ? row_in % 8 : row_in / 2 % 4; /* the copy engine's swizzle: 128 or 64 bytes */
    const uint32_t slot0 = smem.staging() + me.warp * C::slots * C::chunk_bytes;
    const uint32_t lane_at = row_in * C::chunk * 2 + ((odd ^ twist) << 4);
    if (C::ep == EP_RESIDUAL)
        mbar_wait(smem.residual(me.warp), residual_phase);
#pragma unroll
    for (int c = 0; c < C::chunks; c++) {
        const uint32_t slot = slot0 + c % C::slots * C::chunk_bytes;
        float2 bias[C::chunk / 8];
        if (C::ep != EP_ROTARY)
            load_bias(bias, args, at.column + c * C::chunk + 2 * (me.lane % 4));
        if (C::ep != EP_RESIDUAL) {
            if (me.lane == 0)
                tma_store_wait_read<C::slots - 1>();
            __syncwarp();
        }
#pragma unroll
        for (int pair = 0; pair < C::chunk / 16; pair++) {
            const uint32_t address = (slot + lane_at) ^ (pair * 32);
            float *v = acc + 4 * (c * (C::chunk / 8) + 2 * pair);
            uint32_t old[4], word[4];
            if (C::ep == EP_RESIDUAL)
                ldmatrix_x4(old, address);
#pragma unroll
            for (int g = 0; g < 4; g++) { /* column group g / 2, rows 8 * (g % 2) */
                float x = v[2 * g], y = v[2 * g + 1];
                if (C::ep != EP_ROTARY) {
                    x += bias[2 * pair + g / 2].x;
                    y += bias[2 * pair + g / 2].y;
                }
                if (C::ep == EP_GELU) {
                    x = gelu_short(x);
                    y = gelu_short(y);
                }
                if (C::ep == EP_RESIDUAL) {
                    const float2 o = unpack2<T>(old[g]);
                    x += o.x;
                    y += o.y;
                }
                word[g] = pack2<T>(x, y);
            }
            stmatrix_x4(address, word[0], word[1], word[2], word[3]);
        }
        fence_async_shared();
        __syncwarp();
        if (me.lane == 0)
            tma_store(slot, &args.out, at.column + c * C::chunk, at.row + 16 * me.warp);
    }
}

/* Adds an FP32 residual and stores FP32, straight from and to global memory: four lanes cover a 32-byte sector. */
template <class C>
__device__ __forceinline__ void store_tile_f32(float (&acc)[C::accumulators], const gemm_args &args, warp_place me, tile at)
{
    const int row = at.row + 16 * me.warp + me.lane / 4, column = at.column + 2 * (me.lane % 4);
    const int64_t start = (int64_t)row * args.n + column, below = (int64_t)8 * args.n;
    const bool in[2] = {row < args.m, row + 8 < args.m};
    constexpr int batch = 8;
#pragma unroll
    for (int j0 = 0; j0 < C::tile_n / 8; j0 += batch) {
        float2 old[batch][2], bias[batch];
        load_bias(bias, args, column + 8 * j0);
#pragma unroll
        for (int j = 0; j < batch; j++)
#pragma unroll
            for (int y = 0; y < 2; y++)
                if (j0 + j < C::tile_n / 8 && in[y] && column + 8 * (j0 + j) < args.n)
                    old[j][y] = *(const float2 *)(args.residual_f32 + start + y * below + 8 * (j0 + j));
#pragma unroll
        for (int j = 0; j < batch; j++) {
            if (j0 + j >= C::tile_n / 8)
                continue;
#pragma unroll
            for (int y = 0; y < 2; y++)
                if (in[y] && column + 8 * (j0 + j) < args.n)
                    *(float2 *)(args.out_f32 + start + y * below + 8 * (j0 + j)) =
                        make_float2(acc[4 * (j0 + j) + 2 * y] + bias[j].x + old[j][y].x,
                                    acc[4 * (j0 + j) + 2 * y + 1] + bias[j].y + old[j][y].y);
        }
    }
}

/* A consumer warpgroup: sums and finishes its 64 rows of each of the cluster's tiles. */
template <class C> __device__ __forceinline__ void consume(const gemm_args &args, layout<C> smem, int rank)
{
    const warp_place me = {(int)threadIdx.x / 128 - 1, (int)threadIdx.x / 32 - 4, (int)threadIdx.x % 32};
    const int clusters = gridDim.x / 2, tiles = args.tiles_m * args.tiles_n;
    float acc[C::accumulators];
    ring<C::stages> r;
    uint32_t residual_phase = 0;
    bool first = true;
    if (me.group == 1)
        named_barrier_sync(skew_barrier, 256);
    for (int t = blockIdx.x / 2; t < tiles; t += clusters) {
        tile at = tile_at(args, t, C::tile_n);
        at.row += rank * C::tile_m;
        accumulate<C>(acc, args, smem, me, r, at, first);
        if constexpr (C::ep == EP_RESIDUAL_F32) {
            store_tile_f32<C>(acc, args, me, at);
        } else {
            if constexpr (C::ep == EP_ROTARY)
                rotate_tile<C>(acc, args, me, at);
            store_tile<C>(acc, args, smem, me, at, residual_phase);
        }
        residual_phase ^= 1;
        first = false;
    }
    if (me.lane == 0)
        tma_store_wait_read<0>();
    __syncwarp();
}

template <class C>
__global__ void __cluster_dims__(2) __launch_bounds__(block_threads, 1) gemm_kernel(const __grid_constant__ gemm_args args)
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
            mbar_init(smem.empty(s), 16); /* eight consumer warps in each of the two blocks */
        }
        for (int w = 0; w < 8; w++)
            mbar_init(smem.residual(w), 1);
        mbar_init_fence();
    }
    cluster_sync();
    if (threadIdx.x < 128) {
        registers_down<40>();
        if (threadIdx.x == 0)
            produce<C>(args, smem, rank);
        __syncwarp();
    } else {
        registers_up<232>();
        consume<C>(args, smem, rank);
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

/* A map of the matrix p [rows][columns] in boxes of box_rows x box_columns, 64 columns with the 128-byte swizzle or 32 with
 * the 64-byte one. */
template <class T> bool make_map(CUtensorMap *map, const void *p, int64_t rows, int64_t columns, int box_rows, int box_columns)
{
    const PFN_cuTensorMapEncodeTiled_v12000 encode = map_encoder();
    const cuuint64_t size[2] = {(cuuint64_t)columns, (cuuint64_t)rows}, stride[1] = {(cuuint64_t)columns * sizeof(T)};
    const cuuint32_t box[2] = {(cuuint32_t)box_columns, (cuuint32_t)box_rows}, step[2] = {1, 1};
    return encode != nullptr &&
           encode(map,
                  std::is_same<T, __half>::value ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2,
                  (void *)p, size, stride, box, step, CU_TENSOR_MAP_INTERLEAVE_NONE,
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
              make_map<T>(&args.w, p->d_w, p->n, p->k, C::tile_n / 2, C::tile_k);
    if (C::ep != EP_RESIDUAL_F32)
        ok = ok && make_map<T>(&args.out, p->d_out, p->m, p->n, 16, C::chunk);
    if (C::ep == EP_RESIDUAL)
        ok = ok && make_map<T>(&args.residual, p->d_residual, p->m, p->n, 16, C::chunk);
    if (!ok)
        return cudaErrorInvalidValue;
    args.bias = p->d_bias;
    args.residual_f32 = (const float *)p->d_residual;
    args.out_f32 = (float *)p->d_out;
    args.pos = p->d_pos;
    args.rotary = p->d_rotary;
    args.q_scale = p->q_scale;
    args.m = (int)p->m;
    args.n = (int)p->n;
    args.k = (int)p->k;
    args.tiles_m = (int)((p->m + 255) / 256);
    args.tiles_n = (int)((p->n + C::tile_n - 1) / C::tile_n);
    args.group = 8;
    const int64_t tiles = (int64_t)args.tiles_m * args.tiles_n;
    const int clusters = (int)(tiles < sms / 2 ? tiles : sms / 2);
    gemm_kernel<C><<<2 * clusters, block_threads, C::shared_bytes, stream>>>(args);
    return cudaGetLastError();
}

template <class T, int tile_n> int launch_epilogue(const vnp_gemm_params *p, cudaStream_t stream)
{
    switch (p->epilogue) {
    case VNP_GEMM_BIAS:
        return launch<config<T, tile_n, EP_BIAS>>(p, stream);
    case VNP_GEMM_BIAS_GELU:
        return launch<config<T, tile_n, EP_GELU>>(p, stream);
    case VNP_GEMM_BIAS_RESIDUAL:
        return p->residual_f32 ? launch<config<T, tile_n, EP_RESIDUAL_F32>>(p, stream)
                               : launch<config<T, tile_n, EP_RESIDUAL>>(p, stream);
    case VNP_GEMM_BIAS_ROTARY:
        if (p->head_dim == 16)
            return launch<config<T, tile_n, EP_ROTARY, 16>>(p, stream);
        if (p->head_dim == 32)
            return launch<config<T, tile_n, EP_ROTARY, 32>>(p, stream);
        if constexpr (tile_n == 256) {
            if (p->head_dim == 64)
                return launch<config<T, tile_n, EP_ROTARY, 64>>(p, stream);
            if (p->head_dim == 128)
                return launch<config<T, tile_n, EP_ROTARY, 128>>(p, stream);
        }
    }
    return cudaErrorInvalidValue;
}

} // namespace

int vnp_gemm_sm90_tile(const struct vnp_gemm_params *p)
{
    const bool rotary = p->epilogue == VNP_GEMM_BIAS_ROTARY;
    if (rotary && p->head_dim != 16 && p->head_dim != 32 && p->head_dim != 64 && p->head_dim != 128)
        return 0;
    if (rotary && p->head_dim > 32)
        return 256;
    /* 160 columns run at about nine tenths of the rate of 256, and leave fewer over in the narrow models. */
    const int64_t wide = (p->n + 255) / 256 * 256, narrow = (p->n + 159) / 160 * 160;
    return 10 * wide <= 11 * narrow ? 256 : 160;
}

int vnp_gemm_sm90(const struct vnp_gemm_params *p, int tile_n, cudaStream_t stream)
{
    const bool half = p->type == VNP_GEMM_F16;
    if ((tile_n ? tile_n : vnp_gemm_sm90_tile(p)) == 256)
        return half ? launch_epilogue<__half, 256>(p, stream) : launch_epilogue<__nv_bfloat16, 256>(p, stream);
    return half ? launch_epilogue<__half, 160>(p, stream) : launch_epilogue<__nv_bfloat16, 160>(p, stream);
}
