/* tool_embeddings WIDTH: embeddings with the inputs of tests/golden/classifier, a row for each line (an id) of stdin.
 */
#include <stdlib.h>

#include "golden.h"
#include "rows.h"
#include "stage.h"
#include "xmalloc.h"

static void ok(enum vnp_status st, const struct vnp_err *err)
{
    if (st != VNP_OK)
        vnp_die(st, "%s", err->msg);
}

int main(int argc, char **argv)
{
    struct vnp_head head = {.kind = VNP_EMBEDDINGS,
                            .vocab = "esm2",
                            .vocab_size = 33,
                            .prefix = 1,
                            .suffix = 1,
                            .token_bytes = 1,
                            .model = "golden",
                            .fingerprint = "golden",
                            .pool = "mean",
                            .ordered = true};
    const struct vnp_writer_options opt = {0};
    struct vnp_rows rows = {0};
    struct vnp_writer *w;
    struct vnp_err err;
    char *line = NULL;
    size_t cap = 0;
    uint64_t n = 0;
    vnp_log_init("embeddings");
    head.width = argc == 2 ? atoi(argv[1]) : 0;
    vnp_producer_param(vnp_head_add_stage(&head, "embeddings"), "width", "%d", head.width);
    ok(vnp_writer_open(&w, &opt, &err), &err);
    ok(vnp_writer_head(w, &head, &err), &err);
    float *x = xreallocarray(NULL, (size_t)head.width, sizeof *x);
    for (ssize_t got; (got = getline(&line, &cap, stdin)) > 0; n++) {
        for (int k = 0; k < head.width; k++)
            x[k] = golden_input(n * (uint64_t)head.width + (uint64_t)k);
        const struct vnp_row row = {.ordinal = n,
                                    .total = 10,
                                    .residues = 10,
                                    .tokens = 12,
                                    .windows = 1,
                                    .id = {line, (uint32_t)got - 1},
                                    .data = x,
                                    .bytes = (size_t)head.width * sizeof *x};
        ok(vnp_rows_add(&rows, &row, &err), &err);
        if (rows.n == 7) {
            const struct vnp_block b = vnp_rows_block(&rows);
            ok(vnp_writer_block(w, &b, &err), &err);
            vnp_rows_clear(&rows);
        }
    }
    if (rows.n > 0) {
        const struct vnp_block b = vnp_rows_block(&rows);
        ok(vnp_writer_block(w, &b, &err), &err);
    }
    ok(vnp_writer_finish(w, &err), &err);
    vnp_rows_free(&rows);
    free(line);
    free(x);
    return 0;
}
