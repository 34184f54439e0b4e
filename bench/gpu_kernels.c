/* Each kernel of the forward pass but the matrix products, alone: microseconds (median, L2 scrubbed before each run),
 * GB/s counting every byte of input and output once, and the share of this card's copy bandwidth measured in the same
 * run. One JSON object a line. usage: gpu_kernels [FILTER] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alibi.h"
#include "attention.h"
#include "cuda_check.h"
#include "embed.h"
#include "layernorm.h"
#include "log.h"
#include "lookup.h"
#include "representation.h"
#include "xmalloc.h"

#define BUDGET 32768
#define RUNS 30
#define SCRUB ((size_t)256 << 20)

static const struct model {
    const char *name;
    int heads, dim, alibi;
} models[] = {{"8M", 20, 16, 0}, {"35M", 20, 24, 0},  {"150M", 20, 32, 0},     {"650M", 20, 64, 0},
              {"3B", 40, 64, 0}, {"15B", 40, 128, 0}, {"dnabert-s", 12, 64, 1}};

static const struct stratum {
    const char *name;
    int tokens; /* of each sequence; 0: a mix, log-normal around 150 */
} strata[] = {{"50", 52}, {"108", 110}, {"150", 152}, {"300", 302}, {"1022", 1024}, {"mix", 0}};

static void *d_scrub, *d_a, *d_b;
static double copy_rate; /* bytes/s, read and written */
static cudaEvent_t begin, end;

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Median seconds of fn(ctx). */
static double timed(void (*fn)(const void *ctx), const void *ctx)
{
    float ms[RUNS];
    for (int i = -3; i < RUNS; i++) {
        CUDA_CHECK(cudaMemsetAsync(d_scrub, i & 1, SCRUB, 0));
        CUDA_CHECK(cudaEventRecord(begin, 0));
        fn(ctx);
        CUDA_CHECK(cudaEventRecord(end, 0));
        CUDA_CHECK(cudaEventSynchronize(end));
        CUDA_CHECK(cudaEventElapsedTime(&ms[i < 0 ? 0 : i], begin, end));
    }
    qsort(ms, RUNS, sizeof *ms, by_value);
    return ms[RUNS / 2] * 1e-3;
}

static void report(const char *kernel, const char *model, const char *what, double seconds, double bytes, double flops)
{
    printf("{\"kernel\":\"%s\",\"model\":\"%s\",\"shape\":\"%s\",\"us\":%.1f,\"gb_s\":%.0f,\"of_copy\":%.3f", kernel,
           model, what, seconds * 1e6, bytes / seconds * 1e-9, bytes / seconds / copy_rate);
    printf(flops > 0 ? ",\"tflop_s\":%.0f}\n" : "}\n", flops / seconds * 1e-12);
    fflush(stdout);
}

/* Cumulative offsets of a batch of about BUDGET tokens; returns the sequences. */
static int64_t batch(const struct stratum *s, int32_t *cu)
{
    uint64_t seed = 1;
    int64_t n = 0;
    for (cu[0] = 0;; n++) {
        int length = s->tokens;
        if (!length) { /* a sum of uniforms is near enough to normal */
            double z = -6;
            for (int i = 0; i < 12; i++) {
                seed = seed * 6364136223846793005u + 1442695040888963407u;
                z += (double)(seed >> 33) * 0x1p-31;
            }
            length = (int)fmin(1022, fmax(20, exp(log(150) + 0.7 * z))) + 2;
        }
        if (cu[n] + length > BUDGET)
            return n;
        cu[n + 1] = cu[n] + length;
    }
}

static void run_copy(const void *ctx)
{
    CUDA_CHECK(cudaMemcpyAsync(d_b, d_a, *(const size_t *)ctx, cudaMemcpyDeviceToDevice, 0));
}
static void run_attention(const void *ctx)
{
    vnp_attention(ctx, 0);
}
static void run_moments(const void *ctx)
{
    vnp_row_moments(d_a, VNP_F16, BUDGET, *(const int *)ctx, d_b, 0);
}
static void run_scales(const void *ctx)
{
    vnp_row_scales(d_a, 192, BUDGET, *(const int *)ctx, 1e-5f, d_b, (float *)d_b + BUDGET, 0);
}
static void run_embed(const void *ctx)
{
    vnp_embed(ctx, 0);
}
static void run_lookup(const void *ctx)
{
    vnp_lookup(ctx, 0);
}
static void run_representation(const void *ctx)
{
    vnp_representation(ctx, 0);
}

