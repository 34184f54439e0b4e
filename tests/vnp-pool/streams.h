/* Streams of hidden states for the tests of vnp-pool. Hidden states are a function of (ordinal, window, token, column),
 * so that every value that comes out can be checked. */
#ifndef VNP_TESTS_POOL_STREAMS_H
#define VNP_TESTS_POOL_STREAMS_H

#include "../lib.h"
#include "half.h"
#include "rows.h"
#include "stream.h"

enum { RECORDS = 700 };

static char *folder, *in, *out, *err_text;

static inline int make_folder(void **state)
{
    (void)state;
    folder = t_folder();
    in = t_path(folder, "in");
    out = t_path(folder, "out");
    err_text = t_path(folder, "err");
    return 0;
}

static inline int remove_folder(void **state)
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

static inline void stream_open_at(struct stream *s, enum vnp_kind kind, enum vnp_dtype dtype, int width,
                                  const char *pool, uint64_t first)
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

static inline void stream_open(struct stream *s, enum vnp_kind kind, enum vnp_dtype dtype, int width, const char *pool)
{
    stream_open_at(s, kind, dtype, width, pool, 0);
}

static inline void stream_block(struct stream *s)
{
    struct vnp_err err = {0};
    struct vnp_block b = vnp_rows_block(&s->rows);
    assert_int_equal(vnp_writer_block(s->w, &b, &err), VNP_OK);
    vnp_rows_clear(&s->rows);
}

static inline void stream_close(struct stream *s)
{
    struct vnp_err err = {0};
    if (s->rows.n > 0)
        stream_block(s);
    assert_int_equal(vnp_writer_finish(s->w, &err), VNP_OK);
    vnp_rows_free(&s->rows);
}

static inline float value(uint64_t ordinal, uint32_t window, int64_t token, int64_t column)
{
    uint64_t h =
        (ordinal * 1000003 + window * 7919 + (uint64_t)token * 104729 + (uint64_t)column) * 0x9e3779b97f4a7c15u;
    return (float)((int64_t)(h >> 44) - (1 << 19)) / (float)(1 << 17); /* in [-4, 4), 20 bits */
}

/* `n` vectors of a row, as the stream holds them. */
static inline uint8_t *vectors(const struct vnp_head *h, uint64_t ordinal, uint32_t window, int64_t n)
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

static inline struct vnp_row whole(uint64_t ordinal, uint32_t residues, char *id)
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

static inline void add(struct stream *s, struct vnp_row row)
{
    struct vnp_err err = {0};
    int64_t n = s->head.kind == VNP_HIDDEN ? row.tokens : strcmp(s->head.pool, "none") == 0 ? row.residues : 1;
    uint8_t *v = vectors(&s->head, row.ordinal, row.window, n);
    row.data = v;
    row.bytes = (size_t)n * (size_t)s->head.width * vnp_dtype_bytes(s->head.dtype);
    assert_int_equal(vnp_rows_add(&s->rows, &row, &err), VNP_OK);
    free(v);
}

static inline uint32_t residues_of(uint64_t ordinal)
{
    return ordinal % 50 == 7 ? 0 : (uint32_t)(ordinal * 37 % 120 + 1);
}

/* RECORDS whole records, shuffled over `span`, in random blocks. */
static inline void write_shuffled(enum vnp_kind kind, enum vnp_dtype dtype, int width, const char *pool, int span,
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

#endif
