/* A language model on the GPU: weights in one slab, workspaces, and the walk through the layers for a batch. */
#ifndef VNP_NET_GPU_H
#define VNP_NET_GPU_H

#include <stdbool.h>
#include <stdint.h>

#include "batch_gpu.h"
#include "gemm.h"
#include "gpu_memory.h"
#include "model.h"
#include "status.h"

struct vnp_gpu_net;

/* Before any work: would `batches` of o->tokens in flight fit the memory that is free on the calling thread's device,
 * beside the weights and, with second_opinion, the weights in FP32? Takes from o->workspaces what there is no room for.
 * VNP_OS when it is too much with one, with what would do. */
VNP_MUST_CHECK enum vnp_status vnp_gpu_net_fits(const struct vnp_model_config *c, struct vnp_gpu_net_options *o,
                                                int batches, bool second_opinion, struct vnp_err *err);

/* Makes `model` (an ESM-2 or a DNABERT-S, borrowed for this call) ready on the calling thread's device. VNP_DATA for a
 * shape there are no kernels for, VNP_OS when the memory is not there. */
VNP_MUST_CHECK enum vnp_status vnp_gpu_net_open(struct vnp_gpu_net **out, const struct vnp_model *model,
                                                const struct vnp_gpu_net_options *options, struct vnp_err *err);

/* Makes room for a batch of `tokens` in the largest workspace, which waits for what is under way there; nothing when it
 * has room. VNP_OS when there is not the memory: the net can only be closed then. */
VNP_MUST_CHECK enum vnp_status vnp_gpu_net_reserve(struct vnp_gpu_net *m, int64_t tokens, struct vnp_err *err);

/* Sends a filled batch, for which there is room, through: one stream copies in, one of each workspace computes, one
 * copies out, so that batches overlap. Returns at once; vnp_gpu_batch_wait() waits. A sequence's vectors are the same
 * bytes in every batch. nonfinite[i] says whether sequence i's representation holds NaN or Inf. */
void vnp_gpu_net_enqueue(struct vnp_gpu_net *m, struct vnp_gpu_batch *b);

/* The parts of vnp_gpu_net_enqueue(), for which there must be room: each returns at once, and on the device waits for
 * the one before it. */
void vnp_gpu_net_upload(struct vnp_gpu_net *m, struct vnp_gpu_batch *b);
void vnp_gpu_net_compute(struct vnp_gpu_net *m, struct vnp_gpu_batch *b);
void vnp_gpu_net_download(struct vnp_gpu_net *m, struct vnp_gpu_batch *b);

/* Computes an uploaded batch with a pause at each step and adds each kind of step's seconds to `seconds`. Nothing else
 * may be under way, and the net has room for it from the start. */
enum vnp_gpu_step {
    VNP_STEP_EMBED, /* DNABERT-S: with the first layer's q, k and v, looked up */
    VNP_STEP_NORM,
    VNP_STEP_QKV,
    VNP_STEP_ATTENTION,
    VNP_STEP_OUT,
    VNP_STEP_FC1,
    VNP_STEP_FC2,
    VNP_STEP_FINISH,
    VNP_STEPS
};
void vnp_gpu_net_profile(struct vnp_gpu_net *m, struct vnp_gpu_batch *b, double seconds[VNP_STEPS]);
/* Static text; NULL where the model has no such step. */
const char *vnp_gpu_net_step_name(const struct vnp_gpu_net *m, enum vnp_gpu_step step);

/* The kernels that run, one name a line, for --report. Static text but for one call to the next. */
const char *vnp_gpu_net_report(struct vnp_gpu_net *m);

/* NULL is allowed. */
void vnp_gpu_net_close(struct vnp_gpu_net *m);
#endif
