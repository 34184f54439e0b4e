/* out = epilogue(x W^T + bias) on the CPU. */
#ifndef VNP_CPU_LINEAR_H
#define VNP_CPU_LINEAR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum vnp_cpu_epilogue {
    VNP_CPU_BIAS,      /* v = x W^T + bias */
    VNP_CPU_BIAS_GELU, /* gelu(v), exact (erf) */
    VNP_CPU_BIAS_ADD,  /* v + out: the residual stream is `out` itself */
    VNP_CPU_GEGLU      /* gelu(v) * (x W2^T) */
};

struct vnp_cpu_linear {
    int64_t rows, n, k; /* x [rows, k], w [n, k], bias [n], out [rows, n] */
    const float *x;     /* dense rows of k */
    const float *w;     /* as checkpoints store it */
    const float *bias;  /* NULL for none */
    float *out;         /* out_stride floats from row to row */
    int64_t out_stride;
    enum vnp_cpu_epilogue epilogue;
    float *scratch;  /* VNP_CPU_BIAS_ADD, VNP_CPU_GEGLU: [rows, n], for a product; else unused */
    const float *w2; /* VNP_CPU_GEGLU: [n, k]; else unused */
};

/* The bytes of the result depend on the shape and the values alone. */
void vnp_cpu_linear(const struct vnp_cpu_linear *p);

#ifdef __cplusplus
}
#endif
#endif