static void *upload(const void *v, size_t bytes)
{
    void *d;
    CUDA_CHECK(cudaMalloc(&d, bytes));
    CUDA_CHECK(cudaMemcpy(d, v, bytes, cudaMemcpyHostToDevice));
    return d;
}

static void bench_attention(const struct model *m, const struct stratum *s, enum vnp_dtype dtype)
{
    int32_t *cu = xcalloc(BUDGET + 1, 4), *order = xcalloc(BUDGET, 4);
    const int64_t n = batch(s, cu), tiles = vnp_attention_count(cu, n);
    struct vnp_attention_tile *t = xcalloc((size_t)tiles, sizeof *t);
    char what[64];
    double pairs = 0;
    const struct vnp_attention_work work = vnp_attention_tiles(cu, n, order, t);
    for (int64_t i = 0; i < n; i++)
        pairs += (double)(cu[i + 1] - cu[i]) * (cu[i + 1] - cu[i]);
    void *d_tiles = upload(t, (size_t)tiles * sizeof *t);
    float *slopes = xcalloc((size_t)m->heads, sizeof *slopes);
    vnp_alibi_slopes(slopes, m->heads);
    void *d_slopes = upload(slopes, (size_t)m->heads * sizeof *slopes);
    const struct vnp_attention_params p = {.dtype = dtype,
                                           .heads = m->heads,
                                           .head_dim = m->dim,
                                           .d_qkv = d_a,
                                           .d_out = d_b,
                                           .d_tiles = d_tiles,
                                           .work = work,
                                           .d_slopes = m->alibi ? d_slopes : NULL,
                                           .scale = 0.125f};
    const double width = m->heads * m->dim;
    snprintf(what, sizeof what, "%s %s, %d tokens", s->name, vnp_dtype_name(dtype), cu[n]);
    report(vnp_attention_kernel(dtype, m->dim), m->name, what, timed(run_attention, &p),
           4 * width * cu[n] * (double)vnp_dtype_bytes(dtype), 4 * pairs * width);
    cudaFree(d_tiles), cudaFree(d_slopes);
    free(cu), free(order), free(t), free(slopes);
}

/* x, q, k and v in FP16 by ids from all over the vocabulary. */
static void bench_lookup(const struct model *m)
{
    const int vocab = 4096, bytes = m->heads * m->dim * 2;
    uint16_t *ids = xcalloc(BUDGET, sizeof *ids);
    char what[64];
    for (unsigned i = 0; i < BUDGET; i++)
        ids[i] = (uint16_t)((i * 2654435761u >> 8) % (unsigned)vocab);
    char *out = d_b;
    const int64_t x = (int64_t)BUDGET * bytes, each = (int64_t)BUDGET * 4;
    const struct vnp_lookup_table table = {d_a, (float *)d_a, bytes, 3 * bytes};
    const struct vnp_lookup_params p = {
        .table = &table,
        .d_ids = upload(ids, BUDGET * sizeof *ids),
        .id_bytes = 2,
        .tokens = BUDGET,
        .d_x = out,
        .d_qkv = out + x,
        .d_scale = (float *)(void *)(out + 4 * x),
        .d_shift = (float *)(void *)(out + 4 * x + each),
    };
    snprintf(what, sizeof what, "f16, %d x %d of %d", BUDGET, bytes / 2, vocab);
    report("lookup", m->name, what, timed(run_lookup, &p), 4.0 * bytes * (BUDGET + vocab), 0);
    cudaFree((void *)p.d_ids);
    free(ids);
}

