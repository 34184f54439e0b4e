/* vnp-pool as people run it, on streams of hidden states made here: order, values, dtypes, windows, and what is wrong
 * with a stream. Hidden states are a function of (ordinal, window, token, column), so that every value can be checked.
 */
#include <zstd.h>

#include "../lib.h"
#include "half.h"
#include "pool.h"
#include "rows.h"
#include "stream.h"

enum { RECORDS = 700 };

static char *folder, *in, *out, *err_text;

static int make_folder(void **state)
{
    (void)state;
    folder = t_folder();
    in = t_path(folder, "in");
    out = t_path(folder, "out");
    err_text = t_path(folder, "err");
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    t_remove(folder);
    free(in);
    free(out);
    free(err_text);
    return 0;
}

/* A stream to be written: its rows are made one at a time, in any order, in blocks of any size. */
struct stream {
    struct vnp_head head;
    struct vnp_writer *w;
    struct vnp_rows rows;
};

static void stream_open_at(struct stream *s, enum vnp_kind kind, enum vnp_dtype dtype, int width, const char *pool,
                           uint64_t first)
{
    struct vnp_err err = {0};
    const struct vnp_writer_options opt = {.path = in};
    memset(s, 0, sizeof *s);
    s->head = (struct vnp_head){.kind = kind,
                                .first = first,
                                .n_by = 1,
                                .by = {{.stage = "test", .version = "1"}},
                                .vocab = "esm2",
                                .vocab_size = 33,
                                .prefix = 1,
                                .suffix = 1,
                                .token_bytes = 1,
                                .model = "m",
                                .fingerprint = "f",
                                .layer = 2,
                                .dtype = dtype,
                                .width = width};
    snprintf(s->head.pool, sizeof s->head.pool, "%s", pool);
    assert_int_equal(vnp_writer_open(&s->w, &opt, &err), VNP_OK);
    assert_int_equal(vnp_writer_head(s->w, &s->head, &err), VNP_OK);
}

static void stream_open(struct stream *s, enum vnp_kind kind, enum vnp_dtype dtype, int width, const char *pool)
{
    stream_open_at(s, kind, dtype, width, pool, 0);
}

static void stream_block(struct stream *s)
{
    struct vnp_err err = {0};
    struct vnp_block b = vnp_rows_block(&s->rows);
    assert_int_equal(vnp_writer_block(s->w, &b, &err), VNP_OK);
    vnp_rows_clear(&s->rows);
}

static void stream_close(struct stream *s)
{
    struct vnp_err err = {0};
    if (s->rows.n > 0)
        stream_block(s);
    assert_int_equal(vnp_writer_finish(s->w, &err), VNP_OK);
    vnp_rows_free(&s->rows);
}

static float value(uint64_t ordinal, uint32_t window, int64_t token, int64_t column)
{
    uint64_t h =
        (ordinal * 1000003 + window * 7919 + (uint64_t)token * 104729 + (uint64_t)column) * 0x9e3779b97f4a7c15u;
    return (float)((int64_t)(h >> 44) - (1 << 19)) / (float)(1 << 17); /* in [-4, 4), 20 bits */
}

/* `n` vectors of a row, as the stream holds them. */
static uint8_t *vectors(const struct vnp_head *h, uint64_t ordinal, uint32_t window, int64_t n)
{
    size_t unit = vnp_dtype_bytes(h->dtype);
    uint8_t *v = malloc((size_t)n * (size_t)h->width * unit + 1);
    for (int64_t t = 0; t < n; t++)
        for (int64_t j = 0; j < h->width; j++) {
            float x = value(ordinal, window, t, j);
            uint16_t half = h->dtype == VNP_F16 ? vnp_f32_f16(x) : vnp_f32_bf16(x);
            memcpy(v + (size_t)(t * h->width + j) * unit, unit == 4 ? (const void *)&x : (const void *)&half, unit);
        }
    return v;
}

static struct vnp_row whole(uint64_t ordinal, uint32_t residues, char *id)
{
    int n = snprintf(id, 32, "name%llu", (unsigned long long)ordinal);
    return (struct vnp_row){.ordinal = ordinal,
                            .total = residues,
                            .residues = residues,
                            .tokens = residues + 2,
                            .flags = residues == 0 ? VNP_EMPTY : 0,
                            .windows = 1,
                            .id = {id, (uint32_t)n}};
}

