/* Windows made a record again, against direct computation; windows that don't fit are refused. */
#include "../lib.h"
#include "join.h"

enum { WIDTH = 5 };

/* A record of `total` residues cut as vnp-fasta2tok cuts it. */
struct cut {
    uint32_t total, size, overlap, windows;
};

static struct cut cut(uint32_t total, uint32_t size, uint32_t overlap)
{
    uint32_t step = size - overlap;
    return (struct cut){total, size, overlap, total <= size ? 1 : 1 + (total - size + step - 1) / step};
}

static uint32_t start_of(const struct cut *c, uint32_t window)
{
    return window * (c->size - c->overlap);
}

static uint32_t size_of(const struct cut *c, uint32_t window)
{
    uint32_t rest = c->total - start_of(c, window);
    return rest < c->size ? rest : c->size;
}

static struct vnp_row window_row(const struct cut *c, uint64_t ordinal, uint32_t window, const float *data, size_t n)
{
    uint32_t residues = size_of(c, window);
    return (struct vnp_row){.ordinal = ordinal,
                            .total = c->total,
                            .start = start_of(c, window),
                            .residues = residues,
                            .flags = window == 1 ? VNP_REDONE : 0,
                            .tokens = residues + 2,
                            .window = window,
                            .windows = c->windows,
                            .id = {"name", 4},
                            .data = data,
                            .bytes = n * sizeof *data};
}

static float value(uint32_t window, int column)
{
    return (float)(((window * 7 + (uint32_t)column * 3) % 23) - 11) / 7;
}

static void check_columns(const struct cut *c, const struct vnp_row *row)
{
    uint32_t tokens = 0;
    for (uint32_t w = 0; w < c->windows; w++)
        tokens += size_of(c, w) + 2;
    assert_int_equal(row->ordinal, 9);
    assert_int_equal(row->residues, c->total);
    assert_int_equal(row->total, c->total);
    assert_int_equal(row->tokens, tokens);
    assert_int_equal(row->windows, 1);
    assert_int_equal(row->window, 0);
    assert_int_equal(row->start, 0);
    assert_int_equal(row->flags, c->windows > 1 ? VNP_REDONE : 0);
    assert_int_equal(row->id.n, 4);
    assert_memory_equal(row->id.s, "name", 4);
}

static void pooled(const struct cut *c, enum vnp_pool pool)
{
    struct vnp_err err = {0};
    const struct vnp_row *out = NULL;
    double sum[WIDTH] = {0}, weight = 0;
    float max[WIDTH];
    struct vnp_join *j = vnp_join_new("test", pool, VNP_F32, WIDTH, UINT64_MAX);
    for (uint32_t w = 0; w < c->windows; w++) {
        float v[WIDTH];
        assert_null(out);
        for (int k = 0; k < WIDTH; k++) {
            v[k] = value(w, k);
            sum[k] += (double)size_of(c, w) * (double)v[k];
            max[k] = w == 0 || v[k] > max[k] ? v[k] : max[k];
        }
        weight += size_of(c, w);
        struct vnp_row row = window_row(c, 9, w, v, WIDTH);
        assert_int_equal(vnp_join_add(j, &row, &out, &err), VNP_OK);
        if (c->windows == 1)
            assert_ptr_equal(out, &row);
        if (w + 1 < c->windows)
            continue;
        check_columns(c, out);
        assert_int_equal(out->bytes, sizeof v);
        const float *got = out->data;
        for (int k = 0; k < WIDTH; k++)
            assert_true(got[k] == (c->windows == 1 ? v[k] : pool == VNP_POOL_MAX ? max[k] : (float)(sum[k] / weight)));
    }
    vnp_join_free(j);
}

static const uint32_t shapes[][3] = {{5, 5, 0},    {6, 5, 0},    {10, 5, 0},        {100, 10, 0}, {100, 10, 1},
                                     {100, 10, 2}, {101, 10, 3}, {99, 10, 5},       {99, 10, 6},  {57, 10, 7},
                                     {30, 10, 9},  {11, 10, 9},  {2294, 1022, 256}, {7, 2, 1},    {3, 1, 0}};

