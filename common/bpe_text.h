/* A whole sequence through a byte-pair tokenizer, from its letters to its ids: case, tokens that stand in the text as
 * they are, words, letters that are in no vocabulary, and the special tokens around. The rules: man/vnp-fasta2tok.1. */
#ifndef VNP_BPE_TEXT_H
#define VNP_BPE_TEXT_H

#include "tokenizer_json.h"

/* Letters outside the vocabulary, by letter (upper-case). */
struct vnp_unknown {
    uint64_t n, by_letter[256];
};

struct vnp_bpe_text;

/* Reads a tokenizer.json. Fails as vnp_tokenizer_json_load() and vnp_bpe_open() do. The caller closes *out. */
VNP_MUST_CHECK enum vnp_status vnp_bpe_text_open(struct vnp_bpe_text **out, const char *path, struct vnp_err *err);
/* NULL is allowed. */
void vnp_bpe_text_close(struct vnp_bpe_text *t);

/* What the file said. Borrowed. */
const struct vnp_tokenizer_json *vnp_bpe_text_file(const struct vnp_bpe_text *t);

/* Makes room for sequences of up to n letters. False when memory is out. */
VNP_MUST_CHECK bool vnp_bpe_text_reserve(struct vnp_bpe_text *t, uint64_t n);

/* Encodes n letters, for which there is room; `out` holds n ids and the special ones. Adds the unknown letters
 * from letter `from` on to *unknown. Returns the number of ids. */
uint64_t vnp_bpe_text_encode(struct vnp_bpe_text *t, const char *seq, uint64_t n, uint64_t from, uint16_t *out,
                             struct vnp_unknown *unknown);

#endif
