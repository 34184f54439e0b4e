/* What gemm_sm90.cu does with the sums of a tile, still in wgmma's accumulators: the epilogues of gemm.h, and the
 * store. */
#ifndef VNP_GEMM_SM90_EPILOGUE_CUH
#define VNP_GEMM_SM90_EPILOGUE_CUH

#include "gemm_epilogue.cuh"
#include "gemm_sm90_tile.cuh"
#include "lanes.cuh"

namespace
{

/* What a row of the sums, or of a normalised residual, is multiplied with; and what is then added to that residual. */
struct row_factor {
    float scale, shift;
};

/* Those of this thread's two rows of each slab: asked for here, needed when the sums are there. */
template <class C>
__device__ __forceinline__ void load_factors(row_factor (&factor)[C::slabs][2], const gemm_args &args, warp_place me,
                                             tile at)
{
#pragma unroll
    for (int s = 0; s < C::slabs; s++)
#pragma unroll
        for (int y = 0; y < 2; y++) {
            const int row = at.row + 64 * s + me.row + 8 * y + me.lane / 4;
            const bool scaled = C::ep != EP_RESIDUAL && args.row_scale != nullptr && row < args.m;
            factor[s][y].scale = scaled ? args.row_scale[row] : 1.0f;
            factor[s][y].shift = C::ep == EP_NORMED && scaled ? args.row_shift[row] : 0.0f;
        }
}

/* What a buffer has for columns `column` and the next of the tile. */
__device__ __forceinline__ float2 two_columns(uint32_t buffer, int column)
{
    float2 v;
    asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(v.x), "=f"(v.y) : "r"(buffer + column * 4));
    return v;
}

/* Their bias; zero where the product has none. */
__device__ __forceinline__ float2 bias_at(const gemm_args &args, uint32_t buffer, int column)
{
    return args.bias != nullptr ? two_columns(buffer, column) : make_float2(0.0f, 0.0f);
}

/* cos and sin for the two rows of a thread: of columns 8j + 2 (lane % 4) and the next of a head. */
template <class C>
__device__ __forceinline__ void load_turn(float4 (&turn)[2], const gemm_args &args, warp_place me, tile at, int j)
{
#pragma unroll
    for (int y = 0; y < 2; y++) {
        const int row = at.row + me.row + 8 * y + me.lane / 4, pos = row < args.m ? __ldg(args.pos + row) : 0;
        turn[y] = __ldg((const float4 *)(args.rotary + (int64_t)pos * C::head) + me.lane % 4 + 4 * j);
    }
}

/* The same for all j. One row of the table serves all heads of the tile. */
template <class C>
__device__ __forceinline__ void load_turns(float4 (&turn)[C::head / 16][2], const gemm_args &args, warp_place me,
                                           tile at)
{
#pragma unroll
    for (int j = 0; j < C::head / 16; j++)
        load_turn<C>(turn[j], args, me, at, j);
}

/* Scales, adds the bias and turns q and k by their rows' positions, in place: columns i and i + head / 2 of a head are
 * in the same thread, head / 16 column groups apart. `turn` is what load_turns found; tiles in turn have not the
 * registers to keep it, nor the hurry, and read the table here. */
template <class C>
__device__ __forceinline__ void rotate_tile(float (&acc)[C::accumulators], const float4 (&turn)[C::head / 16][2],
                                            const row_factor (&factor)[2], const gemm_args &args, uint32_t bias,
                                            warp_place me, tile at)
{
    constexpr int half = C::head / 16, heads = C::tile_n / C::head;
    const int width = args.n / 3;
#pragma unroll
    for (int j = 0; j < half; j++) {
        float4 now[2] = {turn[j][0], turn[j][1]};
        if constexpr (C::in_turn)
            load_turn<C>(now, args, me, at, j);
#pragma unroll
        for (int h = 0; h < heads; h++) {
            const bool turned = at.column + h * C::head < 2 * width;
            const float q_scale = at.column + h * C::head < width ? args.q_scale : 1.0f;
            const int column = h * C::head + 8 * j + 2 * (me.lane % 4);
            const float2 b1 = bias_at(args, bias, column), b2 = bias_at(args, bias, column + C::head / 2);
            float *x1 = acc + 4 * (h * 2 * half + j), *x2 = x1 + 4 * half;
#pragma unroll
            for (int i = 0; i < 4; i++) {
                x1[i] = fmaf(x1[i], factor[i / 2].scale, i % 2 ? b1.y : b1.x);
                x2[i] = fmaf(x2[i], factor[i / 2].scale, i % 2 ? b2.y : b2.x);
                if (turned) {
                    const float4 cs = now[i / 2];
                    x1[i] *= q_scale;
                    x2[i] *= q_scale;
                    rotate(x1[i], x2[i], i % 2 ? cs.z : cs.x, i % 2 ? cs.w : cs.y);
                }
            }
        }
    }
}

