/* vnp-pool as people run it, on whole streams: what comes out, in which order and of which dtype, windows joined. */
#include "pool.h"
#include "streams.h"

/* What row `ordinal` of the output must be, as floats. */
static int64_t expected(const struct vnp_head *h, enum vnp_pool pool, bool all, uint64_t ordinal, float *dst)
{
    uint32_t residues = residues_of(ordinal);
    uint8_t *v = vectors(h, ordinal, 0, residues + 2);
    size_t vector = (size_t)h->width * vnp_dtype_bytes(h->dtype);
    int64_t n = residues, at;
    if (pool == VNP_POOL_NONE)
        assert_true(vnp_convert(h->dtype, v + vector, n * h->width, VNP_F32, dst, &at));
    else if (pool == VNP_POOL_CLS)
        assert_true(vnp_convert(h->dtype, v, h->width, VNP_F32, dst, &at));
    else
        vnp_pool_vectors(pool, h->dtype, all ? v : v + vector, all ? n + 2 : n, h->width, dst);
    free(v);
    return pool == VNP_POOL_NONE ? n : 1;
}

/* Reads what vnp-pool wrote: every record in its place with the right vectors. */
static void check_output(const struct vnp_head *from, enum vnp_pool pool, bool all, enum vnp_dtype dtype)
{
    struct vnp_err err = {0};
    struct vnp_reader *r;
    struct vnp_block b;
    enum vnp_status st;
    uint64_t next = 0;
    assert_int_equal(vnp_reader_open(&r, out, &err), VNP_OK);
    const struct vnp_head *h = vnp_reader_head(r);
    assert_int_equal(h->kind, VNP_EMBEDDINGS);
    assert_int_equal(h->dtype, dtype);
    assert_int_equal(h->width, from->width);
    assert_string_equal(h->pool, vnp_pool_name(pool));
    assert_string_equal(h->by[h->n_by - 1].stage, "vnp-pool");
    while ((st = vnp_reader_next(r, &b, &err)) == VNP_OK) {
        assert_null(b.window);
        assert_true(b.n <= 256);
        for (int64_t i = 0, at = 0; i < b.n; i++, next++) {
            char id[32];
            float *want = malloc((size_t)from->width * 122 * sizeof *want);
            int64_t n = expected(from, pool, all, next, want) * from->width;
            assert_int_equal(b.ordinal[i], next);
            assert_int_equal(b.residues[i], residues_of(next));
            assert_int_equal(b.tokens[i], residues_of(next) + 2);
            assert_int_equal(b.flags[i], residues_of(next) == 0 ? VNP_EMPTY : 0);
            assert_int_equal(b.id[i].n, snprintf(id, sizeof id, "name%llu", (unsigned long long)next));
            assert_memory_equal(b.id[i].s, id, b.id[i].n);
            for (int64_t k = 0; k < n; k++, at++)
                if (dtype == VNP_F32)
                    assert_memory_equal((const float *)b.bulk + at, want + k, 4);
                else
                    assert_int_equal(((const uint16_t *)b.bulk)[at], vnp_f32_f16(want[k]));
            free(want);
        }
    }
    assert_int_equal(st, VNP_END);
    assert_int_equal(next, RECORDS);
    vnp_reader_close(r);
}

static void test_values_and_order(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        enum vnp_pool pool;
        bool all;
        enum vnp_dtype dtype;
    } runs[] = {{"", VNP_POOL_MEAN, false, VNP_F32},
                {"--mean --f16", VNP_POOL_MEAN, false, VNP_F16},
                {"--mean --all-tokens --plain", VNP_POOL_MEAN, true, VNP_F32},
                {"--max", VNP_POOL_MAX, false, VNP_F32},
                {"--max --all-tokens", VNP_POOL_MAX, true, VNP_F32},
                {"--cls --level 19", VNP_POOL_CLS, false, VNP_F32},
                {"--none", VNP_POOL_NONE, false, VNP_F32},
                {"--none --f16", VNP_POOL_NONE, false, VNP_F16}};
    static const int widths[] = {1, 64, 33};
    for (int d = 0; d < 3; d++) {
        struct vnp_head from = {.kind = VNP_HIDDEN, .dtype = (enum vnp_dtype)d, .width = widths[d]};
        write_shuffled(VNP_HIDDEN, from.dtype, from.width, "", 97, 3);
        for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
            assert_int_equal(t_run("vnp-pool -q %s '%s' > '%s'", runs[i].options, in, out), 0);
            check_output(&from, runs[i].pool, runs[i].all, runs[i].dtype);
        }
    }
}

