/* Temporary files that are more than a sort: a tape written and read in pieces of all sizes, arrays in memory and on
 * disk, rows kept by number, and a disk that is full. */
#include "../lib.h"

#include <signal.h>
#include <sys/resource.h>

#include "bigarray.h"
#include "shelf.h"
#include "tape.h"

enum { BYTES = 3 << 20 };

static uint8_t *random_bytes(size_t n)
{
    uint8_t *p = malloc(n);
    uint64_t seed = 5;
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)t_random(&seed);
    return p;
}

/* Mostly small, sometimes more than the tape gathers. */
static size_t piece(uint64_t *seed, size_t left)
{
    const size_t n = t_between(seed, 0, 40) == 0 ? t_between(seed, 1, 700000) : t_between(seed, 0, 300);
    return n < left ? n : left;
}

static void a_tape_gives_back_what_it_was_given(void **state)
{
    (void)state;
    uint8_t *want = random_bytes(BYTES), *have = malloc(BYTES);
    struct vnp_tape *t;
    struct vnp_err err;
    uint64_t seed = 1;
    assert_int_equal(vnp_tape_new(&t, &err), VNP_OK);
    for (size_t at = 0, n; at < BYTES; at += n) {
        n = piece(&seed, BYTES - at);
        assert_int_equal(vnp_tape_add(t, want + at, n, &err), VNP_OK);
        assert_int_equal(vnp_tape_bytes(t), at + n);
        const size_t from = t_between(&seed, 0, at + n), m = piece(&seed, at + n - from); /* while it grows */
        assert_int_equal(vnp_tape_at(t, have, m, from, &err), VNP_OK);
        assert_memory_equal(have, want + from, m);
    }
    for (int round = 0; round < 2; round++) {
        for (size_t at = 0, n; at < BYTES; at += n) {
            n = piece(&seed, BYTES - at);
            if (t_between(&seed, 0, 3) == 0) {
                vnp_tape_skip(t, n);
                continue;
            }
            memset(have, 0, n);
            assert_int_equal(vnp_tape_next(t, have, n, &err), VNP_OK);
            assert_memory_equal(have, want + at, n);
        }
        assert_int_equal(vnp_tape_next(t, have, 0, &err), VNP_OK);
        assert_int_equal(vnp_tape_next(t, have, 1, &err), VNP_IO);
        assert_int_equal(vnp_tape_at(t, have, 100, BYTES / 2, &err), VNP_OK); /* also while it is read */
        assert_memory_equal(have, want + BYTES / 2, 100);
        assert_int_equal(vnp_tape_at(t, have, 2, BYTES - 1, &err), VNP_IO);
        vnp_tape_rewind(t);
    }
    assert_int_equal(vnp_tape_bytes(t), BYTES);
    vnp_tape_free(t);
    vnp_tape_free(NULL);
    free(want);
    free(have);
}

static void an_empty_tape_has_nothing(void **state)
{
    (void)state;
    struct vnp_tape *t;
    struct vnp_err err;
    uint8_t byte;
    assert_int_equal(vnp_tape_new(&t, &err), VNP_OK);
    assert_int_equal(vnp_tape_bytes(t), 0);
    assert_int_equal(vnp_tape_next(t, &byte, 1, &err), VNP_IO);
    vnp_tape_free(t);
}

static void arrays_are_the_same_in_memory_and_on_disk(void **state)
{
    (void)state;
    struct vnp_err err;
    for (int on_disk = 0; on_disk < 2; on_disk++) {
        struct vnp_bigarray *a;
        uint64_t seed = 9, have[2], want[1000][2] = {{0}};
        assert_int_equal(vnp_bigarray_new(&a, 1000, 16, on_disk ? 15999 : 16000, &err), VNP_OK);
        for (int i = 0; i < 3000; i++) {
            const uint64_t k = t_between(&seed, 0, 999), value[2] = {t_random(&seed), t_random(&seed)};
            assert_int_equal(vnp_bigarray_get(a, k, have, &err), VNP_OK);
            assert_memory_equal(have, want[k], 16);
            memcpy(want[k], value, 16);
            assert_int_equal(vnp_bigarray_set(a, k, value, &err), VNP_OK);
        }
        assert_int_equal(vnp_bigarray_get(a, 999, have, &err), VNP_OK);
        assert_memory_equal(have, want[999], 16);
        if (on_disk) /* which tells that it is */
            assert_int_equal(vnp_bigarray_get(a, 1000, have, &err), VNP_IO);
        vnp_bigarray_free(a);
        assert_int_equal(vnp_bigarray_new(&a, 0, 8, on_disk ? 0 : 100, &err), VNP_OK);
        vnp_bigarray_free(a);
    }
    vnp_bigarray_free(NULL);
}

