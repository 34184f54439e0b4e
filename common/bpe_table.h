/* Which tokens of a byte-pair vocabulary may be neighbours, as a table that is small enough for the cache.
 *
 * Side by side, two tokens come to be from their letters at once; a merge across the boundary keeps them from it. The
 * symbol of the left one at the boundary is at first a letter, then what that becomes, at last the token; each gives
 * way to the next at some rank. So a merge with the symbol happens if, by that rank, the other symbol is there and the
 * merge has its turn. The right one has such a list of merges too; the tokens are neighbours if nothing is in both.
 *
 * Most lists are equal to many others, as few merges come between one rank and the next: 4096 tokens of DNA have 1388
 * on one side and 1461 on the other. The table has a row or a column for each. All this holds if in no token a merge
 * comes after one of higher rank, which is what training leaves. */
#ifndef VNP_BPE_TABLE_H
#define VNP_BPE_TABLE_H

#include "bpe.h"

#define VNP_BPE_NEVER UINT32_MAX /* a rank: no such merge */

struct vnp_bpe_pair {
    uint32_t key, rank; /* left << 16 | right; rank VNP_BPE_NEVER: the slot is free */
};

struct vnp_bpe_merges {
    const struct vnp_bpe_pair *slot;
    uint32_t n_slots;
    uint32_t n; /* all ranks are less */
};

/* How a token comes to be: by the merge of what. */
struct vnp_bpe_origin {
    uint32_t rank;        /* 0 for a letter */
    uint16_t left, right; /* VNP_BPE_NONE for a letter */
};

struct vnp_bpe_table {
    uint16_t *row, *column; /* [id]: as the left one of two, as the right one */
    uint64_t *apart;        /* a bit for each [row][column]: these two are never neighbours */
    uint32_t row_words;
};

/* Fills in *t. False when memory is out. The caller closes it, in any case. */
VNP_MUST_CHECK bool vnp_bpe_table_open(struct vnp_bpe_table *t, const struct vnp_bpe_merges *m,
                                       const struct vnp_bpe_origin *origin, uint32_t n_ids);
void vnp_bpe_table_close(struct vnp_bpe_table *t);

/* Whether a token may be followed by one of that column. */
static inline bool vnp_bpe_table_allows(const struct vnp_bpe_table *t, uint16_t left, uint16_t column)
{
    return (t->apart[t->row[left] * t->row_words + column / 64] >> column % 64 & 1) == 0;
}

#endif
