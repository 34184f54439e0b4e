#include "bpe.h"

#include <stdlib.h>
#include <string.h>

#include "bpe_table.h"
#include "bpe_trie.h"

#define NONE VNP_BPE_NONE
#define NEVER VNP_BPE_NEVER
#define CROSSED (UINT32_MAX - 1) /* a rank */
#define TABLE_LIMIT 8192         /* vocabularies of so many ids and merges have a table of neighbours: 8 MiB at most */

/* One merge on the way from letters to a token, with the outermost symbols of the token's text after it. */
struct step {
    uint32_t rank;
    uint16_t first, last;
};

/* The same as a neighbour sees it: when, and what the symbol that touches it becomes. Rank NEVER: the end. */
struct edge {
    uint32_t rank;
    uint16_t symbol;
};

/* A token that words can come to hold. `length` is 0 for the others: no merges lead to them, or never in that order. */
struct token {
    uint32_t length;      /* letters; its steps are one fewer */
    uint32_t steps;       /* where they begin in vnp_bpe.steps */
    uint32_t left, right; /* where its edges begin in vnp_bpe.edges: those that a neighbour on that side sees */
    uint16_t first, last; /* letters, as tokens */
};

struct vnp_bpe {
    uint32_t n_ids;
    struct token *token;
    struct vnp_bpe_origin *origin; /* of each token */
    struct vnp_bpe_link *link;
    struct step *steps; /* gone once all tokens are formed */
    struct edge *edges;
    uint64_t n_steps, cap_steps, n_edges, cap_edges;
    struct vnp_bpe_pair *pairs; /* a hash table */
    uint32_t pair_mask;
    struct vnp_bpe_trie trie;
    uint16_t letter[256]; /* the token of each byte alone */
    bool rising;          /* in no token a step has a lower rank than the one before */
    bool has_table;
    struct vnp_bpe_table table;
    uint64_t *dead; /* a bit a position: nothing that follows the tokens up to here leads to the end */
    uint64_t cap_dead;
};

static uint32_t slot_of(const struct vnp_bpe *b, uint32_t key)
{
    uint32_t i = (key * 0x9e3779b1u >> 7) & b->pair_mask;
    while (b->pairs[i].rank != NEVER && b->pairs[i].key != key)
        i = (i + 1) & b->pair_mask;
    return i;
}

static uint32_t rank_of(const struct vnp_bpe *b, uint16_t left, uint16_t right)
{
    return b->pairs[slot_of(b, (uint32_t)left << 16 | right)].rank;
}

/* What becomes of x and y side by side: each does its own merges, the lower rank first (of equals the one on the left),
 * unless the symbols that touch have a merge that comes before both. Returns CROSSED when that happens before x and y
 * are whole; else the rank of the merge of the two, NEVER when there is none. */
static uint32_t meet(const struct vnp_bpe *b, uint16_t x, uint16_t y)
{
    const struct edge *ex = b->edges + b->token[x].right, *ey = b->edges + b->token[y].left;
    uint16_t last = b->token[x].last, first = b->token[y].first;
    for (;;) {
        const uint32_t rank = rank_of(b, last, first);
        if (rank < ex->rank && rank <= ey->rank)
            return (ex->rank & ey->rank) == NEVER ? rank : CROSSED;
        if (ex->rank <= ey->rank) {
            if (ex->rank == NEVER)
                return NEVER;
            last = ex++->symbol;
        } else {
            first = ey++->symbol;
        }
    }
}

static inline bool may_follow(const struct vnp_bpe *b, uint16_t x, uint16_t y)
{
    return b->has_table ? vnp_bpe_table_allows(&b->table, x, b->link[y].column) : meet(b, x, y) == NEVER;
}

/* Room for n more elements of a growing array. */
static bool room(void *array, size_t size, uint64_t used, uint64_t *cap, uint64_t n)
{
    void *p;
    if (used + n <= *cap)
        return true;
    memcpy(&p, array, sizeof p);
    if (2 * (used + n) > UINT32_MAX || (p = realloc(p, 2 * (used + n) * size)) == NULL)
        return false;
    memcpy(array, &p, sizeof p);
    *cap = 2 * (used + n);
    return true;
}

/* How neighbours see a token, from its steps. Where their ranks rise, and that is what training leaves, only those
 * count that change the symbol in question: the ones before are out of the way by then, whatever the neighbour does. */
