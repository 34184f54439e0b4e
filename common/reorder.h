/* Rows that come in any order, given back in input order: by ordinal, and by window within a record. Holds only what
 * still waits for an older row: after vnp-pack that is at most its --lookahead. A row that never comes, or comes twice,
 * is an error that names it. */
#ifndef VNP_REORDER_H
#define VNP_REORDER_H

#include "rows.h"

/* A row with an id and data of its own. */
struct vnp_held {
    struct vnp_row row; /* row.data == data, row.bytes as asked for */
    void *data;         /* aligned to 16 bytes */
};

/* A copy of the row's columns and id with room for `bytes` of data, not yet written. The caller frees *out with free()
 * or hands it on. VNP_OS when there is no memory. */
VNP_MUST_CHECK enum vnp_status vnp_held_new(struct vnp_held **out, const struct vnp_row *row, size_t bytes,
                                            struct vnp_err *err);

struct vnp_reorder;

/* `name` is the input's, for messages; borrowed. `first`: the ordinal of the first record. More than max_bytes waiting
 * is an error. */
struct vnp_reorder *vnp_reorder_new(const char *name, uint64_t first, uint64_t max_bytes);

/* Takes `row` over, on failure too. VNP_DATA: it came before, or too much waits. */
VNP_MUST_CHECK enum vnp_status vnp_reorder_push(struct vnp_reorder *r, struct vnp_held *row, struct vnp_err *err);

/* The next row in order, for the caller to free(): VNP_OK; VNP_END when it has not come yet; VNP_DATA when one came
 * twice. */
VNP_MUST_CHECK enum vnp_status vnp_reorder_pop(struct vnp_reorder *r, struct vnp_held **out, struct vnp_err *err);

/* After the last pop: VNP_DATA, naming the missing row, when something still waits for it or a record lacks windows. */
VNP_MUST_CHECK enum vnp_status vnp_reorder_end(const struct vnp_reorder *r, struct vnp_err *err);

/* The most bytes that waited at any time. */
uint64_t vnp_reorder_peak(const struct vnp_reorder *r);

/* NULL is allowed. */
void vnp_reorder_free(struct vnp_reorder *r);

#endif
