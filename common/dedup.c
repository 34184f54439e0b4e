#include "dedup.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bigarray.h"
#include "mix64.h"
#include "sorter.h"
#include "tape.h"
#include "xmalloc.h"

#define PIECE ((size_t)1 << 16) /* bytes of a record's contents that are compared at a time */

/* A row among the rows; its id follows it. */
struct stored {
    uint64_t total, start;
    uint32_t residues, flags, tokens, window, windows, n_id;
};

/* A row among the contents, which are what must be equal; its tokens follow it. A record's windows lie one behind the
 * other, and the lengths make equal bytes equal windows. */
struct content {
    uint64_t start;
    uint32_t residues, tokens;
};

/* Where the contents of a record are. */
struct place {
    uint64_t ordinal, at, n; /* ordinal: counted from the first record that came */
};

struct vnp_dedup {
    struct vnp_dedup_options opt;
    struct vnp_tape *rows, *contents;
    struct vnp_tape *firsts; /* a byte for each record: 1 when it is the first of its equals */
    struct vnp_sorter *sorter;
    struct vnp_bigarray *groups;  /* u64[records]: 0, or from 1 which group of equals the record is of */
    struct vnp_bigarray *numbers; /* struct vnp_copy[groups]: slot 0 while no record of the group has been numbered */
    uint64_t n_records, n_groups;
    uint64_t digest;
    uint64_t hash, begin;   /* of the record that is coming: its hash so far, its place among the contents */
    uint8_t *ours, *theirs; /* PIECE bytes each */
    uint64_t ordinal, n_unique, n_slots; /* on the way out: records, first ones and shared ones so far */
    uint8_t first;                       /* the record that is going out is the first of its equals */
    struct vnp_copy copy;
    struct vnp_buf id, tokens;
};

/* --- in ----------------------------------------------------------------------------------------------------------- */

/* A half of the memory. A record takes 40 bytes in it, and two pointers to it on top of that while it is sorted. */
static struct vnp_sorter *new_sorter(const struct vnp_dedup *d)
{
    return vnp_sorter_new(d->opt.memory / 2 / 7 * 5);
}

enum vnp_status vnp_dedup_new(struct vnp_dedup **out, const struct vnp_dedup_options *opt, struct vnp_err *err)
{
    struct vnp_dedup *d = xcalloc(1, sizeof *d);
    *out = d;
    d->opt = *opt;
    d->sorter = new_sorter(d);
    d->ours = xmalloc(PIECE);
    d->theirs = xmalloc(PIECE);
    enum vnp_status st = vnp_tape_new(&d->rows, err);
    if (st == VNP_OK)
        st = vnp_tape_new(&d->contents, err);
    if (st == VNP_OK)
        st = vnp_tape_new(&d->firsts, err);
    if (st != VNP_OK) {
        vnp_dedup_free(d);
        *out = NULL;
    }
    return st;
}

void vnp_dedup_free(struct vnp_dedup *d)
{
    if (d == NULL)
        return;
    vnp_tape_free(d->rows);
    vnp_tape_free(d->contents);
    vnp_tape_free(d->firsts);
    vnp_sorter_free(d->sorter);
    vnp_bigarray_free(d->groups);
    vnp_bigarray_free(d->numbers);
    free(d->ours);
    free(d->theirs);
    vnp_buf_free(&d->id);
    vnp_buf_free(&d->tokens);
    free(d);
}

/* Goes on with the hash `h` over n bytes and their number. */
static uint64_t hash(uint64_t h, const void *data, size_t n)
{
    const uint8_t *p = data;
    h = vnp_mix64(h + 0x9e3779b97f4a7c15u + n);
    for (size_t at = 0; at < n; at += 8) {
        uint64_t w = 0;
        memcpy(&w, p + at, n - at < 8 ? n - at : 8);
        h = vnp_mix64(h ^ w);
    }
    return h;
}

static enum vnp_status add_place(struct vnp_dedup *d, struct vnp_err *err)
{
    const struct place p = {d->n_records, d->begin, vnp_tape_bytes(d->contents) - d->begin};
    const uint64_t key = d->opt.hash_bits < 64 ? d->hash & (((uint64_t)1 << d->opt.hash_bits) - 1) : d->hash;
    const struct vnp_keyed r = {(const char *)&key, sizeof key, &p, sizeof p};
    d->digest = vnp_mix64(d->digest ^ d->hash);
    d->n_records++;
    return vnp_sorter_add(d->sorter, &r, err);
}

