#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "ahead.h"
#include "telemetry.h"
#include "xmalloc.h"

#define IN_BYTES ((size_t)128 << 10) /* compressed bytes read at a time */

enum form { UNKNOWN, PLAIN, GZIP, ZSTD };

struct vnp_source {
    char *name;
    int fd;
    bool own_fd, eof;
    struct vnp_ahead *ahead; /* NULL: fd is read here */
    enum form form;
    uint8_t *in; /* IN_BYTES: compressed input, or the first bytes of plain input; [pos, n) is unread */
    size_t pos, n;
    uint64_t read_bytes; /* taken from the file so far */
    z_stream z;
    gz_header gz;
    uint8_t gz_extra[64];
    bool in_member;        /* between a gzip member's first byte and its last */
    bool bgzf;             /* the last member that began says it is a BGZF block */
    uint64_t member_bytes; /* what it has given */
    ZSTD_DStream *zstd;
    bool in_frame;
};

enum vnp_status vnp_source_open(struct vnp_source **out, const char *path, struct vnp_err *err)
{
    bool is_stdin = path == NULL || strcmp(path, "-") == 0;
    *out = NULL;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0)
        return vnp_error(err, VNP_NOINPUT, "%s: %s", path, strerror(errno));
    const int mode = fcntl(fd, F_GETFL);
    if (mode < 0 || (mode & O_ACCMODE) == O_WRONLY || fstat(fd, &st) != 0)
        return vnp_error(err, VNP_NOINPUT, "%s: closed", is_stdin ? "stdin" : path);
    if (S_ISDIR(st.st_mode)) {
        if (!is_stdin)
            close(fd);
        return vnp_error(err, VNP_NOINPUT, "%s: is a directory", is_stdin ? "stdin" : path);
    }
    if (S_ISREG(st.st_mode))
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    struct vnp_source *s = xcalloc(1, sizeof *s);
    s->name = xstrdup(is_stdin ? "stdin" : path);
    s->fd = fd;
    s->own_fd = !is_stdin;
    s->in = xmalloc(IN_BYTES);
    *out = s;
    return VNP_OK;
}

const char *vnp_source_name(const struct vnp_source *s)
{
    return s->name;
}

