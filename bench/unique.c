/* unique COPIES WIDTH: random embeddings on stdout, one for each unique record of the copies that vnp-dedup wrote, as
 * if its tokens had been through a model. */
#include <stdlib.h>
#include <string.h>

#include "cutter.h"
#include "stage.h"
#include "xmalloc.h"

static void must(enum vnp_status st, const struct vnp_err *err)
{
    if (st != VNP_OK)
        vnp_die(st, "%s", err->msg);
}

int main(int argc, char **argv)
{
    struct vnp_cutter cutter = {0};
    struct vnp_reader *in;
    struct vnp_writer *out;
    struct vnp_block b;
    struct vnp_err err;
    enum vnp_status st;
    uint64_t unique = 0, state = 1;
    vnp_log_init("unique");
    if (argc != 3)
        vnp_die(VNP_USAGE, "usage: unique COPIES WIDTH");
    must(vnp_reader_open(&in, argv[1], &err), &err);
    must(vnp_reader_expect(in, VNP_COPIES, &err), &err);
    struct vnp_head head = *vnp_reader_head(in);
    head.kind = VNP_EMBEDDINGS;
    head.width = (int)vnp_option_int("WIDTH", argv[2], 1, 1 << 20);
    head.ordered = true;
    strcpy(head.pool, "mean");
    strcpy(head.model, "random");
    float *values = xreallocarray(NULL, (size_t)head.width, sizeof *values);
    must(vnp_writer_open(&out, &(struct vnp_writer_options){0}, &err), &err);
    must(vnp_writer_head(out, &head, &err), &err);
    vnp_cutter_to(&cutter, out, head.kind);
    while ((st = vnp_reader_next(in, &b, &err)) == VNP_OK)
        for (int64_t i = 0; i < b.n; i++) {
            struct vnp_row row;
            must(vnp_row_of(&b, i, 0, 0, &row, &err), &err);
            if (((const struct vnp_copy *)b.bulk)[i].of != unique)
                continue;
            for (int k = 0; k < head.width; k++) {
                state = state * 6364136223846793005u + 1442695040888963407u;
                values[k] = (float)(state >> 40) / 16777216.0F;
            }
            row.ordinal = unique++;
            row.data = values;
            row.bytes = (size_t)head.width * sizeof *values;
            must(vnp_cutter_put(&cutter, &row, &err), &err);
        }
    if (st != VNP_END)
        must(st, &err);
    must(vnp_cutter_flush(&cutter, &err), &err);
    must(vnp_writer_finish(out, &err), &err);
    vnp_cutter_free(&cutter);
    vnp_reader_close(in);
    free(values);
    return 0;
}
