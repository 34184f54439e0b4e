#include "rows.h"

#include <stdlib.h>
#include <string.h>

#include "vectors.h"

size_t vnp_row_bytes(const struct vnp_head *head, const struct vnp_block *block, int64_t i)
{
    if (head->kind == VNP_COPIES)
        return sizeof(struct vnp_copy);
    if (vnp_kind_tokens(head->kind))
        return (size_t)block->tokens[i] * (size_t)head->token_bytes;
    return (size_t)vnp_row_vectors(head, block, i) * (size_t)head->width * vnp_dtype_bytes(head->dtype);
}

enum vnp_status vnp_row_of(const struct vnp_block *b, int64_t i, size_t at, size_t bytes, struct vnp_row *row,
                           struct vnp_err *err)
{
    if (at > (size_t)b->bulk_bytes || bytes > (size_t)b->bulk_bytes - at)
        return vnp_error(err, VNP_DATA, "record %llu: the block's %lld bytes of data end before the record's do",
                         (unsigned long long)b->ordinal[i], (long long)b->bulk_bytes);
    *row = (struct vnp_row){
        .ordinal = b->ordinal[i],
        .total = b->total[i],
        .residues = b->residues[i],
        .flags = b->flags[i],
        .tokens = b->tokens[i],
        .windows = 1,
        .id = b->id[i],
        .data = bytes ? (const uint8_t *)b->bulk + at : b->bulk,
        .bytes = bytes,
    };
    if (b->window != NULL) {
        row->window = b->window[i];
        row->windows = b->windows[i];
        row->start = b->start[i];
    }
    return VNP_OK;
}

const float *vnp_row_vector(const struct vnp_head *head, const struct vnp_row *row, int64_t k, float *scratch)
{
    const struct vnp_block alone = {.bulk = row->data};
    return vnp_vectors_f32(head, &alone, k, 1, scratch);
}

static bool grow(void *column, int64_t cap, size_t bytes)
{
    void *p;
    memcpy(&p, column, sizeof p);
    if ((p = realloc(p, (size_t)cap * bytes)) == NULL)
        return false;
    memcpy(column, &p, sizeof p);
    return true;
}

static bool grow_columns(struct vnp_rows *r)
{
    int64_t cap = r->cap ? 2 * r->cap : 64;
    if (!grow(&r->ordinal, cap, sizeof *r->ordinal) || !grow(&r->total, cap, sizeof *r->total) ||
        !grow(&r->start, cap, sizeof *r->start) || !grow(&r->residues, cap, sizeof *r->residues) ||
        !grow(&r->flags, cap, sizeof *r->flags) || !grow(&r->tokens, cap, sizeof *r->tokens) ||
        !grow(&r->window, cap, sizeof *r->window) || !grow(&r->windows, cap, sizeof *r->windows) ||
        !grow(&r->id, cap, sizeof *r->id) || !grow(&r->id_end, cap, sizeof *r->id_end))
        return false;
    r->cap = cap;
    return true;
}

static bool make_room(struct vnp_buf *b, size_t n)
{
    return n <= b->cap - b->n ||
           (n <= SIZE_MAX / 4 && vnp_buf_reserve(b, 2 * b->cap > b->n + n ? 2 * b->cap : b->n + n));
}

void *vnp_rows_room(struct vnp_rows *r, size_t bytes)
{
    return make_room(&r->bulk, bytes) ? r->bulk.p + r->bulk.n : NULL;
}

static bool append(struct vnp_buf *b, const void *bytes, size_t n)
{
    if (!make_room(b, n))
        return false;
    if (n > 0 && bytes != b->p + b->n)
        memmove(b->p + b->n, bytes, n); /* built behind rows that have been cleared since, they may overlap */
    b->n += n;
    return true;
}

enum vnp_status vnp_rows_add(struct vnp_rows *r, const struct vnp_row *row, struct vnp_err *err)
{
    if ((r->n == r->cap && !grow_columns(r)) || !append(&r->text, row->id.s, row->id.n) ||
        !append(&r->bulk, row->data, row->bytes))
        return vnp_error(err, VNP_OS, "record %llu: out of memory (%zu bytes)", (unsigned long long)row->ordinal,
                         row->bytes);
    int64_t i = r->n++;
    r->ordinal[i] = row->ordinal;
    r->total[i] = row->total;
    r->start[i] = row->start;
    r->residues[i] = row->residues;
    r->flags[i] = row->flags;
    r->tokens[i] = row->tokens;
    r->window[i] = row->window;
    r->windows[i] = row->windows;
    r->id_end[i] = r->text.n;
    r->windowed |= row->windows != 1;
    return VNP_OK;
}

struct vnp_block vnp_rows_block(struct vnp_rows *r)
{
    size_t begin = 0;
    for (int64_t i = 0; i < r->n; i++) {
        r->id[i] = (struct vnp_str){r->id_end[i] > begin ? (const char *)r->text.p + begin : "",
                                    (uint32_t)(r->id_end[i] - begin)};
        begin = r->id_end[i];
    }
    struct vnp_block b = {
        .n = r->n,
        .ordinal = r->ordinal,
        .id = r->id,
        .residues = r->residues,
        .total = r->total,
        .flags = r->flags,
        .tokens = r->tokens,
        .bulk = r->bulk.p,
        .bulk_bytes = (int64_t)r->bulk.n,
    };
    if (r->windowed) {
        b.window = r->window;
        b.windows = r->windows;
        b.start = r->start;
    }
    return b;
}

void vnp_rows_clear(struct vnp_rows *r)
{
    r->n = 0;
    r->text.n = 0;
    r->bulk.n = 0;
    r->windowed = false;
}

void vnp_rows_free(struct vnp_rows *r)
{
    void *columns[] = {r->ordinal, r->total,  r->start,   r->residues, r->flags,
                       r->tokens,  r->window, r->windows, r->id,       r->id_end};
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        free(columns[i]);
    vnp_buf_free(&r->text);
    vnp_buf_free(&r->bulk);
    memset(r, 0, sizeof *r);
}
