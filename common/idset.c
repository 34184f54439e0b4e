#include "idset.h"

#include <stdlib.h>
#include <string.h>

#include "mix64.h"
#include "sorter.h"
#include "xmalloc.h"

#define NUMBER_BITS 40
#define SORT_BYTES ((size_t)64 << 20)

/* hash: 64 bits, which also say where the entry lies. rest: 24 more bits of hash above the number + 1; 0 is empty. */
struct entry {
    uint64_t hash, rest;
};

struct vnp_idset {
    struct entry *table;
    size_t slots, n, most;     /* slots: a power of two */
    struct vnp_sorter *others; /* NULL: none yet */
};

struct vnp_idset *vnp_idset_new(size_t most)
{
    struct vnp_idset *s = xcalloc(1, sizeof *s);
    s->most = most;
    s->slots = 1024;
    s->table = xcalloc(s->slots, sizeof *s->table);
    return s;
}

void vnp_idset_free(struct vnp_idset *s)
{
    if (s == NULL)
        return;
    vnp_sorter_free(s->others);
    free(s->table);
    free(s);
}

/* Two chains of the same mixer from different beginnings, eight bytes a step. */
static struct entry hash_of(struct vnp_str id)
{
    uint64_t a = vnp_mix64(id.n + 1), b = vnp_mix64(~(uint64_t)id.n);
    for (uint32_t at = 0; at < id.n; at += 8) {
        uint64_t w = 0;
        memcpy(&w, id.s + at, id.n - at < 8 ? id.n - at : 8);
        a = vnp_mix64(a ^ w);
        b = vnp_mix64(b ^ w);
    }
    return (struct entry){a, b << NUMBER_BITS};
}

/* Where the entry is, or the empty slot where it would be. */
static struct entry *find(struct entry *table, size_t slots, struct entry e)
{
    size_t at = e.hash & (slots - 1);
    while (table[at].rest != 0 && (table[at].hash != e.hash || ((table[at].rest ^ e.rest) >> NUMBER_BITS) != 0))
        at = (at + 1) & (slots - 1);
    return &table[at];
}

static enum vnp_status grow(struct vnp_idset *s, struct vnp_err *err)
{
    struct entry *table = s->slots <= SIZE_MAX / 2 ? calloc(2 * s->slots, sizeof *table) : NULL;
    if (table == NULL)
        return vnp_error(err, VNP_OS, "out of memory for %zu ids", s->n);
    for (size_t i = 0; i < s->slots; i++)
        if (s->table[i].rest != 0)
            *find(table, 2 * s->slots, s->table[i]) = s->table[i];
    free(s->table);
    s->table = table;
    s->slots *= 2;
    return VNP_OK;
}

/* Beside the table, by all bits of its hash. */
static enum vnp_status sort(struct vnp_idset *s, struct entry e, uint64_t number, struct vnp_err *err)
{
    if (s->others == NULL)
        s->others = vnp_sorter_new(SORT_BYTES);
    return vnp_sorter_add(s->others, &(struct vnp_keyed){(const char *)&e, sizeof e, &number, sizeof number}, err);
}

enum vnp_status vnp_idset_add(struct vnp_idset *s, struct vnp_str id, uint64_t number, uint64_t *earlier,
                              struct vnp_err *err)
{
    struct entry e = hash_of(id);
    struct entry *slot = find(s->table, s->slots, e);
    if (slot->rest != 0) {
        *earlier = (slot->rest & (((uint64_t)1 << NUMBER_BITS) - 1)) - 1;
        return VNP_DATA;
    }
    if (s->n == s->most)
        return sort(s, e, number, err);
    if (3 * (s->n + 1) > 2 * s->slots) {
        if (grow(s, err) != VNP_OK)
            return err->status;
        slot = find(s->table, s->slots, e);
    }
    e.rest |= number + 1;
    *slot = e;
    s->n++;
    return VNP_OK;
}

enum vnp_status vnp_idset_check(struct vnp_idset *s, uint64_t *earlier, uint64_t *number, struct vnp_err *err)
{
    struct vnp_keyed r;
    struct entry last = {0}, e;
    enum vnp_status st;
    if (s->others == NULL)
        return VNP_OK;
    for (bool first = true; (st = vnp_sorter_next(s->others, &r, err)) == VNP_OK; first = false) {
        memcpy(&e, r.key, sizeof e);
        memcpy(number, r.data, sizeof *number);
        if (!first && e.hash == last.hash && e.rest == last.rest) {
            const uint64_t other = *earlier;
            *earlier = other < *number ? other : *number;
            *number = other < *number ? *number : other;
            return VNP_DATA;
        }
        last = e;
        *earlier = *number;
    }
    return st == VNP_END ? VNP_OK : st;
}
