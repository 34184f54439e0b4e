#include "cpu_layernorm.h"

#include <math.h>

#include "cpu_math.h"

#define LANES 16

static inline __attribute__((always_inline)) double lanes_sum(const float *lane)
{
    double sum = 0;
    for (int j = 0; j < LANES; j++)
        sum += (double)lane[j];
    return sum;
}

VNP_CPU_CLONES
static void layernorm_row(float *y, const float *x, const float *w, const float *b, int64_t width, float eps)
{
    const int64_t whole = width - width % LANES;
    float lane[LANES] = {0};
    for (int64_t i = 0; i < whole; i += LANES)
        for (int j = 0; j < LANES; j++)
            lane[j] += x[i + j];
    for (int64_t i = whole; i < width; i++)
        lane[i - whole] += x[i];
    const float mean = (float)(lanes_sum(lane) / (double)width);

    float square[LANES] = {0};
    for (int64_t i = 0; i < whole; i += LANES)
        for (int j = 0; j < LANES; j++)
            square[j] += (x[i + j] - mean) * (x[i + j] - mean);
    for (int64_t i = whole; i < width; i++)
        square[i - whole] += (x[i] - mean) * (x[i] - mean);
    const float scale = (float)(1.0 / sqrt(lanes_sum(square) / (double)width + (double)eps));

    for (int64_t i = 0; i < width; i++)
        y[i] = (x[i] - mean) * scale * w[i] + b[i];
}

void vnp_cpu_layernorm(float *y, const float *x, const float *w, const float *b, int64_t rows, int64_t width, float eps)
{
    for (int64_t r = 0; r < rows; r++)
        layernorm_row(y + r * width, x + r * width, w, b, width, eps);
}
