#include "cpu_attention.h"

#include <math.h>
#include <stdbool.h>

#include "cpu_blas.h"
#include "cpu_math.h"

#define LANES 16

VNP_CPU_CLONES
static float max_of(const float *x, int64_t n)
{
    const int64_t whole = n - n % LANES;
    float lane[LANES];
    for (int j = 0; j < LANES; j++)
        lane[j] = x[0];
    for (int64_t i = 0; i < whole; i += LANES)
        for (int j = 0; j < LANES; j++)
            lane[j] = lane[j] > x[i + j] ? lane[j] : x[i + j];
    for (int64_t i = whole; i < n; i++)
        lane[i - whole] = lane[i - whole] > x[i] ? lane[i - whole] : x[i];
    float max = lane[0];
    for (int j = 1; j < LANES; j++)
        max = max > lane[j] ? max : lane[j];
    return max;
}

VNP_CPU_CLONES
static float sum_of(const float *x, int64_t n)
{
    const int64_t whole = n - n % LANES;
    float lane[LANES] = {0};
    for (int64_t i = 0; i < whole; i += LANES)
        for (int j = 0; j < LANES; j++)
            lane[j] += x[i + j];
    for (int64_t i = whole; i < n; i++)
        lane[i - whole] += x[i];
    double sum = 0;
    for (int j = 0; j < LANES; j++)
        sum += (double)lane[j];
    return (float)sum;
}

float vnp_cpu_softmax_terms(float *x, int64_t n)
{
    vnp_cpu_exp(x, x, max_of(x, n), n);
    return sum_of(x, n);
}

/* One row of scores, of the query at position `at`. Distances are exact up to 2^24. */
VNP_CPU_CLONES
static void scale_and_bias(float *s, int32_t n, float scale, float slope, int32_t at)
{
    for (int32_t j = 0; j < n; j++)
        s[j] = s[j] * scale - slope * fabsf((float)(j - at));
}

void vnp_cpu_attention(const struct vnp_cpu_attention *p)
{
    const bool plain = p->scale == 1 && p->slope == 0;
    float *s = p->scores, *sums = s + p->queries * p->keys;
    vnp_cpu_gemm_nt(p->queries, p->keys, p->head_dim, p->q, p->stride, p->k, p->stride, s, p->keys);
    for (int64_t i = 0; i < p->queries; i++) {
        if (!plain)
            scale_and_bias(s + i * p->keys, (int32_t)p->keys, p->scale, p->slope, (int32_t)(p->pos + i));
        sums[i] = vnp_cpu_softmax_terms(s + i * p->keys, p->keys);
    }
    vnp_cpu_gemm_nn(p->queries, p->head_dim, p->keys, s, p->keys, p->v, p->stride, p->out, p->out_stride);
    for (int64_t i = 0; i < p->queries; i++) {
        float *row = p->out + i * p->out_stride;
        for (int j = 0; j < p->head_dim; j++)
            row[j] /= sums[i];
    }
}
