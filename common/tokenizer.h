/* Letters to token ids. A sequence becomes `prefix` special tokens, the tokens of its letters, `suffix` special tokens.
 * The alphabet of ESM-2 is built in (33 ids, one byte a token; order as in fair-esm esm/constants.py); byte-pair
 * tokenizers come from a file, with two bytes a token. */
#ifndef VNP_TOKENIZER_H
#define VNP_TOKENIZER_H

#include <stdint.h>

#include "block.h"
#include "bpe_text.h" /* struct vnp_unknown */

enum { VNP_ESM2_CLS = 0, VNP_ESM2_EOS = 2, VNP_ESM2_UNK = 3, VNP_ESM2_VOCAB = 33 };

struct vnp_tokenizer;

/* The alphabet of ESM-2. The caller closes it. */
struct vnp_tokenizer *vnp_tokenizer_esm2(void);
/* "esm2", or a path: a tokenizer.json, or a directory that holds one. Fails with VNP_NOINPUT, or with VNP_DATA for a
 * file that is malformed or asks for what is not supported. The caller closes *out. */
VNP_MUST_CHECK enum vnp_status vnp_tokenizer_open(struct vnp_tokenizer **out, const char *what, struct vnp_err *err);
/* NULL is allowed. */
void vnp_tokenizer_close(struct vnp_tokenizer *t);

/* What becomes of a letter outside the alphabet: "became <unk>" or "were left out"; and of an empty sequence:
 * "<cls><eos>". Borrowed. */
const char *vnp_tokenizer_unknown(const struct vnp_tokenizer *t);
const char *vnp_tokenizer_empty(const struct vnp_tokenizer *t);

/* Fills in vocab, vocab_size, prefix, suffix and token_bytes. A file's vocabulary goes by "bpe-", its size and a
 * checksum of all that its tokens depend on: equal tokenizers have equal names, whatever file they came from. */
void vnp_tokenizer_head(const struct vnp_tokenizer *t, struct vnp_head *head);

/* How many of the n letters are residues: ESM-2 drops one '*' (the stop) at the end of a record. */
uint64_t vnp_tokenizer_residues(const struct vnp_tokenizer *t, const char *seq, uint64_t n);

/* The most tokens that n letters can become, special ones included. */
uint64_t vnp_tokenizer_bound(const struct vnp_tokenizer *t, uint64_t n);

/* Makes room to tokenize n letters at a time. False when memory is out. */
VNP_MUST_CHECK bool vnp_tokenizer_reserve(struct vnp_tokenizer *t, uint64_t n);

/* Writes the tokens of a whole sequence, special ones included, token_bytes each, little-endian; `dst` has room for
 * vnp_tokenizer_bound(t, n), and the tokenizer for n. Adds the unknown letters from letter `from` on to *unknown:
 * those before it were in a window that has been counted. Returns the number of tokens. */
uint64_t vnp_tokenize(struct vnp_tokenizer *t, const char *seq, uint64_t n, uint64_t from, void *dst,
                      struct vnp_unknown *unknown);

/* "J (10), '0' (2)": the commonest unknown letters, at most eight, the rest as "and N others". */
const char *vnp_unknown_text(const struct vnp_unknown *u, char *text, size_t cap);

#endif