/* A part of an input: its records and no others, whatever their order. */
static void test_part(void **state)
{
    (void)state;
    struct stream s;
    struct vnp_reader *r;
    struct vnp_block b;
    struct vnp_err err;
    char id[32];
    for (uint64_t missing = 0; missing < 2; missing++) {
        stream_open_at(&s, VNP_HIDDEN, VNP_F32, 3, "", 40 + missing);
        for (uint64_t o = 44; o >= 40 + 2 * missing; o--)
            add(&s, whole(o, 5, id));
        stream_close(&s);
        assert_int_equal(t_run("vnp-pool -q '%s' >'%s' 2>'%s'", in, out, err_text), missing ? VNP_DATA : VNP_OK);
    }
    assert_int_equal(t_run("grep -q 'record 41 never came, though later ones did' '%s'", err_text), 0);
    stream_open_at(&s, VNP_HIDDEN, VNP_F32, 3, "", 40);
    add(&s, whole(41, 5, id));
    add(&s, whole(40, 5, id));
    stream_close(&s);
    assert_int_equal(t_run("vnp-pool -q '%s' >'%s'", in, out), VNP_OK);
    assert_int_equal(vnp_reader_open(&r, out, &err), VNP_OK);
    assert_int_equal(vnp_reader_head(r)->first, 40);
    assert_int_equal(vnp_reader_next(r, &b, &err), VNP_OK);
    assert_int_equal(b.n, 2);
    assert_int_equal(b.ordinal[0], 40);
    assert_int_equal(vnp_reader_next(r, &b, &err), VNP_END);
    vnp_reader_close(r);
}

/* The same file whatever the order and the cut of the input were. */
static void test_same_bytes(void **state)
{
    (void)state;
    char *first = NULL;
    size_t n = 0, m;
    static const int spans[] = {1, 10, 333, RECORDS};
    for (int i = 0; i < 4; i++) {
        write_shuffled(VNP_HIDDEN, VNP_F32, 24, "", spans[i], (uint64_t)i + 1);
        assert_int_equal(t_run("vnp-pool -q -o '%s' < '%s'", out, in), 0);
        char *bytes = t_slurp(out, &m);
        if (i == 0) {
            first = bytes;
            n = m;
            continue;
        }
        assert_int_equal(m, n);
        assert_memory_equal(bytes, first, n);
        free(bytes);
    }
    free(first);
}

/* Pooled on the device: order is restored and nothing else changes; --f16 of --f32 is the direct --f16. */
static void test_pooled_before(void **state)
{
    (void)state;
    char *again = t_path(folder, "again");
    static const char *const pools[] = {"mean", "cls", "max", "none"};
    for (int i = 0; i < 4; i++) {
        write_shuffled(VNP_EMBEDDINGS, VNP_F32, 8, pools[i], 50, 9);
        assert_int_equal(t_run("vnp-pool -q '%s' > '%s'", in, out), 0);
        assert_int_equal(t_run("vnp-pool -q --%s '%s' > '%s'", pools[i], in, again), 0);
        assert_int_equal(t_run("cmp -s '%s' '%s'", out, again), 0);
        assert_int_equal(t_run("vnp-pool -q --%s '%s' > '%s' 2>'%s'", pools[(i + 1) % 4], in, again, err_text),
                         VNP_DATA);
        assert_int_equal(t_run("grep -q 'was pooled before (%s)' '%s'", pools[i], err_text), 0);
        assert_int_equal(t_run("vnp-pool -q --f16 '%s' | vnp-cat --tsv > '%s'", in, again), 0);
        assert_int_equal(t_run("vnp-pool -q --f16 '%s' | vnp-cat --tsv | cmp -s - '%s'", out, again), 0);
        assert_int_equal(t_run("vnp-pool -q --plain '%s' | vnp-pool -q --level 3 | vnp-cat --tsv > '%s'", out, again),
                         0);
        assert_int_equal(t_run("vnp-cat --tsv '%s' | cmp -s - '%s'", out, again), 0);
        assert_int_equal(t_run("test -s '%s'", again), 0);
    }
    write_shuffled(VNP_EMBEDDINGS, VNP_F32, 8, "mean", 50, 9);
    assert_int_equal(t_run("vnp-pool -q --all-tokens '%s' 2>&1 >/dev/null | grep -q 'all-tokens can.t be had'", in), 0);
    free(again);
}

