/* The walk of a batch through a model on the GPU: what net_gpu.c, which sends it, and the architectures (esm2_gpu.c,
 * dnabert_gpu.c) know of each other. */
#ifndef VNP_NET_STEPS_GPU_H
#define VNP_NET_STEPS_GPU_H

#include "lookup.h"
#include "net_gpu.h"
#include "weights_gpu.h"
#include "workspace_gpu.h"

#define VNP_GPU_LAYER_STEPS 8 /* of a layer at most, for profiling */

/* A batch on its way. */
struct vnp_gpu_pass {
    const struct vnp_gpu_workspace *ws;
    const struct vnp_gpu_batch *b;
    /* Says that a step has been launched; only profiling listens. */
    void (*done)(const struct vnp_gpu_workspace *ws, enum vnp_gpu_step step, void *ctx);
    void *ctx;
};
static inline void vnp_gpu_done(const struct vnp_gpu_pass *p, enum vnp_gpu_step step)
{
    p->done(p->ws, step, p->ctx);
}

/* An architecture: what differs in the walk. */
struct vnp_gpu_arch {
    const char *scores;           /* what its attention does with the scores, for the report */
    const char *steps[VNP_STEPS]; /* names; NULL where it has no such step */
    /* d_x: the input of the first layer, before a LayerNorm. */
    void (*embed)(const struct vnp_gpu_workspace *ws, const struct vnp_gpu_batch *b);
    /* The products of a layer for a batch: q, k and v into d_wide; attention's output, from d_h, into d_x; the
     * feed-forward's first, from d_x into d_wide, and its second, from there into d_x. Those into d_x make moments. */
    void (*products)(const struct vnp_gpu_workspace *ws, const struct vnp_gpu_layer *l, const struct vnp_gpu_batch *b,
                     struct vnp_gemm_params p[4]);
};
extern const struct vnp_gpu_arch vnp_esm2_gpu, vnp_dnabert_gpu;

struct vnp_gpu_net {
    struct vnp_model_config c;
    const struct vnp_gpu_arch *arch;
    struct vnp_gpu_net_options o;
    enum vnp_dtype dtype; /* of activations, the residual stream and matrices */
    struct vnp_gpu_weights weights;
    float *d_slopes;  /* [heads] ALiBi's, DNABERT-S */
    struct vnp_lookup_table by_id; /* x and q, k, v of the first layer, vnp_gpu_table_rows(); empty without */
    struct vnp_gpu_workspace workspace[VNP_WORKSPACES]; /* the first o.workspaces of them */
    int turn;                                           /* whose it is */
    cudaStream_t in, out;
    char report[1024];
};

/* Makes m->by_id, where vnp_gpu_table_rows() are more than none: sends the whole vocabulary through the embedding and
 * the first layer's q, k and v. Uses the first workspace, and waits. VNP_OS when the device has not the memory; the net
 * can only be closed then. */
VNP_MUST_CHECK enum vnp_status vnp_gpu_net_tabulate(struct vnp_gpu_net *m, struct vnp_err *err);

/* d_x of a batch's tokens; d_scale and d_shift, with which the first layer reads it; from a table, its d_wide too. */
void vnp_gpu_net_embed(const struct vnp_gpu_pass *p);

/* d_x through one layer. */
void vnp_gpu_net_layer(const struct vnp_gpu_pass *p, const struct vnp_gpu_layer *l);

/* d_x += a w^T + bias, and the moments of its rows; `k` columns of a and w. */
struct vnp_gemm_params vnp_gpu_net_residual(const struct vnp_gpu_workspace *ws, const void *a, const void *w,
                                            const float *bias, int64_t rows, int64_t k);

#endif
