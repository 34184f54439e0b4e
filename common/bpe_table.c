#include "bpe_table.h"

#include <stdlib.h>
#include <string.h>

/* A merge as the symbol on one side of the boundary sees it. */
struct crossing {
    uint32_t symbol;
    uint32_t rank;  /* by which the other symbol is there, too, and the merge has its turn */
    uint32_t merge; /* its own rank */
};

/* All merges from one side. */
struct side {
    bool left;
    struct crossing *all; /* by symbol, then by rank */
    uint32_t *first;      /* [ids + 1]: where a symbol's begin */
    uint16_t *number;     /* of the list that ends with all[index - 1]; of the empty one: 0 */
};

struct work {
    const struct vnp_bpe_origin *origin;
    uint32_t n_ids;
    struct side left, right;
    uint32_t *list;    /* [merges] */
    uint64_t *columns; /* [merge][words]: a bit for each column whose list has it */
    size_t words;
};

static int by_symbol(const void *a, const void *b)
{
    const struct crossing *x = a, *y = b;
    if (x->symbol != y->symbol)
        return x->symbol < y->symbol ? -1 : 1;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static bool make_side(const struct work *w, const struct vnp_bpe_merges *m, struct side *s)
{
    uint32_t n = 0;
    s->all = malloc((m->n + 1) * sizeof *s->all);
    s->first = malloc((w->n_ids + 1) * sizeof *s->first);
    s->number = malloc((m->n + 1) * sizeof *s->number);
    if (s->all == NULL || s->first == NULL || s->number == NULL)
        return false;
    for (uint32_t i = 0; i < m->n_slots; i++) {
        const uint32_t left = m->slot[i].key >> 16, right = m->slot[i].key & 0xffff, rank = m->slot[i].rank;
        if (rank == VNP_BPE_NEVER)
            continue;
        const uint32_t there = w->origin[s->left ? right : left].rank;
        s->all[n++] = (struct crossing){s->left ? left : right, there > rank ? there : rank, rank};
    }
    qsort(s->all, n, sizeof *s->all, by_symbol);
    for (uint32_t id = 0, k = 0; id <= w->n_ids; id++) {
        while (k < n && s->all[k].symbol < id)
            k++;
        s->first[id] = k;
    }
    memset(s->number, 0xff, (m->n + 1) * sizeof *s->number);
    return true;
}

/* Fills in w->list for a token on one side; returns its length. The token's last symbols may have none; the first one
 * that has tells where its own end, and those of the symbols before follow from itself: *end is the same for tokens of
 * the same list. */
static uint32_t make_list(const struct work *w, const struct side *s, uint32_t id, uint32_t *end)
{
    uint32_t n = 0;
    *end = 0;
    for (uint64_t until = VNP_BPE_NEVER;;) {
        const struct vnp_bpe_origin *from = &w->origin[id];
        uint32_t k = s->first[id];
        for (; k < s->first[id + 1] && s->all[k].rank < until; k++)
            w->list[n++] = s->all[k].merge;
        if (*end == 0 && n > 0)
            *end = k;
        if (from->left == VNP_BPE_NONE)
            return n;
        until = (uint64_t)from->rank + !s->left; /* of equal ranks the one on the left is first */
        id = s->left ? from->right : from->left;
    }
}

static void make_columns(struct work *w, struct vnp_bpe_table *t)
{
    uint16_t columns = 0;
    for (uint32_t id = 0; id < w->n_ids; id++) {
        uint32_t end;
        const uint32_t n = make_list(w, &w->right, id, &end);
        uint16_t *const number = &w->right.number[end];
        if (*number == VNP_BPE_NONE) {
            *number = columns++;
            for (uint32_t i = 0; i < n; i++)
                w->columns[w->list[i] * w->words + *number / 64] |= (uint64_t)1 << *number % 64;
        }
        t->column[id] = *number;
    }
    t->row_words = columns / 64 + 1;
}

static void make_rows(struct work *w, struct vnp_bpe_table *t)
{
    uint16_t rows = 0;
    for (uint32_t id = 0; id < w->n_ids; id++) {
        uint32_t end;
        const uint32_t n = make_list(w, &w->left, id, &end);
        uint16_t *const number = &w->left.number[end];
        if (*number == VNP_BPE_NONE) {
            *number = rows++;
            uint64_t *const row = t->apart + (size_t)*number * t->row_words;
            for (uint32_t i = 0; i < n; i++)
                for (uint32_t k = 0; k < t->row_words; k++)
                    row[k] |= w->columns[w->list[i] * w->words + k];
        }
        t->row[id] = *number;
    }
}

bool vnp_bpe_table_open(struct vnp_bpe_table *t, const struct vnp_bpe_merges *m, const struct vnp_bpe_origin *origin,
                        uint32_t n_ids)
{
    struct work w = {.origin = origin, .n_ids = n_ids, .left.left = true, .words = n_ids / 64 + 1};
    w.list = malloc((m->n + 1) * sizeof *w.list);
    w.columns = calloc((m->n + 1) * w.words, sizeof *w.columns);
    t->row = malloc((n_ids + 1) * sizeof *t->row);
    t->column = malloc((n_ids + 1) * sizeof *t->column);
    t->apart = calloc((n_ids + 1) * w.words, sizeof *t->apart);
    const bool ok = w.list != NULL && w.columns != NULL && t->row != NULL && t->column != NULL &&
                    t->apart != NULL && make_side(&w, m, &w.left) && make_side(&w, m, &w.right);
    if (ok) {
        make_columns(&w, t);
        make_rows(&w, t);
    }
    void *const parts[] = {w.list,        w.columns,   w.left.all,    w.left.first,
                           w.left.number, w.right.all, w.right.first, w.right.number};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        free(parts[i]);
    return ok;
}

void vnp_bpe_table_close(struct vnp_bpe_table *t)
{
    free(t->row);
    free(t->column);
    free(t->apart);
    memset(t, 0, sizeof *t);
}
