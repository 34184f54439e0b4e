#include "sorter.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "spool.h"
#include "xmalloc.h"

#define HEADER 8                 /* bytes before a record's key and data: the length of each */
#define WINDOW ((size_t)1 << 16) /* bytes of a run that are in memory while runs are merged, at least */

/* A sorted piece of the temporary file. */
struct run {
    uint64_t at, end; /* in the file: what has not been read */
    uint8_t *p;       /* n bytes that have, `first` of them handed out */
    size_t first, n, cap;
};

struct vnp_sorter {
    size_t limit;
    uint8_t *bytes; /* records, one after the other: as they come, or the one handed out */
    size_t n, cap;
    uint8_t **records; /* where each begins; sorted when they are handed out */
    size_t n_records, records_cap;
    int fd; /* of the temporary file, -1 while there is none */
    uint64_t file_end;
    struct run *runs;
    size_t n_runs;
    size_t *heap; /* indices of runs that are not at their end, the one with the smallest key first */
    size_t n_heap;
    bool sorted; /* records are on their way out */
    size_t next; /* without runs: the record that is next */
};

static struct vnp_keyed record_at(const uint8_t *p)
{
    struct vnp_keyed r;
    memcpy(&r.n_key, p, 4);
    memcpy(&r.n_data, p + 4, 4);
    r.key = (const char *)p + HEADER;
    r.data = p + HEADER + r.n_key;
    return r;
}

static size_t size_of(const struct vnp_keyed *r)
{
    return HEADER + (size_t)r->n_key + r->n_data;
}

static int compare_keys(const struct vnp_keyed *a, const struct vnp_keyed *b)
{
    const int order = memcmp(a->key, b->key, a->n_key < b->n_key ? a->n_key : b->n_key);
    return order != 0 ? order : (a->n_key > b->n_key) - (a->n_key < b->n_key);
}

/* Records lie in memory in the order in which they came. */
static int by_key(const void *a, const void *b)
{
    const uint8_t *p = *(uint8_t *const *)a, *q = *(uint8_t *const *)b;
    const struct vnp_keyed x = record_at(p), y = record_at(q);
    const int order = compare_keys(&x, &y);
    return order != 0 ? order : (p > q) - (p < q);
}

struct vnp_sorter *vnp_sorter_new(size_t bytes)
{
    struct vnp_sorter *s = xcalloc(1, sizeof *s);
    s->limit = bytes > 65536 ? bytes : 65536;
    s->fd = -1;
    return s;
}

void vnp_sorter_free(struct vnp_sorter *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->n_runs; i++)
        free(s->runs[i].p);
    if (s->fd >= 0)
        close(s->fd);
    free(s->runs);
    free(s->heap);
    free(s->bytes);
    free(s->records);
    free(s);
}

/* --- in ----------------------------------------------------------------------------------------------------------- */

static void sort_records(struct vnp_sorter *s)
{
    s->n_records = 0;
    for (size_t at = 0; at < s->n;) {
        const struct vnp_keyed r = record_at(s->bytes + at);
        if (s->n_records == s->records_cap) {
            s->records_cap = 2 * s->records_cap + 1024;
            s->records = xreallocarray(s->records, s->records_cap, sizeof *s->records);
        }
        s->records[s->n_records++] = s->bytes + at;
        at += size_of(&r);
    }
    if (s->n_records > 0)
        qsort(s->records, s->n_records, sizeof *s->records, by_key);
}

/* The records in memory become a run of the file. */
static enum vnp_status spill(struct vnp_sorter *s, struct vnp_err *err)
{
    enum vnp_status st = s->fd < 0 ? vnp_spool_open(&s->fd, err) : VNP_OK;
    uint8_t *out = xmalloc(WINDOW);
    size_t n_out = 0;
    s->runs = xreallocarray(s->runs, s->n_runs + 1, sizeof *s->runs);
    struct run *run = &s->runs[s->n_runs++];
    *run = (struct run){.at = s->file_end};
    sort_records(s);
    for (size_t i = 0; i < s->n_records && st == VNP_OK; i++) {
        const struct vnp_keyed r = record_at(s->records[i]);
        const size_t n = size_of(&r);
        const bool large = n > WINDOW;
        if (n_out > 0 && (large || n_out + n > WINDOW)) {
            st = vnp_spool_write(s->fd, out, n_out, s->file_end, err);
            s->file_end += n_out;
            n_out = 0;
        }
        if (st == VNP_OK && large) {
            st = vnp_spool_write(s->fd, s->records[i], n, s->file_end, err);
            s->file_end += n;
        } else if (st == VNP_OK) {
            memcpy(out + n_out, s->records[i], n);
            n_out += n;
        }
    }
    if (st == VNP_OK && n_out > 0)
        st = vnp_spool_write(s->fd, out, n_out, s->file_end, err);
    s->file_end += n_out;
    run->end = s->file_end;
    s->n = 0;
    free(out);
    return st;
}

