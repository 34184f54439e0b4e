/* Sorts any number of records by their keys in bounded memory: what does not fit goes to a temporary file without a
 * name, in sorted runs that are merged on the way out. Keys compare byte by byte, a prefix before what it begins; equal
 * keys stay in the order in which they came. */
#ifndef VNP_SORTER_H
#define VNP_SORTER_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

struct vnp_sorter;

/* A record: data under a key. */
struct vnp_keyed {
    const char *key;
    uint32_t n_key;
    const void *data;
    uint32_t n_data;
};

/* Uses about `bytes` of memory (at least 64 kB), and $TMPDIR, else /tmp, beyond that. */
struct vnp_sorter *vnp_sorter_new(size_t bytes);

/* Adds a copy of the record. VNP_IO when the temporary file can't be written, VNP_CANTCREAT when it can't be made. */
VNP_MUST_CHECK enum vnp_status vnp_sorter_add(struct vnp_sorter *s, const struct vnp_keyed *r, struct vnp_err *err);

/* The next record in order, borrowed until the next call; VNP_END after the last. Nothing can be added once this has
 * been called. */
VNP_MUST_CHECK enum vnp_status vnp_sorter_next(struct vnp_sorter *s, struct vnp_keyed *r, struct vnp_err *err);

/* NULL is allowed. */
void vnp_sorter_free(struct vnp_sorter *s);

#endif
