#include "waiting.h"

#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

/* In a bucket's chain and in the list of arrival, both oldest first. The copy of the row follows. */
struct entry {
    struct vnp_unmatched row; /* first: a taken row is freed by its address */
    struct entry *next, *older, *newer;
    uint64_t hash;
    int side;
};

struct vnp_waiting {
    struct entry **heads, *oldest, *newest;
    size_t buckets, n; /* buckets: a power of two */
};

struct vnp_waiting *vnp_waiting_new(void)
{
    struct vnp_waiting *w = xcalloc(1, sizeof *w);
    w->buckets = 1024;
    w->heads = xcalloc(w->buckets, sizeof *w->heads);
    return w;
}

void vnp_waiting_free(struct vnp_waiting *w)
{
    for (struct entry *e = w->oldest, *next; e != NULL; e = next) {
        next = e->newer;
        free(e);
    }
    free(w->heads);
    free(w);
}

/* FNV-1a, its upper half folded in because buckets go by the lower bits. */
static uint64_t hash_of(const struct vnp_unmatched *row)
{
    uint64_t h = 0xcbf29ce484222325u ^ row->window;
    for (uint32_t i = 0; i < row->id.n; i++)
        h = (h ^ (uint8_t)row->id.s[i]) * 0x100000001b3u;
    return h ^ h >> 32;
}

static void append(struct vnp_waiting *w, struct entry *e)
{
    struct entry **at = &w->heads[e->hash & (w->buckets - 1)];
    while (*at != NULL)
        at = &(*at)->next;
    e->next = NULL;
    *at = e;
}

/* Arrival order keeps each chain oldest first. Without memory for more buckets, the chains get longer instead. */
static void grow(struct vnp_waiting *w)
{
    struct entry **heads = calloc(2 * w->buckets, sizeof *heads);
    if (heads == NULL)
        return;
    free(w->heads);
    w->heads = heads;
    w->buckets *= 2;
    for (struct entry *e = w->oldest; e != NULL; e = e->newer)
        append(w, e);
}

struct vnp_unmatched *vnp_waiting_take(struct vnp_waiting *w, int side, const struct vnp_unmatched *row)
{
    uint64_t hash = hash_of(row);
    for (struct entry **at = &w->heads[hash & (w->buckets - 1)]; *at != NULL; at = &(*at)->next) {
        struct entry *e = *at;
        if (e->hash != hash || e->side != side || e->row.window != row->window || !vnp_str_equal(e->row.id, row->id))
            continue;
        *at = e->next;
        *(e->older != NULL ? &e->older->newer : &w->oldest) = e->newer;
        *(e->newer != NULL ? &e->newer->older : &w->newest) = e->older;
        w->n--;
        return &e->row;
    }
    return NULL;
}

enum vnp_status vnp_waiting_add(struct vnp_waiting *w, int side, const struct vnp_unmatched *row, size_t bytes,
                                struct vnp_err *err)
{
    struct entry *e = malloc(sizeof *e + bytes + row->id.n);
    if (e == NULL)
        return vnp_error(err, VNP_OS,
                         "out of memory with %zu rows that wait for their ids on the other side; --by ordinal needs none",
                         w->n);
    char *data = (char *)(e + 1);
    e->row = *row;
    e->side = side;
    e->hash = hash_of(row);
    if (bytes > 0)
        memcpy(data, row->data, bytes);
    if (row->id.n > 0)
        memcpy(data + bytes, row->id.s, row->id.n);
    e->row.data = data;
    e->row.id.s = data + bytes;
    e->older = w->newest;
    e->newer = NULL;
    *(w->newest != NULL ? &w->newest->newer : &w->oldest) = e;
    w->newest = e;
    append(w, e);
    if (++w->n > w->buckets)
        grow(w);
    return VNP_OK;
}

void vnp_waiting_each(const struct vnp_waiting *w, void (*f)(void *data, int side, const struct vnp_unmatched *row),
                      void *data)
{
    for (const struct entry *e = w->oldest; e != NULL; e = e->newer)
        f(data, e->side, &e->row);
}
