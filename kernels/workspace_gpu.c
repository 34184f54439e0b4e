#include "workspace_gpu.h"

#include "cuda_check.h"
#include "device_gpu.h"
#include "rotary.h"

void vnp_gpu_workspace_init(struct vnp_gpu_workspace *ws, const struct vnp_gpu_net *net)
{
    *ws = (struct vnp_gpu_workspace){.net = net};
    CUDA_CHECK(cudaStreamCreateWithFlags(&ws->stream, cudaStreamNonBlocking));
}

enum vnp_status vnp_gpu_workspace_reserve(struct vnp_gpu_workspace *ws, const struct vnp_gpu_parts *parts, int head_dim,
                                          int64_t tokens, struct vnp_err *err)
{
    char *at;
    if (tokens <= ws->cap)
        return VNP_OK;
    tokens = (tokens + 255) / 256 * 256; /* so that each part is aligned */
    const int64_t bytes = tokens * vnp_gpu_parts_sum(parts);
    CUDA_CHECK(cudaStreamSynchronize(ws->stream));
    CUDA_CHECK(cudaFree(ws->d_slab));
    ws->d_slab = NULL, ws->cap = 0;
    if (cudaMalloc((void **)&at, (size_t)bytes) != cudaSuccess) {
        cudaGetLastError();
        return vnp_error(err, VNP_OS, "a batch of %lld tokens takes %.2f GB of the GPU's memory, and %.2f GB are free",
                         (long long)tokens, (double)bytes * 1e-9, (double)vnp_device_free() * 1e-9);
    }
    ws->d_slab = at;
    ws->d_x = at, at += tokens * parts->x;
    ws->d_h = at, at += tokens * parts->h;
    ws->d_wide = at, at += tokens * parts->wide;
    ws->d_moments = (float *)(void *)at, at += tokens * parts->moments;
    ws->d_scale = (float *)(void *)at, at += tokens * parts->scale;
    ws->d_shift = (float *)(void *)at, at += tokens * parts->shift;
    ws->d_rotary = (float *)(void *)at;
    ws->cap = tokens;
    if (parts->rotary > 0)
        CUDA_CHECK((cudaError_t)vnp_rotary_table(ws->d_rotary, tokens, head_dim, ws->stream));
    return VNP_OK;
}

void vnp_gpu_workspace_free(struct vnp_gpu_workspace *ws)
{
    if (ws->net == NULL)
        return;
    CUDA_CHECK(cudaFree(ws->d_slab));
    CUDA_CHECK(cudaStreamDestroy(ws->stream));
    *ws = (struct vnp_gpu_workspace){0};
}
