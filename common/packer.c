#include "packer.h"

#include <stdlib.h>
#include <string.h>

#define LEVELS 5 /* 64^5 > 2^24 costs */
#define NONE (-1)

/* A waiting row; its id and bulk are copied behind it. */
struct slot {
    struct vnp_row row;
    uint8_t *copy; /* NULL: the slot is free */
    int32_t next;  /* a younger row of the same cost */
};

struct vnp_packer {
    struct vnp_packer_options opt;
    struct vnp_packer_stats stats;
    uint64_t oldest, next;  /* numbers of the oldest waiting row (or == next) and of the next to come */
    struct slot *slots;     /* lookahead of them; row i is in slot i % lookahead */
    int32_t oversize;       /* the slot of a row that must leave alone and at once, or NONE */
    int32_t *head, *tail;   /* budget + 1 each: waiting rows of a cost, oldest first, or NONE */
    uint64_t *bits[LEVELS]; /* bits[0]: costs that are waiting; bits[k]: words of bits[k - 1] that are not zero */
};

/* --- the set of waiting costs ------------------------------------------------------------------------------------- */

static void set_bit(struct vnp_packer *p, int64_t cost)
{
    for (int k = 0; k < LEVELS; k++, cost >>= 6)
        p->bits[k][cost >> 6] |= (uint64_t)1 << (cost & 63);
}

static void clear_bit(struct vnp_packer *p, int64_t cost)
{
    for (int k = 0; k < LEVELS; k++, cost >>= 6) {
        p->bits[k][cost >> 6] &= ~((uint64_t)1 << (cost & 63));
        if (p->bits[k][cost >> 6] != 0)
            return;
    }
}

/* The largest waiting cost <= `cost`, or NONE. */
static int64_t largest_up_to(const struct vnp_packer *p, int64_t cost)
{
    int64_t at = cost;
    for (int k = 0; k < LEVELS; k++) {
        uint64_t word = at < 0 ? 0 : p->bits[k][at >> 6] & (~(uint64_t)0 >> (63 - (at & 63)));
        if (word != 0) {
            at = (at & ~(int64_t)63) | (63 - __builtin_clzll(word));
            while (k-- > 0)
                at = at << 6 | (63 - __builtin_clzll(p->bits[k][at]));
            return at;
        }
        at = (at >> 6) - 1;
    }
    return NONE;
}

/* --- waiting rows ------------------------------------------------------------------------------------------------- */

static enum vnp_status copy_row(struct slot *s, const struct vnp_row *row, struct vnp_err *err)
{
    s->copy = malloc(row->bytes + row->id.n + 1);
    if (s->copy == NULL)
        return vnp_error(err, VNP_OS, "record %llu: out of memory (%zu bytes)", (unsigned long long)row->ordinal,
                         row->bytes);
    s->row = *row;
    if (row->bytes > 0)
        memcpy(s->copy, row->data, row->bytes);
    if (row->id.n > 0)
        memcpy(s->copy + row->bytes, row->id.s, row->id.n);
    s->row.data = s->copy;
    s->row.id.s = (const char *)s->copy + row->bytes;
    s->next = NONE;
    return VNP_OK;
}

/* Moves a row into the batch and its slot's memory back. */
static enum vnp_status move_row(struct vnp_packer *p, int32_t i, struct vnp_rows *out, struct vnp_err *err)
{
    struct slot *s = &p->slots[i];
    enum vnp_status st = vnp_rows_add(out, &s->row, err);
    free(s->copy);
    s->copy = NULL;
    while (p->oldest < p->next && p->slots[p->oldest % (uint64_t)p->opt.lookahead].copy == NULL)
        p->oldest++;
    return st;
}

/* Takes the oldest waiting row of that cost out of its queue. */
static int32_t unqueue(struct vnp_packer *p, int64_t cost)
{
    int32_t i = p->head[cost];
    p->head[cost] = p->slots[i].next;
    if (p->head[cost] == NONE)
        clear_bit(p, cost);
    return i;
}

bool vnp_packer_full(const struct vnp_packer *p)
{
    return p->oversize != NONE || p->next - p->oldest >= (uint64_t)p->opt.lookahead;
}

enum vnp_status vnp_packer_add(struct vnp_packer *p, const struct vnp_row *row, struct vnp_err *err)
{
    if (vnp_packer_full(p))
        return vnp_error(err, VNP_SOFTWARE, "a row was added to a packer that is full");
    int32_t i = (int32_t)(p->next % (uint64_t)p->opt.lookahead);
    int64_t cost = row->tokens;
    enum vnp_status st = copy_row(&p->slots[i], row, err);
    if (st != VNP_OK)
        return st;
    p->next++;
    if (cost > p->opt.budget) {
        p->oversize = i;
    } else if (p->head[cost] == NONE) {
        p->head[cost] = p->tail[cost] = i;
        set_bit(p, cost);
    } else {
        p->slots[p->tail[cost]].next = i;
        p->tail[cost] = i;
    }
    return VNP_OK;
}

/* --- batches ------------------------------------------------------------------------------------------------------ */

/* A batch that is being filled. */
struct filling {
    struct vnp_rows *out;
    int64_t left;   /* tokens */
    uint64_t frame; /* bytes so far */
    bool closed;    /* the next row would burst the frame */
};