enum vnp_status vnp_dedup_add(struct vnp_dedup *d, const struct vnp_row *row, struct vnp_err *err)
{
    const struct stored s = {row->total,  row->start,  row->residues, row->flags,
                             row->tokens, row->window, row->windows,  row->id.n};
    const struct content c = {row->start, row->residues, row->tokens};
    if (row->window == 0) {
        d->hash = 0;
        d->begin = vnp_tape_bytes(d->contents);
    }
    d->hash = hash(hash(d->hash, &c, sizeof c), row->data, row->bytes);
    d->digest = hash(hash(d->digest, &s, sizeof s), row->id.s, row->id.n);
    enum vnp_status st = vnp_tape_add(d->rows, &s, sizeof s, err);
    if (st == VNP_OK)
        st = vnp_tape_add(d->rows, row->id.s, row->id.n, err);
    if (st == VNP_OK)
        st = vnp_tape_add(d->contents, &c, sizeof c, err);
    if (st == VNP_OK)
        st = vnp_tape_add(d->contents, row->data, row->bytes, err);
    if (st == VNP_OK && row->window + 1 == row->windows)
        st = add_place(d, err);
    return st;
}

/* --- what is equal ------------------------------------------------------------------------------------------------ */

/* Records with one hash, and among them those that equal the first. */
struct group {
    uint64_t key;
    struct place first;
    uint64_t number; /* 0 while the first has no equal */
    bool held;       /* d->ours has the contents of the first */
};

static enum vnp_status compare(struct vnp_dedup *d, struct group *g, const struct place *p, bool *equal,
                               struct vnp_err *err)
{
    enum vnp_status st = VNP_OK;
    *equal = p->n == g->first.n;
    for (uint64_t at = 0; st == VNP_OK && *equal && at < p->n; at += PIECE) {
        const size_t n = p->n - at < PIECE ? (size_t)(p->n - at) : PIECE;
        if (!g->held)
            st = vnp_tape_at(d->contents, d->ours, n, g->first.at + at, err);
        g->held = st == VNP_OK && p->n <= PIECE;
        if (st == VNP_OK)
            st = vnp_tape_at(d->contents, d->theirs, n, p->at + at, err);
        *equal = st == VNP_OK && memcmp(d->ours, d->theirs, n) == 0;
    }
    return st;
}

static enum vnp_status join_group(struct vnp_dedup *d, struct group *g, const struct place *p, struct vnp_err *err)
{
    enum vnp_status st = VNP_OK;
    if (g->number == 0) {
        g->number = ++d->n_groups;
        st = vnp_bigarray_set(d->groups, g->first.ordinal, &g->number, err);
    }
    return st == VNP_OK ? vnp_bigarray_set(d->groups, p->ordinal, &g->number, err) : st;
}

/* Of all records with one hash, groups those that equal the first. *rest gets the others, or NULL when there are none,
 * to go through the same again: it takes as many rounds as different records have one hash, and no memory for them. */
static enum vnp_status group_records(struct vnp_dedup *d, struct vnp_sorter **rest, struct vnp_err *err)
{
    struct group g = {0};
    struct vnp_keyed r;
    enum vnp_status st;
    bool begun = false;
    *rest = NULL;
    while ((st = vnp_sorter_next(d->sorter, &r, err)) == VNP_OK) {
        struct place p;
        uint64_t key;
        bool equal;
        memcpy(&key, r.key, sizeof key);
        memcpy(&p, r.data, sizeof p);
        if (!begun || key != g.key) {
            g = (struct group){.key = key, .first = p};
            begun = true;
            continue;
        }
        st = compare(d, &g, &p, &equal, err);
        if (st == VNP_OK && equal) {
            st = join_group(d, &g, &p, err);
        } else if (st == VNP_OK) {
            *rest = *rest != NULL ? *rest : new_sorter(d);
            st = vnp_sorter_add(*rest, &r, err);
        }
        if (st != VNP_OK)
            return st;
    }
    return st == VNP_END ? VNP_OK : st;
}

enum vnp_status vnp_dedup_find(struct vnp_dedup *d, char digest[VNP_DEDUP_DIGEST], struct vnp_err *err)
{
    enum vnp_status st = vnp_bigarray_new(&d->groups, d->n_records, sizeof d->n_groups, d->opt.memory / 4, err);
    while (st == VNP_OK && d->sorter != NULL) {
        struct vnp_sorter *rest;
        st = group_records(d, &rest, err);
        vnp_sorter_free(d->sorter);
        d->sorter = rest;
    }
    if (st == VNP_OK)
        st = vnp_bigarray_new(&d->numbers, d->n_groups, sizeof d->copy, d->opt.memory / 4, err);
    snprintf(digest, VNP_DEDUP_DIGEST, "%016" PRIx64, vnp_mix64(d->digest ^ d->n_records));
    return st;
}

