/* What gemm_sm90.cu does with the sums of a tile, still in wgmma's accumulators: the epilogues of gemm.h, and the
 * store. */
#ifndef VNP_GEMM_SM90_EPILOGUE_CUH
#define VNP_GEMM_SM90_EPILOGUE_CUH

#include "gemm_epilogue.cuh"
#include "gemm_sm90_tile.cuh"

namespace
{

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

/* bias[column], bias[column + 1] of the tile from its buffer; zero where the product has none. */
__device__ __forceinline__ float2 bias_at(const gemm_args &args, uint32_t buffer, int column)
{
    float2 b = make_float2(0.0f, 0.0f);
    if (args.bias != nullptr)
        asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(b.x), "=f"(b.y) : "r"(buffer + column * 4));
    return b;
}

/* cos and sin for the two rows of a thread: of columns 8j + 2 (lane % 4) and the next of a head, in turn[j][row]. One
 * row of the table serves all heads of the tile. */
template <class C>
__device__ __forceinline__ void load_turns(float4 (&turn)[C::head / 16][2], const gemm_args &args, warp_place me,
                                           tile at)
{
#pragma unroll
    for (int y = 0; y < 2; y++) {
        const int row = at.row + 16 * me.warp + 8 * y + me.lane / 4, pos = row < args.m ? __ldg(args.pos + row) : 0;
        const float4 *table = (const float4 *)(args.rotary + (int64_t)pos * C::head) + me.lane % 4;
#pragma unroll
        for (int j = 0; j < C::head / 16; j++)
            turn[j][y] = __ldg(table + 4 * j);
    }
}

/* Adds the bias and turns q and k by their rows' positions, in place: columns i and i + head / 2 of a head are in the
 * same thread, head / 16 column groups apart. */
template <class C>
__device__ __forceinline__ void rotate_tile(float (&acc)[C::accumulators], const float4 (&turn)[C::head / 16][2],
                                            const gemm_args &args, uint32_t bias, warp_place me, tile at)
{
    constexpr int half = C::head / 16, heads = C::tile_n / C::head;
    const int width = args.n / 3;
#pragma unroll
    for (int h = 0; h < heads; h++) {
        const bool turned = at.column + h * C::head < 2 * width;
        const float scale = at.column + h * C::head < width ? args.q_scale : 1.0f;
#pragma unroll
        for (int j = 0; j < half; j++) {
            const int column = h * C::head + 8 * j + 2 * (me.lane % 4);
            const float2 b1 = bias_at(args, bias, column), b2 = bias_at(args, bias, column + C::head / 2);
            float *x1 = acc + 4 * (h * 2 * half + j), *x2 = x1 + 4 * half;
#pragma unroll
            for (int i = 0; i < 4; i++) {
                x1[i] += i % 2 ? b1.y : b1.x;
                x2[i] += i % 2 ? b2.y : b2.x;
                if (turned) {
                    const float4 cs = turn[j][i / 2];
                    x1[i] *= scale;
                    x2[i] *= scale;
                    rotate(x1[i], x2[i], i % 2 ? cs.z : cs.x, i % 2 ? cs.w : cs.y);
                }
            }
        }
    }
}

/* Finishes column groups 2 * pair and the next of a tile: the words for stmatrix. */
template <class C>
__device__ __forceinline__ void finish_pair(uint32_t (&word)[4], const float *v, const uint32_t (&old)[4], float2 b0,
                                            float2 b1)
{
    using T = typename C::T;
#pragma unroll
    for (int g = 0; g < 4; g++) { /* column group g / 2, rows 8 * (g % 2) */
        float x = v[2 * g], y = v[2 * g + 1];
        if (C::ep != EP_ROTARY) {
            x += g / 2 ? b1.x : b0.x;
            y += g / 2 ? b1.y : b0.y;
        }
        if (C::ep == EP_GELU) {
            x = gelu_short(x);
            y = gelu_short(y);
        }
        if (C::ep == EP_RESIDUAL) {
            const float2 o = vnp_half<T>::unpack(old[g]);
            x += o.x;
            y += o.y;
        }
        word[g] = vnp_half<T>::pack(x, y);
    }
}

/* Finishes and stores one tile, a chunk of columns at a time, each warp its own 16 rows: through its staging area, from
 * where the copy engine takes it. The residual waits in the ring. */
