/* Rows of one side that wait for the row of the same id and window on the other. */
#ifndef VNP_WAITING_H
#define VNP_WAITING_H

#include "rows.h"

struct vnp_waiting;

struct vnp_waiting *vnp_waiting_new(void);
/* Frees the rows that still wait, too. */
void vnp_waiting_free(struct vnp_waiting *w);

/* The row of side `side` (0 or 1) with this row's id and window that has waited longest, out of the table; NULL for
 * none. The caller frees it, one allocation. */
struct vnp_row *vnp_waiting_take(struct vnp_waiting *w, int side, const struct vnp_row *row);

/* Adds a copy of the row and its data on side `side`. VNP_OS when there is no memory. */
VNP_MUST_CHECK enum vnp_status vnp_waiting_add(struct vnp_waiting *w, int side, const struct vnp_row *row,
                                               struct vnp_err *err);

/* Calls `f` for each row that waits, in the order in which they came. */
void vnp_waiting_each(const struct vnp_waiting *w, void (*f)(void *data, int side, const struct vnp_row *row),
                      void *data);

#endif
