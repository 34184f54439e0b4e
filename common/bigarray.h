/* A large array of zeros to begin with: in memory when it fits into what it may take, else in a temporary file. */
#ifndef VNP_BIGARRAY_H
#define VNP_BIGARRAY_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

struct vnp_bigarray;

/* n elements of `bytes` each; in memory when that is no more than max_bytes in all. VNP_OS when there is no
 * memory, VNP_CANTCREAT and VNP_IO for the file. The caller frees *out. */
VNP_MUST_CHECK enum vnp_status vnp_bigarray_new(struct vnp_bigarray **out, uint64_t n, size_t bytes, size_t max_bytes,
                                                struct vnp_err *err);

/* Element i, which must be one of the n. VNP_IO when the file can't be read or written. */
VNP_MUST_CHECK enum vnp_status vnp_bigarray_get(struct vnp_bigarray *a, uint64_t i, void *element, struct vnp_err *err);
VNP_MUST_CHECK enum vnp_status vnp_bigarray_set(struct vnp_bigarray *a, uint64_t i, const void *element,
                                                struct vnp_err *err);

/* NULL is allowed. */
void vnp_bigarray_free(struct vnp_bigarray *a);

#endif