static void test_pooled(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct cut c = cut(shapes[i][0], shapes[i][1], shapes[i][2]);
        pooled(&c, VNP_POOL_MEAN);
        pooled(&c, VNP_POOL_CLS);
        pooled(&c, VNP_POOL_MAX);
    }
}

/* Of the windows that hold residue p, the one in which it is farther from a cut, the earlier of equals. */
static uint32_t best_window(const struct cut *c, uint32_t p)
{
    uint32_t best = 0;
    int64_t best_distance = -1;
    for (uint32_t w = 0; w < c->windows; w++) {
        int64_t before = (int64_t)p - start_of(c, w), after = (int64_t)size_of(c, w) - 1 - before;
        if (before < 0 || after < 0)
            continue;
        before = w == 0 ? INT64_MAX : before;
        after = w + 1 == c->windows ? INT64_MAX : after;
        int64_t distance = before < after ? before : after;
        if (distance > best_distance) {
            best = w;
            best_distance = distance;
        }
    }
    return best;
}

static void test_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct cut c = cut(shapes[i][0], shapes[i][1], shapes[i][2]);
        struct vnp_err err = {0};
        const struct vnp_row *out = NULL;
        float *v = malloc(c.size * 2 * sizeof *v);
        struct vnp_join *j = vnp_join_new("test", VNP_POOL_NONE, VNP_F32, 2, UINT64_MAX);
        for (uint32_t w = 0; w < c.windows; w++) {
            assert_null(out);
            for (uint32_t k = 0; k < size_of(&c, w); k++) {
                v[2 * k] = (float)(start_of(&c, w) + k);
                v[2 * k + 1] = (float)w;
            }
            struct vnp_row row = window_row(&c, 9, w, v, 2 * (size_t)size_of(&c, w));
            assert_int_equal(vnp_join_add(j, &row, &out, &err), VNP_OK);
            if (w + 1 < c.windows)
                continue;
            const float *got = out->data;
            check_columns(&c, out);
            assert_int_equal(out->bytes, c.total * 2 * sizeof *v);
            for (uint32_t p = 0; p < c.total; p++) {
                assert_true(got[2 * p] == (float)p);
                /* Where three windows or more hold a residue the rule is about neighbours: see join.h. */
                if (2 * c.overlap <= c.size)
                    assert_true(got[2 * p + 1] == (float)best_window(&c, p));
            }
        }
        vnp_join_free(j);
        free(v);
    }
}

static void test_nan_is_not_hidden(void **state)
{
    (void)state;
    struct cut c = cut(30, 10, 0);
    struct vnp_err err = {0};
    const struct vnp_row *out;
    for (uint32_t at = 0; at < 3; at++)
        for (int pool = VNP_POOL_MEAN; pool <= VNP_POOL_MAX; pool++) {
            struct vnp_join *j = vnp_join_new("test", (enum vnp_pool)pool, VNP_F32, WIDTH, UINT64_MAX);
            for (uint32_t w = 0; w < 3; w++) {
                float v[WIDTH] = {1, 2, 3, 4, 5};
                if (w == at)
                    v[2] = NAN;
                struct vnp_row row = window_row(&c, 9, w, v, WIDTH);
                assert_int_equal(vnp_join_add(j, &row, &out, &err), VNP_OK);
            }
            assert_true(isnan(((const float *)out->data)[2]));
            assert_true(((const float *)out->data)[3] == 4);
            vnp_join_free(j);
        }
}

static void test_records_do_not_mix(void **state)
{
    (void)state;
    struct cut c = cut(20, 10, 0);
    struct vnp_err err = {0};
    const struct vnp_row *out;
    struct vnp_join *j = vnp_join_new("test", VNP_POOL_MEAN, VNP_F32, WIDTH, UINT64_MAX);
    for (int record = 0; record < 3; record++)
        for (uint32_t w = 0; w < 2; w++) {
            float v[WIDTH] = {(float)record, 0, 0, 0, 0};
            struct vnp_row row = window_row(&c, (uint64_t)record, w, v, WIDTH);
            assert_int_equal(vnp_join_add(j, &row, &out, &err), VNP_OK);
            if (w == 1)
                assert_true(((const float *)out->data)[0] == (float)record);
        }
    vnp_join_free(j);
}