/* Finishes column groups `group` and the next of a tile, in place, and the words for stmatrix. old: of the residual. */
template <class C>
__device__ __forceinline__ void finish_pair(uint32_t (&word)[4], float *sums, const row_factor (&factor)[2],
                                            const uint32_t (&old)[4], const gemm_args &args, uint32_t bias,
                                            warp_place me, int group)
{
    using T = typename C::T;
    const int column = 8 * group + 2 * (me.lane % 4);
    float *v = sums + 4 * group;
    float2 b[2], gain[2];
    for (int i = 0; i < 2 && C::ep != EP_ROTARY; i++)
        b[i] = bias_at(args, bias, column + 8 * i);
    for (int i = 0; i < 2 && C::ep == EP_NORMED; i++)
        gain[i] = two_columns(bias + C::tile_n * 4, column + 8 * i);
#pragma unroll
    for (int g = 0; g < 4; g++) { /* column group g / 2, rows 8 * (g % 2) */
        float &x = v[2 * g], &y = v[2 * g + 1];
        const row_factor f = factor[g % 2];
        if (C::ep != EP_ROTARY) {
            const float scale = C::residual ? 1.0f : f.scale;
            x = fmaf(x, scale, b[g / 2].x);
            y = fmaf(y, scale, b[g / 2].y);
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
        if (C::ep == EP_NORMED) {
            const float2 o = vnp_half<T>::unpack(old[g]);
            x = fmaf(gain[g / 2].x, fmaf(o.x, f.scale, f.shift), x);
            y = fmaf(gain[g / 2].y, fmaf(o.y, f.scale, f.shift), y);
        }
        word[g] = vnp_half<T>::pack(x, y);
    }
}

/* Gates column groups `group` to `group` + 3 of a tile, each even one with the next: the words for stmatrix. */
template <class C>
__device__ __forceinline__ void gate_pair(uint32_t (&word)[4], const float *sums, const row_factor (&factor)[2],
                                          const gemm_args &args, uint32_t bias, warp_place me, int group)
{
#pragma unroll
    for (int i = 0; i < 2; i++) { /* a column group of out */
        const int column = 8 * (group + 2 * i) + 2 * (me.lane % 4);
        const float2 b = bias_at(args, bias, column), c = bias_at(args, bias, column + 8);
#pragma unroll
        for (int y = 0; y < 2; y++) { /* rows 8 * y */
            const float *gate = sums + 4 * (group + 2 * i) + 2 * y, *by = gate + 4;
            const float scale = factor[y].scale;
            const float g0 = gelu_short(fmaf(gate[0], scale, b.x)), g1 = gelu_short(fmaf(gate[1], scale, b.y));
            word[2 * i + y] = vnp_half<typename C::T>::pack(g0 * fmaf(by[0], scale, c.x), g1 * fmaf(by[1], scale, c.y));
        }
    }
}

/* Tiles in turn: one lane fetches a chunk of this warp's 16 rows of the residual to where its result will be staged. */
template <class C>
__device__ __forceinline__ void fetch_residual_chunk(const gemm_args &args, layout<C> smem, warp_place me, tile at,
                                                     int chunk)
{
    mbar_expect(smem.residual_full(me.warp, chunk), C::slot_bytes);
    tma_load(smem.slot(me.warp, chunk), &args.residual, at.column + chunk * C::chunk, at.row + me.row,
             smem.residual_full(me.warp, chunk));
}

/* The first slab's, while its sums are being made. */
template <class C>
__device__ __forceinline__ void fetch_residual_early(const gemm_args &args, layout<C> smem, warp_place me, tile at)
{
    if (me.lane == 0) {
        tma_store_wait_read<0>();
        for (int c = 0; c < C::chunks; c++)
            fetch_residual_chunk<C>(args, smem, me, at, c);
    }
    __syncwarp();
}

/* A last tile may have columns past n: sets those of this slab to `value`, a number for each of a thread's rows. */
template <class C>
__device__ __forceinline__ void fill_outside(float (&acc)[C::accumulators], int columns, const float (&value)[2])
{
#pragma unroll
    for (int j = 0; j < C::tile_n / 8; j++)
#pragma unroll
        for (int i = 0; i < 4; i++)
            acc[4 * j + i] = 8 * j < columns ? acc[4 * j + i] : value[i / 2];
}

/* The moments of this slab's rows over the tile's columns, from the finished sums before they were rounded. Overwrites
 * columns past n. Two chains of additions a row: with one, and a predicate a step, they took 2000 to 3000 cycles. */
template <class C>
__device__ __forceinline__ void store_moments(float (&acc)[C::accumulators], const gemm_args &args, warp_place me,
                                              tile at)
{
    const int columns = min(C::tile_n, args.n - at.column);
    const float share = 1.0f / columns;
    float sum[2][2] = {}, squares[2][2] = {}, mean[2] = {0.0f, 0.0f};
    if (columns < C::tile_n)
        fill_outside<C>(acc, columns, mean); /* zeros, for the sum */
#pragma unroll
    for (int j = 0; j < C::tile_n / 8; j++)
#pragma unroll
        for (int y = 0; y < 2; y++)
            sum[y][j % 2] += acc[4 * j + 2 * y] + acc[4 * j + 2 * y + 1];
#pragma unroll
    for (int y = 0; y < 2; y++) {
        sum[y][0] = vnp_quad_sum(sum[y][0] + sum[y][1]);
        mean[y] = sum[y][0] * share;
    }
    if (columns < C::tile_n)
        fill_outside<C>(acc, columns, mean); /* no deviation */
#pragma unroll
    for (int j = 0; j < C::tile_n / 8; j++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const float off = acc[4 * j + i] - mean[i / 2];
            squares[i / 2][i % 2] = fmaf(off, off, squares[i / 2][i % 2]);
        }
#pragma unroll
    for (int y = 0; y < 2; y++) {
        const int row = at.row + me.row + 8 * y + me.lane / 4;
        const float all = vnp_quad_sum(squares[y][0] + squares[y][1]);
        if (me.lane % 4 == 0 && row < args.m)
            args.moments[(int64_t)row * args.tiles_n + at.column / C::tile_n] = make_float2(sum[y][0], all);
    }
}

/* Finishes and stores one slab of a tile, a chunk of columns at a time, each warp its own 16 rows: through its staging
 * area, from where the copy engine takes it. The residual waits in the ring or, for tiles in turn, in the staging
 * area. */
template <class C>
__device__ __forceinline__ void store_tile(float (&acc)[C::accumulators], const row_factor (&factor)[2],
                                           const gemm_args &args, layout<C> smem, ring<C::stages> &r, uint32_t bias,
                                           warp_place me, tile at, int slab)
{
    constexpr bool from_ring = C::residual && !C::in_turn, from_slot = C::residual && C::in_turn;
    const int row =
        me.lane % 16; /* this lane addresses its row and half lane / 16 of 32 bytes in ldmatrix and stmatrix */
    const int twist = C::out_chunk == 64 ? row % 8 : row / 2 % 4; /* the copy engine's swizzle: 128 or 64 bytes */
    const uint32_t fragment = row * C::out_chunk * 2 + ((me.lane / 16 ^ twist) << 4);
#pragma unroll
    for (int c = 0; c < C::chunks; c++) {
        const uint32_t slot = smem.slot(me.warp, c % C::slots) + fragment;
        const uint32_t residual =
            from_slot ? slot : smem.a(r.stage) + c % C::stage_boxes * C::box_bytes + me.warp * C::slot_bytes + fragment;
        uint32_t word[C::out_chunk / 16][4];
        if (from_ring && c % C::stage_boxes == 0)
            mbar_wait(smem.full(r.stage), r.phase);
        if (from_slot)
            mbar_wait(smem.residual_full(me.warp, c), slab);
#pragma unroll
        for (int pair = 0; pair < C::out_chunk / 16; pair++) {
            if constexpr (C::ep == EP_GEGLU) {
                gate_pair<C>(word[pair], acc, factor, args, bias, me, c * (C::chunk / 8) + 4 * pair);
            } else {
                uint32_t old[4];
                if (C::residual)
                    ldmatrix_x4(old, residual ^ (pair * 32));
                finish_pair<C>(word[pair], acc, factor, old, args, bias, me, c * (C::chunk / 8) + 2 * pair);
            }
        }
        if (me.lane == 0)
            tma_store_wait_read<C::slots - 1>();
        __syncwarp();
        if (from_ring && (c % C::stage_boxes == C::stage_boxes - 1 || c == C::chunks - 1)) {
            release(smem, me, r.stage);
            r.next();
        }
#pragma unroll
        for (int pair = 0; pair < C::out_chunk / 16; pair++)
            stmatrix_x4(slot ^ (pair * 32), word[pair][0], word[pair][1], word[pair][2], word[pair][3]);
        fence_async_shared();
        __syncwarp();
        if (me.lane == 0) {
            const int column = C::ep == EP_GEGLU ? at.column / 2 : at.column;
            tma_store(slot - fragment, &args.out, column + c * C::out_chunk, at.row + me.row);
            if (from_slot && slab + 1 < C::slabs && c > 0) { /* the next slab's, once its slot has been read */
                tma_store_wait_read<1>();
                fetch_residual_chunk<C>(args, smem, me, {at.row + 64, at.column}, c - 1);
            }
        }
    }
    if (from_slot && slab + 1 < C::slabs && me.lane == 0) {
        tma_store_wait_read<0>();
        fetch_residual_chunk<C>(args, smem, me, {at.row + 64, at.column}, C::chunks - 1);
    }
    if (C::residual && args.moments != nullptr)
        store_moments<C>(acc, args, me, at);
}

} // namespace

#endif
