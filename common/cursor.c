#include "cursor.h"

enum vnp_status vnp_cursor_next(struct vnp_cursor *c, struct vnp_err *err)
{
    while (!c->end && c->next == c->block.n) {
        const enum vnp_status st = vnp_reader_next(c->reader, &c->block, err);
        if (st != VNP_OK && st != VNP_END)
            return st;
        c->end = st == VNP_END;
        c->next = 0;
        c->next_at = 0;
    }
    if (c->end)
        return VNP_OK;
    const size_t bytes = vnp_row_bytes(vnp_reader_head(c->reader), &c->block, c->next);
    const enum vnp_status st = vnp_row_of(&c->block, c->next, c->next_at, bytes, &c->row, err);
    c->next++;
    c->next_at += bytes;
    return st;
}
