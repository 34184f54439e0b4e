/* What the walks through the models (esm2_cpu.c, dnabert_cpu.c) are made of: a batch in flight, and steps that are
 * loops of tasks over it. A task lies within one sequence and its shape follows from that sequence alone (cpu_tiles.h).
 * Used by the walks and by net_cpu.c, which runs them. */
#ifndef VNP_NET_CPU_STEPS_H
#define VNP_NET_CPU_STEPS_H

#include "cpu_linear.h"
#include "cpu_tiles.h"
#include "net_cpu.h"

/* Scratch that grows; contents are lost when it does. */
struct vnp_cpu_area {
    float *p;
    int64_t cap; /* floats */
};

/* VNP_OS when there is no memory. 64-byte aligned. */
VNP_MUST_CHECK enum vnp_status vnp_cpu_area_grow(struct vnp_cpu_area *a, int64_t floats, struct vnp_err *err);

/* Pointers by role, as vnp_model_tensor() has them; NULL where the architecture has none. */
struct vnp_cpu_weights {
    const float *role[VNP_N_ROLES];
};

/* An architecture. */
struct vnp_cpu_walk {
    /* Before a batch whose longest sequence has `longest` tokens. NULL for none. */
    enum vnp_status (*prepare)(struct vnp_cpu_net *m, int64_t longest, struct vnp_err *err);
    /* A task: x [n, width], the input of the first layer for one whole sequence. */
    void (*embed)(const struct vnp_cpu_net *m, float *x, const void *ids, int id_bytes, int64_t n);
    /* x through one layer. */
    void (*layer)(struct vnp_cpu_net *m, const float *const *w);
    /* x after the last layer. NULL for none. */
    void (*finish)(struct vnp_cpu_net *m);
};
extern const struct vnp_cpu_walk vnp_esm2_walk, vnp_dnabert_walk;

struct vnp_cpu_net {
    const struct vnp_model_config *config;
    const struct vnp_cpu_walk *walk;
    struct vnp_cpu_threads *threads;
    struct vnp_cpu_weights globals, *layers;
    float **owned; /* converted tensors */
    int64_t n_owned;
    float *slopes; /* [heads]: ALiBi; zeros without */

    struct vnp_cpu_area x, y, big; /* [tokens, width]; [tokens, width]; [tokens, max(3 width, ffn)] */
    struct vnp_cpu_area rotary;    /* [positions, 2, head_dim / 2] */
    int64_t positions;             /* rows of `rotary` that are filled */
    struct vnp_cpu_area *scratch;  /* a thread each: scores, or a product that is not the result yet */
    struct vnp_cpu_tile *tiles, *queries;
    int64_t n_tiles, n_queries, cap_tiles, cap_queries;
};

/* A net without weights, which the caller adds; for net_cpu.c and the trial. As vnp_cpu_net_open() otherwise; `config`
 * is borrowed. */
VNP_MUST_CHECK enum vnp_status vnp_cpu_net_new(struct vnp_cpu_net **out, const struct vnp_model_config *config,
                                               struct vnp_cpu_threads *threads, struct vnp_err *err);

/* Columns of a weight that one task multiplies by, at most: enough tasks for many cores, few enough that packing the
 * rows again for each costs little. */
#define VNP_CPU_COLUMNS 320

/* out [tokens, width] = LayerNorm(x); out may be x. */
void vnp_cpu_net_norm(struct vnp_cpu_net *m, float *out, const float *w, const float *b);

/* One to three weights [n, k] on the same input, side by side in the output [tokens, matrices x n]. */
struct vnp_cpu_product {
    int matrices;
    const float *w[3], *bias[3];
    int64_t n, k;
    const float *in;
    float *out;
    enum vnp_cpu_epilogue epilogue;
    const float *w2; /* VNP_CPU_GEGLU */
};
void vnp_cpu_net_product(struct vnp_cpu_net *m, const struct vnp_cpu_product *p);

/* out [tokens, n] = epilogue(in [tokens, k] w^T + bias), w [n, k]. */
void vnp_cpu_net_linear(struct vnp_cpu_net *m, const float *in, int64_t k, const float *w, const float *bias,
                        float *out, int64_t n, enum vnp_cpu_epilogue epilogue);

/* y = attention of q | k | v in big [tokens, 3 width], scores times `scale`, less ALiBi. */
void vnp_cpu_net_attention(struct vnp_cpu_net *m, float scale);

#endif