enum vnp_status vnp_sorter_add(struct vnp_sorter *s, const struct vnp_keyed *r, struct vnp_err *err)
{
    const size_t n = size_of(r);
    if (s->n > 0 && s->n + n > s->limit) {
        enum vnp_status st = spill(s, err);
        if (st != VNP_OK)
            return st;
    }
    if (s->n + n > s->cap) {
        s->cap = 2 * s->cap < s->limit ? 2 * s->cap : s->limit;
        s->cap = s->cap > s->n + n ? s->cap : s->n + n;
        s->bytes = xrealloc(s->bytes, s->cap);
    }
    uint8_t *p = s->bytes + s->n;
    memcpy(p, &r->n_key, 4);
    memcpy(p + 4, &r->n_data, 4);
    memcpy(p + HEADER, r->key, r->n_key);
    if (r->n_data > 0)
        memcpy(p + HEADER + r->n_key, r->data, r->n_data);
    s->n += n;
    return VNP_OK;
}

/* --- out ---------------------------------------------------------------------------------------------------------- */

/* Has the first `n` bytes of the run's rest in memory. */
static enum vnp_status fill(struct vnp_sorter *s, struct run *r, size_t n, struct vnp_err *err)
{
    if (r->n - r->first >= n)
        return VNP_OK;
    if (r->first > 0)
        memmove(r->p, r->p + r->first, r->n - r->first);
    r->n -= r->first;
    r->first = 0;
    if (r->cap < n) {
        r->cap = n > WINDOW ? n : WINDOW;
        r->p = xrealloc(r->p, r->cap);
    }
    const size_t room = r->cap - r->n, left = (size_t)(r->end - r->at), more = room < left ? room : left;
    enum vnp_status st = vnp_spool_read(s->fd, r->p + r->n, more, r->at, err);
    r->at += more;
    r->n += more;
    return st;
}

/* The first record of the run, whole in memory; VNP_END when there is none. */
static enum vnp_status first_of(struct vnp_sorter *s, struct run *r, struct vnp_err *err)
{
    if (r->first == r->n && r->at == r->end)
        return VNP_END;
    enum vnp_status st = r->p == NULL ? fill(s, r, WINDOW < r->end - r->at ? WINDOW : (size_t)(r->end - r->at), err)
                                      : fill(s, r, HEADER, err);
    if (st != VNP_OK)
        return st;
    const struct vnp_keyed record = record_at(r->p + r->first);
    return fill(s, r, size_of(&record), err);
}

/* Runs are in the order in which their records came, so that equal keys stay in it. */
static bool before(const struct vnp_sorter *s, size_t a, size_t b)
{
    const struct vnp_keyed x = record_at(s->runs[a].p + s->runs[a].first);
    const struct vnp_keyed y = record_at(s->runs[b].p + s->runs[b].first);
    const int order = compare_keys(&x, &y);
    return order != 0 ? order < 0 : a < b;
}

/* Lets heap[i] sink to where it belongs. */
static void sink(struct vnp_sorter *s, size_t i)
{
    for (;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < s->n_heap; child++)
            if (before(s, s->heap[child], s->heap[least]))
                least = child;
        if (least == i)
            return;
        const size_t swap = s->heap[i];
        s->heap[i] = s->heap[least];
        s->heap[least] = swap;
        i = least;
    }
}

static enum vnp_status start_output(struct vnp_sorter *s, struct vnp_err *err)
{
    s->sorted = true;
    if (s->n_runs == 0) {
        sort_records(s);
        return VNP_OK;
    }
    enum vnp_status st = s->n > 0 ? spill(s, err) : VNP_OK;
    free(s->bytes);
    s->bytes = NULL;
    s->heap = xcalloc(s->n_runs, sizeof *s->heap);
    for (size_t i = 0; i < s->n_runs && st == VNP_OK; i++) {
        st = first_of(s, &s->runs[i], err);
        s->heap[s->n_heap++] = i;
    }
    for (size_t i = s->n_heap; i-- > 0 && st == VNP_OK;)
        sink(s, i);
    return st;
}

/* Steps over the record that was handed out last. */
static enum vnp_status step(struct vnp_sorter *s, struct vnp_err *err)
{
    struct run *r = &s->runs[s->heap[0]];
    const struct vnp_keyed last = record_at(r->p + r->first);
    r->first += size_of(&last);
    enum vnp_status st = first_of(s, r, err);
    if (st == VNP_END)
        s->heap[0] = s->heap[--s->n_heap];
    else if (st != VNP_OK)
        return st;
    sink(s, 0);
    return VNP_OK;
}

enum vnp_status vnp_sorter_next(struct vnp_sorter *s, struct vnp_keyed *r, struct vnp_err *err)
{
    enum vnp_status st = VNP_OK;
    if (!s->sorted)
        st = start_output(s, err);
    else if (s->n_runs > 0 && s->n_heap > 0)
        st = step(s, err);
    if (st != VNP_OK)
        return st;
    if (s->n_runs == 0) {
        if (s->next == s->n_records)
            return VNP_END;
        *r = record_at(s->records[s->next++]);
        return VNP_OK;
    }
    if (s->n_heap == 0)
        return VNP_END;
    const struct run *first = &s->runs[s->heap[0]];
    *r = record_at(first->p + first->first);
    return VNP_OK;
}
