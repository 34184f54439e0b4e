/* Kernels of a chain that begin before the one before them has ended ("programmatic dependent launch", CUDA C++
 * Programming Guide): a block starts as soon as a multiprocessor has room, prepares itself, and waits only then for
 * the results it reads. That saves the gap between two kernels, one to three microseconds of each on Hopper. */
#ifndef VNP_LAUNCH_CUH
#define VNP_LAUNCH_CUH

#include <cuda_runtime.h>
#include <stdint.h>
#include <utility>

#include "target.h"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ == 900 && !defined(__CUDA_ARCH_FEAT_SM90_ALL)
#error "Hopper's kernels take arch=compute_90a,code=sm_90a (GENCODE); for sm_90 they would be empty"
#endif

/* In a kernel launched with vnp_launch(), in every thread, before global memory is read or written: until here the
 * kernels before it may still run. What they wrote must not be read through the read-only path (ld.global.nc, __ldg),
 * which takes it for constant; the copy engine and cp.async go past that path. */
static __device__ __forceinline__ void vnp_await_results(void)
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/* Once in each block: the kernel behind it may start when all blocks have come here, or ended. Before vnp_await_results()
 * only if that kernel waits before it reads, as it sees no more then than where this one began. */
static __device__ __forceinline__ void vnp_let_next_start(void)
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/* Is a kernel brief, for vnp_launch(), that goes over so many elements? All of 8M's in batches of 16384 tokens are. */
static inline bool vnp_is_brief(int64_t elements)
{
    return elements < 8000000;
}

/* kernel<<<blocks, threads, shared, stream>>>(args...); early where it is brief and the code for it can (from sm_90).
 * `brief`: longer ones have nothing to gain, and lose by it: their blocks keep multiprocessors waiting which another
 * batch could use. */
template <class... P, class... A>
static cudaError_t vnp_launch(bool brief, void (*kernel)(P...), unsigned blocks, unsigned threads, size_t shared,
                              cudaStream_t stream, A &&...args)
{
    cudaLaunchAttribute early = {};
    early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    early.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = blocks;
    config.blockDim = threads;
    config.dynamicSmemBytes = shared;
    config.stream = stream;
    config.attrs = &early;
    config.numAttrs = brief && vnp_target() >= 90;
    return cudaLaunchKernelEx(&config, kernel, std::forward<A>(args)...);
}

#endif
