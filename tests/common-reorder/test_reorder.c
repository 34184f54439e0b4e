/* Rows in any order come back in input order; what is missing or doubled is named; memory has a limit. */
#include "../lib.h"
#include "reorder.h"

static struct vnp_held *make(uint64_t ordinal, uint32_t window, uint32_t windows, size_t bytes)
{
    struct vnp_err err;
    struct vnp_held *h;
    char id[32];
    int n = snprintf(id, sizeof id, "r%llu.%u", (unsigned long long)ordinal, window);
    struct vnp_row row = {.ordinal = ordinal, .window = window, .windows = windows, .id = {id, (uint32_t)n}};
    assert_int_equal(vnp_held_new(&h, &row, bytes, &err), VNP_OK);
    assert_int_equal((uintptr_t)h->data % 16, 0);
    assert_ptr_equal(h->row.data, h->data);
    assert_int_equal(h->row.bytes, bytes);
    memset(h->data, (int)(ordinal * 5 + window) & 255, bytes);
    memset(id, '?', sizeof id); /* the row has its own copy */
    return h;
}

static void check_row(const struct vnp_held *h, uint64_t ordinal, uint32_t window)
{
    char id[32];
    int n = snprintf(id, sizeof id, "r%llu.%u", (unsigned long long)ordinal, window);
    assert_int_equal(h->row.ordinal, ordinal);
    assert_int_equal(h->row.window, window);
    assert_int_equal(h->row.id.n, n);
    assert_memory_equal(h->row.id.s, id, (size_t)n);
    for (size_t i = 0; i < h->row.bytes; i++)
        assert_int_equal(((uint8_t *)h->data)[i], (ordinal * 5 + window) & 255);
}

/* Records, some in windows, shuffled within blocks of `span` rows. */
static void shuffled(uint64_t seed, int n, int span)
{
    struct {
        uint64_t ordinal;
        uint32_t window, windows;
    } rows[2000];
    struct vnp_err err = {0};
    struct vnp_held *h;
    int m = 0, out = 0;
    for (uint64_t ordinal = 0; m < n; ordinal++) {
        uint32_t windows = ordinal % 5 == 4 ? 1 + (uint32_t)(ordinal % 7) : 1;
        for (uint32_t w = 0; w < windows; w++, m++) {
            rows[m].ordinal = ordinal;
            rows[m].window = w;
            rows[m].windows = windows;
        }
    }
    struct vnp_reorder *r = vnp_reorder_new("test", 0, UINT64_MAX);
    int order[2000];
    for (int i = 0; i < m; i++)
        order[i] = i;
    for (int begin = 0; begin < m; begin += span)
        for (int end = begin + span < m ? begin + span : m, i = end - 1; i > begin; i--) {
            int k = (int)t_between(&seed, begin, i), o = order[i];
            order[i] = order[k];
            order[k] = o;
        }
    for (int i = 0; i < m; i++) {
        const int k = order[i];
        assert_int_equal(
            vnp_reorder_push(r, make(rows[k].ordinal, rows[k].window, rows[k].windows, (size_t)(k % 9)), &err), VNP_OK);
        enum vnp_status st;
        while ((st = vnp_reorder_pop(r, &h, &err)) == VNP_OK) {
            check_row(h, rows[out].ordinal, rows[out].window);
            out++;
            free(h);
        }
        assert_int_equal(st, VNP_END);
        assert_null(h);
    }
    assert_int_equal(out, m);
    assert_int_equal(vnp_reorder_end(r, &err), VNP_OK);
    assert_true(vnp_reorder_peak(r) > 0);
    if (span == 1)
        assert_true(vnp_reorder_peak(r) < 300);
    vnp_reorder_free(r);
}

static void test_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 20; seed++) {
        shuffled(seed, 1900, 1);
        shuffled(seed, 1900, 37);
        shuffled(seed, 1900, 1900);
    }
}

