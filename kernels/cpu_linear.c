#include "cpu_linear.h"

#include <stddef.h>

#include "cpu_blas.h"
#include "cpu_math.h"

VNP_CPU_CLONES
static void add_bias(float *v, const float *bias, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        v[i] += bias[i];
}

VNP_CPU_CLONES
static void add(float *restrict out, const float *restrict v, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] += v[i];
}

void vnp_cpu_linear(const struct vnp_cpu_linear *p)
{
    /* The residual is added last, to a finished sum: a BLAS that starts from it would round differently. */
    const int apart = p->epilogue == VNP_CPU_BIAS_ADD;
    float *v = apart ? p->scratch : p->out;
    const int64_t stride = apart ? p->n : p->out_stride;
    vnp_cpu_gemm_nt(p->rows, p->n, p->k, p->x, p->k, p->w, p->k, v, stride);
    if (p->epilogue == VNP_CPU_GEGLU)
        vnp_cpu_gemm_nt(p->rows, p->n, p->k, p->x, p->k, p->w2, p->k, p->scratch, p->n);
    for (int64_t r = 0; r < p->rows; r++) {
        float *row = v + r * stride;
        if (p->bias)
            add_bias(row, p->bias, p->n);
        if (p->epilogue == VNP_CPU_BIAS_GELU)
            vnp_cpu_gelu(row, row, p->n);
        if (p->epilogue == VNP_CPU_GEGLU)
            vnp_cpu_geglu(row, row, p->scratch + r * p->n, p->n);
        if (apart)
            add(p->out + r * p->out_stride, row, p->n);
    }
}
