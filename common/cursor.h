/* The rows of a stream, one after the other. */
#ifndef VNP_CURSOR_H
#define VNP_CURSOR_H

#include <stdbool.h>

#include "rows.h"
#include "stream.h"

/* Zero-initialised, with a reader that has given no block yet, and which stays the caller's. */
struct vnp_cursor {
    struct vnp_reader *reader;
    struct vnp_row row; /* where it is; borrowed until the next call */
    bool end;           /* behind the last row */
    struct vnp_block block;
    int64_t next;   /* row of the block */
    size_t next_at; /* its bytes in the block's bulk */
};

/* Goes to the next row, or to the end. What vnp_reader_next() fails with. */
VNP_MUST_CHECK enum vnp_status vnp_cursor_next(struct vnp_cursor *c, struct vnp_err *err);

#endif
