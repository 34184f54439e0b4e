/* zstd frames on several threads: the same bytes for any number of them, in order, and errors of the sink come through.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "squeeze.h"
#include "xmalloc.h"

struct taken {
    char *data;
    size_t n, cap;
    size_t most; /* refuses what goes beyond it; 0: nothing */
};

static enum vnp_status take(void *ctx, const void *data, size_t n, struct vnp_err *err)
{
    struct taken *t = ctx;
    if (t->most > 0 && t->n + n > t->most)
        return vnp_error(err, VNP_IO, "full");
    if (t->n + n > t->cap) {
        t->cap = 2 * (t->n + n);
        t->data = xrealloc(t->data, t->cap);
    }
    memcpy(t->data + t->n, data, n);
    t->n += n;
    return VNP_OK;
}

/* Random numbers of under three bits: what shrinks, and shows where zstd cuts its work. */
static char *content(size_t n)
{
    uint32_t x = 1;
    char *p = xmalloc(n);
    for (size_t i = 0; i < n; i++)
        p[i] = (char)(((x = x * 1664525 + 1013904223) >> 16) % 7);
    return p;
}

/* Frames of `content`, of all sizes from none to over what is compressed whole, as two parts each. */
static const size_t sizes[] = {0, 1, 5000, 3 << 20, 17 << 20, 1000, 1 << 20, 3, 70000, 1 << 20, 1 << 20, 999999, 5};
enum { SIZES = sizeof sizes / sizeof *sizes, FRAMES = 3 * SIZES };

static enum vnp_status put_all(struct vnp_squeeze *s, const char *p, struct vnp_err *err)
{
    enum vnp_status st = VNP_OK;
    char *changing = xmalloc((size_t)18 << 20); /* the caller may reuse its buffer at once */
    for (int i = 0; i < FRAMES && st == VNP_OK; i++) {
        const size_t n = sizes[i % SIZES], half = n / 3;
        memcpy(changing, p + i, n);
        const struct iovec parts[] = {{changing, half}, {changing + half, n - half}};
        st = vnp_squeeze_put(s, parts, 2, err);
        memset(changing, 0, n);
    }
    free(changing);
    return st == VNP_OK ? vnp_squeeze_finish(s, err) : st;
}

static void any_number_of_threads(void **state)
{
    (void)state;
    struct vnp_err err;
    struct taken first = {0};
    char *p = content((18 << 20) + FRAMES), *back = xmalloc((size_t)70 << 20);
    for (int threads = 1; threads < 40; threads = threads * 3 + 1) {
        struct taken t = {0};
        struct vnp_squeeze *s = vnp_squeeze_open(1, threads, take, &t);
        assert_non_null(s);
        assert_int_equal(put_all(s, p, &err), VNP_OK);
        vnp_squeeze_close(s);
        if (threads == 1) {
            first = t;
            continue;
        }
        assert_int_equal(t.n, first.n);
        assert_memory_equal(t.data, first.data, t.n);
        free(t.data);
    }
    const char *at = first.data, *end = first.data + first.n;
    for (int i = 0; i < FRAMES; i++) { /* each a frame of its own, that says how long it is */
        const size_t n = ZSTD_findFrameCompressedSize(at, (size_t)(end - at));
        assert_false(ZSTD_isError(n));
        assert_int_equal(ZSTD_getFrameContentSize(at, n), sizes[i % SIZES]);
        assert_int_equal(ZSTD_decompress(back, (size_t)70 << 20, at, n), sizes[i % SIZES]);
        assert_memory_equal(back, p + i, sizes[i % SIZES]);
        at += n;
    }
    assert_ptr_equal(at, end);
    free(first.data), free(p), free(back);
}

static void an_error_of_the_sink_is_told(void **state)
{
    (void)state;
    char *p = content((18 << 20) + FRAMES);
    for (int threads = 1; threads < 5; threads++)
        for (size_t most = 1; most < 8 << 20; most = most * 8 + 1) {
            struct vnp_err err = {0};
            struct taken t = {.most = most};
            struct vnp_squeeze *s = vnp_squeeze_open(3, threads, take, &t);
            assert_non_null(s);
            assert_int_equal(put_all(s, p, &err), VNP_IO);
            assert_non_null(strstr(err.msg, "full"));
            vnp_squeeze_close(s);
            free(t.data);
        }
    free(p);
}

static void what_is_not_finished_is_dropped(void **state)
{
    (void)state;
    struct vnp_err err;
    struct taken t = {0};
    char *p = content(1 << 20);
    const struct iovec part = {p, 1 << 20};
    for (int n = 0; n < 12; n++) {
        struct vnp_squeeze *s = vnp_squeeze_open(1, 4, take, &t);
        assert_non_null(s);
        for (int i = 0; i < n; i++)
            assert_int_equal(vnp_squeeze_put(s, &part, 1, &err), VNP_OK);
        vnp_squeeze_close(s);
    }
    free(t.data), free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_threads),
        cmocka_unit_test(an_error_of_the_sink_is_told),
        cmocka_unit_test(what_is_not_finished_is_dropped),
    };
    return cmocka_run_group_tests_name("squeeze", tests, NULL, NULL);
}
