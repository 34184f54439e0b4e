/* Rows of a block one at a time, and blocks put together from rows. */
#ifndef VNP_ROWS_H
#define VNP_ROWS_H

#include "block.h"

/* One row with its bulk (token ids or vectors). Borrowed from the block it is in, or from whoever made it. */
struct vnp_row {
    uint64_t ordinal, total, start;
    uint32_t residues, flags, tokens, window, windows; /* a whole record is window 0 of 1, start 0 */
    struct vnp_str id;
    const void *data;
    size_t bytes;
};

/* Bytes of row i's bulk, in a block of a stream that begins with `head`. */
size_t vnp_row_bytes(const struct vnp_head *head, const struct vnp_block *block, int64_t i);

/* Row i of a block. Its bulk is `bytes` long, and `at` bytes into the block's: the caller adds them up, and gets
 * VNP_DATA (with the record) when the bulk is too short. */
VNP_MUST_CHECK enum vnp_status vnp_row_of(const struct vnp_block *b, int64_t i, size_t at, size_t bytes,
                                          struct vnp_row *row, struct vnp_err *err);

/* Vector k of a row of hidden states or embeddings as float32: its own, or converted into `scratch` of head->width. */
const float *vnp_row_vector(const struct vnp_head *head, const struct vnp_row *row, int64_t k, float *scratch);

/* A block under construction. Zero-initialised is empty; free with vnp_rows_free(). */
struct vnp_rows {
    int64_t n, cap;
    uint64_t *ordinal, *total, *start;
    uint32_t *residues, *flags, *tokens, *window, *windows;
    struct vnp_str *id;  /* set by vnp_rows_block() */
    size_t *id_end;      /* end of each id in `text` */
    struct vnp_buf text; /* the ids, one after the other */
    struct vnp_buf bulk;
    bool windowed; /* a row that is not a whole record is among them */
};

/* Room for `bytes` behind the rows' bulk, to build a row's data in: vnp_rows_add() with that as row->data, next, copies
 * nothing; after a vnp_rows_clear() it still takes it from there. NULL when there is no memory. */
void *vnp_rows_room(struct vnp_rows *rows, size_t bytes);

/* Appends a copy of the row. VNP_OS when there is no memory. */
VNP_MUST_CHECK enum vnp_status vnp_rows_add(struct vnp_rows *rows, const struct vnp_row *row, struct vnp_err *err);

/* Bytes that the row takes in an encoded frame, rounded up. */
static inline uint64_t vnp_row_frame_bytes(const struct vnp_row *row)
{
    return 64 + row->id.n + row->bytes;
}

/* The rows so far as a block, borrowed until the next call on `rows`. */
struct vnp_block vnp_rows_block(struct vnp_rows *rows);

/* Forgets the rows and keeps the memory. */
void vnp_rows_clear(struct vnp_rows *rows);
void vnp_rows_free(struct vnp_rows *rows);

#endif
