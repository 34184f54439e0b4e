#include "cover.h"

#include <string.h>

static enum vnp_status bad(const struct vnp_row *row, enum vnp_status status, const char *what, struct vnp_err *err)
{
    return vnp_error(err, status, "record %llu (%.*s), window %u of %u: %s", (unsigned long long)row->ordinal,
                     VNP_SHOWN(row->id), row->window, row->windows, what);
}

static enum vnp_status begin(struct vnp_cover *c, const struct vnp_row *row, struct vnp_err *err)
{
    if (!vnp_buf_reserve(&c->id, row->id.n + 1))
        return bad(row, VNP_OS, "out of memory", err);
    if (row->id.n > 0)
        memcpy(c->id.p, row->id.s, row->id.n);
    c->id.n = row->id.n;
    c->ordinal = row->ordinal;
    c->total = row->total;
    c->windows = row->windows;
    c->end = 0;
    c->next = c->flags = 0;
    return VNP_OK;
}

/* What is wrong with the row as the next window, or NULL. */
static const char *fault(const struct vnp_cover *c, const struct vnp_row *row)
{
    if (row->ordinal != c->ordinal || row->windows != c->windows || row->window != c->next || row->total != c->total ||
        row->id.n != c->id.n || (row->id.n > 0 && memcmp(row->id.s, c->id.p, row->id.n) != 0))
        return "is not of the same record as the one before it";
    if (row->window == 0 ? row->start != 0 : row->start <= c->start)
        return "starts before its place";
    if (row->start > c->end)
        return "leaves residues out";
    if (row->start + row->residues < c->end)
        return "ends before the one before it";
    if (row->window + 1 == row->windows && row->start + row->residues != row->total &&
        !((c->flags | row->flags) & VNP_TRUNCATED))
        return "is the last, but the record goes on";
    return NULL;
}

enum vnp_status vnp_cover_add(struct vnp_cover *c, const struct vnp_row *row, struct vnp_err *err)
{
    enum vnp_status st = row->window == 0 && vnp_cover_whole(c) ? begin(c, row, err) : VNP_OK;
    if (st != VNP_OK)
        return st;
    const char *what = fault(c, row);
    if (what != NULL)
        return bad(row, VNP_DATA, what, err);
    c->flags |= row->flags;
    c->start = row->start;
    c->end = row->start + row->residues;
    c->next++;
    return VNP_OK;
}

void vnp_cover_free(struct vnp_cover *c)
{
    vnp_buf_free(&c->id);
    memset(c, 0, sizeof *c);
}
