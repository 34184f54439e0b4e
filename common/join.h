/* The windows of a long record made one row again. Rows come in input order (reorder.h), each already pooled.
 *
 *   mean, cls  sum over windows of residues x vector, in double precision and in order, divided by the sum of the
 *              windows' residues: a residue that two windows share counts in both
 *   max        the largest of the windows' values; NaN wins
 *   none       one vector a residue: of two windows that share residues the first gives the first half of them (the
 *              odd one too), so that each comes from the window in which it is farther from a cut
 *
 * The joined row has the record's residues, all its windows' tokens and flags, and is a whole record. */
#ifndef VNP_JOIN_H
#define VNP_JOIN_H

#include "pool.h"
#include "rows.h"

struct vnp_join;

/* `name` is the input's, for messages; borrowed. Rows hold vectors of `width` elements: floats or, with pool "none",
 * `residues` vectors of `dtype`. A joined record larger than `max_bytes` is an error. */
struct vnp_join *vnp_join_new(const char *name, enum vnp_pool pool, enum vnp_dtype dtype, int64_t width,
                              uint64_t max_bytes);

/* The next row, in order. VNP_OK with *out: the row itself when it is a whole record, the joined one when it was the
 * last window, or NULL when more windows are to come. *out is borrowed until the next call, or as long as `row`.
 * VNP_DATA when the windows do not make a record. */
VNP_MUST_CHECK enum vnp_status vnp_join_add(struct vnp_join *j, const struct vnp_row *row, const struct vnp_row **out,
                                            struct vnp_err *err);

/* NULL is allowed. */
void vnp_join_free(struct vnp_join *j);

#endif
