#include "gpu_speed.h"

#include <math.h>

/* bench/results/gpu-20261121T0045.json, "forward", stratum "mix", at budgets of 8192 and 16384. */
static const struct {
    double width, tflops[2];
} measured[] = {{320, {194.3, 231.9}}, {1280, {486.7, 514.3}}, {2560, {567.8, 581.5}}};
#define N_MEASURED (int)(sizeof measured / sizeof *measured)

double vnp_gpu_h200_tflops(int width, int64_t budget)
{
    const int column = budget >= 16384;
    int i = 0;
    if (width <= measured[0].width)
        return measured[0].tflops[column];
    while (i < N_MEASURED && measured[i].width < width)
        i++;
    if (i == N_MEASURED)
        return measured[i - 1].tflops[column];
    const double a = measured[i - 1].tflops[column], b = measured[i].tflops[column];
    return a + (b - a) * log(width / measured[i - 1].width) / log(measured[i].width / measured[i - 1].width);
}
