/* Letters to token ids. A sequence becomes `prefix` special tokens, the tokens of its letters, `suffix` special tokens.
 * The alphabet of ESM-2 is built in (33 ids, one byte a token; order as in fair-esm esm/constants.py). */
#ifndef VNP_TOKENIZER_H
#define VNP_TOKENIZER_H

#include <stdint.h>

#include "block.h"

enum { VNP_ESM2_CLS = 0, VNP_ESM2_PAD = 1, VNP_ESM2_EOS = 2, VNP_ESM2_UNK = 3, VNP_ESM2_VOCAB = 33 };

struct vnp_tokenizer;

/* The alphabet of ESM-2. The caller closes it. */
struct vnp_tokenizer *vnp_tokenizer_esm2(void);
/* NULL is allowed. */
void vnp_tokenizer_close(struct vnp_tokenizer *t);

/* Fills in vocab, vocab_size, prefix, suffix and token_bytes. */
void vnp_tokenizer_head(const struct vnp_tokenizer *t, struct vnp_head *head);

/* How many of the n letters are residues: ESM-2 drops one '*' (the stop) at the end of a record. */
uint64_t vnp_tokenizer_residues(const struct vnp_tokenizer *t, const char *seq, uint64_t n);

/* The most tokens that n letters can become, special ones included. */
uint64_t vnp_tokenizer_bound(const struct vnp_tokenizer *t, uint64_t n);

/* Letters that became <unk>, by letter (upper-case). */
struct vnp_unknown {
    uint64_t n, by_letter[256];
};

/* Writes the tokens of a whole sequence, special ones included, token_bytes each, little-endian; `dst` has room for
 * vnp_tokenizer_bound(t, n). Adds the unknown letters to *unknown. Returns the number of tokens. */
uint64_t vnp_tokenize(const struct vnp_tokenizer *t, const char *seq, uint64_t n, void *dst,
                      struct vnp_unknown *unknown);

/* "J (10), '0' (2)": the commonest unknown letters, at most eight, the rest as "and N others". */
const char *vnp_unknown_text(const struct vnp_unknown *u, char *text, size_t cap);

#endif
