#include "mapfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static enum vnp_status map_fd(struct vnp_map *m, int fd, const char *path, struct vnp_err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return vnp_error(err, VNP_NOINPUT, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return vnp_error(err, VNP_DATA, "%s: not a regular file: model files are mapped, not streamed", path);
    if (st.st_size == 0)
        return vnp_error(err, VNP_DATA, "%s: the file is empty", path);
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return vnp_error(err, VNP_OS, "%s: can't map %lld bytes: %s", path, (long long)st.st_size, strerror(errno));
    m->p = p;
    m->n = (uint64_t)st.st_size;
    return VNP_OK;
}

enum vnp_status vnp_map_open(struct vnp_map *m, const char *path, struct vnp_err *err)
{
    *m = (struct vnp_map){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* O_NONBLOCK: a FIFO is refused, not waited for */
    if (fd < 0)
        return vnp_error(err, VNP_NOINPUT, "%s: %s", path, strerror(errno));
    enum vnp_status st = map_fd(m, fd, path, err);
    close(fd);
    return st;
}

void vnp_map_close(struct vnp_map *m)
{
    if (m->p != NULL)
        munmap((void *)(uintptr_t)m->p, (size_t)m->n);
    *m = (struct vnp_map){0};
}
