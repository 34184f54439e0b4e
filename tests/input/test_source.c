/* common/source.c: every form gives the same bytes, however it is cut into reads; every cut and flip is noticed. */
#include "helper.h"

#include <signal.h>
#include <zstd.h>

#include "source.h"

static char text[300000];

static int make_text(void **state)
{
    (void)state;
    uint32_t x = 1;
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof text; i++) {
        x = x * 1664525 + 1013904223;
        text[i] = "LAGVSERTIDPKQNFYMHWC\n"[(x >> 16) % 21];
    }
    return 0;
}

/* All of it, read `cap` bytes at a time: its length, or -1 with *err. */
static ssize_t read_all(const char *path, uint8_t *into, size_t room, size_t cap, struct vnp_err *err)
{
    struct vnp_source *s;
    size_t n = 0;
    ssize_t got;
    if (vnp_source_open(&s, path, err) != VNP_OK)
        return -1;
    while ((got = vnp_source_read(s, into + n, room - n < cap ? room - n : cap, err)) > 0)
        n += (size_t)got;
    if (got == 0)
        assert_int_equal(vnp_source_read(s, into, 1, err), 0); /* the end stays the end */
    vnp_source_close(s);
    return got < 0 ? -1 : (ssize_t)n;
}

static void assert_reads(struct bytes in, const void *want, size_t n)
{
    static const size_t caps[] = {1, 7, 4096, 1 << 20};
    uint8_t *got = malloc(n + 100);
    struct vnp_err err;
    char *path = file_of(in.p, in.n);
    for (size_t k = n > 50000 ? 2 : 0; k < 4; k++) {
        ssize_t r = read_all(path, got, n + 100, caps[k], &err);
        if (r < 0)
            fail_msg("%s", err.msg);
        assert_int_equal(r, n);
        assert_memory_equal(got, want, n);
    }
    unlink(path);
    if (in.n < 20000) {
        int fd;
        pid_t child;
        char *slow = pipe_of(in.p, in.n, 1, &fd, &child);
        assert_int_equal(read_all(slow, got, n + 100, 64, &err), n);
        assert_memory_equal(got, want, n);
        pipe_done(fd, child);
    }
    free(got);
    free(in.p);
}

static void assert_fails(struct bytes in, enum vnp_status status, const char *what)
{
    struct vnp_err err = {0};
    char *path = file_of(in.p, in.n);
    uint8_t *got = malloc(sizeof text + 100);
    if (read_all(path, got, sizeof text + 100, 4096, &err) >= 0)
        fail_msg("%zu bytes were taken for whole", in.n);
    unlink(path);
    assert_int_equal(err.status, status);
    assert_ptr_equal(strstr(err.msg, path), err.msg);
    if (strstr(err.msg, what) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", err.msg, what);
    free(got);
}

static struct bytes zstd_of(const void *p, size_t n)
{
    struct bytes b = {malloc(ZSTD_compressBound(n)), 0};
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    b.n = ZSTD_compress2(c, b.p, ZSTD_compressBound(n), p, n);
    assert_false(ZSTD_isError(b.n));
    ZSTD_freeCCtx(c);
    return b;
}

static void every_form_gives_the_same_bytes(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 3, 4, 5, 1000, sizeof text};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        size_t n = sizes[k], half = n / 2;
        assert_reads(bytes_of(text, n), text, n);
        assert_reads(gzip_member(text, n, 0), text, n);
        assert_reads(bgzf(text, n, 60000), text, n);
        assert_reads(zstd_of(text, n), text, n);
        struct bytes members = gzip_member(text, half, 0);
        append(&members, gzip_member("", 0, 0));
        append(&members, gzip_member(text + half, n - half, 0));
        assert_reads(members, text, n);
        struct bytes frames = bytes_of("\x53\x2a\x4d\x18\x03\0\0\0abc", 11); /* a skippable frame of three bytes */
        append(&frames, zstd_of(text, half));
        append(&frames, zstd_of(text + half, n - half));
        assert_reads(frames, text, n);
    }
}

static void first_bytes_of_a_form_are_plain_text_without_the_rest(void **state)
{
    (void)state;
    assert_reads(bytes_of("\x1f", 1), "\x1f", 1);
    assert_reads(bytes_of("\x1f-", 2), "\x1f-", 2);
    assert_reads(bytes_of("\x28\xb5-", 3), "\x28\xb5-", 3);
    assert_reads(bytes_of("P*M-", 4), "P*M-", 4);
}

