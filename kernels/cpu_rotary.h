/* Rotary position embedding on the CPU: x cos + cat(-x2, x1) sin over the two halves of a head, base 10000. */
#ifndef VNP_CPU_ROTARY_H
#define VNP_CPU_ROTARY_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Fills table [positions][2][head_dim / 2]: cosines, then sines, of positions 0 .. positions - 1. The frequency
 * 10000^(-2i / head_dim) and its product with the position are rounded to FP32, as fair-esm and Hugging Face have them
 * (its EsmModel even after .double()); cos and sin of that angle are computed in double and rounded once. */
void vnp_cpu_rotary_table(float *table, int64_t positions, int head_dim);

/* Rotates x [rows, heads, head_dim] in place, `stride` floats from row to row, row r at position pos + r; every element
 * is multiplied by `scale` first (ESM-2's q: head_dim^-0.5). */
void vnp_cpu_rotary(float *x, int64_t stride, int64_t rows, int heads, int head_dim, int64_t pos, float scale,
                    const float *table);

#ifdef __cplusplus
}
#endif
#endif
