#include <math.h>
#include <stdlib.h>

#include "classifier.h"
#include "cpu_math.h"
#include "xmalloc.h"

#define TILE 64 /* rows of a task: a panel of weights is read from memory once for all of them */
#define GROUP 4 /* rows that are computed together */
#define LANES 4 /* 256 bits: where a processor has no wider ones, they are taken apart on the stack */

typedef double vnp_lanes __attribute__((vector_size(LANES * sizeof(double))));
typedef float vnp_lanes_f32 __attribute__((vector_size(LANES * sizeof(float)), aligned(4)));

struct job {
    const struct vnp_classifier *c;
    const float *x;
    int64_t n;
    float *scores;
    double *rows, *sums; /* of each worker: [TILE / GROUP, width, GROUP] inputs; [TILE, panels VNP_PANEL] products */
};

/* sums[r][j] = sum over k of x[k][r] w[k][j], r < GROUP, j < VNP_PANEL; `stride` doubles from row to row of sums. */
VNP_CPU_CLONES
static void group_products(const double *x, const float *w, int64_t width, double *sums, int64_t stride)
{
    vnp_lanes sum[GROUP][VNP_PANEL / LANES] = {0};
    for (int64_t k = 0; k < width; k++)
        for (int v = 0; v < VNP_PANEL / LANES; v++) {
            const vnp_lanes weight =
                __builtin_convertvector(*(const vnp_lanes_f32 *)(w + k * VNP_PANEL + v * LANES), vnp_lanes);
            for (int r = 0; r < GROUP; r++)
                sum[r][v] += x[k * GROUP + r] * weight;
        }
    for (int r = 0; r < GROUP; r++)
        for (int v = 0; v < VNP_PANEL / LANES; v++)
            for (int i = 0; i < LANES; i++)
                sums[r * stride + v * LANES + i] = sum[r][v][i];
}

static void score(const struct vnp_classifier *c, const double *sums, float *scores)
{
    double logit[VNP_CLASSES] = {c->out_bias[0], c->out_bias[1]};
    for (int j = 0; j < c->hidden; j++) {
        const double h = c->scale[j] * sums[j] + c->shift[j];
        if (!(h <= 0)) /* NaN goes on, as in PyTorch */
            for (int k = 0; k < VNP_CLASSES; k++)
                logit[k] += h * c->out[k * c->hidden + j];
    }
    scores[0] = (float)(1 / (1 + exp(logit[1] - logit[0])));
    scores[1] = (float)(1 / (1 + exp(logit[0] - logit[1])));
}

static void score_tile(void *ctx, int64_t tile, int worker)
{
    const struct job *j = ctx;
    const struct vnp_classifier *c = j->c;
    const int64_t first = tile * TILE, rows = j->n - first < TILE ? j->n - first : TILE, width = c->width;
    const int64_t groups = (rows + GROUP - 1) / GROUP, panels = (c->hidden + VNP_PANEL - 1) / VNP_PANEL;
    const int64_t stride = panels * VNP_PANEL;
    double *x = j->rows + worker * TILE * width, *sums = j->sums + worker * TILE * stride;
    for (int64_t r = 0; r < groups * GROUP; r++) /* past the last row, that row again */
        for (int64_t k = 0; k < width; k++)
            x[(r / GROUP * width + k) * GROUP + r % GROUP] = j->x[(first + (r < rows ? r : rows - 1)) * width + k];
    for (int64_t p = 0; p < panels; p++)
        for (int64_t g = 0; g < groups; g++)
            group_products(x + g * width * GROUP, c->panels + p * width * VNP_PANEL, width,
                           sums + g * GROUP * stride + p * VNP_PANEL, stride);
    for (int64_t r = 0; r < rows; r++)
        score(c, sums + r * stride, j->scores + (first + r) * VNP_CLASSES);
}

void vnp_classifier_scores(const struct vnp_classifier *c, struct vnp_cpu_threads *threads, const float *x, int64_t n,
                           float *scores)
{
    const size_t workers = (size_t)vnp_cpu_threads_n(threads);
    struct job j = {.c = c, .x = x, .n = n, .scores = scores};
    j.rows = xreallocarray(NULL, workers * TILE * (size_t)c->width, sizeof *j.rows);
    j.sums = xreallocarray(NULL, workers * TILE * (size_t)(c->hidden + VNP_PANEL), sizeof *j.sums);
    vnp_cpu_threads_run(threads, (n + TILE - 1) / TILE, score_tile, &j);
    free(j.rows);
    free(j.sums);
}
