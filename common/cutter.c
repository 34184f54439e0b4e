#include "cutter.h"

void vnp_cutter_to(struct vnp_cutter *c, struct vnp_writer *out, enum vnp_kind kind)
{
    c->out = out;
    c->most = vnp_kind_vectors(kind) ? VNP_CUT_VECTOR_ROWS : VNP_CUT_TOKEN_ROWS;
}

enum vnp_status vnp_cutter_flush(struct vnp_cutter *c, struct vnp_err *err)
{
    if (c->rows.n == 0)
        return VNP_OK;
    const struct vnp_block b = vnp_rows_block(&c->rows);
    enum vnp_status st = vnp_writer_block(c->out, &b, err);
    vnp_rows_clear(&c->rows);
    return st;
}

/* Writes the block when a row of that size doesn't go into it. */
static enum vnp_status make_way(struct vnp_cutter *c, size_t bytes, size_t id_bytes, struct vnp_err *err)
{
    const struct vnp_rows *r = &c->rows;
    const bool fits = r->n < c->most && r->bulk.n + bytes <= VNP_CUT_BYTES && r->text.n + id_bytes <= VNP_CUT_BYTES;
    return fits ? VNP_OK : vnp_cutter_flush(c, err);
}

/* What is asked for may be more than the row will take: whether it fits is seen when it is there. */
enum vnp_status vnp_cutter_room(struct vnp_cutter *c, size_t bytes, void **room, struct vnp_err *err)
{
    *room = vnp_rows_room(&c->rows, bytes);
    return *room != NULL ? VNP_OK : vnp_error(err, VNP_OS, "out of memory for a row of %zu bytes", bytes);
}

enum vnp_status vnp_cutter_put(struct vnp_cutter *c, const struct vnp_row *row, struct vnp_err *err)
{
    enum vnp_status st = make_way(c, row->bytes, row->id.n, err);
    if (st == VNP_OK)
        st = vnp_rows_add(&c->rows, row, err);
    return st == VNP_OK && c->rows.bulk.n > VNP_CUT_BYTES ? vnp_cutter_flush(c, err) : st; /* nothing goes behind it */
}

enum vnp_status vnp_cutter_put_block(struct vnp_cutter *c, const struct vnp_head *head, const struct vnp_block *block,
                                     struct vnp_err *err)
{
    size_t at = 0;
    for (int64_t i = 0; i < block->n; i++) {
        struct vnp_row row;
        const size_t bytes = vnp_row_bytes(head, block, i);
        enum vnp_status st = vnp_row_of(block, i, at, bytes, &row, err);
        if (st == VNP_OK)
            st = vnp_cutter_put(c, &row, err);
        if (st != VNP_OK)
            return st;
        at += bytes;
    }
    return VNP_OK;
}

void vnp_cutter_free(struct vnp_cutter *c)
{
    vnp_rows_free(&c->rows);
}
