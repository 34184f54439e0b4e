/* What a batch has to itself while it is computed: a stream, and the buffers between the steps.
 *
 * A net has several workspaces, and its batches take turns in them, so that as many are under way at once: where a
 * kernel of one begins or ends, and has too little to do for all multiprocessors, they work on another's. */
#ifndef VNP_WORKSPACE_GPU_H
#define VNP_WORKSPACE_GPU_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#include "gpu_memory.h"
#include "status.h"

struct vnp_gpu_net;

struct vnp_gpu_workspace {
    const struct vnp_gpu_net *net;
    cudaStream_t stream;
    int64_t cap;      /* tokens that there is room for */
    void *d_slab;     /* of which the rest are parts */
    void *d_x;        /* [tokens, width] residual stream, before any LayerNorm */
    void *d_h;        /* [tokens, width] after attention */
    void *d_wide;     /* [tokens, 3 width] q, k, v; [tokens, ffn] */
    float *d_moments; /* [tokens, parts, 2] of d_x's rows */
    float *d_scale;   /* [tokens] 1 / the deviation of d_x's rows */
    float *d_shift;   /* [tokens] -their mean / the deviation */
    float *d_rotary;  /* [positions, head_dim / 2, 2], ESM-2 */
};

/* With no room yet. */
void vnp_gpu_workspace_init(struct vnp_gpu_workspace *ws, const struct vnp_gpu_net *net);

/* Makes room for `tokens`, which waits for what is under way in it; nothing where there is room. `parts`: bytes a
 * token. VNP_OS when there is not the memory: it has no room at all then. */
VNP_MUST_CHECK enum vnp_status vnp_gpu_workspace_reserve(struct vnp_gpu_workspace *ws,
                                                         const struct vnp_gpu_parts *parts, int head_dim,
                                                         int64_t tokens, struct vnp_err *err);
void vnp_gpu_workspace_free(struct vnp_gpu_workspace *ws);

#endif