static void add(struct stream *s, struct vnp_row row)
{
    struct vnp_err err = {0};
    int64_t n = s->head.kind == VNP_HIDDEN ? row.tokens : strcmp(s->head.pool, "none") == 0 ? row.residues : 1;
    uint8_t *v = vectors(&s->head, row.ordinal, row.window, n);
    row.data = v;
    row.bytes = (size_t)n * (size_t)s->head.width * vnp_dtype_bytes(s->head.dtype);
    assert_int_equal(vnp_rows_add(&s->rows, &row, &err), VNP_OK);
    free(v);
}

static uint32_t residues_of(uint64_t ordinal)
{
    return ordinal % 50 == 7 ? 0 : (uint32_t)(ordinal * 37 % 120 + 1);
}

/* RECORDS whole records, shuffled over `span`, in random blocks. */
static void write_shuffled(enum vnp_kind kind, enum vnp_dtype dtype, int width, const char *pool, int span,
                           uint64_t seed)
{
    struct stream s;
    uint64_t order[RECORDS];
    char id[32];
    for (int i = 0; i < RECORDS; i++)
        order[i] = (uint64_t)i;
    for (int begin = 0; begin < RECORDS; begin += span)
        for (int i = (begin + span < RECORDS ? begin + span : RECORDS) - 1; i > begin; i--) {
            int k = (int)t_between(&seed, begin, i);
            uint64_t o = order[i];
            order[i] = order[k];
            order[k] = o;
        }
    stream_open(&s, kind, dtype, width, pool);
    for (int i = 0; i < RECORDS; i++) {
        add(&s, whole(order[i], residues_of(order[i]), id));
        if (t_between(&seed, 0, 9) == 0)
            stream_block(&s);
    }
    stream_close(&s);
}

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

/* Runs vnp-pool on `in`: status 65, a message that holds `what`, no end for the next stage, no file. */
static void refused(const char *options, const char *what)
{
    assert_int_equal(t_run("vnp-pool %s '%s' > '%s' 2> '%s'", options, in, out, err_text), VNP_DATA);
    assert_int_equal(t_run("grep -q -e '%s' '%s' || { cat '%s' >&2; false; }", what, err_text, err_text), 0);
    assert_int_equal(t_run("[ $(wc -l < '%s') = 1 ]", err_text), 0);
    assert_int_equal(t_run("vnp-cat --check '%s' >/dev/null 2>&1", out), VNP_DATA);
    assert_int_equal(t_run("vnp-pool -q %s -o '%s.file' '%s' 2>/dev/null", options, out, in), VNP_DATA);
    assert_int_equal(t_run("ls '%s' | grep -q 'out[.]file'", folder), 1);
}

static void write_ordinals(const uint64_t *ordinals, int n)
{
    struct stream s;
    char id[32];
    stream_open(&s, VNP_HIDDEN, VNP_F32, 4, "");
    for (int i = 0; i < n; i++)
        add(&s, whole(ordinals[i], 3, id));
    stream_close(&s);
}

static void test_missing_and_doubled(void **state)
{
    (void)state;
    write_ordinals((const uint64_t[]){0, 1, 3, 4}, 4);
    refused("", "vnp-pool: .*in: record 2 never came");
    write_ordinals((const uint64_t[]){1, 2}, 2);
    refused("", "record 0 never came");
    write_ordinals((const uint64_t[]){0, 1, 1, 2}, 4);
    refused("", "record 1 (name1) came twice");
    write_ordinals((const uint64_t[]){2, 2, 0, 1}, 4);
    refused("", "record 2 (name2) came twice");
    write_ordinals((const uint64_t[]){0, UINT64_MAX}, 2);
    refused("", "record 1 never came");
    struct stream s;
    char id[32];
    stream_open(&s, VNP_HIDDEN, VNP_F32, 4, "");
    struct vnp_row row = whole(0, 10, id);
    row.residues = 5;
    row.tokens = 7;
    row.windows = 2;
    add(&s, row);
    stream_close(&s);
    refused("--none", "record 0, window 1 never came");
}