/* --- out ---------------------------------------------------------------------------------------------------------- */

static enum vnp_status reserve(struct vnp_buf *b, size_t n, struct vnp_err *err)
{
    if (vnp_buf_reserve(b, n))
        return VNP_OK;
    return vnp_error(err, VNP_OS, "out of memory for a row of %zu bytes", n);
}

static enum vnp_status read_row(struct vnp_dedup *d, struct stored *s, struct vnp_row *row, struct vnp_err *err)
{
    enum vnp_status st = vnp_tape_next(d->rows, s, sizeof *s, err);
    if (st == VNP_OK)
        st = reserve(&d->id, s->n_id + (size_t)1, err);
    if (st == VNP_OK)
        st = vnp_tape_next(d->rows, d->id.p, s->n_id, err);
    *row = (struct vnp_row){.total = s->total,
                            .start = s->start,
                            .residues = s->residues,
                            .flags = s->flags,
                            .tokens = s->tokens,
                            .window = s->window,
                            .windows = s->windows,
                            .id = {(const char *)d->id.p, s->n_id}};
    return st;
}

/* Which unique record the record that is going out equals. */
static enum vnp_status number_record(struct vnp_dedup *d, struct vnp_err *err)
{
    uint64_t group = 0;
    enum vnp_status st = vnp_bigarray_get(d->groups, d->ordinal, &group, err);
    d->copy = (struct vnp_copy){0};
    if (st == VNP_OK && group > 0)
        st = vnp_bigarray_get(d->numbers, group - 1, &d->copy, err);
    d->first = d->copy.slot == 0;
    if (st == VNP_OK && d->first) {
        d->copy = (struct vnp_copy){d->n_unique++, group > 0 ? ++d->n_slots : 0};
        if (group > 0)
            st = vnp_bigarray_set(d->numbers, group - 1, &d->copy, err);
    }
    return st == VNP_OK ? vnp_tape_add(d->firsts, &d->first, 1, err) : st;
}

enum vnp_status vnp_dedup_next_copy(struct vnp_dedup *d, struct vnp_row *row, struct vnp_err *err)
{
    struct stored s = {0};
    if (d->ordinal == d->n_records) {
        vnp_tape_rewind(d->rows);
        d->ordinal = d->n_unique = 0;
        return VNP_END;
    }
    enum vnp_status st = read_row(d, &s, row, err);
    uint64_t tokens = s.tokens;
    while (st == VNP_OK && row->window + 1 < row->windows) {
        const uint32_t flags = row->flags;
        st = read_row(d, &s, row, err);
        row->flags |= flags;
        tokens += s.tokens;
    }
    const uint64_t residues = row->start + row->residues;
    if (st == VNP_OK && (tokens > UINT32_MAX || residues > UINT32_MAX))
        return vnp_error(err, VNP_DATA, "record %" PRIu64 " (%.*s): its windows have 2^32 residues or tokens, or more",
                         d->ordinal, VNP_SHOWN(row->id));
    if (st == VNP_OK)
        st = number_record(d, err);
    row->ordinal = d->ordinal++;
    row->start = row->window = 0;
    row->windows = 1;
    row->tokens = (uint32_t)tokens;
    row->residues = (uint32_t)residues;
    row->data = &d->copy;
    row->bytes = sizeof d->copy;
    return st;
}

enum vnp_status vnp_dedup_next_unique(struct vnp_dedup *d, struct vnp_row *row, struct vnp_err *err)
{
    enum vnp_status st = VNP_OK;
    do {
        struct stored s = {0};
        if (d->ordinal == d->n_records)
            return VNP_END;
        st = read_row(d, &s, row, err);
        if (st == VNP_OK && s.window == 0) {
            st = vnp_tape_next(d->firsts, &d->first, 1, err);
            d->n_unique += d->first;
        }
        d->ordinal += s.window + 1 == s.windows;
        row->ordinal = d->n_unique - 1;
        row->bytes = (size_t)s.tokens * (size_t)d->opt.token_bytes;
        if (st == VNP_OK)
            vnp_tape_skip(d->contents, sizeof(struct content) + (d->first ? 0 : row->bytes));
    } while (st == VNP_OK && !d->first);
    if (st == VNP_OK)
        st = reserve(&d->tokens, row->bytes + 1, err);
    if (st == VNP_OK)
        st = vnp_tape_next(d->contents, d->tokens.p, row->bytes, err);
    row->data = d->tokens.p;
    return st;
}
