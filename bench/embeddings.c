/* embeddings ROWS WIDTH NOISE: a stream of random embeddings on stdout, equal for equal arguments, with ids as vnp-orf
 * gives them; NOISE is how far one stream is from another of its shape (0: not at all). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rows.h"
#include "stage.h"
#include "xmalloc.h"

/* Roughly normal: the sum of four uniform numbers. */
static float next_value(uint64_t *state)
{
    float sum = -2;
    for (int i = 0; i < 4; i++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        sum += (float)(*state >> 40) / 16777216.0F;
    }
    return sum;
}

static void put_row(struct vnp_rows *rows, int64_t i, int width, float noise, float *values, uint64_t state[2])
{
    struct vnp_err err;
    char id[48];
    for (int k = 0; k < width; k++)
        values[k] = next_value(&state[0]) + (noise > 0 ? noise * next_value(&state[1]) : 0);
    struct vnp_row row = {.ordinal = (uint64_t)i, .total = 150, .residues = 150, .tokens = 152, .windows = 1,
                          .id = {id, (uint32_t)snprintf(id, sizeof id, "sequence_%lld_chunk_1F1", (long long)i)},
                          .data = values, .bytes = (size_t)width * sizeof *values};
    if (vnp_rows_add(rows, &row, &err) != VNP_OK)
        vnp_die(err.status, "%s", err.msg);
}

int main(int argc, char **argv)
{
    struct vnp_head head = {.kind = VNP_EMBEDDINGS, .vocab = "esm2", .vocab_size = 33, .prefix = 1, .suffix = 1,
                            .token_bytes = 1, .model = "random", .fingerprint = "random", .pool = "mean",
                            .ordered = true};
    struct vnp_writer_options options = {0};
    struct vnp_rows rows = {0};
    struct vnp_writer *w;
    struct vnp_err err;
    uint64_t state[2] = {1, 2};
    vnp_log_init("embeddings");
    if (argc != 4)
        vnp_die(VNP_USAGE, "usage: embeddings ROWS WIDTH NOISE");
    int64_t n = vnp_option_int("ROWS", argv[1], 1, 1 << 30);
    head.width = (int)vnp_option_int("WIDTH", argv[2], 1, 1 << 20);
    float noise = (float)vnp_option_double("NOISE", argv[3], 0, 1);
    float *values = xreallocarray(NULL, (size_t)head.width, sizeof *values);
    enum vnp_status st = vnp_writer_open(&w, &options, &err);
    if (st == VNP_OK)
        st = vnp_writer_head(w, &head, &err);
    for (int64_t i = 0; i < n && st == VNP_OK; i++) {
        put_row(&rows, i, head.width, noise, values, state);
        if (rows.bulk.n > 1 << 20 || i == n - 1) {
            struct vnp_block b = vnp_rows_block(&rows);
            st = vnp_writer_block(w, &b, &err);
            vnp_rows_clear(&rows);
        }
    }
    if (st != VNP_OK || (st = vnp_writer_finish(w, &err)) != VNP_OK)
        vnp_die(st, "%s", err.msg);
    vnp_rows_free(&rows);
    free(values);
    return 0;
}
