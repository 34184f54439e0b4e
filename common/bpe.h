/* Byte-pair encoding of one word, as the `tokenizers` library defines it: begin with the letters; as long as any two
 * neighbours have a merge, do the one of lowest rank, of equals the leftmost.
 *
 * Nothing is merged here to encode. A boundary that no merge ever crosses parts a word into two that are encoded each
 * on its own; so a sequence of tokens is the encoding of its text if, and only if, each two neighbours are the encoding
 * of theirs (suppose not, and look at the first merge that crosses a boundary: the two tokens beside it would have done
 * the same alone). That leaves a search from left to right, longest token first, each beside one it may follow; as the
 * encoding of every prefix is unique, no position is tried twice, and time grows as the letters. */
#ifndef VNP_BPE_H
#define VNP_BPE_H

#include <stdbool.h>
#include <stdint.h>

#include "block.h"
#include "status.h"

#define VNP_BPE_NONE 0xffff /* no token; ids are less */

struct vnp_merge {
    uint16_t left, right, result; /* token ids; result's text is left's and right's */
};

struct vnp_bpe_spec {
    const struct vnp_merge *merges; /* the index is the rank; of two merges of one pair the last one counts */
    uint32_t n_merges;
    const struct vnp_str *text; /* of each id; no two are equal; empty where there is no such id */
    uint32_t n_ids;             /* at most VNP_BPE_NONE */
    const uint16_t *letter;     /* [256]: the token that each byte of a word is at first, or VNP_BPE_NONE */
};

struct vnp_bpe;

/* Prepares the tables; *spec may go afterwards. Fails with VNP_DATA when they would be too large, VNP_OS when there is
 * no memory. The caller closes *out. */
VNP_MUST_CHECK enum vnp_status vnp_bpe_open(struct vnp_bpe **out, const struct vnp_bpe_spec *spec, struct vnp_err *err);
/* NULL is allowed. */
void vnp_bpe_close(struct vnp_bpe *b);

/* Makes room for words of up to n letters. False when memory is out. */
VNP_MUST_CHECK bool vnp_bpe_reserve(struct vnp_bpe *b, uint64_t n);

/* Encodes a word of n letters, all of which have a token and for which there is room; `out` holds n ids. Returns their
 * number. */
uint64_t vnp_bpe_encode(struct vnp_bpe *b, const char *word, uint64_t n, uint16_t *out);

#endif
