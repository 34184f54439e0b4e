/* What the two attention kernels for wgmma share: panels in shared memory as its operands, the products themselves, and
 * what becomes of the scores and the sums in its registers. D, the head dimension, is 64 or 128; for targets other than
 * sm_90a there is nothing of it. */
#ifndef VNP_ATTENTION_WGMMA_CUH
#define VNP_ATTENTION_WGMMA_CUH

#include <type_traits>

#include "attention_tile.cuh"
#include "half.cuh"
#include "sm90_ptx.cuh"

#define PANEL (64 * 128) /* bytes of 64 rows x 64 dimensions */

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
/* A panel as a matrix operand. The two strides, in bytes: between groups of eight rows 1024; between panels PANEL. 16
 * bytes further on is one more. */
static __device__ __forceinline__ uint64_t descriptor(uint32_t addr)
{
    return (addr & 0x3ffff) >> 4 | static_cast<uint64_t>(PANEL >> 4) << 16 | static_cast<uint64_t>(1024 >> 4) << 32 |
           static_cast<uint64_t>(1) << 62;
}

/* Accumulators of 64 rows: s[j] has columns 8 j to 8 j + 7, as in m16n8 (vnp_softmax_step()). */
#define S4(j) "+f"(s[j][0]), "+f"(s[j][1]), "+f"(s[j][2]), "+f"(s[j][3])
#define S32 S4(0), S4(1), S4(2), S4(3), S4(4), S4(5), S4(6), S4(7)
#define S40 S32, S4(8), S4(9)
#define S48 S40, S4(10), S4(11)
#define S56 S48, S4(12), S4(13)
#define S64 S56, S4(14), S4(15)
#define S72 S64, S4(16), S4(17)
#define S80 S72, S4(18), S4(19)
#define S88 S80, S4(20), S4(21)
#define S96 S88, S4(22), S4(23)
#define R32                                                                                                            \
    "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,"   \
    "%30,%31"
#define R40 R32 ",%32,%33,%34,%35,%36,%37,%38,%39"
#define R48 R40 ",%40,%41,%42,%43,%44,%45,%46,%47"
#define R56 R48 ",%48,%49,%50,%51,%52,%53,%54,%55"
#define R64 R56 ",%56,%57,%58,%59,%60,%61,%62,%63"
#define R72 R64 ",%64,%65,%66,%67,%68,%69,%70,%71"
#define R80 R72 ",%72,%73,%74,%75,%76,%77,%78,%79"
#define R88 R80 ",%80,%81,%82,%83,%84,%85,%86,%87"
#define R96 R88 ",%88,%89,%90,%91,%92,%93,%94,%95"
#define MULTIPLY(n, type, registers, ia, ib, iadd, ...)                                                                \
    asm volatile("{.reg .pred p; setp.ne.b32 p, %" #iadd ", 0;\n"                                                      \
                 "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32." type "." type " {" registers "}, %" #ia ", %" #ib   \
                 ", p, 1, 1, 0, 0;}"                                                                                   \
                 : __VA_ARGS__                                                                                         \
                 : "l"(a), "l"(b), "r"(add))
/* s (+)= A B of 64 queries and n keys: both from shared memory, with the summed dimension contiguous. */
#define SCORES(n, registers, ia, ib, iadd, ...)                                                                        \
    template <typename T>                                                                                              \
    static __device__ __forceinline__ void multiply(float (&s)[n / 8][4], uint64_t a, uint64_t b, int add)             \
    {                                                                                                                  \
        if constexpr (std::is_same<T, __half>::value)                                                                  \
            MULTIPLY(n, "f16", registers, ia, ib, iadd, __VA_ARGS__);                                                  \
        else                                                                                                           \
            MULTIPLY(n, "bf16", registers, ia, ib, iadd, __VA_ARGS__);                                                 \
    }
SCORES(64, R32, 32, 33, 34, S32)
SCORES(80, R40, 40, 41, 42, S40)
SCORES(96, R48, 48, 49, 50, S48)
SCORES(112, R56, 56, 57, 58, S56)
SCORES(128, R64, 64, 65, 66, S64)
SCORES(144, R72, 72, 73, 74, S72)
SCORES(160, R80, 80, 81, 82, S80)
SCORES(176, R88, 88, 89, 90, S88)
SCORES(192, R96, 96, 97, 98, S96)

/* s += A B: A of 64 queries and 16 keys from registers, B with its keys in rows, 64 dimensions. */
#define WEIGH(type)                                                                                                    \
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32." type "." type " {" R32 "}, {%32,%33,%34,%35}, %36, "    \
                 "1, 1, 1, 1;"                                                                                         \
                 : S32                                                                                                 \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))
