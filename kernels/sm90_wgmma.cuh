/* wgmma of Hopper for the tile widths of gemm_sm90.cu: D [64][n] FP32 in registers, A and B in shared memory.
 *
 * Thread t of a warpgroup holds, for column group j: acc[4j], acc[4j+1] = row 16 (t / 32) + t % 32 / 4, columns
 * 8j + 2 (t % 4) and the next; acc[4j+2], acc[4j+3] = the same eight rows below. */
#ifndef VNP_SM90_WGMMA_CUH
#define VNP_SM90_WGMMA_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>
#include <type_traits>

#define VNP_REGS_256                                                                                                   \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, "                       \
    "%20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, "                       \
    "%38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, "                       \
    "%56, %57, %58, %59, %60, %61, %62, %63, %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, "                       \
    "%74, %75, %76, %77, %78, %79, %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, "                       \
    "%92, %93, %94, %95, %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, "                   \
    "%109, %110, %111, %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, "                       \
    "%124, %125, %126, %127"

#define VNP_REGS_160                                                                                                   \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, "                       \
    "%20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, "                       \
    "%38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, "                       \
    "%56, %57, %58, %59, %60, %61, %62, %63, %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, "                       \
    "%74, %75, %76, %77, %78, %79"

#define VNP_REGS_192                                                                                                   \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, "                       \
    "%20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, "                       \
    "%38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55, "                       \
    "%56, %57, %58, %59, %60, %61, %62, %63, %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, "                       \
    "%74, %75, %76, %77, %78, %79, %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, "                       \
    "%92, %93, %94, %95"

#define VNP_ACC8(i)                                                                                                    \
    "+f"(acc[(i)]), "+f"(acc[(i) + 1]), "+f"(acc[(i) + 2]), "+f"(acc[(i) + 3]), "+f"(acc[(i) + 4]),                    \
        "+f"(acc[(i) + 5]), "+f"(acc[(i) + 6]), "+f"(acc[(i) + 7])
#define VNP_ACC16(i) VNP_ACC8(i), VNP_ACC8((i) + 8)
#define VNP_ACC32(i) VNP_ACC16(i), VNP_ACC16((i) + 16)
#define VNP_ACC64 VNP_ACC32(0), VNP_ACC32(32)
#define VNP_ACC80 VNP_ACC64, VNP_ACC16(64)
#define VNP_ACC96 VNP_ACC64, VNP_ACC32(64)
#define VNP_ACC128 VNP_ACC64, VNP_ACC32(64), VNP_ACC32(96)

/* ia, ib, ik: the operand numbers of the descriptors and of `keep`, after the accumulators. */
#define VNP_WGMMA(shape, type, regs, ia, ib, ik, ...)                                                                  \
    asm volatile("{\n.reg .pred p;\n"                                                                                  \
                 "setp.ne.b32 p, %" #ik ", 0;\n"                                                                       \
                 "wgmma.mma_async.sync.aligned.m64" shape "k16.f32." type "." type " {" regs "}, "                     \
                 "%" #ia ", %" #ib ", p, 1, 1, 0, 0;\n}\n"                                                             \
                 : __VA_ARGS__                                                                                         \
                 : "l"(a), "l"(b), "r"(keep))

/* acc[128] (+)= A [64][16] x B [256][16]^T, both from shared memory; `keep` 0 starts from zero. */
template <class T> static __device__ __forceinline__ void wgmma(float (&acc)[128], uint64_t a, uint64_t b, int keep)
{
    if constexpr (std::is_same<T, __half>::value)
        VNP_WGMMA("n256", "f16", VNP_REGS_256, 128, 129, 130, VNP_ACC128);
    else
        VNP_WGMMA("n256", "bf16", VNP_REGS_256, 128, 129, 130, VNP_ACC128);
}

/* acc[80] (+)= A [64][16] x B [160][16]^T, both from shared memory; `keep` 0 starts from zero. */
template <class T> static __device__ __forceinline__ void wgmma(float (&acc)[80], uint64_t a, uint64_t b, int keep)
{
    if constexpr (std::is_same<T, __half>::value)
        VNP_WGMMA("n160", "f16", VNP_REGS_160, 80, 81, 82, VNP_ACC80);
    else
        VNP_WGMMA("n160", "bf16", VNP_REGS_160, 80, 81, 82, VNP_ACC80);
}

/* acc[96] (+)= A [64][16] x B [192][16]^T, both from shared memory; `keep` 0 starts from zero. */
template <class T> static __device__ __forceinline__ void wgmma(float (&acc)[96], uint64_t a, uint64_t b, int keep)
{
    if constexpr (std::is_same<T, __half>::value)
        VNP_WGMMA("n192", "f16", VNP_REGS_192, 96, 97, 98, VNP_ACC96);
    else
        VNP_WGMMA("n192", "bf16", VNP_REGS_192, 96, 97, 98, VNP_ACC96);
}

#endif