template <class C>
__device__ __forceinline__ void store_tile(float (&acc)[C::accumulators], const gemm_args &args, layout<C> smem,
                                           ring<C::stages> &r, uint32_t bias, warp_place me, tile at)
{
    const int row =
        me.lane % 16; /* this lane addresses its row and half lane / 16 of 32 bytes in ldmatrix and stmatrix */
    const int twist = C::chunk == 64 ? row % 8 : row / 2 % 4; /* the copy engine's swizzle: 128 or 64 bytes */
    const uint32_t fragment = row * C::chunk * 2 + ((me.lane / 16 ^ twist) << 4);
    const uint32_t slot0 = smem.staging() + me.warp * C::slots * C::slot_bytes + fragment;
#pragma unroll
    for (int c = 0; c < C::chunks; c++) {
        const uint32_t slot = slot0 + c % C::slots * C::slot_bytes;
        const uint32_t residual =
            smem.a(r.stage) + c % C::stage_boxes * C::box_bytes + me.warp * C::slot_bytes + fragment;
        uint32_t word[C::chunk / 16][4];
        if (C::ep == EP_RESIDUAL && c % C::stage_boxes == 0)
            mbar_wait(smem.full(r.stage), r.phase);
#pragma unroll
        for (int pair = 0; pair < C::chunk / 16; pair++) {
            const int group = c * (C::chunk / 8) + 2 * pair, column = 8 * group + 2 * (me.lane % 4);
            uint32_t old[4];
            float2 b[2];
            if (C::ep == EP_RESIDUAL)
                ldmatrix_x4(old, residual ^ (pair * 32));
            for (int i = 0; i < 2 && C::ep != EP_ROTARY; i++)
                b[i] = bias_at(args, bias, column + 8 * i);
            finish_pair<C>(word[pair], acc + 4 * group, old, b[0], b[1]);
        }
        if (me.lane == 0)
            tma_store_wait_read<C::slots - 1>();
        __syncwarp();
        if (C::ep == EP_RESIDUAL && (c % C::stage_boxes == C::stage_boxes - 1 || c == C::chunks - 1)) {
            release(smem, me, r.stage);
            r.next();
        }
#pragma unroll
        for (int pair = 0; pair < C::chunk / 16; pair++)
            stmatrix_x4(slot ^ (pair * 32), word[pair][0], word[pair][1], word[pair][2], word[pair][3]);
        fence_async_shared();
        __syncwarp();
        if (me.lane == 0)
            tma_store(slot - fragment, &args.out, at.column + c * C::chunk, at.row + 16 * me.warp);
    }
}

/* Adds an FP32 residual and stores FP32, straight from and to global memory: four lanes cover a 32-byte sector. */
template <class C>
__device__ __forceinline__ void store_tile_f32(float (&acc)[C::accumulators], const gemm_args &args, uint32_t bias,
                                               warp_place me, tile at)
{
    const int row = at.row + 16 * me.warp + me.lane / 4, column = 2 * (me.lane % 4);
    const int groups = min(C::tile_n, args.n - at.column) / 8;
    const int64_t start = (int64_t)row * args.n + at.column + column, below = (int64_t)8 * args.n;
    const float *residual = args.residual_f32 + start;
    float *out = args.out_f32 + start;
    constexpr int batch = 8; /* column groups whose loads are in flight together */
#pragma unroll
    for (int j0 = 0; j0 < C::tile_n / 8; j0 += batch) {
        float2 old[batch][2];
#pragma unroll
        for (int j = 0; j < batch; j++)
#pragma unroll
            for (int y = 0; y < 2; y++)
                if (j0 + j < groups && row + 8 * y < args.m)
                    old[j][y] = *(const float2 *)(residual + y * below + 8 * (j0 + j));
#pragma unroll
        for (int j = 0; j < batch; j++) {
            if (j0 + j >= C::tile_n / 8)
                continue;
            const float2 b = bias_at(args, bias, 8 * (j0 + j) + column);
#pragma unroll
            for (int y = 0; y < 2; y++)
                if (j0 + j < groups && row + 8 * y < args.m)
                    *(float2 *)(out + y * below + 8 * (j0 + j)) =
                        make_float2(acc[4 * (j0 + j) + 2 * y] + b.x + old[j][y].x,
                                    acc[4 * (j0 + j) + 2 * y + 1] + b.y + old[j][y].y);
        }
    }
}

} // namespace

#endif
