#include "tape.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spool.h"
#include "xmalloc.h"

#define GATHER ((size_t)1 << 18) /* bytes in memory: of what is added, then of what is read */

struct vnp_tape {
    int fd;
    bool reading;  /* vnp_tape_next() has been called: buf holds what was read, before it what was added last */
    uint64_t end;  /* bytes in the file */
    uint64_t at;   /* reading: the place of buf in the file */
    uint64_t next; /* and where vnp_tape_next() is */
    size_t n;      /* bytes in buf */
    uint8_t *buf;
};

enum vnp_status vnp_tape_new(struct vnp_tape **out, struct vnp_err *err)
{
    struct vnp_tape *t = xcalloc(1, sizeof *t);
    *out = NULL;
    enum vnp_status st = vnp_spool_open(&t->fd, err);
    if (st != VNP_OK) {
        free(t);
        return st;
    }
    t->buf = xmalloc(GATHER);
    *out = t;
    return VNP_OK;
}

void vnp_tape_free(struct vnp_tape *t)
{
    if (t == NULL)
        return;
    close(t->fd);
    free(t->buf);
    free(t);
}

uint64_t vnp_tape_bytes(const struct vnp_tape *t)
{
    return t->reading ? t->end : t->end + t->n;
}

static enum vnp_status flush(struct vnp_tape *t, struct vnp_err *err)
{
    if (t->reading || t->n == 0)
        return VNP_OK;
    enum vnp_status st = vnp_spool_write(t->fd, t->buf, t->n, t->end, err);
    t->end += t->n;
    t->n = 0;
    return st;
}

enum vnp_status vnp_tape_add(struct vnp_tape *t, const void *data, size_t n, struct vnp_err *err)
{
    enum vnp_status st = n > GATHER - t->n ? flush(t, err) : VNP_OK;
    if (st == VNP_OK && n > GATHER) {
        st = vnp_spool_write(t->fd, data, n, t->end, err);
        t->end += n;
    } else if (st == VNP_OK && n > 0) {
        memcpy(t->buf + t->n, data, n);
        t->n += n;
    }
    return st;
}

enum vnp_status vnp_tape_at(struct vnp_tape *t, void *data, size_t n, uint64_t offset, struct vnp_err *err)
{
    if (!t->reading && offset >= t->end && offset - t->end <= t->n && n <= t->n - (size_t)(offset - t->end)) {
        if (n > 0)
            memcpy(data, t->buf + (offset - t->end), n);
        return VNP_OK;
    }
    enum vnp_status st = offset + n > t->end ? flush(t, err) : VNP_OK;
    return st == VNP_OK ? vnp_spool_read(t->fd, data, n, offset, err) : st;
}

enum vnp_status vnp_tape_next(struct vnp_tape *t, void *data, size_t n, struct vnp_err *err)
{
    uint8_t *to = data;
    enum vnp_status st = flush(t, err);
    t->reading = true;
    while (st == VNP_OK && n > 0) {
        if (t->next < t->at || t->next >= t->at + t->n) {
            const uint64_t left = t->end > t->next ? t->end - t->next : 0;
            t->at = t->next;
            t->n = left < GATHER ? (size_t)left : GATHER;
            st = t->n == 0 ? vnp_error(err, VNP_IO, "a temporary file can't be read: it is too short")
                           : vnp_spool_read(t->fd, t->buf, t->n, t->at, err);
            continue;
        }
        const size_t first = (size_t)(t->next - t->at), piece = t->n - first < n ? t->n - first : n;
        memcpy(to, t->buf + first, piece);
        to += piece;
        n -= piece;
        t->next += piece;
    }
    return st;
}

void vnp_tape_skip(struct vnp_tape *t, uint64_t n)
{
    t->next += n;
}

void vnp_tape_rewind(struct vnp_tape *t)
{
    t->next = 0;
}
