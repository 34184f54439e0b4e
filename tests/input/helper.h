/* Input for the tests of the input side: bytes in a temporary file, behind a slow pipe, compressed in several ways. */
#ifndef VNP_TESTS_INPUT_HELPER_H
#define VNP_TESTS_INPUT_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

struct bytes {
    uint8_t *p;
    size_t n;
};

static inline struct bytes bytes_of(const void *p, size_t n)
{
    struct bytes b = {malloc(n + 1), n};
    assert_non_null(b.p);
    memcpy(b.p, p, n);
    return b;
}

/* Appends b to a and frees b. */
static inline void append(struct bytes *a, struct bytes b)
{
    a->p = realloc(a->p, a->n + b.n + 1);
    assert_non_null(a->p);
    memcpy(a->p + a->n, b.p, b.n);
    a->n += b.n;
    free(b.p);
}

/* One gzip member; as BGZF has it when `bgzf`: an extra field BC with the member's size - 1. n up to 65280 then. */
static inline struct bytes gzip_member(const void *p, size_t n, int bgzf)
{
    z_stream z = {0};
    struct bytes b = {malloc(n + n / 100 + 1000), 0};
    static const uint8_t plain[10] = {31, 139, 8, 0, 0, 0, 0, 0, 0, 255};
    static const uint8_t block[18] = {31, 139, 8, 4, 0, 0, 0, 0, 0, 255, 6, 0, 'B', 'C', 2, 0, 0, 0};
    assert_non_null(b.p);
    b.n = bgzf ? 18 : 10;
    memcpy(b.p, bgzf ? block : plain, b.n);
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)p;
    z.avail_in = (uInt)n;
    z.next_out = b.p + b.n;
    z.avail_out = (uInt)(n + n / 100 + 900);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    b.n += z.total_out;
    deflateEnd(&z);
    uint32_t tail[2] = {(uint32_t)crc32_z(0, p, n), (uint32_t)n};
    memcpy(b.p + b.n, tail, 8);
    b.n += 8;
    if (bgzf) {
        b.p[16] = (uint8_t)((b.n - 1) & 255);
        b.p[17] = (uint8_t)((b.n - 1) >> 8);
    }
    return b;
}

/* The bytes as BGZF blocks of `block` bytes, with the empty block at the end. */
static inline struct bytes bgzf(const void *p, size_t n, size_t block)
{
    struct bytes all = {NULL, 0};
    for (size_t at = 0; at < n; at += block)
        append(&all, gzip_member((const uint8_t *)p + at, n - at < block ? n - at : block, 1));
    append(&all, gzip_member("", 0, 1));
    return all;
}

/* A temporary file that holds the bytes. The caller unlinks it. */
static inline char *file_of(const void *p, size_t n)
{
    static char path[64];
    strcpy(path, "/tmp/vnp-input.XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (size_t at = 0; at < n;) {
        ssize_t put = write(fd, (const uint8_t *)p + at, n - at);
        assert_true(put > 0);
        at += (size_t)put;
    }
    close(fd);
    return path;
}

/* A path to a pipe into which a child writes the bytes, `piece` at a time. Then pipe_done(). */
static inline char *pipe_of(const void *p, size_t n, size_t piece, int *fd, pid_t *child)
{
    static char path[64];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    *child = fork();
    assert_true(*child >= 0);
    if (*child == 0) {
        close(ends[0]);
        for (size_t at = 0; at < n; at += piece)
            if (write(ends[1], (const uint8_t *)p + at, n - at < piece ? n - at : piece) < 0)
                _exit(1);
        _exit(0);
    }
    close(ends[1]);
    *fd = ends[0];
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    return path;
}

static inline void pipe_done(int fd, pid_t child)
{
    close(fd);
    waitpid(child, NULL, 0);
}

#endif
