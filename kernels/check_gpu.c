#include "cuda_check.h"

#include <stdlib.h>

#include "log.h"

void (*vnp_cuda_on_error)(const struct vnp_err *err);

static enum vnp_status exit_status(cudaError_t status)
{
    switch (status) {
    case cudaErrorMemoryAllocation:
        return VNP_OS;
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
    case cudaErrorInsufficientDriver:
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorUnsupportedPtxVersion:
    case cudaErrorDevicesUnavailable:
    case cudaErrorECCUncorrectable:
        return VNP_UNAVAILABLE;
    default:
        return VNP_SOFTWARE;
    }
}

void vnp_cuda_die(cudaError_t status, const char *statement, const char *function, const char *file, int line)
{
    int device = -1;
    struct vnp_err err;
    cudaGetDevice(&device);
    vnp_error(&err, exit_status(status), "CUDA: %s: %s (%s, %s:%d, device %d)", cudaGetErrorString(status), statement,
              function, file, line, device);
    if (vnp_cuda_on_error)
        vnp_cuda_on_error(&err);
    vnp_die(err.status, "%s", err.msg);
}