/* Window 1 of 3 (residues 10 to 19 of 30), changed so that it does not fit. */
static void refused(void (*change)(struct vnp_row *), const char *why)
{
    struct cut c = cut(30, 10, 0);
    struct vnp_err err = {0};
    const struct vnp_row *out;
    float v[WIDTH] = {0};
    struct vnp_join *j = vnp_join_new("a.file", VNP_POOL_MEAN, VNP_F32, WIDTH, UINT64_MAX);
    struct vnp_row row = window_row(&c, 9, 0, v, WIDTH);
    assert_int_equal(vnp_join_add(j, &row, &out, &err), VNP_OK);
    row = window_row(&c, 9, 1, v, WIDTH);
    change(&row);
    assert_int_equal(vnp_join_add(j, &row, &out, &err), VNP_DATA);
    assert_null(out);
    assert_non_null(strstr(err.msg, "a.file: record "));
    assert_non_null(strstr(err.msg, why));
    vnp_join_free(j);
}

static void other_id(struct vnp_row *r)
{
    r->id.s = "namE";
}
static void other_ordinal(struct vnp_row *r)
{
    r->ordinal++;
}
static void other_total(struct vnp_row *r)
{
    r->total++;
}
static void other_count(struct vnp_row *r)
{
    r->windows++;
}
static void gap(struct vnp_row *r)
{
    r->start++;
}
static void same_start(struct vnp_row *r)
{
    r->start = 0;
}
static void inside(struct vnp_row *r)
{
    r->start = 3, r->residues = 4;
}

static void test_refused(void **state)
{
    (void)state;
    refused(other_id, "not of the same record");
    refused(other_ordinal, "not of the same record");
    refused(other_total, "not of the same record");
    refused(other_count, "not of the same record");
    refused(gap, "leaves residues out");
    refused(same_start, "starts before its place");
    refused(inside, "ends before the one before it");
}

static void test_record_goes_on(void **state)
{
    (void)state;
    for (int truncated = 0; truncated < 2; truncated++) {
        struct cut c = cut(20, 10, 0);
        struct vnp_err err = {0};
        const struct vnp_row *out;
        float v[WIDTH] = {0};
        struct vnp_join *j = vnp_join_new("a.file", VNP_POOL_MEAN, VNP_F32, WIDTH, UINT64_MAX);
        for (uint32_t w = 0; w < 2; w++) {
            struct vnp_row row = window_row(&c, 9, w, v, WIDTH);
            row.total = 25;
            row.flags = truncated ? VNP_TRUNCATED : 0;
            assert_int_equal(vnp_join_add(j, &row, &out, &err), w == 1 && !truncated ? VNP_DATA : VNP_OK);
        }
        if (truncated)
            assert_int_equal(out->residues, 20);
        vnp_join_free(j);
    }
}

static void test_too_large_for_a_frame(void **state)
{
    (void)state;
    struct cut c = cut(20, 10, 0);
    struct vnp_err err = {0};
    const struct vnp_row *out;
    float v[10 * WIDTH] = {0};
    struct vnp_join *j = vnp_join_new("a.file", VNP_POOL_NONE, VNP_F32, WIDTH, sizeof v + 50);
    struct vnp_row row = window_row(&c, 9, 0, v, 10 * WIDTH);
    assert_int_equal(vnp_join_add(j, &row, &out, &err), VNP_OK);
    row = window_row(&c, 9, 1, v, 10 * WIDTH);
    assert_int_equal(vnp_join_add(j, &row, &out, &err), VNP_DATA);
    assert_non_null(strstr(err.msg, "too large for one frame"));
    vnp_join_free(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pooled),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_nan_is_not_hidden),
        cmocka_unit_test(test_records_do_not_mix),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_record_goes_on),
        cmocka_unit_test(test_too_large_for_a_frame),
    };
    return cmocka_run_group_tests_name("join", tests, NULL, NULL);
}
