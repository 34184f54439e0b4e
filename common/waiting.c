#include "waiting.h"

#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

/* In the list of arrival, and among the rows of its key (side, id and window), both oldest first. Only the first of a
 * key is in a bucket's chain: any number of rows may have one id, and none of them is gone by to find another. The copy
 * of the row follows. */
struct entry {
    struct vnp_row row; /* first: a taken row is freed by its address */
    struct entry *older, *newer;
    struct entry *twin;        /* the next of the key, or NULL */
    struct entry *next, *last; /* of the first of a key: the first of another in the bucket, the last of its own */
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
static uint64_t hash_of(const struct vnp_row *row)
{
    uint64_t h = 0xcbf29ce484222325u ^ row->window;
    for (uint32_t i = 0; i < row->id.n; i++)
        h = (h ^ (uint8_t)row->id.s[i]) * 0x100000001b3u;
    return h ^ h >> 32;
}

/* Where the first row of a key is linked into its bucket's chain; where the chain ends when none waits. */
static struct entry **find(struct vnp_waiting *w, uint64_t hash, int side, const struct vnp_row *row)
{
    struct entry **at = &w->heads[hash & (w->buckets - 1)];
    for (struct entry *e; (e = *at) != NULL; at = &e->next)
        if (e->hash == hash && e->side == side && e->row.window == row->window && vnp_str_equal(e->row.id, row->id))
            break;
    return at;
}

static void append(struct vnp_waiting *w, struct entry *e)
{
    struct entry **at = find(w, e->hash, e->side, &e->row), *first = *at;
    e->twin = e->next = NULL;
    e->last = e;
    if (first == NULL) {
        *at = e;
    } else {
        first->last->twin = e;
        first->last = e;
    }
}

/* Without memory for more buckets, the chains get longer instead. */
static void grow(struct vnp_waiting *w)
{
    const size_t buckets = 2 * w->buckets;
    struct entry **heads = calloc(buckets, sizeof *heads);
    if (heads == NULL)
        return;
    for (size_t i = 0; i < w->buckets; i++)
        for (struct entry *e = w->heads[i], *next; e != NULL; e = next) {
            struct entry **to = &heads[e->hash & (buckets - 1)];
            next = e->next;
            e->next = *to;
            *to = e;
        }
    free(w->heads);
    w->heads = heads;
    w->buckets = buckets;
}

struct vnp_row *vnp_waiting_take(struct vnp_waiting *w, int side, const struct vnp_row *row)
{
    struct entry **at = find(w, hash_of(row), side, row), *e = *at;
    if (e == NULL)
        return NULL;
    if (e->twin != NULL) {
        e->twin->next = e->next;
        e->twin->last = e->last;
    }
    *at = e->twin != NULL ? e->twin : e->next;
    *(e->older != NULL ? &e->older->newer : &w->oldest) = e->newer;
    *(e->newer != NULL ? &e->newer->older : &w->newest) = e->older;
    w->n--;
    return &e->row;
}

enum vnp_status vnp_waiting_add(struct vnp_waiting *w, int side, const struct vnp_row *row, struct vnp_err *err)
{
    const size_t bytes = row->bytes;
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

void vnp_waiting_each(const struct vnp_waiting *w, void (*f)(void *data, int side, const struct vnp_row *row),
                      void *data)
{
    for (const struct entry *e = w->oldest; e != NULL; e = e->newer)
        f(data, e->side, &e->row);
}