static bool add_edges(struct vnp_bpe *b, struct token *t)
{
    const struct step *s = b->steps + t->steps, *const end = s + (t->length - 1);
    if (!room(&b->edges, sizeof *b->edges, b->n_edges, &b->cap_edges, 2 * (uint64_t)t->length))
        return false;
    bool rising = true;
    for (const struct step *i = s; i + 1 < end; i++)
        rising &= i[0].rank <= i[1].rank;
    b->rising &= rising;
    t->left = (uint32_t)b->n_edges;
    uint16_t symbol = t->first;
    for (const struct step *i = s; i < end; symbol = i++->first)
        if (!rising || i->first != symbol)
            b->edges[b->n_edges++] = (struct edge){i->rank, i->first};
    b->edges[b->n_edges++] = (struct edge){NEVER, 0};
    t->right = (uint32_t)b->n_edges;
    symbol = t->last;
    for (const struct step *i = s; i < end; symbol = i++->last)
        if (!rising || i->last != symbol)
            b->edges[b->n_edges++] = (struct edge){i->rank, i->last};
    b->edges[b->n_edges++] = (struct edge){NEVER, 0};
    return true;
}

/* Makes a token of x and y, which meet whole and then merge: its steps are theirs in the order in which they happen. */
static bool form(struct vnp_bpe *b, const struct vnp_merge *m, uint32_t rank)
{
    const struct token x = b->token[m->left], y = b->token[m->right];
    struct token *t = &b->token[m->result];
    if (!room(&b->steps, sizeof *b->steps, b->n_steps, &b->cap_steps, (uint64_t)x.length + y.length))
        return false;
    *t = (struct token){.length = x.length + y.length, .steps = (uint32_t)b->n_steps, .first = x.first, .last = y.last};
    b->origin[m->result] = (struct vnp_bpe_origin){rank, m->left, m->right};
    const struct step *sx = b->steps + x.steps, *sy = b->steps + y.steps;
    const struct step *const end_x = sx + (x.length - 1), *const end_y = sy + (y.length - 1);
    struct step *to = b->steps + b->n_steps;
    uint16_t first = x.first, last = y.last;
    while (sx < end_x || sy < end_y) {
        const bool left = sy == end_y || (sx < end_x && sx->rank <= sy->rank);
        const struct step *s = left ? sx++ : sy++;
        first = left ? s->first : first;
        last = left ? last : s->last;
        *to++ = (struct step){s->rank, first, last};
    }
    *to = (struct step){rank, m->result, m->result};
    b->n_steps += t->length - 1;
    return add_edges(b, t);
}

struct order {
    uint32_t length, rank;
};

