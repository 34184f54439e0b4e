/* vnp-merge: the embeddings of two models, side by side in one row for each id. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cursor.h"
#include "cutter.h"
#include "fingerprint.h"
#include "jsonout.h"
#include "sorter.h"
#include "stage.h"
#include "xmalloc.h"

#define LOOK_AHEAD 4096 /* rows that are searched for an id that should have come */
/* What one side may be ahead of the other, where one vnp-orf feeds both: 25,000 rows of ESM-2 3B. What vnp-pack chooses
 * among and a forward stage has under way are fewer than 2,000 in batches of 8192 tokens and chunks of 500 bases. */
#define AHEAD_BYTES ((size_t)256 << 20)
#define SORT_BYTES ((size_t)64 << 20) /* of memory, for ids; the rest go to a temporary file */
#define MAX_WIDTH (1 << 20)

struct options {
    const char *path[2];
    struct vnp_writer_options file; /* the output */
};
static const struct options defaults = {.file.zstd_level = VNP_ZSTD_LEVEL};

/* One of the two streams, at a row. */
struct side {
    struct vnp_cursor at;
    const struct vnp_head *head;
    float *scratch; /* a vector as floats */
};

struct merge {
    struct options opt;
    struct side side[2];
    struct vnp_writer *out;
    struct vnp_head head;
    struct vnp_sorter *ids; /* with the row of each */
    struct vnp_cutter cutter;
    uint64_t n;
};

static void usage(FILE *f)
{
    fputs("usage: vnp-merge [options] A B\n"
          "Joins two streams of embeddings row by row into one: the vector of A (DNABERT-S of the nucleotides), then\n"
          "that of B (ESM-2 of the proteins). The ids must be the same in the same order. One of them may be - for\n"
          "stdin.\n\n" VNP_HELP_ZSTD VNP_HELP_OUTPUT VNP_HELP_COMMON,
          f);
}

static void parse_options(struct options *o, int argc, char **argv)
{
    static const struct option table[] = {VNP_ZSTD_OPTIONS, VNP_COMMON_OPTIONS, {NULL, 0, NULL, 0}};
    int c;
    while ((c = vnp_frames_option(argc, argv, "hqvo:", table)) != -1)
        if (!vnp_writer_option(c, &o->file))
            vnp_common_option(c, usage);
    vnp_two_streams(o->path, argc, argv, usage);
    vnp_refuse_input(o->file.path, o->path[0]);
    vnp_refuse_input(o->file.path, o->path[1]);
}

/* --- heads -------------------------------------------------------------------------------------------------------- */

static enum vnp_status check_heads(const struct merge *m, struct vnp_err *err)
{
    const struct vnp_head *a = m->side[0].head, *b = m->side[1].head;
    const char *names[2] = {vnp_reader_name(m->side[0].at.reader), vnp_reader_name(m->side[1].at.reader)};
    for (int k = 0; k < 2; k++)
        if (strcmp(m->side[k].head->pool, "none") == 0)
            return vnp_error(err, VNP_DATA, "%s: has a vector for each residue; one a sequence is wanted", names[k]);
    if (strcmp(a->pool, b->pool) != 0)
        return vnp_error(err, VNP_DATA, "%s was pooled by %s, but %s by %s", names[0], a->pool, names[1], b->pool);
    if (strcmp(a->vocab, "esm2") == 0 && strcmp(b->vocab, "esm2") != 0)
        return vnp_error(err, VNP_DATA, "%s holds proteins and %s does not: give them the other way round", names[0],
                         names[1]);
    for (int k = 0; k < 2; k++)
        if (m->side[k].head->unique[0] != '\0')
            return vnp_error(err, VNP_DATA,
                             "%s: holds unique records only: put vnp-expand before this stage, which gives "
                             "their copies back",
                             names[k]);
    if (a->first != b->first)
        return vnp_error(err, VNP_DATA,
                         "%s begins with record %" PRIu64 ", but %s with %" PRIu64
                         ": parts of one input, cut alike, are "
                         "wanted",
                         names[0], a->first, names[1], b->first);
    if (a->width > MAX_WIDTH - b->width)
        return vnp_error(err, VNP_DATA, "%s has vectors of %d values, and %s of %d: together more than %d", names[0],
                         a->width, names[1], b->width, MAX_WIDTH);
    return VNP_OK;
}

