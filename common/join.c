#include "join.h"

#include <stdlib.h>
#include <string.h>

#include "cover.h"
#include "xmalloc.h"

struct vnp_join {
    const char *name;
    enum vnp_pool pool;
    size_t row_bytes; /* of one vector */
    int64_t width;
    uint64_t max_bytes;
    struct vnp_cover cover;
    struct vnp_row row;     /* the record */
    uint64_t tokens;        /* so far */
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
    vnp_cover_free(&j->cover);
    vnp_buf_free(&j->vectors);
    free(j->sum);
    free(j->out);
    free(j);
}

static enum vnp_status bad(const struct vnp_join *j, const struct vnp_row *row, enum vnp_status status,
                           const char *what, struct vnp_err *err)
{
    return vnp_error(err, status, "%s: record %llu (%.*s), window %u of %u: %s", j->name,
                     (unsigned long long)row->ordinal, VNP_SHOWN(row->id), row->window, row->windows, what);
}

static void begin(struct vnp_join *j)
{
    j->tokens = 0;
    j->weight = 0;
    j->vectors.n = 0;
    memset(j->sum, 0, (size_t)j->width * sizeof *j->sum);
}

/* That the window belongs to the record and goes on where the one before it ended. */
static enum vnp_status check(struct vnp_join *j, const struct vnp_row *row, struct vnp_err *err)
{
    return vnp_cover_add(&j->cover, row, err) == VNP_OK ? VNP_OK : vnp_error_in(err, "%s", j->name);
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

/* Cuts the `end` residues that are there in the middle of what they share with the new window and adds the rest of it. */
static enum vnp_status add_vectors(struct vnp_join *j, const struct vnp_row *row, uint64_t end, struct vnp_err *err)
{
    uint64_t cut = row->start + (end - row->start + 1) / 2;
    size_t skip = (size_t)(cut - row->start) * j->row_bytes, keep = (size_t)cut * j->row_bytes;
    size_t bytes = keep + (row->bytes - skip);
    if (bytes > j->max_bytes)
        return bad(j, row, VNP_DATA,
                   "with a vector a residue the record is too large for one frame: pool it, or leave --window out",
                   err);
    if (bytes > j->vectors.cap && !vnp_buf_reserve(&j->vectors, bytes + bytes / 2))
        return bad(j, row, VNP_OS, "out of memory", err);
    if (bytes > keep)
        memcpy(j->vectors.p + keep, (const uint8_t *)row->data + skip, bytes - keep);
    j->vectors.n = bytes;
    return VNP_OK;
}

static enum vnp_status finish(struct vnp_join *j, const struct vnp_row *last, struct vnp_err *err)
{
    if (j->cover.end > UINT32_MAX || j->tokens > UINT32_MAX)
        return bad(j, last, VNP_DATA, "the record has more than 2^32 residues or tokens", err);
    if (j->pool == VNP_POOL_MEAN || j->pool == VNP_POOL_CLS)
        for (int64_t k = 0; k < j->width; k++)
            j->out[k] = (float)(j->sum[k] / j->weight);
    j->row = (struct vnp_row){
        .ordinal = last->ordinal,
        .total = last->total,
        .residues = (uint32_t)j->cover.end,
        .flags = j->cover.flags,
        .tokens = (uint32_t)j->tokens,
        .windows = 1,
        .id = {(const char *)j->cover.id.p, (uint32_t)j->cover.id.n},
        .data = j->pool == VNP_POOL_NONE ? (const void *)j->vectors.p : j->out,
        .bytes = j->pool == VNP_POOL_NONE ? j->vectors.n : j->row_bytes,
    };
    return VNP_OK;
}

enum vnp_status vnp_join_add(struct vnp_join *j, const struct vnp_row *row, const struct vnp_row **out,
                             struct vnp_err *err)
{
    *out = NULL;
    if (row->windows == 1) {
        *out = row;
        return VNP_OK;
    }
    if (row->window == 0)
        begin(j);
    const uint64_t covered = row->window == 0 ? 0 : j->cover.end;
    enum vnp_status st = check(j, row, err);
    if (st != VNP_OK)
        return st;
    if (j->pool == VNP_POOL_NONE)
        st = add_vectors(j, row, covered, err);
    else if (j->pool == VNP_POOL_MAX)
        add_max(j, row->data, row->window == 0);
    else
        add_weighted(j, row->data, row->residues);
    j->tokens += row->tokens;
    if (st == VNP_OK && vnp_cover_whole(&j->cover)) {
        st = finish(j, row, err);
        *out = st == VNP_OK ? &j->row : NULL;
    }
    return st;
}