static void test_nothing(void **state)
{
    (void)state;
    struct vnp_err err = {0};
    struct vnp_held *h;
    struct vnp_reorder *r = vnp_reorder_new("test", 0, 0);
    assert_int_equal(vnp_reorder_pop(r, &h, &err), VNP_END);
    assert_int_equal(vnp_reorder_end(r, &err), VNP_OK);
    vnp_reorder_free(r);
    vnp_reorder_free(NULL);
}

static void push(struct vnp_reorder *r, uint64_t ordinal, uint32_t window, uint32_t windows, enum vnp_status want,
                 struct vnp_err *err)
{
    assert_int_equal(vnp_reorder_push(r, make(ordinal, window, windows, 8), err), want);
}

static void test_missing(void **state)
{
    (void)state;
    struct vnp_err err = {0};
    struct vnp_held *h;
    struct vnp_reorder *r = vnp_reorder_new("a.file", 0, UINT64_MAX);
    push(r, 0, 0, 1, VNP_OK, &err);
    push(r, 2, 0, 1, VNP_OK, &err);
    push(r, UINT64_MAX, 0, 1, VNP_OK, &err);
    assert_int_equal(vnp_reorder_pop(r, &h, &err), VNP_OK);
    free(h);
    assert_int_equal(vnp_reorder_pop(r, &h, &err), VNP_END);
    assert_int_equal(vnp_reorder_end(r, &err), VNP_DATA);
    assert_non_null(strstr(err.msg, "a.file: record 1 never came"));
    vnp_reorder_free(r);

    r = vnp_reorder_new("a.file", 0, UINT64_MAX); /* the last window of the last record */
    push(r, 0, 0, 2, VNP_OK, &err);
    assert_int_equal(vnp_reorder_pop(r, &h, &err), VNP_OK);
    free(h);
    assert_int_equal(vnp_reorder_end(r, &err), VNP_DATA);
    assert_non_null(strstr(err.msg, "record 0, window 1 never came"));
    vnp_reorder_free(r);
}

static void test_doubled(void **state)
{
    (void)state;
    struct vnp_err err = {0};
    struct vnp_held *h;
    struct vnp_reorder *r = vnp_reorder_new("a.file", 0, UINT64_MAX); /* after its turn */
    push(r, 0, 0, 1, VNP_OK, &err);
    assert_int_equal(vnp_reorder_pop(r, &h, &err), VNP_OK);
    free(h);
    push(r, 0, 0, 1, VNP_DATA, &err);
    assert_non_null(strstr(err.msg, "a.file: record 0 (r0.0) came twice"));
    vnp_reorder_free(r);

    r = vnp_reorder_new("a.file", 0, UINT64_MAX); /* before its turn */
    push(r, 1, 0, 1, VNP_OK, &err);
    push(r, 1, 0, 1, VNP_OK, &err);
    push(r, 0, 0, 1, VNP_OK, &err);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(vnp_reorder_pop(r, &h, &err), VNP_OK);
        free(h);
    }
    assert_int_equal(vnp_reorder_pop(r, &h, &err), VNP_DATA);
    assert_non_null(strstr(err.msg, "record 1 (r1.0) came twice"));
    vnp_reorder_free(r);
}

static void test_limit(void **state)
{
    (void)state;
    struct vnp_err err = {0};
    struct vnp_held *h;
    struct vnp_reorder *r = vnp_reorder_new("a.file", 0, 1000);
    assert_int_equal(vnp_reorder_push(r, make(0, 0, 1, 5000), &err), VNP_OK); /* is not waiting: its turn has come */
    assert_int_equal(vnp_reorder_pop(r, &h, &err), VNP_OK);
    free(h);
    assert_int_equal(vnp_reorder_push(r, make(2, 0, 1, 400), &err), VNP_OK);
    assert_int_equal(vnp_reorder_push(r, make(3, 0, 1, 5000), &err), VNP_DATA);
    assert_non_null(strstr(err.msg, "wait for record 1"));
    assert_non_null(strstr(err.msg, "--lookahead"));
    vnp_reorder_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order), cmocka_unit_test(test_nothing), cmocka_unit_test(test_missing),
        cmocka_unit_test(test_doubled),   cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests_name("reorder", tests, NULL, NULL);
}
