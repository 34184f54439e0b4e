/* Whole streams: written, read back, cut, damaged, reordered. What is not exactly what was written is an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "limits.h"
#include "samples.h"
#include "stream.h"

/* Bytes as a file that can be opened by a path. */
static int file_of(const void *bytes, size_t n, char path[64])
{
    int fd = memfd_create("stream", 0);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), (ssize_t)n);
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

/* Reads all; returns the status, with VNP_OK for a stream that is whole. */
static enum vnp_status read_path(const char *path, struct vnp_totals *totals, struct vnp_err *err)
{
    struct vnp_reader *r;
    struct vnp_block b;
    memset(err, 0, sizeof *err);
    enum vnp_status st = vnp_reader_open(&r, path, err);
    if (st != VNP_OK) {
        assert_null(r);
        return st;
    }
    while ((st = vnp_reader_next(r, &b, err)) == VNP_OK)
        ;
    if (totals != NULL)
        *totals = *vnp_reader_totals(r);
    vnp_reader_close(r);
    return st == VNP_END ? VNP_OK : st;
}

static enum vnp_status read_bytes(const void *bytes, size_t n, struct vnp_err *err)
{
    char path[64];
    int fd = file_of(bytes, n, path);
    enum vnp_status st = read_path(path, NULL, err);
    close(fd);
    if (st != VNP_OK) {
        assert_int_equal(err->status, st);
        assert_true(err->stage[0] != '\0' || strncmp(err->msg, path, strlen(path)) == 0);
    }
    return st;
}

