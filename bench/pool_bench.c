/* For bench/pool.sh.
 *   pool_bench function                 NAME:GB/s of the pooling function alone, for each dtype and width
 *   pool_bench stream MB WIDTH DTYPE    a recorded stream of hidden states on stdout: log-normal lengths around 150,
 *                                       packed into batches of 8192 tokens, values as after a final LayerNorm */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "half.h"
#include "log.h"
#include "packer.h"
#include "pool.h"
#include "stage.h"

static uint64_t state = 88172645463325252u;

static double uniform(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return ((double)(state >> 11) + 1) * 0x1p-53;
}

static double gauss(void)
{
    return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

/* `n` normal values of `dtype`, each the sum of two from a table: no stretch comes twice, which zstd would find. */
static void fill(void *dst, int64_t n, enum vnp_dtype dtype)
{
    enum { TABLE = 1 << 16 };
    static float table[TABLE];
    if (table[0] == 0)
        for (int i = 0; i < TABLE; i++)
            table[i] = (float)(0.7 * gauss());
    for (int64_t i = 0; i < n; i++) {
        uniform();
        float x = table[state & (TABLE - 1)] + table[state >> 48];
        if (dtype == VNP_F32)
            ((float *)dst)[i] = x;
        else
            ((uint16_t *)dst)[i] = dtype == VNP_F16 ? vnp_f32_f16(x) : vnp_f32_bf16(x);
    }
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void bench_function(void)
{
    static const int64_t widths[] = {320, 1280, 2560};
    static const enum vnp_pool pools[] = {VNP_POOL_MEAN, VNP_POOL_MAX};
    enum { TOKENS = 8192, LENGTH = 160 };
    float *dst = malloc(2560 * sizeof *dst);
    void *v = malloc((size_t)TOKENS * 2560 * 4);
    if (dst == NULL || v == NULL)
        vnp_die(VNP_OS, "out of memory");
    for (int dtype = VNP_F32; dtype <= VNP_BF16; dtype++)
        for (int p = 0; p < 2; p++)
            for (int w = 0; w < 3; w++) {
                int64_t width = widths[w], unit = (int64_t)vnp_dtype_bytes((enum vnp_dtype)dtype);
                double best = 1e9;
                fill(v, TOKENS * width, (enum vnp_dtype)dtype);
                for (int run = 0; run < 7; run++) {
                    double begin = cpu_seconds();
                    for (int64_t at = 0; at + LENGTH <= TOKENS; at += LENGTH)
                        vnp_pool_vectors(pools[p], (enum vnp_dtype)dtype, (char *)v + at * width * unit, LENGTH, width,
                                         dst);
                    double seconds = cpu_seconds() - begin;
                    best = seconds < best ? seconds : best;
                }
                printf("%s of %s, width %lld:%.4g\n", vnp_pool_name(pools[p]), vnp_dtype_name((enum vnp_dtype)dtype),
                       (long long)width,
                       1e-9 * (double)(TOKENS / LENGTH * LENGTH * width * unit) / best);
            }
    free(dst);
    free(v);
}

static void die_on(enum vnp_status st, const struct vnp_err *err)
{
    if (st != VNP_OK && st != VNP_END)
        vnp_die(st, "%s", err->msg);
}

/* The next batch with vectors in the place of its tokens. */
static enum vnp_status write_batch(struct vnp_packer *p, struct vnp_rows *rows, struct vnp_writer *w, void *v,
                                   const struct vnp_head *head, struct vnp_err *err)
{
    enum vnp_status st = vnp_packer_batch(p, rows, err);
    if (st != VNP_OK)
        return st;
    struct vnp_block b = vnp_rows_block(rows);
    int64_t n = (int64_t)vnp_sum(b.tokens, b.n) * head->width;
    fill(v, n, head->dtype);
    b.bulk = v;
    b.bulk_bytes = n * (int64_t)vnp_dtype_bytes(head->dtype);
    return vnp_writer_block(w, &b, err);
}

static void write_stream(double megabytes, int width, const char *dtype)
{
    struct vnp_err err = {0};
    struct vnp_writer *w;
    struct vnp_packer *p;
    struct vnp_rows rows = {0};
    const struct vnp_writer_options opt = {0};
    const struct vnp_packer_options packing = {8192, 1024, UINT64_MAX};
    struct vnp_head head = {.kind = VNP_HIDDEN, .n_by = 1, .by = {{.stage = "bench", .version = "1"}}, .vocab = "esm2",
                            .vocab_size = 33, .prefix = 1, .suffix = 1, .token_bytes = 1, .model = "bench",
                            .fingerprint = "bench", .width = width};
    head.dtype = strcmp(dtype, "f16") == 0 ? VNP_F16 : VNP_F32;
    double bytes = 0;
    void *v = malloc((size_t)8192 * (size_t)width * 4);
    die_on(vnp_writer_open(&w, &opt, &err), &err);
    die_on(vnp_writer_head(w, &head, &err), &err);
    die_on(vnp_packer_new(&p, &packing, &err), &err);
    for (uint64_t i = 0; bytes < megabytes * 1e6; i++) {
        double length = 150 * exp(0.7 * gauss());
        uint32_t residues = (uint32_t)(length < 20 ? 20 : length > 1022 ? 1022 : length);
        struct vnp_row row = {.ordinal = i, .total = residues, .residues = residues, .tokens = residues + 2,
                              .windows = 1, .id = {"sequence", 8}};
        while (vnp_packer_full(p))
            die_on(write_batch(p, &rows, w, v, &head, &err), &err);
        die_on(vnp_packer_add(p, &row, &err), &err);
        bytes += (double)row.tokens * width * (double)vnp_dtype_bytes(head.dtype);
    }
    while (write_batch(p, &rows, w, v, &head, &err) == VNP_OK)
        ;
    die_on(vnp_writer_finish(w, &err), &err);
    vnp_packer_free(p);
    vnp_rows_free(&rows);
    free(v);
}

int main(int argc, char **argv)
{
    vnp_log_init("pool_bench");
    if (argc == 2 && strcmp(argv[1], "function") == 0)
        bench_function();
    else if (argc == 5 && strcmp(argv[1], "stream") == 0)
        write_stream(atof(argv[2]), atoi(argv[3]), argv[4]);
    else
        vnp_die(VNP_USAGE, "function, or stream MB WIDTH DTYPE");
    return 0;
}
