/* Rows of one side that wait for the row of the same id and window on the other. */
#ifndef VNP_WAITING_H
#define VNP_WAITING_H

#include "block.h"

/* A row and its vectors. Borrowed from a block or, out of a table, one allocation that the caller frees. */
struct vnp_unmatched {
    uint64_t ordinal;
    struct vnp_str id;
    uint32_t residues, window;
    int64_t vectors;
    const void *data;
};

struct vnp_waiting;

struct vnp_waiting *vnp_waiting_new(void);
/* Frees the rows that still wait, too. */
void vnp_waiting_free(struct vnp_waiting *w);

/* The row of side `side` (0 or 1) with this row's id and window that has waited longest, out of the table; NULL for
 * none. The caller frees it. */
struct vnp_unmatched *vnp_waiting_take(struct vnp_waiting *w, int side, const struct vnp_unmatched *row);

/* Adds a copy of the row, whose vectors are `bytes` long, on side `side`. VNP_OS when there is no memory. */
VNP_MUST_CHECK enum vnp_status vnp_waiting_add(struct vnp_waiting *w, int side, const struct vnp_unmatched *row,
                                               size_t bytes, struct vnp_err *err);

/* Calls `f` for each row that waits, in the order in which they came. */
void vnp_waiting_each(const struct vnp_waiting *w, void (*f)(void *data, int side, const struct vnp_unmatched *row),
                      void *data);

#endif
