/* One vector for a sequence from one vector a token; and vectors from one dtype to another. Shared by the stages that
 * pool (vnp-pool, the forward stages' --pool) and by the tests that compare with them. */
#ifndef VNP_POOL_H
#define VNP_POOL_H

#include "block.h"

enum vnp_pool { VNP_POOL_MEAN, VNP_POOL_CLS, VNP_POOL_MAX, VNP_POOL_NONE };

/* "mean", "cls", "max", "none"; the other way round false for anything else. */
enum { VNP_POOLS = 4 };
extern const char *const vnp_pool_names[VNP_POOLS];
const char *vnp_pool_name(enum vnp_pool pool);
bool vnp_pool_parse(const char *name, enum vnp_pool *pool);

/* Which of a sequence's `tokens` vectors `pool` looks at: [*first, *first + *count). Cls: the first token. The others:
 * all but the head's prefix and suffix or, with all_tokens, all. Needs tokens >= prefix + suffix. */
void vnp_pool_span(const struct vnp_head *head, enum vnp_pool pool, bool all_tokens, uint32_t tokens, int64_t *first,
                   int64_t *count);

/* Did a stage that pooled on the way to this head count the special tokens in (--all-tokens)? */
bool vnp_pool_all_tokens(const struct vnp_head *head);

#define VNP_POOL_RUN 32 /* vectors that a mean sums apart, so that they can be summed side by side */

/* Pools `count` vectors [count, width] of `dtype` into dst[width]. Not for "none".
 * Mean: sums in double precision of runs of VNP_POOL_RUN, four vectors at a time ((v0 + v1) + (v2 + v3), the rest one
 * by one), then of these in their order; divided by the count and rounded once: the same bytes wherever the sequence
 * lies. Max: NaN wins, so that it can't hide. Cls: the first vector. No vectors: zeros. */
void vnp_pool_vectors(enum vnp_pool pool, enum vnp_dtype dtype, const void *src, int64_t count, int64_t width,
                      float *dst);

/* The larger of two, or NaN when either is. */
static inline float vnp_max_or_nan(float m, float x)
{
    return (x > m) | (x != x) ? x : m;
}

/* Converts n elements to FP32 (exact) or FP16 (to nearest, ties to even). False when a finite one becomes infinite in
 * FP16: *at is the first. */
VNP_MUST_CHECK bool vnp_convert(enum vnp_dtype from, const void *src, int64_t n, enum vnp_dtype to, void *dst,
                                int64_t *at);

/* True when no element is NaN or Inf. */
bool vnp_all_finite(enum vnp_dtype dtype, const void *v, int64_t n);

#endif
