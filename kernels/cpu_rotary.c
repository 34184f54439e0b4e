#include "cpu_rotary.h"

#include <math.h>

void vnp_cpu_rotary_table(float *table, int64_t first, int64_t positions, int head_dim)
{
    const int half = head_dim / 2;
    for (int i = 0; i < half; i++) {
        /* The exponent and the power are FP32 numbers there too, and so is 1 over it. */
        const float power = (float)pow(10000.0, (double)((float)(2 * i) / (float)head_dim));
        const float frequency = 1.0f / power;
        for (int64_t p = first; p < positions; p++) {
            const float angle = (float)p * frequency;
            float *t = table + ((p - first) * half + i) * 2;
            t[0] = (float)cos((double)angle);
            t[1] = (float)sin((double)angle);
        }
    }
}

void vnp_cpu_rotary(float *x, int64_t stride, int64_t rows, int heads, int head_dim, int64_t pos, float scale,
                    const float *table)
{
    const int half = head_dim / 2;
    for (int64_t r = 0; r < rows; r++) {
        const float *t = table + (pos + r) * head_dim;
        for (int h = 0; h < heads; h++) {
            float *a = x + r * stride + (int64_t)h * head_dim, *b = a + half;
            for (int i = 0; i < half; i++) {
                const float x1 = a[i] * scale, x2 = b[i] * scale;
                a[i] = x1 * t[2 * i] - x2 * t[2 * i + 1];
                b[i] = x2 * t[2 * i] + x1 * t[2 * i + 1];
            }
        }
    }
}