/* Every token's, and the mean of each sequence, LayerNorm and all. */
static void bench_representation(const struct model *m, const struct stratum *s)
{
    const int width = m->heads * m->dim;
    int32_t *cu = xcalloc(BUDGET + 1, 4);
    const int64_t n = batch(s, cu);
    void *d_cu = upload(cu, BUDGET * 4);
    float *vector = d_b; /* of scales, shifts, w or b */
    char what[64];
    struct vnp_representation_params p = {.dtype = VNP_F16,
                                          .d_x = d_a,
                                          .d_scale = vector,
                                          .d_shift = vector,
                                          .d_w = vector,
                                          .d_b = vector,
                                          .tokens = cu[n],
                                          .width = width,
                                          .d_cu = d_cu,
                                          .n = n,
                                          .pool = VNP_POOL_NONE,
                                          .prefix = 1,
                                          .suffix = 1,
                                          .d_out = vector + BUDGET,
                                          .d_nonfinite = d_scrub};
    const double in = (2.0 * width + 8) * cu[n];
    snprintf(what, sizeof what, "%s, f16 to f32, %d x %d", s->name, cu[n], width);
    report("representation", m->name, what, timed(run_representation, &p), in + 4.0 * width * cu[n], 0);
    p.pool = VNP_POOL_MEAN;
    snprintf(what, sizeof what, "%s, f16, mean, %d x %d", s->name, cu[n], width);
    report("representation", m->name, what, timed(run_representation, &p), in + 4.0 * width * (double)n, 0);
    cudaFree(d_cu);
    free(cu);
}

static void bench_rows(const struct model *m)
{
    const int width = m->heads * m->dim;
    const double elements = (double)BUDGET * width;
    char what[64];
    float *ones = xcalloc((size_t)width * 33, 4);
    int32_t *sequence = xcalloc(BUDGET, 4);
    void *d_w = upload(ones, (size_t)width * 33 * 4), *d_sequence = upload(sequence, BUDGET * 4);
    snprintf(what, sizeof what, "f16, %d x %d", BUDGET, width);
    report("row moments", m->name, what, timed(run_moments, &width), 2 * elements + 8.0 * BUDGET, 0);
    snprintf(what, sizeof what, "%d x %d parts", BUDGET, (width + 191) / 192);
    report("row scales", m->name, what, timed(run_scales, &width), (8.0 * ((width + 191) / 192) + 8) * BUDGET, 0);
    const struct vnp_embed_params e = {VNP_F16, d_w, NULL, d_sequence, 1, d_b, BUDGET, width, 1, 32, d_sequence, d_w};
    snprintf(what, sizeof what, "f16, %d x %d", BUDGET, width);
    report("embed", m->name, what, timed(run_embed, &e), 2 * elements, 0);
    cudaFree(d_w), cudaFree(d_sequence);
    free(ones), free(sequence);
}

int main(int argc, char **argv)
{
    const size_t room = (size_t)BUDGET * 3 * 5120 * 4;
    struct cudaDeviceProp prop;
    vnp_log_init("gpu_kernels");
    CUDA_CHECK(cudaGetDeviceProperties(&prop, 0));
    CUDA_CHECK(cudaMalloc(&d_scrub, SCRUB));
    CUDA_CHECK(cudaMalloc(&d_a, room));
    CUDA_CHECK(cudaMalloc(&d_b, room));
    CUDA_CHECK(cudaEventCreate(&begin));
    CUDA_CHECK(cudaEventCreate(&end));
    uint16_t *h = xmalloc((size_t)64 << 20); /* FP16 values of either sign around 1, of no use as FP32 but finite */
    for (size_t i = 0; i < (size_t)32 << 20; i++)
        h[i] = (uint16_t)(0x3800 + (i * 2654435761u >> 13) % 0x700 + (i * 40503u >> 7 & 1) * 0x8000);
    for (size_t at = 0; at < room; at += (size_t)64 << 20)
        CUDA_CHECK(cudaMemcpy((char *)d_a + at, h, room - at < (size_t)64 << 20 ? room - at : (size_t)64 << 20,
                              cudaMemcpyHostToDevice));
    free(h);
    copy_rate = 2.0 * (double)room / timed(run_copy, &room);
    printf("{\"device\":\"%s\",\"copy_gb_s\":%.0f}\n", prop.name, copy_rate * 1e-9);
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        if (argc > 1 && !strstr(argv[1], models[i].name))
            continue;
        for (size_t s = 0; s < sizeof strata / sizeof *strata; s++)
            bench_attention(&models[i], &strata[s], VNP_F16);
        bench_attention(&models[i], &strata[3], VNP_F32);
        bench_rows(&models[i]);
        bench_representation(&models[i], &strata[0]);
        bench_representation(&models[i], &strata[3]);
        if (models[i].alibi)
            bench_lookup(&models[i]);
    }
    return 0;
}
