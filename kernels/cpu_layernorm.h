/* LayerNorm in FP32, two passes: y = (x - mean) / sqrt(mean((x - mean)^2) + eps) * w + b. */
#ifndef VNP_CPU_LAYERNORM_H
#define VNP_CPU_LAYERNORM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* y, x [rows, width], dense; w, b [width]. x may be y. Sums run in 16 lanes of FP32 which are added up in double, in
 * the same order on every machine. NaN or Inf in a row makes that row NaN. */
void vnp_cpu_layernorm(float *y, const float *x, const float *w, const float *b, int64_t rows, int64_t width,
                       float eps);

#ifdef __cplusplus
}
#endif
#endif