static void must_fail(const struct vnp_buf *s, const char *says)
{
    struct vnp_err err;
    assert_int_equal(read_bytes(s->p, s->n, &err), VNP_DATA);
    if (strstr(err.msg, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
}

/* Two blocks of a kind through the writer, into *out. */
static void make_stream(struct vnp_buf *out, enum vnp_kind kind, const char *pool, bool windows, int zstd_level)
{
    char path[] = "/tmp/vnp-stream.XXXXXX";
    struct vnp_err err;
    struct vnp_writer *w;
    close(mkstemp(path));
    struct vnp_writer_options opt = {.path = path, .zstd_level = zstd_level};
    struct vnp_head h = sample_head(kind, pool);
    assert_int_equal(vnp_writer_open(&w, &opt, &err), VNP_OK);
    assert_int_equal(vnp_writer_head(w, &h, &err), VNP_OK);
    for (int i = 0; i < 2; i++) {
        struct vnp_block b = sample_block_of(&h, windows, i);
        assert_int_equal(vnp_writer_block(w, &b, &err), VNP_OK);
    }
    assert_int_equal(vnp_writer_totals(w)->rows, 6);
    assert_int_equal(vnp_writer_finish(w, &err), VNP_OK);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    out->n = 0;
    uint8_t piece[4096];
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;)
        sample_append(out, piece, n);
    fclose(f);
    unlink(path);
}

static const struct {
    enum vnp_kind kind;
    const char *pool;
    bool windows;
} kinds[] = {
    {VNP_TOKENS, "", true},          {VNP_BATCHES, "", false}, {VNP_HIDDEN, "", false},
    {VNP_EMBEDDINGS, "mean", false}, {VNP_COPIES, "", false}};
enum { KINDS = 5 };

/* Ends of the frames of a plain stream. */
static int frame_ends(const struct vnp_buf *s, size_t ends[8])
{
    int n = 0;
    for (size_t at = 0; at < s->n;) {
        uint32_t length;
        memcpy(&length, s->p + at, 4);
        at += 4 + length;
        ends[n++] = at;
    }
    assert_int_equal(ends[n - 1], s->n);
    return n;
}

static void streams_round_trip(void **state)
{
    (void)state;
    for (int k = 0; k < KINDS; k++)
        for (int level = 0; level <= 19; level += 19) {
            struct vnp_buf s = {0};
            struct vnp_totals totals;
            struct vnp_err err;
            char path[64];
            make_stream(&s, kinds[k].kind, kinds[k].pool, kinds[k].windows, level);
            int fd = file_of(s.p, s.n, path);
            assert_int_equal(read_path(path, &totals, &err), VNP_OK);
            assert_int_equal(totals.rows, 6);
            assert_int_equal(totals.sequences, kinds[k].windows ? 4 : 6);
            assert_int_equal(totals.tokens, 24);
            assert_int_equal(totals.truncated, 2);
            close(fd);
            vnp_buf_free(&s);
        }
}

static void equal_work_gives_equal_bytes(void **state)
{
    (void)state;
    struct vnp_buf a = {0}, b = {0};
    make_stream(&a, VNP_HIDDEN, "", true, 0);
    make_stream(&b, VNP_HIDDEN, "", true, 0);
    assert_int_equal(a.n, b.n);
    assert_memory_equal(a.p, b.p, a.n);
    vnp_buf_free(&a);
    vnp_buf_free(&b);
}

static void a_stream_without_blocks(void **state)
{
    (void)state;
    struct vnp_buf s = {0}, f = {0};
    struct vnp_head h = sample_head(VNP_TOKENS, "");
    struct vnp_totals none = {0};
    struct vnp_err err;
    vnp_encode_head(&f, &h);
    sample_append(&s, f.p, f.n);
    vnp_encode_end(&f, &none, (uint32_t)crc32_z(0, s.p, s.n));
    sample_append(&s, f.p, f.n);
    assert_int_equal(read_bytes(s.p, s.n, &err), VNP_OK);
    vnp_buf_free(&s);
    vnp_buf_free(&f);
}

/* The reader counts its frames and says so; a cut is told from damage. */
static void cut_at_every_byte(void **state)
{
    (void)state;
    for (int k = 0; k < KINDS; k++) {
        struct vnp_buf s = {0};
        struct vnp_err err;
        size_t ends[8];
        make_stream(&s, kinds[k].kind, kinds[k].pool, kinds[k].windows, 0);
        int frames = frame_ends(&s, ends);
        assert_int_equal(frames, 4);
        for (size_t n = 0; n < s.n; n++) {
            char says[64];
            int whole = 0;
            while (ends[whole] <= n)
                whole++;
            assert_int_equal(read_bytes(s.p, n, &err), VNP_DATA);
            snprintf(says, sizeof says, "ends after %d whole frames without an end frame", whole);
            if (strstr(err.msg, n == 0 ? "is empty" : says) == NULL)
                fail_msg("cut at %zu: %s", n, err.msg);
        }
        vnp_buf_free(&s);
    }
}

static void a_zstd_file_cut_at_every_byte(void **state)
{
    (void)state;
    struct vnp_buf s = {0}, plain = {0};
    struct vnp_err err;
    size_t harmless = 0;
    make_stream(&plain, VNP_EMBEDDINGS, "mean", false, 0);
    make_stream(&s, VNP_EMBEDDINGS, "mean", false, 3);
    uint8_t *out = malloc(plain.n);
    for (size_t n = 0; n < s.n; n++)
        assert_int_equal(read_bytes(s.p, n, &err), VNP_DATA);
    for (size_t n = 0; n < s.n; n++)
        for (int bit = 0; bit < 8; bit++) {
            s.p[n] ^= (uint8_t)(1 << bit);
            /* A few bits mean nothing to zstd: what comes out must be the same then. */
            if (read_bytes(s.p, s.n, &err) == VNP_OK) {
                assert_int_equal(ZSTD_decompress(out, plain.n, s.p, s.n), plain.n);
                assert_memory_equal(out, plain.p, plain.n);
                harmless++;
            }
            s.p[n] ^= (uint8_t)(1 << bit);
        }
    assert_int_equal(read_bytes(s.p, s.n, &err), VNP_OK);
    assert_true(harmless < s.n / 10); /* of 8 n */
    free(out);
    vnp_buf_free(&plain);
    vnp_buf_free(&s);
}

/* Each bit of each byte, lengths and end frame included: the structure or the checksum gives it away. */
static void every_bit_flipped(void **state)
{
    (void)state;
    for (int k = 0; k < KINDS; k++) {
        struct vnp_buf s = {0};
        struct vnp_err err;
        make_stream(&s, kinds[k].kind, kinds[k].pool, kinds[k].windows, 0);
        for (size_t n = 0; n < s.n; n++)
            for (int bit = 0; bit < 8; bit++) {
                s.p[n] ^= (uint8_t)(1 << bit);
                if (read_bytes(s.p, s.n, &err) != VNP_DATA)
                    fail_msg("byte %zu of %zu, bit %d: %s", n, s.n, bit, err.msg);
                s.p[n] ^= (uint8_t)(1 << bit);
            }
        vnp_buf_free(&s);
    }
}

/* Frames of a stream in another order, and their concatenation: `order` holds frame numbers. */
static void reorder(const struct vnp_buf *s, const char *order, const char *says)
{
    size_t ends[8];
    struct vnp_buf other = {0};
    frame_ends(s, ends);
    for (const char *c = order; *c; c++) {
        size_t begin = *c == '0' ? 0 : ends[*c - '1'];
        sample_append(&other, s->p + begin, ends[*c - '0'] - begin);
    }
    must_fail(&other, says);
    vnp_buf_free(&other);
}

static void frames_reordered(void **state)
{
    (void)state;
    struct vnp_buf s = {0};
    make_stream(&s, VNP_BATCHES, "", false, 0);
    reorder(&s, "1023", "frame 1: the stream does not begin with a head");
    reorder(&s, "3", "frame 1: the stream does not begin with a head");
    reorder(&s, "0013", "frame 2: a second head");
    reorder(&s, "013", "frame 3: checksum");
    reorder(&s, "01123", "frame 5: checksum");
    reorder(&s, "03", "frame 2: checksum");
    reorder(&s, "01230", "more bytes follow the end frame");
    reorder(&s, "01233", "more bytes follow the end frame");
    reorder(&s, "012", "ends after 3 whole frames without an end");
    vnp_buf_free(&s);
}

/* A right checksum with wrong counts. */
static void counts_that_do_not_add_up(void **state)
{
    (void)state;
    struct vnp_buf s = {0}, f = {0};
    size_t ends[8];
    const struct vnp_totals right = {6, 6, 24, 2, 0, 0};
    make_stream(&s, VNP_TOKENS, "", false, 0);
    frame_ends(&s, ends);
    uint32_t crc = (uint32_t)crc32_z(0, s.p, ends[2]);
    for (size_t i = 0; i <= 6; i++) {
        struct vnp_totals t = right;
        struct vnp_err err;
        if (i < 6)
            ((uint64_t *)&t)[i] += 1;
        vnp_encode_end(&f, &t, crc);
        s.n = ends[2];
        sample_append(&s, f.p, f.n);
        if (i < 6)
            must_fail(&s, "frame 4: the end counts");
        else
            assert_int_equal(read_bytes(s.p, s.n, &err), VNP_OK);
    }
    vnp_buf_free(&s);
    vnp_buf_free(&f);
}

/* A path too long for a message loses its beginning, and the message nothing. */
static void a_long_path(void **state)
{
    (void)state;
    struct vnp_buf s = {0};
    struct vnp_err err;
    struct vnp_totals t;
    char file[64], path[4096], *end = path;
    size_t ends[8];
    make_stream(&s, VNP_TOKENS, "", false, 0);
    frame_ends(&s, ends);
    for (int i = 0; i < 1900; i++)
        end = stpcpy(end, "/.");
    for (int i = 0; i < 2; i++) {
        if (i == 1)
            s.p[ends[1] - 1] ^= 0xff; /* what is told of a frame too, and not only of a stream */
        const int fd = file_of(s.p, i == 0 ? ends[1] : s.n, file);
        for (char *from = path; from < end; from += 200) {
            strcpy(end, file);
            assert_int_equal(read_path(from, &t, &err), VNP_DATA);
            const char *name = strstr(err.msg, "/./proc/self/fd/");
            assert_non_null(name);
            assert_non_null(strstr(name, i == 0 ? ": ends after 2 whole frames without an end frame" : ": frame "));
            if (end - from >= (ptrdiff_t)sizeof err.msg)
                assert_memory_equal(err.msg, ".../", 4);
        }
        close(fd);
    }
    vnp_buf_free(&s);
}

static void trailing_bytes(void **state)
{
    (void)state;
    for (int level = 0; level <= 3; level += 3) {
        struct vnp_buf s = {0};
        make_stream(&s, VNP_TOKENS, "", false, level);
        sample_append(&s, "", 1);
        must_fail(&s, level ? "frame" : "more bytes follow");
        vnp_buf_free(&s);
    }
}

static void lengths_are_not_believed(void **state)
{
    (void)state;
    static const uint32_t claims[] = {0, 1, (1u << 30) - 1, 1u << 30, (1u << 30) + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++)
        for (int second = 0; second < 2; second++) {
            struct vnp_buf s = {0};
            struct vnp_head h = sample_head(VNP_TOKENS, "");
            if (second)
                vnp_encode_head(&s, &h);
            sample_append(&s, &claims[i], 4);
            if (claims[i] > 0)
                sample_append(&s, "\x81", 1);
            must_fail(&s, claims[i] > 1u << 30 ? "over the limit" : claims[i] > 1 ? "without an end frame" : "msgpack");
            vnp_buf_free(&s);
        }
}

static void what_is_no_stream(void **state)
{
    (void)state;
    static const char *const texts[] = {">seq1\nMKTAYIAKQR\n", "{\"ordinal\":0}\n", "\n", "\x89PNG\r\n\x1a\n",
                                        "PK\x03\x04zip", "0123456789"};
    struct vnp_err err;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(read_bytes(texts[i], strlen(texts[i]), &err), VNP_DATA);
    uint32_t seed = 7;
    for (int round = 0; round < 500; round++) {
        uint8_t noise[200];
        for (size_t i = 0; i < sizeof noise; i++) {
            seed = seed * 1664525 + 1013904223;
            noise[i] = (uint8_t)(seed >> 16);
        }
        if (round % 2)
            noise[1] = noise[2] = noise[3] = 0; /* a length that is there */
        assert_int_equal(read_bytes(noise, sizeof noise, &err), VNP_DATA);
    }
    assert_int_equal(read_path("/nonexistent/stream", NULL, &err), VNP_NOINPUT);
    assert_int_equal(read_path("/tmp", NULL, &err), VNP_NOINPUT);
}

static void a_newer_version(void **state)
{
    (void)state;
    struct vnp_buf s = {0}, map = {0}, f = {0};
    struct vnp_head h = sample_head(VNP_TOKENS, "");
    struct vnp_totals none = {0};
    struct vnp_err err;
    for (int major = 1; major <= 2; major++) {
        uint8_t version[] = {0x92, (uint8_t)major, 7};
        vnp_encode_head(&f, &h);
        spoil(&map, f.p + 4, f.n - 4, SPOIL_REPLACE, "v", version, sizeof version);
        uint32_t length = (uint32_t)map.n;
        s.n = 0;
        sample_append(&s, &length, 4);
        sample_append(&s, map.p, map.n);
        vnp_encode_end(&f, &none, (uint32_t)crc32_z(0, s.p, s.n));
        sample_append(&s, f.p, f.n);
        if (major == 1)
            assert_int_equal(read_bytes(s.p, s.n, &err), VNP_OK);
        else
            must_fail(&s, "format version 2");
    }
    vnp_buf_free(&s);
    vnp_buf_free(&map);
    vnp_buf_free(&f);
}

/* An err frame, first or later, hands on its stage's name, message and status. */
static void the_first_cause_comes_through(void **state)
{
    (void)state;
    struct vnp_err cause = {.status = VNP_IO, .msg = "disk on fire"}, err;
    for (int blocks = -1; blocks < 2; blocks++) {
        struct vnp_buf s = {0}, f = {0};
        struct vnp_head h = sample_head(VNP_TOKENS, "");
        struct vnp_block b = sample_block(&h, false);
        if (blocks >= 0) {
            vnp_encode_head(&f, &h);
            sample_append(&s, f.p, f.n);
        }
        if (blocks > 0) {
            sample_frame(&f, &h, &b);
            sample_append(&s, f.p, f.n);
        }
        vnp_encode_err(&f, "vnp-fasta2tok", &cause);
        sample_append(&s, f.p, f.n);
        assert_int_equal(read_bytes(s.p, s.n, &err), VNP_IO);
        assert_string_equal(err.stage, "vnp-fasta2tok");
        assert_string_equal(err.msg, "disk on fire");
        vnp_buf_free(&s);
        vnp_buf_free(&f);
    }
}

static void another_kind_is_refused(void **state)
{
    (void)state;
    struct vnp_buf s = {0};
    struct vnp_reader *r;
    struct vnp_err err;
    char path[64];
    make_stream(&s, VNP_BATCHES, "", false, 0);
    int fd = file_of(s.p, s.n, path);
    assert_int_equal(vnp_reader_open(&r, path, &err), VNP_OK);
    assert_int_equal(vnp_reader_expect(r, VNP_BATCHES, &err), VNP_OK);
    assert_int_equal(vnp_reader_expect(r, VNP_EMBEDDINGS, &err), VNP_DATA);
    assert_non_null(strstr(err.msg, "vnp-pool"));
    vnp_reader_close(r);
    assert_int_equal(vnp_reader_open_embeddings(&r, path, false, &err), VNP_DATA);
    assert_null(r);
    assert_non_null(strstr(err.msg, "vnp-pool"));
    close(fd);
    vnp_buf_free(&s);
}

static void another_order_is_refused(void **state)
{
    (void)state;
    struct vnp_buf s = {0};
    struct vnp_reader *r;
    struct vnp_err err;
    char path[64];
    struct vnp_head h = sample_head(VNP_EMBEDDINGS, "mean");
    h.ordered = false;
    vnp_encode_head(&s, &h);
    int fd = file_of(s.p, s.n, path);
    assert_int_equal(vnp_reader_open_embeddings(&r, path, false, &err), VNP_OK);
    vnp_reader_close(r);
    assert_int_equal(vnp_reader_open_embeddings(&r, path, true, &err), VNP_DATA);
    assert_null(r);
    assert_non_null(strstr(err.msg, "order of the batches"));
    close(fd);
    vnp_buf_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_round_trip),
        cmocka_unit_test(equal_work_gives_equal_bytes),
        cmocka_unit_test(a_stream_without_blocks),
        cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(a_zstd_file_cut_at_every_byte),
        cmocka_unit_test(every_bit_flipped),
        cmocka_unit_test(frames_reordered),
        cmocka_unit_test(counts_that_do_not_add_up),
        cmocka_unit_test(a_long_path),
        cmocka_unit_test(trailing_bytes),
        cmocka_unit_test(lengths_are_not_believed),
        cmocka_unit_test(what_is_no_stream),
        cmocka_unit_test(a_newer_version),
        cmocka_unit_test(the_first_cause_comes_through),
        cmocka_unit_test(another_kind_is_refused),
        cmocka_unit_test(another_order_is_refused),
    };
    cap_memory();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
