/* A language model on the CPU in FP32: the oracle for every other path. The single operations are in cpu_*.h. */
#ifndef VNP_NET_CPU_H
#define VNP_NET_CPU_H

#include <stdint.h>

#include "cpu_threads.h"
#include "model.h"
#include "status.h"

/* Sequences, one after the other. Borrowed. */
struct vnp_cpu_batch {
    int64_t n;
    const uint32_t *tokens; /* [n] tokens of each, special ones included; 0 too */
    const void *ids;        /* [sum of tokens], all < vocab */
    int id_bytes;           /* 1 or 2 */
};

struct vnp_cpu_net;

/* Makes `model` (borrowed until vnp_cpu_net_close) ready on `threads` (borrowed as long): an ESM-2 or a DNABERT-S of
 * any size. FP32 tensors are used where they lie, FP16 and BF16 ones are converted. */
VNP_MUST_CHECK enum vnp_status vnp_cpu_net_open(struct vnp_cpu_net **out, const struct vnp_model *model,
                                                struct vnp_cpu_threads *threads, struct vnp_err *err);

/* *hidden [sum of tokens, width], 64-byte aligned, borrowed until the next call: with layer 0 the embedding, with layer
 * n the output of layer n; an ESM-2's last after the final LayerNorm. A sequence's rows are the same bytes in every
 * batch and with every number of threads. Memory: 2 x width + max(3 x width, ffn) floats a token and one block of
 * queries x length a thread; VNP_OS when the system has not got it. */
VNP_MUST_CHECK enum vnp_status vnp_cpu_net_forward(struct vnp_cpu_net *m, const struct vnp_cpu_batch *batch, int layer,
                                                   const float **hidden, struct vnp_err *err);

/* Floating-point operations (2 a multiply-add) of the matrices and of attention for a sequence of `tokens`. */
double vnp_cpu_net_flops(const struct vnp_model_config *c, int layer, int64_t tokens);

/* What it takes of memory: the weights as in the file and, where they are not FP32, beside that in FP32; a batch of
 * `tokens`, of which `longest` in one sequence. */
int64_t vnp_cpu_net_weights_bytes(const struct vnp_model *model);
int64_t vnp_cpu_net_batch_bytes(const struct vnp_model_config *c, int64_t tokens, int64_t longest, int threads);

/* How fast a model of this shape is on this machine, without its weights: one layer of made-up ones computes sequences
 * of tokens[0 .. n) for `seconds` or a little longer. *flops_s: operations a second, counted as above. VNP_OS when there
 * is no memory. */
VNP_MUST_CHECK enum vnp_status vnp_cpu_net_trial(const struct vnp_model_config *c, struct vnp_cpu_threads *threads,
                                                 const uint32_t *tokens, int64_t n, double seconds, double *flops_s,
                                                 struct vnp_err *err);

/* NULL is allowed. */
void vnp_cpu_net_close(struct vnp_cpu_net *m);

#endif
