/* A temporary file that is written once, from its beginning to its end, and read: one after the other from the
 * beginning, or at any place. Both gather what is small in memory. */
#ifndef VNP_TAPE_H
#define VNP_TAPE_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

struct vnp_tape;

/* In $TMPDIR, else /tmp: VNP_CANTCREAT when it can't be made. The caller frees *out. */
VNP_MUST_CHECK enum vnp_status vnp_tape_new(struct vnp_tape **out, struct vnp_err *err);

/* Appends n bytes. VNP_IO when they can't be written. */
VNP_MUST_CHECK enum vnp_status vnp_tape_add(struct vnp_tape *t, const void *data, size_t n, struct vnp_err *err);

/* Bytes that it holds. */
uint64_t vnp_tape_bytes(const struct vnp_tape *t);

/* n bytes at `offset`, also between additions. VNP_IO when there are none, or they can't be read. */
VNP_MUST_CHECK enum vnp_status vnp_tape_at(struct vnp_tape *t, void *data, size_t n, uint64_t offset,
                                           struct vnp_err *err);

/* The next n bytes, from the beginning; nothing can be added from the first call on. VNP_IO as above. */
VNP_MUST_CHECK enum vnp_status vnp_tape_next(struct vnp_tape *t, void *data, size_t n, struct vnp_err *err);
/* Leaves the next n bytes out. */
void vnp_tape_skip(struct vnp_tape *t, uint64_t n);
/* vnp_tape_next() begins again. */
void vnp_tape_rewind(struct vnp_tape *t);

/* NULL is allowed. */
void vnp_tape_free(struct vnp_tape *t);

#endif