static int by_length(const void *a, const void *b)
{
    const struct order *x = a, *y = b;
    if (x->length != y->length)
        return x->length < y->length ? -1 : 1;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

/* Which tokens the merges really lead to, and how: the short ones first, as the long ones are made of them. */
static bool form_tokens(struct vnp_bpe *b, const struct vnp_bpe_spec *spec)
{
    struct order *order = malloc((spec->n_merges + 1) * sizeof *order);
    for (uint32_t id = 0; id < b->n_ids; id++)
        b->origin[id] = (struct vnp_bpe_origin){0, NONE, NONE};
    bool ok = order != NULL && room(&b->steps, sizeof *b->steps, 0, &b->cap_steps, 1);
    for (int c = 0; ok && c < 256; c++)
        if (spec->letter[c] != NONE) {
            struct token *t = &b->token[spec->letter[c]];
            *t = (struct token){.length = 1, .first = spec->letter[c], .last = spec->letter[c]};
            ok = add_edges(b, t);
        }
    for (uint32_t i = 0; ok && i < spec->n_merges; i++)
        order[i] = (struct order){spec->text[spec->merges[i].result].n, i};
    if (ok)
        qsort(order, spec->n_merges, sizeof *order, by_length);
    for (uint32_t i = 0; ok && i < spec->n_merges; i++) {
        const struct vnp_merge *m = &spec->merges[order[i].rank];
        if (b->token[m->left].length > 0 && b->token[m->right].length > 0 && b->token[m->result].length == 0 &&
            meet(b, m->left, m->right) == order[i].rank)
            ok = form(b, m, order[i].rank);
    }
    free(order);
    free(b->steps);
    b->steps = NULL;
    return ok;
}

static bool make_pairs(struct vnp_bpe *b, const struct vnp_bpe_spec *spec)
{
    uint32_t slots = 16;
    while (slots < 2 * (uint64_t)spec->n_merges)
        slots *= 2;
    b->pair_mask = slots - 1;
    if ((b->pairs = malloc(slots * sizeof *b->pairs)) == NULL)
        return false;
    memset(b->pairs, 0xff, slots * sizeof *b->pairs);
    for (uint32_t i = 0; i < spec->n_merges; i++) {
        const uint32_t key = (uint32_t)spec->merges[i].left << 16 | spec->merges[i].right;
        b->pairs[slot_of(b, key)] = (struct vnp_bpe_pair){key, i};
    }
    return true;
}

static bool make_table(struct vnp_bpe *b, uint32_t n_merges)
{
    b->has_table = b->rising && b->n_ids <= TABLE_LIMIT && n_merges <= TABLE_LIMIT;
    const struct vnp_bpe_merges merges = {b->pairs, b->pair_mask + 1, n_merges};
    if (b->has_table && !vnp_bpe_table_open(&b->table, &merges, b->origin, b->n_ids))
        return false;
    for (uint32_t id = 0; id < b->n_ids; id++) {
        b->link[id].length = b->token[id].length;
        b->link[id].column = b->has_table ? b->table.column[id] : 0;
    }
    return true;
}

enum vnp_status vnp_bpe_open(struct vnp_bpe **out, const struct vnp_bpe_spec *spec, struct vnp_err *err)
{
    struct vnp_bpe *b = *out = calloc(1, sizeof *b);
    enum vnp_status st = VNP_OS;
    if (b != NULL) {
        b->n_ids = spec->n_ids;
        b->token = calloc(spec->n_ids, sizeof *b->token);
        b->link = calloc(spec->n_ids, sizeof *b->link);
        b->origin = malloc(spec->n_ids * sizeof *b->origin);
        b->rising = true;
        memcpy(b->letter, spec->letter, sizeof b->letter);
    }
    if (b == NULL || b->token == NULL || b->origin == NULL || b->link == NULL || !make_pairs(b, spec) ||
        !form_tokens(b, spec) || !make_table(b, spec->n_merges))
        st = vnp_error(err, VNP_OS, "out of memory for its merges");
    else
        st = vnp_bpe_trie_open(&b->trie, spec, b->link, err);
    if (st != VNP_OK) {
        vnp_bpe_close(b);
        *out = NULL;
    }
    return st;
}

void vnp_bpe_close(struct vnp_bpe *b)
{
    if (b == NULL)
        return;
    void *const parts[] = {b->token, b->link, b->steps, b->edges, b->pairs, b->origin, b->dead};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        free(parts[i]);
    vnp_bpe_table_close(&b->table);
    vnp_bpe_trie_close(&b->trie);
    free(b);
}

bool vnp_bpe_reserve(struct vnp_bpe *b, uint64_t n)
{
    const uint64_t words = n / 64 + 1;
    if (words <= b->cap_dead)
        return true;
    uint64_t *p = realloc(b->dead, words * sizeof *p);
    if (p == NULL)
        return false;
    b->dead = p;
    b->cap_dead = words;
    return true;
}

/* Encodes a word of letters that merge. */
static uint64_t search(struct vnp_bpe *b, const char *word, uint64_t n, uint16_t *out)
{
    uint64_t k = 0, at = 0, *const dead = b->dead;
    memset(dead, 0, (n / 64 + 1) * sizeof *dead);
    uint16_t try = vnp_bpe_trie_longest(&b->trie, word, n);
    while (at < n) {
        while (try != NONE) {
            const uint64_t end = at + b->link[try].length;
            if (!(dead[end / 64] >> end % 64 & 1) && (k == 0 || may_follow(b, out[k - 1], try)))
                break;
            try = b->link[try].shorter;
        }
        if (try != NONE) {
            out[k++] = try;
            at += b->link[try].length;
            try = vnp_bpe_trie_longest(&b->trie, word + at, n - at);
        } else { /* the encoding of the word has a token across this position */
            dead[at / 64] |= (uint64_t)1 << at % 64;
            try = out[--k];
            at -= b->link[try].length;
            try = b->link[try].shorter;
        }
    }
    return k;
}

uint64_t vnp_bpe_encode(struct vnp_bpe *b, const char *word, uint64_t n, uint16_t *out)
{
    uint16_t *to = out;
    for (uint64_t i = 0; i < n;) {
        const uint64_t begin = i;
        while (i < n && b->trie.class[(unsigned char)word[i]] != VNP_BPE_ALONE)
            i++;
        to += search(b, word + begin, i - begin, to);
        for (; i < n && b->trie.class[(unsigned char)word[i]] == VNP_BPE_ALONE; i++)
            *to++ = b->letter[(unsigned char)word[i]];
    }
    return (uint64_t)(to - out);
}
