#include "torchlegacy.h"

#include <stdlib.h>
#include <string.h>

#include "stored.h"
#include "xmalloc.h"

/* The first pickle behind its protocol, which is 2 unless another was asked for, and from 4 on behind a frame's size:
 * an integer of ten bytes. */
static const uint8_t magic[] = {0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};
#define FRAME 0x95 /* and 8 bytes */
#define PROTOCOL 1001

struct entry {
    struct {
        const char *s;
        size_t n;
    } key;
    const char *dtype;
    const uint8_t *p; /* NULL until it is found behind the pickles */
    uint64_t n;       /* bytes */
};

struct vnp_torchlegacy {
    struct vnp_pickle *pickle; /* the object */
    struct entry *entries;     /* sorted by key */
    size_t n;
    const char *file;
};

/* What is left of the file. */
struct rest {
    const uint8_t *p;
    uint64_t n;
    const char *file;
};

/* Bytes of the first pickle; 0 when it is another than torch writes. */
static size_t magic_bytes(const struct vnp_map *map)
{
    const uint8_t *p = map->p;
    if (map->n < 2 + 9 + sizeof magic || p[0] != 0x80 || p[1] < 2 || p[1] > 5)
        return 0;
    const size_t at = p[1] >= 4 && p[2] == FRAME ? 2 + 9 : 2;
    return memcmp(p + at, magic, sizeof magic) == 0 ? at + sizeof magic : 0;
}

bool vnp_torchlegacy_is(const struct vnp_map *map)
{
    return magic_bytes(map) > 0;
}

static enum vnp_status next_pickle(struct rest *r, struct vnp_pickle **pickle, const struct vnp_py **root,
                                   struct vnp_err *err)
{
    size_t used;
    enum vnp_status st = vnp_pickle_read_next(pickle, root, r->p, (size_t)r->n, &used, r->file, err);
    r->p += used;
    r->n -= used;
    return st;
}

/* The two pickles between the magic number and the object. */
static enum vnp_status check_machine(struct rest *r, struct vnp_err *err)
{
    struct vnp_pickle *pickle;
    const struct vnp_py *root;
    enum vnp_status st = next_pickle(r, &pickle, &root, err);
    if (st != VNP_OK)
        return st;
    if (root->type != VNP_PY_INT || root->i != PROTOCOL)
        st = vnp_error(err, VNP_DATA, "%s: a torch file of a protocol other than %d", r->file, PROTOCOL);
    vnp_pickle_free(pickle);
    if (st != VNP_OK || (st = next_pickle(r, &pickle, &root, err)) != VNP_OK)
        return st;
    const struct vnp_py *little = vnp_py_get(root, "little_endian");
    if (little == NULL || little->type != VNP_PY_BOOL)
        st = vnp_error(err, VNP_DATA, "%s: does not say the order of its bytes", r->file);
    else if (!little->i)
        st = vnp_error(err, VNP_DATA, "%s: its numbers are big-endian: save it again on a little-endian machine",
                       r->file);
    vnp_pickle_free(pickle);
    return st;
}

/* --- storages ----------------------------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    const int order = memcmp(x->key.s, y->key.s, x->key.n < y->key.n ? x->key.n : y->key.n);
    return order != 0 ? order : (x->key.n > y->key.n) - (x->key.n < y->key.n);
}

static struct entry *find(const struct vnp_torchlegacy *l, const char *key, size_t n)
{
    const struct entry wanted = {.key = {key, n}};
    return l->n ? bsearch(&wanted, l->entries, l->n, sizeof *l->entries, by_key) : NULL;
}

/* An entry for each storage that the object refers to. */
static void collect(struct vnp_torchlegacy *l)
{
    size_t n = 0;
    for (const struct vnp_py *s = vnp_pickle_storages(l->pickle); s != NULL; s = s->storage.next)
        n++;
    l->entries = xcalloc(n + 1, sizeof *l->entries);
    n = 0;
    for (const struct vnp_py *s = vnp_pickle_storages(l->pickle); s != NULL; s = s->storage.next)
        l->entries[n++] =
            (struct entry){.key = {s->storage.key->text.s, s->storage.key->text.n}, .dtype = s->storage.dtype};
    qsort(l->entries, n, sizeof *l->entries, by_key);
    for (size_t i = 0; i < n; i++)
        if (l->n == 0 || by_key(&l->entries[l->n - 1], &l->entries[i]) != 0)
            l->entries[l->n++] = l->entries[i];
}