template <typename T> static __device__ __forceinline__ void weigh(float (&s)[8][4], const uint32_t (&a)[4], uint64_t b)
{
    if constexpr (std::is_same<T, __half>::value)
        WEIGH("f16");
    else
        WEIGH("bf16");
}

/* The end of what wgmma_fence() begins: nothing may move across the two, as the matrix unit works on the registers. */
static __device__ __forceinline__ void wgmma_end(void)
{
    wgmma_commit();
    wgmma_wait<0>();
}

/* A thread's part in loading tiles of 64 rows of one head: one 16-byte chunk of every PASS-th row. */
template <typename T, int D> struct vnp_loader {
    static constexpr int CHUNKS = D / 8, PASS = 128 / CHUNKS;
    int row;      /* the first of them */
    uint32_t to;  /* its place in a tile */
    int64_t from; /* its offset from the tile's first element */

    __device__ __forceinline__ vnp_loader(int64_t stride)
    {
        const int c = threadIdx.x % CHUNKS;
        row = threadIdx.x / CHUNKS;
        to = c / 8 * PANEL + vnp_swizzle<8>(row, c % 8); /* PASS is a multiple of 8: the swizzle is that of every row */
        from = row * stride + c * 8;
    }
    /* Starts the copy of ROWS rows and up to the next PASS; those from `valid` on become zeros. */
    template <int ROWS = 64>
    __device__ __forceinline__ void start(uint32_t dst, const T *src, int64_t stride, int valid) const
    {
        static_assert(PASS % 8 == 0, "rows of a thread share their swizzle");
        const T *at = src + from;
#pragma unroll
        for (int i = 0; i < ROWS; i += PASS, at += PASS * stride)
            vnp_copy16(dst + to + i * 128, at, row + i < valid);
    }
};

/* The sums of this lane's exponentials in each of its two rows. */
template <int N>
static __device__ __forceinline__ void sum_exponentials(float (&sum)[2], const float (&s)[N][4])
{
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float even = 0, odd = 0;
#pragma unroll
        for (int j = 0; j < N; j++)
            even += s[j][2 * r], odd += s[j][2 * r + 1];
        sum[r] = even + odd;
    }
}

/* The softmax's weights as wgmma's operand in registers: groups of 16 keys. */
template <typename T, int N>
static __device__ __forceinline__ void pack_weights(uint32_t (&p)[N / 2][4], const float (&s)[N][4])
{
#pragma unroll
    for (int g = 0; g < N / 2; g++)
#pragma unroll
        for (int e = 0; e < 4; e++)
            p[g][e] = vnp_half<T>::pack(s[2 * g + e / 2][e % 2 * 2], s[2 * g + e / 2][e % 2 * 2 + 1]);
}

/* A warp's 16 rows of o over their sums, through its own rows from `row0` on of the q tile (in panels of 64 rows), to
 * global memory in whole lines, those under `rows`. */
template <typename T, int D>
static __device__ __forceinline__ void store(T *out, int64_t stride, const float (&o)[D / 64][8][4],
                                             const float (&sum)[2], uint32_t q, int row0, int rows)
{
    const int lane = threadIdx.x & 31, row = row0 + lane % 16;
    const float inv[2] = {1 / vnp_quad_sum(sum[0]), 1 / vnp_quad_sum(sum[1])};
    const uint32_t to = q + vnp_swizzle<8>(row, lane / 16); /* chunks lane / 16; two chunks on is 32 bytes, by XOR */
#pragma unroll
    for (int n = 0; n < D / 8; n += 2) {
        uint32_t word[4];
#pragma unroll
        for (int e = 0; e < 4; e++) {
            const float *c = o[n / 8][n % 8 + e / 2] + e % 2 * 2;
            word[e] = vnp_half<T>::pack(c[0] * inv[e % 2], c[1] * inv[e % 2]);
        }
        stmatrix_x4((to ^ n % 8 * 16) + n / 8 * PANEL, word[0], word[1], word[2], word[3]);
    }
    __syncwarp();
#pragma unroll
    for (int i = lane; i < 16 * (D / 8); i += 32) {
        const int r = row0 + i / (D / 8), c = i % (D / 8);
        uint4 v;
        asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                     : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                     : "r"(q + c / 8 * PANEL + vnp_swizzle<8>(r, c % 8))
                     : "memory");
        if (r < rows)
            *reinterpret_cast<uint4 *>(out + r * stride + c * 8) = v;
    }
}
#endif

#endif
