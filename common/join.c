#include "join.h"

#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

struct vnp_join {
    const char *name;
    enum vnp_pool pool;
    size_t row_bytes; /* of one vector */
    int64_t width;
    uint64_t max_bytes;
    struct vnp_row row;   /* the record so far; its `start` is the newest window's */
    uint64_t end, tokens; /* residues covered and tokens so far */
    uint32_t next;        /* window */
    struct vnp_buf id;
    double *sum, weight;    /* mean, cls */
    float *out;             /* mean, cls, max */
    struct vnp_buf vectors; /* none */
};

struct vnp_join *vnp_join_new(const char *name, enum vnp_pool pool, enum vnp_dtype dtype, int64_t width,
                              uint64_t max_bytes)
{
    struct vnp_join *j = xcalloc(1, sizeof *j);
    j->name = name;
    j->pool = pool;
    j->width = width;
    j->row_bytes = (size_t)width * (pool == VNP_POOL_NONE ? vnp_dtype_bytes(dtype) : sizeof *j->out);
    j->max_bytes = max_bytes;
    j->sum = xcalloc((size_t)width, sizeof *j->sum);
    j->out = xcalloc((size_t)width, sizeof *j->out);
    return j;
}

void vnp_join_free(struct vnp_join *j)
{
    if (j == NULL)
        return;
    vnp_buf_free(&j->id);
    vnp_buf_free(&j->vectors);
    free(j->sum);
    free(j->out);
    free(j);
}

static enum vnp_status bad(const struct vnp_join *j, const struct vnp_row *row, enum vnp_status status,
                           const char *what, struct vnp_err *err)
{
    return vnp_error(err, status, "%s: record %llu (%.*s), window %u of %u: %s", j->name,
                     (unsigned long long)row->ordinal, (int)(row->id.n < 200 ? row->id.n : 200), row->id.s, row->window,
                     row->windows, what);
}

static enum vnp_status begin(struct vnp_join *j, const struct vnp_row *row, struct vnp_err *err)
{
    if (!vnp_buf_reserve(&j->id, row->id.n + 1))
        return bad(j, row, VNP_OS, "out of memory", err);
    if (row->id.n > 0)
        memcpy(j->id.p, row->id.s, row->id.n);
    j->row = *row;
    j->row.id.s = (const char *)j->id.p;
    j->row.flags = 0;
    j->end = j->tokens = 0;
    j->next = 0;
    j->weight = 0;
    j->vectors.n = 0;
    memset(j->sum, 0, (size_t)j->width * sizeof *j->sum);
    return VNP_OK;
}

/* That the window belongs to the record and goes on where the one before it began. */
static enum vnp_status check(const struct vnp_join *j, const struct vnp_row *row, struct vnp_err *err)
{
    const struct vnp_row *r = &j->row;
    if (row->ordinal != r->ordinal || row->windows != r->windows || row->window != j->next || row->total != r->total ||
        row->id.n != r->id.n || (row->id.n > 0 && memcmp(row->id.s, r->id.s, row->id.n) != 0))
        return bad(j, row, VNP_DATA, "is not of the same record as the one before it", err);
    if (row->window == 0 ? row->start != 0 : row->start <= r->start)
        return bad(j, row, VNP_DATA, "starts before its place", err);
    if (row->start > j->end)
        return bad(j, row, VNP_DATA, "leaves residues out", err);
    if (row->start + row->residues < j->end)
        return bad(j, row, VNP_DATA, "ends before the one before it", err);
    return VNP_OK;
}

static void add_weighted(struct vnp_join *j, const float *v, uint32_t residues)
{
    const double weight = residues;
    for (int64_t k = 0; k < j->width; k++)
        j->sum[k] += weight * (double)v[k];
    j->weight += weight;
}

static void add_max(struct vnp_join *j, const float *v, bool first)
{
    if (first)
        memcpy(j->out, v, j->row_bytes);
    for (int64_t k = 0; k < j->width; k++)
        j->out[k] = vnp_max_or_nan(j->out[k], v[k]);
}

/* Cuts what is there in the middle of what it shares with the new window and adds the rest of that. */
static enum vnp_status add_vectors(struct vnp_join *j, const struct vnp_row *row, struct vnp_err *err)
{
    uint64_t cut = row->start + (j->end - row->start + 1) / 2;
    size_t skip = (size_t)(cut - row->start) * j->row_bytes, keep = (size_t)cut * j->row_bytes;
    size_t bytes = keep + (row->bytes - skip);
    if (bytes > j->max_bytes)
        return bad(j, row, VNP_DATA,
                   "with a vector a residue the record is too large for one frame: pool it, or leave --window out",
                   err);
    if (bytes > j->vectors.cap && !vnp_buf_reserve(&j->vectors, bytes + bytes / 2))
        return bad(j, row, VNP_OS, "out of memory", err);
    memcpy(j->vectors.p + keep, (const uint8_t *)row->data + skip, row->bytes - skip);
    j->vectors.n = bytes;
    return VNP_OK;
}

static enum vnp_status finish(struct vnp_join *j, const struct vnp_row *last, struct vnp_err *err)
{
    struct vnp_row *r = &j->row;
    if (j->end != r->total && !(r->flags & VNP_TRUNCATED))
        return bad(j, last, VNP_DATA, "is the last, but the record goes on", err);
    if (j->end > UINT32_MAX || j->tokens > UINT32_MAX)
        return bad(j, last, VNP_DATA, "the record has more than 2^32 residues or tokens", err);
    if (j->pool == VNP_POOL_MEAN || j->pool == VNP_POOL_CLS)
        for (int64_t k = 0; k < j->width; k++)
            j->out[k] = (float)(j->sum[k] / j->weight);
    r->residues = (uint32_t)j->end;
    r->tokens = (uint32_t)j->tokens;
    r->window = 0;
    r->windows = 1;
    r->start = 0;
    r->data = j->pool == VNP_POOL_NONE ? (const void *)j->vectors.p : j->out;
    r->bytes = j->pool == VNP_POOL_NONE ? j->vectors.n : j->row_bytes;
    return VNP_OK;
}

enum vnp_status vnp_join_add(struct vnp_join *j, const struct vnp_row *row, const struct vnp_row **out,
                             struct vnp_err *err)
{
    enum vnp_status st = VNP_OK;
    *out = NULL;
    if (row->windows == 1) {
        *out = row;
        return VNP_OK;
    }
    if (row->window == 0)
        st = begin(j, row, err);
    if (st == VNP_OK)
        st = check(j, row, err);
    if (st != VNP_OK)
        return st;
    if (j->pool == VNP_POOL_NONE)
        st = add_vectors(j, row, err);
    else if (j->pool == VNP_POOL_MAX && row->residues > 0)
        add_max(j, row->data, row->window == 0);
    else if (j->pool != VNP_POOL_MAX)
        add_weighted(j, row->data, row->residues);
    j->row.flags |= row->flags;
    j->row.start = row->start;
    j->end = row->start + row->residues;
    j->tokens += row->tokens;
    j->next++;
    if (st == VNP_OK && j->next == row->windows) {
        st = finish(j, row, err);
        *out = st == VNP_OK ? &j->row : NULL;
    }
    return st;
}