static enum vnp_status place(struct vnp_torchlegacy *l, struct rest *r, const struct vnp_py *key, struct vnp_err *err)
{
    struct entry *e = key->type == VNP_PY_STR ? find(l, key->text.s, key->text.n) : NULL;
    if (e == NULL || e->p != NULL)
        return vnp_error(err, VNP_DATA, "%s: the list of storages names one %s", r->file,
                         e == NULL ? "that nothing refers to" : "twice");
    uint64_t elements = 0;
    if (r->n < 8)
        return vnp_error(err, VNP_DATA, "%s: cut short before storage %.*s", r->file,
                         e->key.n > 100 ? 100 : (int)e->key.n, e->key.s);
    memcpy(&elements, r->p, sizeof elements);
    const unsigned size = vnp_stored_dtype_bytes(e->dtype);
    if (elements > (r->n - 8) / size)
        return vnp_error(err, VNP_DATA, "%s: cut short: storage %.*s has %llu elements of %s, but %llu bytes are left",
                         r->file, e->key.n > 100 ? 100 : (int)e->key.n, e->key.s, (unsigned long long)elements,
                         e->dtype, (unsigned long long)(r->n - 8));
    e->p = r->p + 8;
    e->n = elements * size;
    r->p += 8 + e->n;
    r->n -= 8 + e->n;
    return VNP_OK;
}

static enum vnp_status place_all(struct vnp_torchlegacy *l, struct rest *r, struct vnp_err *err)
{
    struct vnp_pickle *pickle;
    const struct vnp_py *keys;
    enum vnp_status st = next_pickle(r, &pickle, &keys, err);
    if (st != VNP_OK)
        return st;
    if (keys->type != VNP_PY_LIST)
        st = vnp_error(err, VNP_DATA, "%s: no list of storages behind the object", r->file);
    for (size_t i = 0; st == VNP_OK && i < keys->items.n; i++)
        st = place(l, r, keys->items.v[i], err);
    if (st == VNP_OK && r->n > 0)
        st = vnp_error(err, VNP_DATA, "%s: %llu bytes behind the last storage", r->file, (unsigned long long)r->n);
    vnp_pickle_free(pickle);
    return st;
}

/* --- the file ----------------------------------------------------------------------------------------------------- */

enum vnp_status vnp_torchlegacy_open(struct vnp_torchlegacy **out, const struct vnp_py **root,
                                     const struct vnp_map *map, const char *file, struct vnp_err *err)
{
    struct vnp_torchlegacy *l = xcalloc(1, sizeof *l);
    const size_t first = magic_bytes(map);
    struct rest r = {map->p + first, map->n - first, file};
    *out = NULL;
    l->file = file;
    enum vnp_status st = check_machine(&r, err);
    if (st == VNP_OK)
        st = next_pickle(&r, &l->pickle, root, err);
    if (st == VNP_OK) {
        collect(l);
        st = place_all(l, &r, err);
    }
    if (st == VNP_OK)
        *out = l;
    else
        vnp_torchlegacy_close(l);
    return st;
}

enum vnp_status vnp_torchlegacy_entry(const struct vnp_torchlegacy *l, const char *key, size_t n_key, const uint8_t **p,
                                      uint64_t *n, struct vnp_err *err)
{
    const struct entry *e = find(l, key, n_key);
    if (e == NULL || e->p == NULL)
        return vnp_error(err, VNP_DATA, "%s: storage %.*s is not in the file", l->file, n_key > 100 ? 100 : (int)n_key,
                         key);
    *p = e->p;
    *n = e->n;
    return VNP_OK;
}

void vnp_torchlegacy_close(struct vnp_torchlegacy *l)
{
    if (l == NULL)
        return;
    vnp_pickle_free(l->pickle);
    free(l->entries);
    free(l);
}
