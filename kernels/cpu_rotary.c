#include "cpu_rotary.h"

#include <math.h>

#include "cpu_math.h"

void vnp_cpu_rotary_table(float *table, int64_t positions, int head_dim)
{
    const int half = head_dim / 2;
    for (int i = 0; i < half; i++) {
        /* The exponent and the power are FP32 numbers there too, and so is 1 over it. */
        const float power = (float)pow(10000.0, (double)((float)(2 * i) / (float)head_dim));
        const float frequency = 1.0f / power;
        for (int64_t p = 0; p < positions; p++) {
            const float angle = (float)p * frequency;
            table[p * head_dim + i] = (float)cos((double)angle);
            table[p * head_dim + half + i] = (float)sin((double)angle);
        }
    }
}

VNP_CPU_CLONES
static void rotate_head(float *restrict a, float *restrict b, const float *restrict cosine, const float *restrict sine,
                        int half, float scale)
{
    for (int i = 0; i < half; i++) {
        const float x1 = a[i] * scale, x2 = b[i] * scale;
        a[i] = x1 * cosine[i] - x2 * sine[i];
        b[i] = x2 * cosine[i] + x1 * sine[i];
    }
}

void vnp_cpu_rotary(float *x, int64_t stride, int64_t rows, int heads, int head_dim, int64_t pos, float scale,
                    const float *table)
{
    const int half = head_dim / 2;
    for (int64_t r = 0; r < rows; r++) {
        const float *cosine = table + (pos + r) * head_dim;
        for (int h = 0; h < heads; h++) {
            float *head = x + r * stride + (int64_t)h * head_dim;
            rotate_head(head, head + half, cosine, cosine + half, half, scale);
        }
    }
}