static void zeros_after_gzip_are_padding(void **state)
{
    (void)state;
    struct bytes b = gzip_member(text, 100, 0);
    append(&b, bytes_of("\0\0\0\0\0", 5));
    assert_reads(b, text, 100);
    struct bytes big = gzip_member(text, 100, 0);
    struct bytes zeros = {calloc(1, 400000), 400000};
    append(&big, zeros);
    assert_reads(big, text, 100);
}

static void every_cut_is_noticed(void **state)
{
    (void)state;
    struct bytes forms[] = {gzip_member(text, 300, 0), zstd_of(text, 300), bgzf(text, 300, 100)};
    for (int k = 0; k < 3; k++) {
        size_t shortest = k == 1 ? 3 : 2; /* fewer bytes do not tell the form */
        for (size_t n = shortest; n < forms[k].n; n++)
            assert_fails((struct bytes){forms[k].p, n}, VNP_DATA, "truncated");
        free(forms[k].p);
    }
    struct bytes big = gzip_member(text, sizeof text, 0);
    assert_fails((struct bytes){big.p, big.n - 1}, VNP_DATA, "truncated: the gzip data ends too soon");
    assert_true(big.n > 131072); /* a whole read of the source */
    assert_fails((struct bytes){big.p, 131072}, VNP_DATA, "truncated");
    free(big.p);
    struct bytes marker = bgzf(text, 300, 100);
    assert_fails((struct bytes){marker.p, marker.n - 28}, VNP_DATA, "end marker is missing");
    free(marker.p);
}

static void every_flip_is_noticed_or_harmless(void **state)
{
    (void)state;
    struct bytes forms[] = {gzip_member(text, 300, 0), zstd_of(text, 300), bgzf(text, 300, 100)};
    uint8_t got[5000];
    struct vnp_err err;
    for (int k = 0; k < 3; k++) {
        int noticed = 0;
        for (size_t i = 4; i < forms[k].n; i++) {
            forms[k].p[i] ^= 0x10;
            char *path = file_of(forms[k].p, forms[k].n);
            ssize_t n = read_all(path, got, sizeof got, 512, &err);
            unlink(path);
            forms[k].p[i] ^= 0x10;
            noticed += n < 0;
            if (n >= 0) { /* the time and the system in a gzip header, for instance */
                assert_int_equal(n, 300);
                assert_memory_equal(got, text, 300);
            }
        }
        assert_true(noticed > (int)forms[k].n / 2);
        free(forms[k].p);
    }
}

static void what_follows_is_an_error(void **state)
{
    (void)state;
    struct bytes b = gzip_member(text, 100, 0);
    append(&b, bytes_of("more", 4));
    assert_fails(b, VNP_DATA, "something else follows");
    free(b.p);
    b = gzip_member(text, 100, 0);
    append(&b, bytes_of("\0\0\x1f\x8b", 4));
    assert_fails(b, VNP_DATA, "something else follows");
    free(b.p);
    b = zstd_of(text, 100);
    append(&b, bytes_of(">text", 5));
    assert_fails(b, VNP_DATA, "damaged zstd");
    free(b.p);
}

static void a_huge_window_is_refused_before_it_is_allocated(void **state)
{
    (void)state;
    struct bytes b = bytes_of("\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00", 9); /* window 2^31 */
    assert_fails(b, VNP_DATA, "--long=31");
    free(b.p);
}

static void missing_files_and_folders(void **state)
{
    (void)state;
    struct vnp_source *s = (void *)1;
    struct vnp_err err;
    assert_int_equal(vnp_source_open(&s, "/nonexistent/file", &err), VNP_NOINPUT);
    assert_null(s);
    assert_string_equal(err.msg, "/nonexistent/file: No such file or directory");
    assert_int_equal(vnp_source_open(&s, "/", &err), VNP_NOINPUT);
    assert_string_equal(err.msg, "/: is a directory");
    vnp_source_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_gives_the_same_bytes),
        cmocka_unit_test(first_bytes_of_a_form_are_plain_text_without_the_rest),
        cmocka_unit_test(zeros_after_gzip_are_padding),
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(every_flip_is_noticed_or_harmless),
        cmocka_unit_test(what_follows_is_an_error),
        cmocka_unit_test(a_huge_window_is_refused_before_it_is_allocated),
        cmocka_unit_test(missing_files_and_folders),
    };
    return cmocka_run_group_tests_name("source", tests, make_text, NULL);
}
