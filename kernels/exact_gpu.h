/* A second opinion in FP32 on single sequences: to redo what FP16 could not hold, and to compare. */
#ifndef VNP_EXACT_GPU_H
#define VNP_EXACT_GPU_H

#include <stdbool.h>
#include <stdint.h>

#include "net_gpu.h"
#include "stats.h"

struct vnp_exact;

/* The same representation as `like` asks for, in true FP32; `model` is borrowed until it is freed. Nothing is loaded
 * before the first sequence. The caller frees. */
struct vnp_exact *vnp_exact_new(const struct vnp_model *model, const struct vnp_gpu_net_options *like);

/* One sequence: *out [tokens, width] or, pooled, [width], borrowed until the next call; *finite whether there is no NaN
 * or Inf in its representation. VNP_OS when the device has no room for the FP32 weights. */
VNP_MUST_CHECK enum vnp_status vnp_exact_run(struct vnp_exact *e, const void *ids, int id_bytes, uint32_t tokens,
                                             const float **out, bool *finite, struct vnp_err *err);

/* Adds what a sequence became, `a`, beside `b` to *g: the vectors of `pool` or, without, the means of its residues'
 * vectors (of all its tokens', where there are no residues). *pair gets what it was. */
void vnp_exact_compare(const struct vnp_head *head, enum vnp_pool pool, uint32_t tokens, int width, const float *a,
                       const float *b, struct vnp_agreement *g, struct vnp_pair *pair);

/* NULL is allowed. */
void vnp_exact_free(struct vnp_exact *e);

#endif
