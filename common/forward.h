/* What the stages that run a model share around the running: which layer, whose tokens, the head, the frames. */
#ifndef VNP_FORWARD_H
#define VNP_FORWARD_H

#include <stdint.h>

#include "block.h"
#include "model.h"
#include "pool.h"
#include "stream.h"

#define VNP_LAYER_LAST INT64_MIN

/* The representation that `wanted` names: from 0, or counted from the end when negative (-1 the last), as fair-esm
 * does. VNP_USAGE when the model has no such layer. */
VNP_MUST_CHECK enum vnp_status vnp_forward_layer(const struct vnp_model_config *c, int64_t wanted, int *layer,
                                                 struct vnp_err *err);

/* The tokens must be the model's: ESM-2's alphabet; for DNABERT-S those of the tokenizer.json beside the weights or,
 * where there is none, of a byte-pair vocabulary of the same size. VNP_DATA, naming what makes the right ones. `name`:
 * of the stream. */
VNP_MUST_CHECK enum vnp_status vnp_forward_check(const struct vnp_model *m, const struct vnp_head *head,
                                                 const char *name, struct vnp_err *err);

/* Tokens of a batch at most, as vnp-pack says in the head; `otherwise` where nobody says. A single record may have
 * more. The first is what the head says, the second from 64 to 2^30: a batch that there must be room for. */
int64_t vnp_forward_budget_said(const struct vnp_head *head, int64_t otherwise);
int64_t vnp_forward_budget(const struct vnp_head *head, int64_t otherwise);

/* Turns the head of the batches into the head of what comes out, FP32. all_tokens: as vnp_pool_span() has it.
 * `numbers`: how it was computed, for the record; NULL: not recorded. VNP_DATA when the stream has come through too
 * many stages. */
VNP_MUST_CHECK enum vnp_status vnp_forward_head(struct vnp_head *head, const struct vnp_model_config *c, int layer,
                                                enum vnp_pool pool, bool all_tokens, const char *numbers,
                                                const char *name, struct vnp_err *err);

/* Writes a batch's results: one frame, or several where its vectors are more than a frame may hold. The block's bulk:
 * floats, width a vector, a vector a token or, pooled, a sequence. */
VNP_MUST_CHECK enum vnp_status vnp_forward_write(struct vnp_writer *out, const struct vnp_block *batch, int width,
                                                 enum vnp_pool pool, struct vnp_err *err);

#endif