static void test_bad_streams(void **state)
{
    (void)state;
    struct stream s;
    char id[32];
    stream_open(&s, VNP_TOKENS, VNP_F32, 0, ""); /* no rows */
    stream_close(&s);
    refused("", "holds tokens, but hidden states are wanted here");

    stream_open(&s, VNP_HIDDEN, VNP_F32, 4, "");
    struct vnp_row row = whole(0, 10, id); /* as from a tokenizer of longer words */
    row.tokens = 5;
    add(&s, row);
    stream_close(&s);
    refused("--none", "record 0 (name0): its tokens are not one a residue");
    assert_int_equal(t_run("vnp-pool -q '%s' | vnp-cat --check >/dev/null", in), 0);

    stream_open(&s, VNP_HIDDEN, VNP_F32, 4, "");
    for (uint64_t i = 1; i <= 300; i++)
        add(&s, whole(i, 1000, id)); /* 300 x 16 KB wait for record 0 */
    stream_close(&s);
    refused("--none --max-pending 4", "wait for record 0, over the limit of 4 MiB");
}

static void test_no_rows(void **state)
{
    (void)state;
    struct stream s;
    stream_open(&s, VNP_HIDDEN, VNP_F32, 4, "");
    stream_close(&s);
    assert_int_equal(t_run("vnp-pool -q '%s' | vnp-cat --check | grep -q ' 0 sequences'", in), 0);
}

static void test_not_finite(void **state)
{
    (void)state;
    struct vnp_err err = {0};
    char id[32];
    for (int big = 0; big < 2; big++) {
        struct stream s;
        stream_open(&s, VNP_HIDDEN, VNP_F32, 2, "");
        for (uint64_t i = 0; i < 3; i++) {
            float v[8] = {1, 2, 3, 4, 5, 6, 7, 8};
            struct vnp_row row = whole(i, 2, id);
            if (i == 1)
                v[2] = big ? 1e6f : NAN;
            row.data = v;
            row.bytes = sizeof v;
            assert_int_equal(vnp_rows_add(&s.rows, &row, &err), VNP_OK);
        }
        stream_close(&s);
        if (big) {
            refused("--f16", "record 1 (name1): value 0 is too large for FP16 (65504 at most): write --f32");
            assert_int_equal(t_run("vnp-pool -q '%s' | vnp-cat --summary | grep -q ' 0 not finite'", in), 0);
            continue;
        }
        for (int pool = VNP_POOL_MEAN; pool <= VNP_POOL_NONE; pool++) {
            const char *name = vnp_pool_name((enum vnp_pool)pool);
            assert_int_equal(t_run("vnp-pool --%s --f16 '%s' 2> '%s' | vnp-cat --summary | grep -q ' %d not finite'",
                                   name, in, err_text, pool != VNP_POOL_CLS),
                             0);
            assert_int_equal(t_run("grep -q 'warning: 1 of them holds NaN or Inf' '%s'", err_text),
                             pool == VNP_POOL_CLS);
        }
    }
}

/* The compressed file, cut at every frame boundary and once in every frame, is never taken for a whole one. */
static void test_cut_files(void **state)
{
    (void)state;
    size_t n, at = 0;
    int frames = 0;
    char *cut = t_path(folder, "cut");
    write_shuffled(VNP_HIDDEN, VNP_F32, 24, "", 10, 1);
    assert_int_equal(t_run("vnp-pool -q '%s' > '%s'", in, out), 0);
    char *bytes = t_slurp(out, &n);
    while (at < n) {
        size_t size = ZSTD_findFrameCompressedSize(bytes + at, n - at);
        assert_false(ZSTD_isError(size));
        for (int middle = 0; middle < 2; middle++) {
            t_write(cut, bytes, at + (middle ? size / 2 : 0));
            assert_int_equal(t_run("vnp-pool -q '%s' > /dev/null 2>&1", cut), VNP_DATA);
            assert_int_equal(t_run("vnp-cat --check '%s' > /dev/null 2>&1", cut), VNP_DATA);
            assert_int_equal(t_run("vnp-cmp '%s' '%s' > /dev/null 2>&1", cut, out), VNP_DATA);
        }
        at += size;
        frames++;
    }
    assert_int_equal(frames, 2 + (RECORDS + 255) / 256);
    free(bytes);
    free(cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_and_order),
        cmocka_unit_test(test_part),
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_pooled_before),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_missing_and_doubled),
        cmocka_unit_test(test_bad_streams),
        cmocka_unit_test(test_no_rows),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_cut_files),
    };
    return cmocka_run_group_tests_name("vnp-pool", tests, make_folder, remove_folder);
}
