/* Rows that are wanted again, kept in temporary files by number. */
#ifndef VNP_SHELF_H
#define VNP_SHELF_H

#include "rows.h"

struct vnp_shelf;

/* VNP_CANTCREAT when a temporary file can't be made. The caller frees *out. */
VNP_MUST_CHECK enum vnp_status vnp_shelf_new(struct vnp_shelf **out, struct vnp_err *err);

/* Keeps a copy of the row without its id, as the next number, from 0. VNP_IO when it can't be written. */
VNP_MUST_CHECK enum vnp_status vnp_shelf_put(struct vnp_shelf *s, const struct vnp_row *row, struct vnp_err *err);

/* Row `number`, less than those that are kept; its data is borrowed until the next call, its id empty. VNP_IO when it
 * can't be read, VNP_OS when there is no memory for it. */
VNP_MUST_CHECK enum vnp_status vnp_shelf_get(struct vnp_shelf *s, uint64_t number, struct vnp_row *row,
                                             struct vnp_err *err);

/* NULL is allowed. */
void vnp_shelf_free(struct vnp_shelf *s);

#endif
