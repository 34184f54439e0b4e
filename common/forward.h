/* What the stages that run a model share around the running: which model and layer, whose tokens, the head,
 * the frames. */
#ifndef VNP_FORWARD_H
#define VNP_FORWARD_H

#include <stdbool.h>
#include <stdint.h>

#include "block.h"
#include "model.h"
#include "pool.h"
#include "stream.h"

#define VNP_LAYER_LAST INT64_MIN

/* A model and the batches for it: what was asked for (forward_options.h), then what has been opened. */
struct vnp_forward {
    const char *path;   /* of the model; NULL: $VNP_MODEL */
    const char *output; /* NULL: stdout */
    int64_t wanted;     /* layer: from 0, or counted from the end when negative (-1 the last), as fair-esm does */
    enum vnp_pool pool; /* VNP_POOL_NONE: hidden states */
    bool all_tokens;    /* as vnp_pool_span() has it */

    struct vnp_model *model;
    const struct vnp_model_config *config;
    int layer; /* 0: the embedding, N: the output of layer N */
    struct vnp_reader *in;
};

/* The model and the layer of it; VNP_USAGE when it has no such layer. */
VNP_MUST_CHECK enum vnp_status vnp_forward_open_model(struct vnp_forward *f, struct vnp_err *err);

/* The batches; their tokens must be the model's: ESM-2's alphabet; for DNABERT-S those of the tokenizer.json beside the
 * weights or, where there is none, of a byte-pair vocabulary of the same size. VNP_DATA, naming what makes the right
 * ones; or for --pool cls of tokens without a first special one. */
VNP_MUST_CHECK enum vnp_status vnp_forward_open_input(struct vnp_forward *f, const char *path, struct vnp_err *err);

/* Closes what has been opened. */
void vnp_forward_close(struct vnp_forward *f);

/* Tokens of a batch at most, as vnp-pack says in the head, or its default where nobody says. A single record may have
 * more. The first is what the head says, the second from 64 to 2^30: a batch that there must be room for. */
int64_t vnp_forward_budget_said(const struct vnp_head *head);
int64_t vnp_forward_budget(const struct vnp_head *head);

/* Writes the head of what comes out, FP32. `numbers`: how it was computed, for the record; NULL: not recorded. VNP_DATA
 * when the stream has come through too many stages. */
VNP_MUST_CHECK enum vnp_status vnp_forward_write_head(const struct vnp_forward *f, struct vnp_writer *out,
                                                      const char *numbers, struct vnp_err *err);

/* Writes a batch's results: one frame, or several where its vectors are more than a frame may hold. The block's bulk:
 * floats, a vector a token or, pooled, a sequence. */
VNP_MUST_CHECK enum vnp_status vnp_forward_write(const struct vnp_forward *f, struct vnp_writer *out,
                                                 const struct vnp_block *batch, struct vnp_err *err);

/* The line of progress: what has been written, and how fast since `begin`, seconds of vnp_now(). */
void vnp_forward_progress(const struct vnp_writer *out, double begin);

/* *err for a record with NaN or Inf: VNP_DATA, with the ways out. `numbers`: those it was computed in. */
void vnp_forward_nonfinite(const struct vnp_forward *f, uint64_t ordinal, struct vnp_str id, const char *numbers,
                           struct vnp_err *err);

/* How many such records were written all the same, if any. */
void vnp_forward_warn_kept(const struct vnp_writer *out);

/* Behind the last batch: that all that came was written, or VNP_SOFTWARE. */
VNP_MUST_CHECK enum vnp_status vnp_forward_complete(const struct vnp_forward *f, const struct vnp_writer *out,
                                                    struct vnp_err *err);

#endif