static void describe(struct vnp_producer *by, const char *side, const struct vnp_head *h)
{
    char key[32];
    const char *const texts[][2] = {{"model", h->model}, {"fingerprint", h->fingerprint}, {"vocab", h->vocab}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        snprintf(key, sizeof key, "%s.%s", side, texts[i][0]);
        vnp_producer_param(by, key, "%s", texts[i][1]);
    }
    snprintf(key, sizeof key, "%s.layer", side);
    vnp_producer_param(by, key, "%d", h->layer);
    snprintf(key, sizeof key, "%s.width", side);
    vnp_producer_param(by, key, "%d", h->width);
    snprintf(key, sizeof key, "%s.stages", side);
    vnp_producer_param(by, key, "%d", h->n_by);
}

/* B's head, with A's stages before B's, and both models. */
static enum vnp_status make_head(struct merge *m, struct vnp_err *err)
{
    const struct vnp_head *a = m->side[0].head, *b = m->side[1].head;
    struct vnp_head *h = &m->head;
    enum vnp_status st = check_heads(m, err);
    if (st != VNP_OK)
        return st;
    *h = *b;
    const int room = (int)(sizeof h->by / sizeof *h->by);
    if (a->n_by + b->n_by + 1 > room)
        return vnp_error(err, VNP_DATA, "the streams came through %d stages, and a head can name %d",
                         a->n_by + b->n_by + 1, room);
    memcpy(h->by, a->by, (size_t)a->n_by * sizeof *h->by);
    memcpy(h->by + a->n_by, b->by, (size_t)b->n_by * sizeof *h->by);
    h->n_by = a->n_by + b->n_by;
    struct vnp_producer *by = vnp_head_add_stage(h, "vnp-merge");
    describe(by, "a", a);
    describe(by, "b", b);
    h->width = a->width + b->width;
    h->dtype = a->dtype == b->dtype ? a->dtype : VNP_F32;
    snprintf(h->model, sizeof h->model, "%.63s+%.63s", a->model, b->model);
    vnp_fingerprint_join(h->fingerprint, sizeof h->fingerprint, a->fingerprint, b->fingerprint);
    for (int k = 0; k < 2; k++)
        m->side[k].scratch = xreallocarray(NULL, (size_t)m->side[k].head->width, sizeof(float));
    vnp_cutter_to(&m->cutter, m->out, h->kind);
    return vnp_writer_head(m->out, h, err);
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

/* Whether the id is among the rows from here on; uses the side up. */
static enum vnp_status look_ahead(struct side *s, struct vnp_str id, bool *found, struct vnp_err *err)
{
    *found = false;
    for (int k = 0; k < LOOK_AHEAD && !s->at.end && !*found; k++) {
        *found = vnp_str_equal(s->at.row.id, id);
        enum vnp_status st = vnp_cursor_next(&s->at, err);
        if (st != VNP_OK)
            return st;
    }
    return VNP_OK;
}

static struct vnp_str copy_id(struct vnp_str id)
{
    char *s = xmalloc(id.n + 1);
    memcpy(s, id.s, id.n);
    return (struct vnp_str){s, id.n};
}

static enum vnp_status lacks(const struct merge *m, int k, struct vnp_str id, const char *more, struct vnp_err *err)
{
    char among[40] = "";
    if (!m->side[k].at.end) /* there are rows that were not looked at */
        snprintf(among, sizeof among, " among the next %d", LOOK_AHEAD);
    return vnp_error(err, VNP_DATA, "%s: has no row%s for %.*s, which is row %" PRIu64 " of %s%s",
                     vnp_reader_name(m->side[k].at.reader), among, VNP_SHOWN(id), m->n,
                     vnp_reader_name(m->side[1 - k].at.reader), more);
}

/* Why two rows have different ids, when both are on the other side or neither was seen there. */
static const char *why_different(const struct merge *m, bool both)
{
    if (both)
        return "the orders differ";
    return m->side[0].at.end && m->side[1].at.end
               ? "each is missing on the other side, or the inputs differ"
               : "neither comes soon on the other side: other inputs, or another order";
}

static enum vnp_status comes_twice(const struct merge *m, int k, struct vnp_str id, uint64_t row, uint64_t again,
                                   struct vnp_err *err)
{
    return vnp_error(err, VNP_DATA,
                     "%s: %.*s comes twice, as rows %" PRIu64 " and %" PRIu64 ": give the contigs names of their own",
                     vnp_reader_name(m->side[k].at.reader), VNP_SHOWN(id), row, again);
}

/* Whether a side's id at this row came before: then the side has it twice, and the other does not lack it. NULL: it has
 * no row here. */
static enum vnp_status name_the_doubled(struct merge *m, const struct vnp_str *const id[2], struct vnp_err *err)
{
    struct vnp_keyed r;
    enum vnp_status st;
    while ((st = vnp_sorter_next(m->ids, &r, err)) == VNP_OK)
        for (int k = 0; k < 2; k++) {
            uint64_t row;
            memcpy(&row, r.data, sizeof row);
            if (id[k] != NULL && vnp_str_equal((struct vnp_str){r.key, r.n_key}, *id[k]))
                return comes_twice(m, k, *id[k], row, m->n, err);
        }
    return st == VNP_END ? VNP_OK : st;
}

/* The two rows have different ids: which side lacks which, or has it twice? */
static enum vnp_status name_the_missing(struct merge *m, struct vnp_err *err)
{
    struct side *s = m->side;
    const char *names[2] = {vnp_reader_name(s[0].at.reader), vnp_reader_name(s[1].at.reader)};
    const struct vnp_str id[2] = {copy_id(s[0].at.row.id), copy_id(s[1].at.row.id)};
    bool found[2]; /* each side's id on the other */
    enum vnp_status st = name_the_doubled(m, (const struct vnp_str *const[]){&id[0], &id[1]}, err);
    if (st == VNP_OK)
        st = look_ahead(&s[1], id[0], &found[0], err);
    if (st == VNP_OK)
        st = look_ahead(&s[0], id[1], &found[1], err);
    if (st == VNP_OK && found[0] != found[1])
        st = lacks(m, found[0] ? 0 : 1, id[found[0] ? 1 : 0], "", err);
    else if (st == VNP_OK)
        st = vnp_error(err, VNP_DATA, "row %" PRIu64 " is %.*s in %s but %.*s in %s: %s", m->n, VNP_SHOWN(id[0]),
                       names[0], VNP_SHOWN(id[1]), names[1], why_different(m, found[0]));
    free((char *)(uintptr_t)id[0].s);
    free((char *)(uintptr_t)id[1].s);
    return st;
}

/* One side has come to its end, and the other has not. */
static enum vnp_status name_the_rest(struct merge *m, struct vnp_err *err)
{
    const int more = m->side[0].at.end ? 1 : 0;
    const struct vnp_str *id[2] = {NULL, NULL};
    id[more] = &m->side[more].at.row.id;
    const enum vnp_status st = name_the_doubled(m, id, err);
    return st == VNP_OK ? lacks(m, 1 - more, *id[more], ", nor for what follows it", err) : st;
}

/* Both vectors into `dst`, converted only where the two sides differ in dtype. */
static void join_vectors(const struct merge *m, uint8_t *dst)
{
    for (int k = 0; k < 2; k++) {
        const struct side *s = &m->side[k];
        const size_t bytes = (size_t)s->head->width * vnp_dtype_bytes(m->head.dtype);
        const void *src = s->head->dtype == m->head.dtype
                              ? s->at.row.data
                              : (const void *)vnp_row_vector(s->head, &s->at.row, 0, s->scratch);
        memcpy(dst, src, bytes);
        dst += bytes;
    }
}

static enum vnp_status put_row(struct merge *m, struct vnp_err *err)
{
    const size_t bytes = (size_t)m->head.width * vnp_dtype_bytes(m->head.dtype);
    struct vnp_row row = m->side[1].at.row;
    void *room;
    enum vnp_status st = vnp_cutter_room(&m->cutter, bytes, &room, err);
    if (st != VNP_OK)
        return st;
    join_vectors(m, room);
    row.flags |= m->side[0].at.row.flags & ~(uint32_t)VNP_EMPTY; /* the row's residues are B's */
    row.data = room;
    row.bytes = bytes;
    m->n++;
    return vnp_cutter_put(&m->cutter, &row, err);
}

static enum vnp_status keep_id(struct merge *m, struct vnp_str id, struct vnp_err *err)
{
    const struct vnp_keyed r = {id.s, id.n, &m->n, sizeof m->n};
    return vnp_sorter_add(m->ids, &r, err);
}

/* Behind the last row: no id may have come twice. Sorted, equal ids are neighbours. */
static enum vnp_status check_ids(struct merge *m, struct vnp_err *err)
{
    struct vnp_keyed r;
    struct vnp_text last = {0};
    uint64_t row, earlier = 0;
    enum vnp_status st;
    for (bool first = true; (st = vnp_sorter_next(m->ids, &r, err)) == VNP_OK; first = false) {
        const struct vnp_str id = {r.key, r.n_key};
        memcpy(&row, r.data, sizeof row);
        if (!first && vnp_str_equal(id, (struct vnp_str){last.p, (uint32_t)last.n})) {
            st = comes_twice(m, 1, id, earlier, row, err);
            break;
        }
        earlier = row;
        last.n = 0;
        vnp_text_add(&last, id.s, id.n);
    }
    free(last.p);
    return st == VNP_END ? VNP_OK : st;
}

/* Behind the last row: each of B's went out. */
static enum vnp_status finish_rows(struct merge *m, struct vnp_err *err)
{
    const struct vnp_reader *b = m->side[1].at.reader;
    enum vnp_status st = vnp_cutter_flush(&m->cutter, err);
    if (st != VNP_OK || vnp_totals_match(vnp_reader_totals(b), vnp_writer_totals(m->out)))
        return st;
    return vnp_totals_differ(vnp_reader_name(b), vnp_reader_totals(b), vnp_writer_totals(m->out), err);
}

/* All rows, in lockstep. */
static enum vnp_status merge_rows(struct merge *m, struct vnp_err *err)
{
    struct vnp_cursor *a = &m->side[0].at, *b = &m->side[1].at;
    for (;;) {
        enum vnp_status st = vnp_cursor_next(a, err);
        if (st == VNP_OK)
            st = vnp_cursor_next(b, err);
        if (st != VNP_OK)
            return st;
        if (a->end && b->end)
            return finish_rows(m, err);
        if (a->end || b->end)
            return name_the_rest(m, err);
        if (!vnp_str_equal(a->row.id, b->row.id))
            return name_the_missing(m, err);
        st = keep_id(m, b->row.id, err);
        if (st == VNP_OK)
            st = put_row(m, err);
        if (st != VNP_OK)
            return st;
    }
}

int main(int argc, char **argv)
{
    struct merge m = {.opt = defaults};
    struct vnp_err err = {0};
    vnp_stage_init_frames("vnp-merge");
    parse_options(&m.opt, argc, argv);

    enum vnp_status st = vnp_writer_open(&m.out, &m.opt.file, &err);
    for (int k = 0; k < 2 && st == VNP_OK; k++) {
        st = vnp_reader_open_embeddings(&m.side[k].at.reader, m.opt.path[k], true, &err);
        if (st == VNP_OK)
            m.side[k].head = vnp_reader_head(m.side[k].at.reader);
        if (st == VNP_OK)
            vnp_reader_read_ahead(m.side[k].at.reader, AHEAD_BYTES);
    }
    m.ids = vnp_sorter_new(SORT_BYTES);
    if (st == VNP_OK)
        st = make_head(&m, &err);
    if (st == VNP_OK)
        st = merge_rows(&m, &err);
    if (st == VNP_OK)
        st = check_ids(&m, &err);

    vnp_stage_finish(m.out, st, &err);
    vnp_info("%" PRIu64 " row%s of %d + %d values", m.n, vnp_plural(m.n), m.side[0].head->width, m.side[1].head->width);
    for (int k = 0; k < 2; k++) {
        vnp_reader_close(m.side[k].at.reader);
        free(m.side[k].scratch);
    }
    vnp_sorter_free(m.ids);
    vnp_cutter_free(&m.cutter);
    return VNP_OK;
}
