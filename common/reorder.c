#include "reorder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

/* A binary heap of waiting rows, the first in input order on top. */
struct vnp_reorder {
    const char *name;
    struct vnp_held **heap;
    size_t n, cap;
    uint64_t ordinal; /* of the next row to give back, and its window */
    uint32_t window;
    uint64_t bytes, max_bytes, peak;
};

enum vnp_status vnp_held_new(struct vnp_held **out, const struct vnp_row *row, size_t bytes, struct vnp_err *err)
{
    const size_t head = (sizeof(struct vnp_held) + 15) / 16 * 16;
    *out = bytes < SIZE_MAX / 2 ? malloc(head + bytes + row->id.n) : NULL;
    if (*out == NULL)
        return vnp_error(err, VNP_OS, "record %llu: out of memory (%zu bytes)", (unsigned long long)row->ordinal,
                         bytes);
    struct vnp_held *h = *out;
    h->row = *row;
    h->data = (char *)h + head;
    h->row.data = h->data;
    h->row.bytes = bytes;
    if (row->id.n > 0)
        memcpy((char *)h->data + bytes, row->id.s, row->id.n);
    h->row.id.s = (const char *)h->data + bytes;
    return VNP_OK;
}

struct vnp_reorder *vnp_reorder_new(const char *name, uint64_t first, uint64_t max_bytes)
{
    struct vnp_reorder *r = xcalloc(1, sizeof *r);
    r->name = name;
    r->ordinal = first;
    r->max_bytes = max_bytes;
    return r;
}

void vnp_reorder_free(struct vnp_reorder *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->n; i++)
        free(r->heap[i]);
    free(r->heap);
    free(r);
}

static uint64_t held_bytes(const struct vnp_held *h)
{
    return sizeof *h + h->row.bytes + h->row.id.n;
}

static bool before(uint64_t ordinal, uint32_t window, const struct vnp_held *b)
{
    return ordinal != b->row.ordinal ? ordinal < b->row.ordinal : window < b->row.window;
}

/* "record 7" or, when records are cut, "record 7, window 2". */
static void describe(char *text, size_t cap, uint64_t ordinal, uint32_t window)
{
    if (window == 0)
        snprintf(text, cap, "record %llu", (unsigned long long)ordinal);
    else
        snprintf(text, cap, "record %llu, window %u", (unsigned long long)ordinal, window);
}

static enum vnp_status came_twice(const struct vnp_reorder *r, const struct vnp_row *row, struct vnp_err *err)
{
    char what[64];
    describe(what, sizeof what, row->ordinal, row->window);
    return vnp_error(err, VNP_DATA, "%s: %s (%.*s) came twice: were streams of several inputs joined?", r->name, what,
                     VNP_SHOWN(row->id));
}

static void sift_up(struct vnp_reorder *r, size_t i)
{
    struct vnp_held *h = r->heap[i];
    for (; i > 0 && before(h->row.ordinal, h->row.window, r->heap[(i - 1) / 2]); i = (i - 1) / 2)
        r->heap[i] = r->heap[(i - 1) / 2];
    r->heap[i] = h;
}

static void sift_down(struct vnp_reorder *r)
{
    struct vnp_held *h = r->heap[0];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < r->n; i = child) {
        if (child + 1 < r->n && before(r->heap[child + 1]->row.ordinal, r->heap[child + 1]->row.window, r->heap[child]))
            child++;
        if (!before(r->heap[child]->row.ordinal, r->heap[child]->row.window, h))
            break;
        r->heap[i] = r->heap[child];
    }
    r->heap[i] = h;
}

enum vnp_status vnp_reorder_push(struct vnp_reorder *r, struct vnp_held *row, struct vnp_err *err)
{
    char next[64];
    if (!before(r->ordinal, r->window, row) && (row->row.ordinal != r->ordinal || row->row.window != r->window)) {
        enum vnp_status st = came_twice(r, &row->row, err);
        free(row);
        return st;
    }
    if (r->n == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 1024;
        r->heap = xreallocarray(r->heap, r->cap, sizeof(struct vnp_held *));
    }
    r->bytes += held_bytes(row);
    r->peak = r->bytes > r->peak ? r->bytes : r->peak;
    r->heap[r->n++] = row;
    sift_up(r, r->n - 1);
    if (r->bytes <= r->max_bytes || !before(r->ordinal, r->window, r->heap[0]))
        return VNP_OK;
    describe(next, sizeof next, r->ordinal, r->window);
    return vnp_error(err, VNP_DATA,
                     "%s: %zu rows of %llu MiB wait for %s, over the limit of %llu MiB: give vnp-pack a smaller "
                     "--lookahead, or this stage a larger --max-pending",
                     r->name, r->n, (unsigned long long)(r->bytes >> 20), next,
                     (unsigned long long)(r->max_bytes >> 20));
}

enum vnp_status vnp_reorder_pop(struct vnp_reorder *r, struct vnp_held **out, struct vnp_err *err)
{
    *out = NULL;
    if (r->n == 0 || before(r->ordinal, r->window, r->heap[0]))
        return VNP_END;
    struct vnp_held *h = r->heap[0];
    if (h->row.ordinal != r->ordinal || h->row.window != r->window)
        return came_twice(r, &h->row, err);
    r->bytes -= held_bytes(h);
    if (--r->n > 0) {
        r->heap[0] = r->heap[r->n];
        sift_down(r);
    }
    if (h->row.window + 1 < h->row.windows) {
        r->window++;
    } else {
        r->ordinal++;
        r->window = 0;
    }
    *out = h;
    return VNP_OK;
}

enum vnp_status vnp_reorder_end(const struct vnp_reorder *r, struct vnp_err *err)
{
    char next[64];
    if (r->n == 0 && r->window == 0)
        return VNP_OK;
    describe(next, sizeof next, r->ordinal, r->window);
    return vnp_error(err, VNP_DATA, "%s: %s never came, though %s: was a block lost?", r->name, next,
                     r->n > 0 ? "later ones did" : "the windows before it did");
}

uint64_t vnp_reorder_peak(const struct vnp_reorder *r)
{
    return r->peak;
}
