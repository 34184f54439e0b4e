/* How a CUDA error ends the program: one line with the statement, the place and the device, never a silent wrong
 * result. For host code, C and C++. */
#ifndef VNP_CUDA_CHECK_H
#define VNP_CUDA_CHECK_H

#include <cuda_runtime_api.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Called with the whole message before the process ends, so that a stage can tell the next one why; NULL: nothing is
 * called. It may exit itself. Set once, before any thread uses the device. */
extern void (*vnp_cuda_on_error)(const struct vnp_err *err);

/* Prints "stage: CUDA: error: statement (function, file:line, device N)" and exits: with VNP_OS when the device is out
 * of memory, VNP_UNAVAILABLE when it has gone or does not fit the program, else VNP_SOFTWARE. */
void vnp_cuda_die(cudaError_t status, const char *statement, const char *function, const char *file, int line)
    __attribute__((noreturn));

/* Evaluates a runtime call once and ends the process when it failed. */
#define CUDA_CHECK(call)                                                                                               \
    do {                                                                                                               \
        const cudaError_t cuda_check_status_ = (call);                                                                 \
        if (cuda_check_status_ != cudaSuccess)                                                                         \
            vnp_cuda_die(cuda_check_status_, #call, __func__, __FILE__, __LINE__);                                     \
    } while (0)

/* After every launch: was the configuration accepted? Errors inside the kernel surface at the next synchronisation. */
#define CUDA_CHECK_LAUNCH() CUDA_CHECK(cudaGetLastError())

#ifdef __cplusplus
}
#endif
#endif