static void a_shelf_keeps_rows(void **state)
{
    (void)state;
    uint8_t *bytes = random_bytes(BYTES);
    struct vnp_shelf *s;
    struct vnp_err err;
    size_t at[400], n[400];
    uint64_t seed = 3;
    assert_int_equal(vnp_shelf_new(&s, &err), VNP_OK);
    for (uint64_t k = 0; k < 400; k++) {
        at[k] = t_between(&seed, 0, BYTES);
        n[k] = k % 50 == 0 ? 0 : piece(&seed, BYTES - at[k]);
        const struct vnp_row row = {.ordinal = 7 * k,
                                    .total = k + 5,
                                    .residues = (uint32_t)k + 3,
                                    .flags = k % 16,
                                    .tokens = (uint32_t)k + 1,
                                    .windows = 1,
                                    .id = {"id", 2},
                                    .data = bytes + at[k],
                                    .bytes = n[k]};
        assert_int_equal(vnp_shelf_put(s, &row, &err), VNP_OK);
        const uint64_t back = t_between(&seed, 0, k);
        struct vnp_row got;
        assert_int_equal(vnp_shelf_get(s, back, &got, &err), VNP_OK);
        assert_int_equal(got.ordinal, 7 * back);
        assert_int_equal(got.total, back + 5);
        assert_int_equal(got.residues, back + 3);
        assert_int_equal(got.flags, back % 16);
        assert_int_equal(got.tokens, back + 1);
        assert_int_equal(got.windows, 1);
        assert_int_equal(got.id.n, 0);
        assert_int_equal(got.bytes, n[back]);
        assert_memory_equal(got.data, bytes + at[back], n[back]);
    }
    vnp_shelf_free(s);
    vnp_shelf_free(NULL);
    free(bytes);
}

static void a_full_disk_is_an_error(void **state)
{
    (void)state;
    uint8_t *bytes = random_bytes(BYTES);
    struct vnp_tape *t;
    struct vnp_bigarray *a;
    struct vnp_err err = {0};
    const struct rlimit little = {1 << 20, 1 << 20};
    struct rlimit before;
    getrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(vnp_tape_new(&t, &err), VNP_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){little.rlim_cur, before.rlim_max}), 0);
    enum vnp_status st = VNP_OK;
    for (int i = 0; i < 200 && st == VNP_OK; i++)
        st = vnp_tape_add(t, bytes + 10000 * i, 10000, &err);
    assert_int_equal(st, VNP_IO);
    assert_non_null(strstr(err.msg, "TMPDIR"));
    assert_int_equal(vnp_bigarray_new(&a, 1 << 20, 8, 0, &err), VNP_IO);
    assert_null(a);
    setrlimit(RLIMIT_FSIZE, &before);
    vnp_tape_free(t);
    free(bytes);
}

static void no_folder_is_an_error(void **state)
{
    (void)state;
    struct vnp_tape *t;
    struct vnp_shelf *s;
    struct vnp_bigarray *a;
    struct vnp_err err;
    setenv("TMPDIR", "/no/such/folder", 1);
    assert_int_equal(vnp_tape_new(&t, &err), VNP_CANTCREAT);
    assert_int_equal(vnp_shelf_new(&s, &err), VNP_CANTCREAT);
    assert_int_equal(vnp_bigarray_new(&a, 10, 8, 0, &err), VNP_CANTCREAT);
    assert_true(t == NULL && s == NULL && a == NULL);
    unsetenv("TMPDIR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tape_gives_back_what_it_was_given),
        cmocka_unit_test(an_empty_tape_has_nothing),
        cmocka_unit_test(arrays_are_the_same_in_memory_and_on_disk),
        cmocka_unit_test(a_shelf_keeps_rows),
        cmocka_unit_test(a_full_disk_is_an_error),
        cmocka_unit_test(no_folder_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
