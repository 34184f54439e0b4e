/* That the windows of a record, in order, are its own, leave no residue out and reach its end. */
#ifndef VNP_COVER_H
#define VNP_COVER_H

#include "rows.h"

/* How far one record has come. Zero-initialised: no record has begun. Free with vnp_cover_free(). */
struct vnp_cover {
    uint64_t ordinal, total;
    uint64_t start, end;    /* first residue of the newest window; residues covered so far */
    uint32_t next, windows; /* the window that is due, of how many */
    uint32_t flags;         /* of all windows so far, or'ed */
    struct vnp_buf id;
};

/* Whether the record that began last has all its windows. */
static inline bool vnp_cover_whole(const struct vnp_cover *c)
{
    return c->next == c->windows;
}

/* Takes the next row. Window 0 begins a record, others must go on with it. VNP_DATA, with the record and the window,
 * when they do not. */
VNP_MUST_CHECK enum vnp_status vnp_cover_add(struct vnp_cover *c, const struct vnp_row *row, struct vnp_err *err);

void vnp_cover_free(struct vnp_cover *c);

#endif
