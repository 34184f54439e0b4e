#include "torchzip.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

struct entry {
    const char *name; /* borrowed from the map */
    size_t n_name;
    uint16_t flags, method;
    uint64_t packed, size, header; /* bytes stored, bytes unpacked, offset of the local header */
};

struct vnp_torchzip {
    const struct vnp_map *map;
    const char *file;
    struct entry *entries; /* sorted by name */
    size_t n;
    char *prefix; /* "NAME/" */
};

static uint64_t le(const uint8_t *p, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

/* Whether n bytes at `at` lie in the file. */
static bool within(const struct vnp_torchzip *z, uint64_t at, uint64_t n)
{
    return at <= z->map->n && n <= z->map->n - at;
}

static enum vnp_status damaged(const struct vnp_torchzip *z, const char *what, struct vnp_err *err)
{
    return vnp_error(err, VNP_DATA, "%s: damaged or cut short: %s", z->file, what);
}

static int compare_names(const char *a, size_t n_a, const char *b, size_t n_b)
{
    const int c = memcmp(a, b, n_a < n_b ? n_a : n_b);
    return c ? c : (n_a > n_b) - (n_a < n_b);
}

static int by_name(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return compare_names(x->name, x->n_name, y->name, y->n_name);
}

/* --- the directory ----------------------------------------------------------------------------------------------- */

struct directory {
    uint64_t entries, bytes, at;
};

/* The record at the very end, behind which only a comment may come. */
static enum vnp_status find_end(const struct vnp_torchzip *z, uint64_t *end, struct vnp_err *err)
{
    const uint64_t n = z->map->n, lowest = n > 22 + 65535 ? n - 22 - 65535 : 0;
    for (uint64_t at = n >= 22 ? n - 22 : 0; n >= 22; at--) {
        const uint8_t *p = z->map->p + at;
        if (memcmp(p, "PK\5\6", 4) == 0 && le(p + 20, 2) == n - 22 - at) {
            *end = at;
            return VNP_OK;
        }
        if (at == lowest)
            break;
    }
    return damaged(z, "the zip archive has no end", err);
}

static enum vnp_status find_directory(const struct vnp_torchzip *z, struct directory *d, struct vnp_err *err)
{
    uint64_t end = 0;
    enum vnp_status st = find_end(z, &end, err);
    if (st != VNP_OK)
        return st;
    const uint8_t *p = z->map->p + end;
    *d = (struct directory){le(p + 10, 2), le(p + 12, 4), le(p + 16, 4)};
    /* zip64: a locator just before the end says where the record with the wide numbers is */
    if (end >= 20 && memcmp(p - 20, "PK\6\7", 4) == 0) {
        const uint64_t wide = le(p - 20 + 8, 8);
        if (!within(z, wide, 56) || memcmp(z->map->p + wide, "PK\6\6", 4) != 0)
            return damaged(z, "the zip64 directory is not where it should be", err);
        p = z->map->p + wide;
        *d = (struct directory){le(p + 32, 8), le(p + 40, 8), le(p + 48, 8)};
    }
    if (!within(z, d->at, d->bytes) || d->entries > d->bytes / 46)
        return damaged(z, "the zip directory lies outside the file", err);
    return VNP_OK;
}

/* Replaces the numbers of an entry that do not fit 32 bits by those in its zip64 extra field. */
static bool read_zip64(struct entry *e, const uint8_t *extra, size_t n)
{
    uint64_t *const wide[] = {&e->size, &e->packed, &e->header};
    while (n >= 4) {
        const size_t id = le(extra, 2), bytes = le(extra + 2, 2);
        if (bytes > n - 4)
            return false;
        const uint8_t *p = extra + 4, *const end = p + bytes;
        for (int i = 0; i < 3 && id == 1; i++)
            if (*wide[i] == 0xffffffff) {
                if (end - p < 8)
                    return false;
                *wide[i] = le(p, 8);
                p += 8;
            }
        extra = end;
        n -= 4 + bytes;
    }
    return true;
}

static enum vnp_status read_directory(struct vnp_torchzip *z, struct vnp_err *err)
{
    struct directory d;
    enum vnp_status st = find_directory(z, &d, err);
    if (st != VNP_OK)
        return st;
    z->entries = xcalloc((size_t)d.entries + 1, sizeof *z->entries);
    const uint8_t *p = z->map->p + d.at;
    uint64_t left = d.bytes;
    for (; z->n < d.entries; z->n++) {
        if (left < 46 || memcmp(p, "PK\1\2", 4) != 0)
            return damaged(z, "an entry of the zip directory is none", err);
        struct entry *e = &z->entries[z->n];
        const size_t n_extra = le(p + 30, 2), n_comment = le(p + 32, 2);
        *e = (struct entry){(const char *)p + 46, le(p + 28, 2), (uint16_t)le(p + 8, 2), (uint16_t)le(p + 10, 2),
                            le(p + 20, 4),        le(p + 24, 4), le(p + 42, 4)};
        if (left - 46 < e->n_name + n_extra + n_comment || !read_zip64(e, p + 46 + e->n_name, n_extra))
            return damaged(z, "an entry of the zip directory is cut short", err);
        p += 46 + e->n_name + n_extra + n_comment;
        left -= 46 + e->n_name + n_extra + n_comment;
    }
    if (z->n > 0)
        qsort(z->entries, z->n, sizeof *z->entries, by_name);
    for (size_t i = 1; i < z->n; i++)
        if (by_name(&z->entries[i - 1], &z->entries[i]) == 0)
            return damaged(z, "two entries of the zip archive have one name", err);
    return VNP_OK;
}

static enum vnp_status find_prefix(struct vnp_torchzip *z, struct vnp_err *err)
{
    static const char pkl[] = "/data.pkl";
    const size_t n = sizeof pkl - 1;
    for (size_t i = 0; i < z->n; i++) {
        const struct entry *e = &z->entries[i];
        if (e->n_name <= n || memcmp(e->name + e->n_name - n, pkl, n) != 0)
            continue;
        if (z->prefix != NULL)
            return damaged(z, "the zip archive has two data.pkl", err);
        z->prefix = xasprintf("%.*s", (int)(e->n_name - n) + 1, e->name);
    }
    if (z->prefix == NULL)
        return vnp_error(err, VNP_DATA, "%s: a zip archive without a data.pkl: not written by torch.save()", z->file);
    return VNP_OK;
}

enum vnp_status vnp_torchzip_open(struct vnp_torchzip **out, const struct vnp_map *map, const char *file,
                                  struct vnp_err *err)
{
    struct vnp_torchzip *z = xcalloc(1, sizeof *z);
    z->map = map;
    z->file = file;
    enum vnp_status st = read_directory(z, err);
    if (st == VNP_OK)
        st = find_prefix(z, err);
    if (st != VNP_OK) {
        vnp_torchzip_close(z);
        z = NULL;
    }
    *out = z;
    return st;
}

void vnp_torchzip_close(struct vnp_torchzip *z)
{
    if (z == NULL)
        return;
    free(z->entries);
    free(z->prefix);
    free(z);
}

/* --- entries ----------------------------------------------------------------------------------------------------- */

static const struct entry *find(const struct vnp_torchzip *z, const char *part, size_t n_part)
{
    const size_t n_prefix = strlen(z->prefix);
    char *name = xmalloc(n_prefix + n_part + 1);
    memcpy(name, z->prefix, n_prefix);
    memcpy(name + n_prefix, part, n_part);
    const struct entry key = {.name = name, .n_name = n_prefix + n_part};
    const struct entry *e = bsearch(&key, z->entries, z->n, sizeof *z->entries, by_name);
    free(name);
    return e;
}

int vnp_torchzip_has(const struct vnp_torchzip *z, const char *part)
{
    return find(z, part, strlen(part)) != NULL;
}

enum vnp_status vnp_torchzip_entry(const struct vnp_torchzip *z, const char *part, size_t n_part, const uint8_t **p,
                                   uint64_t *n, struct vnp_err *err)
{
    const int shown = n_part > 100 ? 100 : (int)n_part;
    const struct entry *e = find(z, part, n_part);
    if (e == NULL)
        return vnp_error(err, VNP_DATA, "%s: the archive has no entry %s%.*s", z->file, z->prefix, shown, part);
    if (e->method != 0 || (e->flags & 1) != 0 || e->packed != e->size)
        return vnp_error(err, VNP_DATA, "%s: entry %s%.*s is compressed or encrypted, which torch.save() never does",
                         z->file, z->prefix, shown, part);
    const uint8_t *local = z->map->p + e->header;
    if (!within(z, e->header, 30) || memcmp(local, "PK\3\4", 4) != 0)
        return vnp_error(err, VNP_DATA, "%s: entry %s%.*s is not where the directory says", z->file, z->prefix, shown,
                         part);
    const uint64_t at = e->header + 30 + le(local + 26, 2) + le(local + 28, 2);
    if (!within(z, at, e->size))
        return vnp_error(err, VNP_DATA, "%s: entry %s%.*s of %llu bytes lies outside the file", z->file, z->prefix,
                         shown, part, (unsigned long long)e->size);
    *p = z->map->p + at;
    *n = e->size;
    return VNP_OK;
}
