#include "device_gpu.h"

#include <stdio.h>

#include "cuda_check.h"

#define NO_GPU "vnp-cpu-forward takes the same input"

static enum vnp_status check_driver(struct vnp_device *d, struct vnp_err *err)
{
    if (cudaRuntimeGetVersion(&d->runtime) != cudaSuccess || cudaDriverGetVersion(&d->driver) != cudaSuccess ||
        d->driver == 0)
        return vnp_error(err, VNP_UNAVAILABLE, "no NVIDIA driver here; " NO_GPU);
    if (d->driver / 1000 < d->runtime / 1000)
        return vnp_error(
            err, VNP_UNAVAILABLE,
            "the NVIDIA driver is for CUDA %d.%d and this program needs %d.%d: install a newer driver, or build "
            "with an older toolkit; " NO_GPU,
            d->driver / 1000, d->driver % 1000 / 10, d->runtime / 1000, d->runtime % 1000 / 10);
    return VNP_OK;
}

enum vnp_status vnp_device_open(struct vnp_device *d, int index, struct vnp_err *err)
{
    struct cudaDeviceProp prop;
    int n = 0;
    *d = (struct vnp_device){.index = index};
    if (check_driver(d, err) != VNP_OK)
        return err->status;
    cudaError_t st = cudaGetDeviceCount(&n);
    if (st != cudaSuccess || n == 0)
        return vnp_error(err, VNP_UNAVAILABLE, "no GPU that CUDA can use (%s); " NO_GPU,
                         cudaGetErrorString(st == cudaSuccess ? cudaErrorNoDevice : st));
    if (index >= n)
        return vnp_error(err, VNP_UNAVAILABLE, "--device %d: there are GPUs 0 to %d", index, n - 1);
    st = cudaGetDeviceProperties(&prop, index);
    if (st == cudaSuccess && prop.major >= 8) {
        st = cudaSetDevice(index);
        st = st == cudaSuccess ? cudaFree(NULL) : st; /* the context is made now, where a failure can be told */
    }
    if (st != cudaSuccess)
        return vnp_error(err, VNP_UNAVAILABLE, "GPU %d doesn't answer: %s; " NO_GPU, index, cudaGetErrorString(st));
    if (prop.major < 8)
        return vnp_error(
            err, VNP_UNAVAILABLE,
            "GPU %d (%s) has compute capability %d.%d and 8.0 is the least (A100, RTX 30 and later); " NO_GPU, index,
            prop.name, prop.major, prop.minor);
    snprintf(d->name, sizeof d->name, "%.127s", prop.name);
    d->major = prop.major, d->minor = prop.minor;
    d->total_bytes = (int64_t)prop.totalGlobalMem;
    return VNP_OK;
}

int64_t vnp_device_free(void)
{
    size_t free_bytes = 0, total = 0;
    CUDA_CHECK(cudaMemGetInfo(&free_bytes, &total));
    return (int64_t)free_bytes;
}
