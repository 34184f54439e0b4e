/* A temporary file without a name, gone when it is closed or the process ends however it may. */
#ifndef VNP_SPOOL_H
#define VNP_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

/* In $TMPDIR, else /tmp. The caller closes *fd. */
VNP_MUST_CHECK enum vnp_status vnp_spool_open(int *fd, struct vnp_err *err);

/* All n bytes at `offset`; VNP_IO when that can't be done. */
VNP_MUST_CHECK enum vnp_status vnp_spool_write(int fd, const void *data, size_t n, uint64_t offset,
                                               struct vnp_err *err);
VNP_MUST_CHECK enum vnp_status vnp_spool_read(int fd, void *data, size_t n, uint64_t offset, struct vnp_err *err);

/* Makes the file n bytes long; what was not written reads as zeros. */
VNP_MUST_CHECK enum vnp_status vnp_spool_resize(int fd, uint64_t n, struct vnp_err *err);

#endif
