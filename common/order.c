#include "order.h"

#include <string.h>

bool vnp_head_ordered(const struct vnp_head *head)
{
    return head->kind == VNP_TOKENS || head->kind == VNP_COPIES || (head->kind == VNP_EMBEDDINGS && head->ordered);
}

static enum vnp_status lacks_windows(const struct vnp_cover *c, struct vnp_err *err)
{
    return vnp_error(err, VNP_DATA, "record %llu (%.*s): window %u of %u never came", (unsigned long long)c->ordinal,
                     VNP_SHOWN_BYTES(c->id.p, c->id.n), c->next, c->windows);
}

/* That a record may begin here. */
static enum vnp_status check_first(const struct vnp_order *o, uint64_t first, const struct vnp_row *row,
                                   struct vnp_err *err)
{
    typedef unsigned long long ull;
    if (!o->begun && row->ordinal != first)
        return vnp_error(err, VNP_DATA, "begins with record %llu (%.*s), but by its head with %llu: was a block lost?",
                         (ull)row->ordinal, VNP_SHOWN(row->id), (ull)first);
    if (o->begun && row->ordinal == o->ordinal)
        return vnp_error(err, VNP_DATA, "record %llu (%.*s) comes twice: were streams of several inputs joined?",
                         (ull)row->ordinal, VNP_SHOWN(row->id));
    if (o->begun && row->ordinal < o->ordinal)
        return vnp_error(err, VNP_DATA, "record %llu (%.*s) comes after %llu, and this stream is to be in input order",
                         (ull)row->ordinal, VNP_SHOWN(row->id), (ull)o->ordinal);
    if (o->begun && row->ordinal - o->ordinal > 1)
        return vnp_error(err, VNP_DATA, "record %llu never came: %llu (%.*s) follows %llu: was a block lost?",
                         (ull)o->ordinal + 1, (ull)row->ordinal, VNP_SHOWN(row->id), (ull)o->ordinal);
    if (row->window != 0)
        return vnp_error(err, VNP_DATA, "record %llu (%.*s): begins with window %u of %u", (ull)row->ordinal,
                         VNP_SHOWN(row->id), row->window, row->windows);
    return VNP_OK;
}

/* That the row's record is the next unique one, or one that came before and is shared. */
static enum vnp_status check_copy(struct vnp_order *o, const struct vnp_row *row, struct vnp_err *err)
{
    struct vnp_copy c;
    memcpy(&c, row->data, sizeof c);
    const bool first = c.of == o->unique, next_slot = c.slot == o->slots + 1;
    if (first ? c.slot == 0 || next_slot : c.of < o->unique && c.slot > 0 && c.slot <= o->slots) {
        o->unique += first;
        o->slots += first && next_slot;
        return VNP_OK;
    }
    return vnp_error(err, VNP_DATA,
                     "record %llu (%.*s) equals unique record %llu in slot %llu, but %llu and %llu came before it",
                     (unsigned long long)row->ordinal, VNP_SHOWN(row->id), (unsigned long long)c.of,
                     (unsigned long long)c.slot, (unsigned long long)o->unique, (unsigned long long)o->slots);
}

enum vnp_status vnp_order_block(struct vnp_order *o, const struct vnp_head *head, const struct vnp_block *b,
                                struct vnp_err *err)
{
    const size_t bytes = head->kind == VNP_COPIES ? sizeof(struct vnp_copy) : 0;
    for (int64_t i = 0; i < b->n; i++) {
        struct vnp_row row;
        enum vnp_status st = vnp_row_of(b, i, (size_t)i * bytes, bytes, &row, err);
        if (st == VNP_OK && row.windows > 1 && head->kind != VNP_TOKENS)
            st = vnp_error(err, VNP_DATA, "record %llu is a window, but %s in input order are of whole records",
                           (unsigned long long)row.ordinal, vnp_kind_noun(head->kind));
        if (st == VNP_OK && !vnp_cover_whole(&o->cover) && row.ordinal != o->ordinal)
            st = lacks_windows(&o->cover, err);
        if (st == VNP_OK && vnp_cover_whole(&o->cover))
            st = check_first(o, head->first, &row, err);
        /* The row says itself that it is whole: its windows need no account. */
        if (st == VNP_OK && row.windows > 1)
            st = vnp_cover_add(&o->cover, &row, err);
        else if (st == VNP_OK && !vnp_cover_whole(&o->cover))
            st = lacks_windows(&o->cover, err);
        if (st == VNP_OK && head->kind == VNP_COPIES)
            st = check_copy(o, &row, err);
        if (st != VNP_OK)
            return st;
        o->begun = true;
        o->ordinal = row.ordinal;
    }
    return VNP_OK;
}

enum vnp_status vnp_order_end(const struct vnp_order *o, struct vnp_err *err)
{
    return vnp_cover_whole(&o->cover) ? VNP_OK : lacks_windows(&o->cover, err);
}

void vnp_order_free(struct vnp_order *o)
{
    vnp_cover_free(&o->cover);
}
