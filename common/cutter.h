/* Rows into a stream's blocks. Where a block ends depends on the rows in it alone, never on how they came: equal rows
 * are equal bytes. */
#ifndef VNP_CUTTER_H
#define VNP_CUTTER_H

#include "rows.h"
#include "stream.h"

/* A block has at most so many rows and, with more than one, bytes: of vectors or token ids, and of ids. */
#define VNP_CUT_BYTES ((size_t)1 << 20)
#define VNP_CUT_TOKEN_ROWS 4096 /* and of copies */
#define VNP_CUT_VECTOR_ROWS 256

/* Begin with vnp_cutter_to(), end with vnp_cutter_flush() and vnp_cutter_free(). */
struct vnp_cutter {
    struct vnp_writer *out;
    int64_t most; /* rows in a block */
    struct vnp_rows rows;
};

/* Blocks go to `out` from now on, whose head is of `kind`. Nothing may be waiting. */
void vnp_cutter_to(struct vnp_cutter *c, struct vnp_writer *out, enum vnp_kind kind);

/* Room for the data of the next row, to build it in: at most `bytes`. vnp_cutter_put() with that as row->data, next,
 * copies it only where the row begins a block. VNP_OS when there is no memory. */
VNP_MUST_CHECK enum vnp_status vnp_cutter_room(struct vnp_cutter *c, size_t bytes, void **room, struct vnp_err *err);

/* Takes a copy of the row. Writes the block before it when the row doesn't fit in, and the row itself when it fills one;
 * fails as that does, and with VNP_OS when there is no memory. */
VNP_MUST_CHECK enum vnp_status vnp_cutter_put(struct vnp_cutter *c, const struct vnp_row *row, struct vnp_err *err);

/* Takes all rows of a block of a stream that begins with `head`. */
VNP_MUST_CHECK enum vnp_status vnp_cutter_put_block(struct vnp_cutter *c, const struct vnp_head *head,
                                                    const struct vnp_block *block, struct vnp_err *err);

/* Writes what is waiting. */
VNP_MUST_CHECK enum vnp_status vnp_cutter_flush(struct vnp_cutter *c, struct vnp_err *err);

void vnp_cutter_free(struct vnp_cutter *c);

#endif
