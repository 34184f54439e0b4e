#include "gpu_speed.h"

#include <math.h>

/* bench/results/gpu-2026112*.json, the latest of each, "forward", stratum "mix", at budgets of 8192 and 16384. */
static const struct {
    double width, tflops[2];
} esm2[] = {{320, {259.3, 270.6}}, {1280, {549.7, 567.9}}, {2560, {607.3, 617.2}}};
static const double dnabert_s[2] = {536.8, 559.7}; /* width 768, the only one published */
#define N_WIDTHS (int)(sizeof esm2 / sizeof *esm2)

double vnp_gpu_h200_tflops(const struct vnp_model_config *c, int64_t budget)
{
    const int column = budget >= 16384;
    int i = 0;
    if (c->arch == VNP_DNABERT_S)
        return dnabert_s[column];
    if (c->width <= esm2[0].width)
        return esm2[0].tflops[column];
    while (i < N_WIDTHS && esm2[i].width < c->width)
        i++;
    if (i == N_WIDTHS)
        return esm2[i - 1].tflops[column];
    const double a = esm2[i - 1].tflops[column], b = esm2[i].tflops[column];
    return a + (b - a) * log(c->width / esm2[i - 1].width) / log(esm2[i].width / esm2[i - 1].width);
}
