/* The CPU's word on what a GPU made of a batch, before it is written: kernels that are wrong on some card can't go
 * unnoticed. No CUDA. */
#ifndef VNP_SELF_CHECK_H
#define VNP_SELF_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "block.h"
#include "model.h"
#include "pool.h"
#include "status.h"

#define VNP_SELF_CHECK_TOKENS 512 /* of the sequence that is checked, at most, where there is one so short */
#define VNP_SELF_CHECK_LEAST 0.999

/* What is computed, and what has been proven of it. Borrowed. */
struct vnp_self_check {
    const struct vnp_model *model;
    const struct vnp_head *head; /* of the batches: how many special tokens there are, and the width of an id */
    const char *name;            /* of the stream, for messages */
    int layer;
    enum vnp_pool pool; /* none: a vector a token */
    bool all_tokens;    /* as vnp_pool_span() has it */
    double least;       /* cosine; VNP_SELF_CHECK_LEAST, less for coarse numbers */
    bool proven[2];     /* sequences as they came out; sequences redone in FP32, which other kernels made */
};

/* Looks at one sequence of a batch of each kind that isn't proven yet (of what is not finite it knows nothing): the
 * longest of at most VNP_SELF_CHECK_TOKENS or, where all are longer, the shortest. Computes it on the CPU in FP32, with
 * as many threads as there are CPUs, and compares all its numbers. `ids`: the batch's tokens; its bulk: the vectors,
 * [tokens, width] or, pooled, [n, width]. Later batches cost nothing. VNP_SOFTWARE, naming the record, when the cosine
 * is too low or NaN; VNP_OS when memory or threads are missing. */
VNP_MUST_CHECK enum vnp_status vnp_self_check(struct vnp_self_check *c, const struct vnp_block *batch, const void *ids,
                                              struct vnp_err *err);

#endif
