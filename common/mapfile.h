/* A whole file, mapped for reading. */
#ifndef VNP_MAPFILE_H
#define VNP_MAPFILE_H

#include <stdint.h>

#include "status.h"

struct vnp_map {
    const uint8_t *p;
    uint64_t n; /* bytes, at least 1 */
};

/* Fails with VNP_NOINPUT when the file can't be opened, VNP_DATA when it is empty or no regular file. Whoever shortens
 * the file while it is mapped kills the reader (SIGBUS), as with any program that maps its input. */
VNP_MUST_CHECK enum vnp_status vnp_map_open(struct vnp_map *m, const char *path, struct vnp_err *err);

/* A zeroed map is allowed. */
void vnp_map_close(struct vnp_map *m);

#endif
