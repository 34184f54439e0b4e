#include "shelf.h"

#include <stdlib.h>

#include "tape.h"
#include "xmalloc.h"

/* A row among the columns. */
struct kept {
    uint64_t ordinal, total, start;
    uint32_t residues, flags, tokens, window, windows, unused;
    uint64_t at, bytes; /* of its data */
};

struct vnp_shelf {
    struct vnp_tape *columns, *data;
    struct vnp_buf got;
};

enum vnp_status vnp_shelf_new(struct vnp_shelf **out, struct vnp_err *err)
{
    struct vnp_shelf *s = xcalloc(1, sizeof *s);
    enum vnp_status st = vnp_tape_new(&s->columns, err);
    if (st == VNP_OK)
        st = vnp_tape_new(&s->data, err);
    if (st != VNP_OK) {
        vnp_shelf_free(s);
        s = NULL;
    }
    *out = s;
    return st;
}

void vnp_shelf_free(struct vnp_shelf *s)
{
    if (s == NULL)
        return;
    vnp_tape_free(s->columns);
    vnp_tape_free(s->data);
    vnp_buf_free(&s->got);
    free(s);
}

enum vnp_status vnp_shelf_put(struct vnp_shelf *s, const struct vnp_row *row, struct vnp_err *err)
{
    const struct kept k = {.ordinal = row->ordinal,
                           .total = row->total,
                           .start = row->start,
                           .residues = row->residues,
                           .flags = row->flags,
                           .tokens = row->tokens,
                           .window = row->window,
                           .windows = row->windows,
                           .at = vnp_tape_bytes(s->data),
                           .bytes = row->bytes};
    enum vnp_status st = vnp_tape_add(s->data, row->data, row->bytes, err);
    return st == VNP_OK ? vnp_tape_add(s->columns, &k, sizeof k, err) : st;
}

enum vnp_status vnp_shelf_get(struct vnp_shelf *s, uint64_t number, struct vnp_row *row, struct vnp_err *err)
{
    struct kept k = {0};
    enum vnp_status st = vnp_tape_at(s->columns, &k, sizeof k, number * sizeof k, err);
    if (st == VNP_OK && !vnp_buf_reserve(&s->got, (size_t)k.bytes + 1))
        st = vnp_error(err, VNP_OS, "out of memory for a row of %llu bytes", (unsigned long long)k.bytes);
    if (st == VNP_OK)
        st = vnp_tape_at(s->data, s->got.p, (size_t)k.bytes, k.at, err);
    *row = (struct vnp_row){.ordinal = k.ordinal,
                            .total = k.total,
                            .start = k.start,
                            .residues = k.residues,
                            .flags = k.flags,
                            .tokens = k.tokens,
                            .window = k.window,
                            .windows = k.windows,
                            .id = {"", 0},
                            .data = s->got.p,
                            .bytes = (size_t)k.bytes};
    return st;
}