void vnp_source_read_ahead(struct vnp_source *s, size_t limit)
{
    struct stat st;
    if (fstat(s->fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
        s->ahead = vnp_ahead_start(s->fd, limit);
}

/* read(2) that survives signals and remembers the end. */
static ssize_t read_fd(struct vnp_source *s, void *buf, size_t cap, struct vnp_err *err)
{
    ssize_t got;
    if (s->eof)
        return 0;
    vnp_telemetry_wait(VNP_IN);
    do
        got = s->ahead != NULL ? vnp_ahead_read(s->ahead, buf, cap) : read(s->fd, buf, cap);
    while (got < 0 && errno == EINTR);
    vnp_telemetry_waited(VNP_IN, got);
    if (got < 0) {
        vnp_error(err, VNP_IO, "%s: reading failed after %llu bytes: %s", s->name, (unsigned long long)s->read_bytes,
                  strerror(errno));
        return -1;
    }
    s->eof = got == 0;
    s->read_bytes += (uint64_t)got;
    return got;
}

/* Reads more compressed input when there is none left. False on an error; at the end s->pos == s->n. */
static bool refill(struct vnp_source *s, struct vnp_err *err)
{
    if (s->pos < s->n)
        return true;
    ssize_t got = read_fd(s, s->in, IN_BYTES, err);
    s->pos = 0;
    s->n = got > 0 ? (size_t)got : 0;
    return got >= 0;
}

static bool begins(const struct vnp_source *s, const char *magic, size_t n)
{
    return memcmp(s->in, magic, s->n < n ? s->n : n) == 0;
}

/* A skippable frame's magic is 0x184D2A50 to 0x184D2A5F. */
static bool begins_skippable(const struct vnp_source *s)
{
    return (s->in[0] & 0xf0) == 0x50 && (s->n < 2 || memcmp(s->in + 1, "\x2a\x4d\x18", s->n < 4 ? s->n - 1 : 3) == 0);
}

static void begin_member(struct vnp_source *s)
{
    memset(&s->gz, 0, sizeof s->gz);
    memset(s->gz_extra, 0, sizeof s->gz_extra);
    s->gz.extra = s->gz_extra;
    s->gz.extra_max = sizeof s->gz_extra;
    inflateGetHeader(&s->z, &s->gz);
    s->in_member = true;
    s->bgzf = false;
    s->member_bytes = 0;
}

/* Reads only as many bytes as it takes to tell the forms apart, so that a slow pipe is not waited for in vain. */
static bool sniff(struct vnp_source *s, struct vnp_err *err)
{
    bool gzip = true, zstd = true, skippable = true;
    while (s->n < 4 && (gzip || zstd || skippable) && !s->eof) {
        ssize_t got = read_fd(s, s->in + s->n, IN_BYTES - s->n, err);
        if (got < 0)
            return false;
        s->n += (size_t)got;
        if (s->n > 0) {
            gzip = begins(s, "\x1f\x8b\x08", 3);
            zstd = begins(s, "\x28\xb5\x2f\xfd", 4);
            skippable = begins_skippable(s);
        }
    }
    s->form = PLAIN;
    if (s->n >= 2 && gzip) { /* two bytes will do: such a file is gzip cut short, not text */
        if (inflateInit2(&s->z, 15 + 16) != Z_OK) {
            vnp_error(err, VNP_OS, "%s: out of memory", s->name);
            return false;
        }
        s->form = GZIP;
        begin_member(s);
    } else if (s->n >= 3 && (zstd || (skippable && s->n >= 4))) {
        s->zstd = ZSTD_createDStream();
        if (s->zstd == NULL) {
            vnp_error(err, VNP_OS, "%s: out of memory", s->name);
            return false;
        }
        s->form = ZSTD;
    }
    return true;
}

static ssize_t damaged(const struct vnp_source *s, const char *form, const char *what, struct vnp_err *err)
{
    vnp_error(err, VNP_DATA, "%s: damaged %s data before compressed byte %llu: %s", s->name, form,
              (unsigned long long)(s->read_bytes - (s->n - s->pos)), what);
    return -1;
}

static ssize_t truncated(const struct vnp_source *s, const char *form, struct vnp_err *err)
{
    vnp_error(err, VNP_DATA, "%s: truncated: the %s data ends too soon, after %llu compressed bytes", s->name, form,
              (unsigned long long)s->read_bytes);
    return -1;
}

/* BGZF marks its blocks with an extra field "BC" of two bytes (SAM specification, section 4.1). */
static bool has_bgzf_field(const struct vnp_source *s)
{
    size_t n = s->gz.extra_len < sizeof s->gz_extra ? s->gz.extra_len : sizeof s->gz_extra;
    for (size_t i = 0; i + 4 <= n;) {
        size_t len = s->gz_extra[i + 2] + 256u * s->gz_extra[i + 3];
        if (s->gz_extra[i] == 'B' && s->gz_extra[i + 1] == 'C' && len == 2)
            return true;
        i += 4 + len;
    }
    return false;
}

/* After a member: another one (1), the end (0), or an error (-1). */
static int next_member(struct vnp_source *s, struct vnp_err *err)
{
    bool zeros = false;
    for (;;) { /* zeros up to the end are padding, as gzip itself has it */
        if (!refill(s, err))
            return -1;
        while (s->pos < s->n && s->in[s->pos] == 0)
            s->pos++, zeros = true;
        if (s->pos < s->n)
            break;
        if (s->eof)
            return 0;
    }
    if (zeros || s->in[s->pos] != 0x1f)
        return (int)damaged(s, "gzip", "something else follows it", err);
    inflateReset(&s->z);
    begin_member(s);
    return 1;
}

static ssize_t read_gzip(struct vnp_source *s, void *buf, size_t cap, struct vnp_err *err)
{
    size_t want = cap < ((size_t)1 << 30) ? cap : (size_t)1 << 30; /* zlib counts in 32 bits */
    for (;;) {
        if (!s->in_member) {
            int more = next_member(s, err);
            /* A BGZF file ends with an empty block: without it, whole blocks may be missing and nothing else tells. */
            if (more == 0 && s->bgzf && s->member_bytes > 0) {
                vnp_error(err, VNP_DATA,
                          "%s: truncated: the BGZF end marker is missing (to read what there is: gzip -dc FILE |)",
                          s->name);
                return -1;
            }
            if (more <= 0)
                return more;
        }
        if (!refill(s, err))
            return -1;
        s->z.next_in = s->in + s->pos;
        s->z.avail_in = (uInt)(s->n - s->pos);
        s->z.next_out = buf;
        s->z.avail_out = (uInt)want;
        int rc = inflate(&s->z, Z_NO_FLUSH);
        s->pos = s->n - s->z.avail_in;
        size_t got = want - s->z.avail_out;
        s->member_bytes += got;
        if (rc == Z_STREAM_END) {
            s->in_member = false;
            s->bgzf = has_bgzf_field(s);
        } else if (rc == Z_MEM_ERROR) {
            vnp_error(err, VNP_OS, "%s: out of memory", s->name);
            return -1;
        } else if (rc != Z_OK && rc != Z_BUF_ERROR && got == 0) { /* zlib will say so again after what is good */
            return damaged(s, "gzip", s->z.msg ? s->z.msg : "not deflate", err);
        }
        if (got > 0)
            return (ssize_t)got;
        if (s->eof && s->in_member)
            return truncated(s, "gzip", err);
    }
}

static ssize_t read_zstd(struct vnp_source *s, void *buf, size_t cap, struct vnp_err *err)
{
    ZSTD_outBuffer out = {buf, cap, 0};
    while (out.pos == 0) {
        if (!refill(s, err))
            return -1;
        ZSTD_inBuffer in = {s->in, s->n, s->pos};
        if (s->pos == s->n && !s->in_frame)
            return 0;
        size_t rc = ZSTD_decompressStream(s->zstd, &out, &in);
        s->pos = in.pos;
        if (ZSTD_isError(rc)) {
            if (ZSTD_getErrorCode(rc) != ZSTD_error_frameParameter_windowTooLarge)
                return damaged(s, "zstd", ZSTD_getErrorName(rc), err);
            vnp_error(err, VNP_DATA, "%s: zstd data with a window over 128 MiB (zstd -dc --long=31 FILE | reads it)",
                      s->name);
            return -1;
        }
        s->in_frame = rc != 0;
        if (out.pos == 0 && s->eof && s->in_frame)
            return truncated(s, "zstd", err);
    }
    return (ssize_t)out.pos;
}

ssize_t vnp_source_read(struct vnp_source *s, void *buf, size_t cap, struct vnp_err *err)
{
    if (s->form == UNKNOWN && !sniff(s, err))
        return -1;
    if (s->form == GZIP)
        return read_gzip(s, buf, cap, err);
    if (s->form == ZSTD)
        return read_zstd(s, buf, cap, err);
    if (s->pos == s->n)
        return read_fd(s, buf, cap, err);
    size_t n = s->n - s->pos < cap ? s->n - s->pos : cap;
    memcpy(buf, s->in + s->pos, n);
    s->pos += n;
    return (ssize_t)n;
}

void vnp_source_close(struct vnp_source *s)
{
    if (s == NULL)
        return;
    if (s->form == GZIP)
        inflateEnd(&s->z);
    ZSTD_freeDStream(s->zstd);
    vnp_ahead_stop(s->ahead);
    if (s->own_fd)
        close(s->fd);
    free(s->in);
    free(s->name);
    free(s);
}
