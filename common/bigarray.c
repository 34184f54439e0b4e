#include "bigarray.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spool.h"
#include "xmalloc.h"

struct vnp_bigarray {
    size_t bytes; /* of an element */
    uint8_t *p;   /* NULL: in the file */
    int fd;
};

enum vnp_status vnp_bigarray_new(struct vnp_bigarray **out, uint64_t n, size_t bytes, size_t max_bytes,
                                 struct vnp_err *err)
{
    struct vnp_bigarray *a = xcalloc(1, sizeof *a);
    enum vnp_status st = VNP_OK;
    a->bytes = bytes;
    a->fd = -1;
    if (n <= max_bytes / bytes) {
        a->p = calloc((size_t)n + 1, bytes);
        if (a->p == NULL)
            st = vnp_error(err, VNP_OS, "out of memory for %llu entries of %zu bytes", (unsigned long long)n, bytes);
    } else {
        st = vnp_spool_open(&a->fd, err);
        if (st == VNP_OK)
            st = vnp_spool_resize(a->fd, n * bytes, err);
    }
    if (st != VNP_OK) {
        vnp_bigarray_free(a);
        a = NULL;
    }
    *out = a;
    return st;
}

enum vnp_status vnp_bigarray_get(struct vnp_bigarray *a, uint64_t i, void *element, struct vnp_err *err)
{
    if (a->p == NULL)
        return vnp_spool_read(a->fd, element, a->bytes, i * a->bytes, err);
    memcpy(element, a->p + i * a->bytes, a->bytes);
    return VNP_OK;
}

enum vnp_status vnp_bigarray_set(struct vnp_bigarray *a, uint64_t i, const void *element, struct vnp_err *err)
{
    if (a->p == NULL)
        return vnp_spool_write(a->fd, element, a->bytes, i * a->bytes, err);
    memcpy(a->p + i * a->bytes, element, a->bytes);
    return VNP_OK;
}

void vnp_bigarray_free(struct vnp_bigarray *a)
{
    if (a == NULL)
        return;
    if (a->fd >= 0)
        close(a->fd);
    free(a->p);
    free(a);
}
