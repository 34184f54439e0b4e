/* softmax(q k^T) v for one head and some of a sequence's queries, on the CPU. */
#ifndef VNP_CPU_ATTENTION_H
#define VNP_CPU_ATTENTION_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vnp_cpu_attention {
    int64_t queries, keys; /* keys: the length of the sequence */
    int head_dim;
    const float *q;     /* [queries, head_dim] */
    const float *k, *v; /* [keys, head_dim] */
    int64_t stride;     /* floats from row to row of q, k and v */
    float *out;         /* [queries, head_dim] */
    int64_t out_stride;
    float *scores; /* scratch: [queries, keys + 1] */
    float scale;   /* of q k^T; 1 where q comes scaled */
    float slope;   /* ALiBi's for this head (alibi.h); 0 for none */
    int64_t pos;   /* of the first query in the sequence, for ALiBi */
};

/* out[i] = sum_j exp(s_ij - max_j s_ij) v_j / sum_j exp(s_ij - max_j s_ij), s_ij = scale q_i k_j - slope |pos + i - j|,
 * all in FP32. A NaN or +Inf in a row of the scores makes that row of the result NaN. */
void vnp_cpu_attention(const struct vnp_cpu_attention *p);

/* x = exp(x - max x), in place, n >= 1; returns the sum. */
float vnp_cpu_softmax_terms(float *x, int64_t n);

#ifdef __cplusplus
}
#endif
#endif