/* A record of 25 residues in windows of 10 that share 4, between two whole ones, last window first. */
static void write_windows(void)
{
    struct stream s;
    char id[32];
    stream_open(&s, VNP_HIDDEN, VNP_F32, 3, "");
    add(&s, whole(2, 5, id));
    for (uint32_t w = 4; w-- > 0;) {
        struct vnp_row row = whole(1, 25, id);
        row.window = w;
        row.windows = 4;
        row.start = w * 6;
        row.residues = w == 3 ? 7 : 10;
        row.tokens = row.residues + 2;
        add(&s, row);
    }
    stream_block(&s);
    add(&s, whole(0, 7, id));
    stream_close(&s);
}

static void read_row_1(struct vnp_reader **r, struct vnp_block *b, uint32_t residues)
{
    struct vnp_err err = {0};
    assert_int_equal(vnp_reader_open(r, out, &err), VNP_OK);
    assert_int_equal(vnp_reader_next(*r, b, &err), VNP_OK);
    assert_int_equal(b->n, 3);
    assert_null(b->window);
    assert_int_equal(b->residues[1], residues);
    assert_int_equal(b->total[1], residues);
    assert_int_equal(b->tokens[1], 45);
}

static void test_windows(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {10, 10, 10, 7};
    struct vnp_reader *r;
    struct vnp_block b;
    double mean[3] = {0}, cls[3] = {0};
    float max[3];
    write_windows();
    for (int j = 0; j < 3; j++) {
        max[j] = -INFINITY;
        for (uint32_t w = 0; w < 4; w++) {
            double sum = 0;
            for (uint32_t t = 1; t <= sizes[w]; t++) {
                sum += value(1, w, t, j);
                max[j] = fmaxf(max[j], value(1, w, t, j));
            }
            mean[j] += sum / 37;
            cls[j] += (double)sizes[w] * value(1, w, 0, j) / 37;
        }
    }
    for (int pool = VNP_POOL_MEAN; pool <= VNP_POOL_MAX; pool++) {
        assert_int_equal(t_run("vnp-pool -q --%s '%s' > '%s'", vnp_pool_name((enum vnp_pool)pool), in, out), 0);
        read_row_1(&r, &b, 25);
        for (int j = 0; j < 3; j++) {
            double got = ((const float *)b.bulk)[3 + j];
            double want = pool == VNP_POOL_MEAN ? mean[j] : pool == VNP_POOL_CLS ? cls[j] : (double)max[j];
            assert_true(fabs(got - want) <= 1e-6);
        }
        vnp_reader_close(r);
    }
    assert_int_equal(t_run("vnp-pool -q --none '%s' > '%s'", in, out), 0);
    read_row_1(&r, &b, 25);
    for (uint32_t p = 0; p < 25; p++) {
        uint32_t w = p < 8 ? 0 : p < 14 ? 1 : p < 20 ? 2 : 3; /* cuts in the middle of 6-9, 12-15, 18-21 */
        for (int j = 0; j < 3; j++)
            assert_true(((const float *)b.bulk)[(7 + p) * 3 + (uint32_t)j] == value(1, w, 1 + p - w * 6, j));
    }
    vnp_reader_close(r);
}

static void test_no_rows(void **state)
{
    (void)state;
    struct stream s;
    stream_open(&s, VNP_HIDDEN, VNP_F32, 4, "");
    stream_close(&s);
    assert_int_equal(t_run("vnp-pool -q '%s' | vnp-cat --check | grep -q ' 0 sequences'", in), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_and_order),
        cmocka_unit_test(test_part),
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_pooled_before),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_no_rows),
    };
    return cmocka_run_group_tests_name("vnp-pool", tests, make_folder, remove_folder);
}
