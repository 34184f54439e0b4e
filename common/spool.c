#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output.h"
#include "xmalloc.h"

enum vnp_status vnp_spool_open(int *fd, struct vnp_err *err)
{
    const char *dir = getenv("TMPDIR");
    if (dir == NULL || dir[0] == '\0')
        dir = "/tmp";
    *fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (*fd >= 0)
        return VNP_OK;
    /* a file system that has no nameless files */
    char *path = xasprintf("%s/vnp.XXXXXX", dir);
    *fd = mkostemp(path, O_CLOEXEC);
    const int failed = errno;
    if (*fd >= 0)
        unlink(path);
    free(path);
    if (*fd >= 0)
        return VNP_OK;
    return vnp_error(err, VNP_CANTCREAT, "%s: no temporary file can be made here: %s; set TMPDIR", dir,
                     strerror(failed));
}

enum vnp_status vnp_spool_write(int fd, const void *data, size_t n, uint64_t offset, struct vnp_err *err)
{
    const int why = vnp_pwrite(fd, data, n, (off_t)offset);
    return why == 0 ? VNP_OK
                    : vnp_error(err, VNP_IO, "a temporary file can't be written: %s; set TMPDIR to where there is room",
                                strerror(why));
}

enum vnp_status vnp_spool_read(int fd, void *data, size_t n, uint64_t offset, struct vnp_err *err)
{
    char *p = data;
    while (n > 0) {
        const ssize_t got = pread(fd, p, n, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return vnp_error(err, VNP_IO, "a temporary file can't be read: %s",
                             got < 0 ? strerror(errno) : "it is too short");
        p += got;
        n -= (size_t)got;
        offset += (uint64_t)got;
    }
    return VNP_OK;
}

enum vnp_status vnp_spool_resize(int fd, uint64_t n, struct vnp_err *err)
{
    if (ftruncate(fd, (off_t)n) == 0)
        return VNP_OK;
    return vnp_error(err, VNP_IO, "a temporary file can't have %llu bytes: %s; set TMPDIR to where there is room",
                     (unsigned long long)n, strerror(errno));
}