/* Moves the oldest waiting row of that cost into the batch. */
static enum vnp_status take(struct vnp_packer *p, struct filling *f, int64_t cost, struct vnp_err *err)
{
    f->frame += vnp_row_frame_bytes(&p->slots[p->head[cost]].row);
    if (f->frame > p->opt.frame_bytes && f->out->n > 0) {
        f->closed = true;
        return VNP_OK;
    }
    f->left -= cost;
    return move_row(p, unqueue(p, cost), f->out, err);
}

/* The two waiting costs with the largest sum <= `left`; *b is NONE when one row alone does as well. */
static int64_t best_pair(const struct vnp_packer *p, int64_t left, int64_t *b)
{
    int64_t best_a = NONE, best = NONE;
    for (int64_t a = largest_up_to(p, left); a != NONE && 2 * a >= left && best < left; a = largest_up_to(p, a - 1)) {
        int64_t c = largest_up_to(p, left - a);
        if (c == a && p->slots[p->head[a]].next == NONE)
            c = largest_up_to(p, a - 1);
        int64_t sum = c == NONE ? a : a + c;
        if (sum > best) {
            best = sum;
            best_a = a;
            *b = c;
        }
    }
    if (best_a == NONE) {
        best_a = largest_up_to(p, left);
        *b = NONE;
    }
    return best_a;
}

/* Rows in input order while a largest one would still fit after them. */
static enum vnp_status fill_in_order(struct vnp_packer *p, struct filling *f, struct vnp_err *err)
{
    int64_t reserve = largest_up_to(p, p->opt.budget);
    enum vnp_status st = VNP_OK;
    while (st == VNP_OK && !f->closed && p->oldest < p->next) {
        int64_t cost = p->slots[p->oldest % (uint64_t)p->opt.lookahead].row.tokens;
        if (f->out->n > 0 && f->left - cost < reserve)
            break;
        st = take(p, f, cost, err);
    }
    return st;
}

/* What is left, as exactly as two rows at a time can fill it. */
static enum vnp_status fill_exactly(struct vnp_packer *p, struct filling *f, struct vnp_err *err)
{
    enum vnp_status st = VNP_OK;
    while (st == VNP_OK && !f->closed) {
        int64_t b = NONE, a = best_pair(p, f->left, &b);
        if (a == NONE)
            break;
        st = take(p, f, a, err);
        if (st == VNP_OK && b != NONE && !f->closed)
            st = take(p, f, b, err);
    }
    return st;
}

static enum vnp_status batch_oversize(struct vnp_packer *p, struct vnp_rows *out, struct vnp_err *err)
{
    int32_t i = p->oversize;
    p->oversize = NONE;
    p->stats.oversize_rows++;
    p->stats.oversize_tokens += p->slots[i].row.tokens;
    return move_row(p, i, out, err);
}

enum vnp_status vnp_packer_batch(struct vnp_packer *p, struct vnp_rows *out, struct vnp_err *err)
{
    vnp_rows_clear(out);
    if (p->oversize != NONE)
        return batch_oversize(p, out, err);
    if (p->oldest == p->next)
        return VNP_END;
    struct filling f = {.out = out, .left = p->opt.budget};
    enum vnp_status st = fill_in_order(p, &f, err);
    if (st == VNP_OK)
        st = fill_exactly(p, &f, err);
    p->stats.batches++;
    p->stats.rows += (uint64_t)out->n;
    p->stats.tokens += (uint64_t)(p->opt.budget - f.left);
    return st;
}

const struct vnp_packer_stats *vnp_packer_stats(const struct vnp_packer *p)
{
    return &p->stats;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

enum vnp_status vnp_packer_new(struct vnp_packer **out, const struct vnp_packer_options *opt, struct vnp_err *err)
{
    struct vnp_packer *p = calloc(1, sizeof *p);
    *out = p;
    if (p == NULL)
        return vnp_error(err, VNP_OS, "out of memory for the packer");
    p->opt = *opt;
    p->oversize = NONE;
    size_t costs = (size_t)opt->budget + 1;
    p->slots = calloc((size_t)opt->lookahead, sizeof *p->slots);
    p->head = malloc(costs * sizeof *p->head);
    p->tail = malloc(costs * sizeof *p->tail);
    bool ok = p->slots != NULL && p->head != NULL && p->tail != NULL;
    size_t words = costs;
    for (int k = 0; k < LEVELS; k++) {
        words = words / 64 + 1;
        p->bits[k] = calloc(words, sizeof *p->bits[k]);
        ok = ok && p->bits[k] != NULL;
    }
    if (!ok) {
        vnp_packer_free(p);
        *out = NULL;
        return vnp_error(err, VNP_OS, "out of memory for a window of %lld rows and a budget of %lld tokens",
                         (long long)opt->lookahead, (long long)opt->budget);
    }
    for (size_t i = 0; i < costs; i++)
        p->head[i] = NONE;
    return VNP_OK;
}

void vnp_packer_free(struct vnp_packer *p)
{
    if (p == NULL)
        return;
    for (int64_t i = 0; p->slots != NULL && i < p->opt.lookahead; i++)
        free(p->slots[i].copy);
    free(p->slots);
    free(p->head);
    free(p->tail);
    for (int k = 0; k < LEVELS; k++)
        free(p->bits[k]);
    free(p);
}
