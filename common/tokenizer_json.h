/* tokenizer.json, as Hugging Face `tokenizers` writes it, for byte-pair encoding: read, checked, and laid out in plain
 * tables. What the file asks for and this program does not do is refused by name, never passed over. */
#ifndef VNP_TOKENIZER_JSON_H
#define VNP_TOKENIZER_JSON_H

#include "bpe.h"

#define VNP_SPECIAL_MAX 16 /* tokens before or after a sequence: as in a stream's head */

/* A token that is looked for in the text as it stands, before anything else. */
struct vnp_added {
    struct vnp_str text;
    uint16_t id;
    bool normalized; /* in the text as the normalizer leaves it */
};

struct vnp_tokenizer_json {
    uint32_t n_ids;       /* one more than the largest id */
    struct vnp_str *text; /* of each id; empty where there is none */
    uint16_t *by_text;    /* the ids of the model's vocabulary, sorted by text */
    uint32_t n_by_text;
    struct vnp_merge *merges;
    uint32_t n_merges;
    struct vnp_added *added;
    uint32_t n_added;
    uint16_t unk; /* VNP_BPE_NONE: letters outside the vocabulary are left out */
    bool fuse_unk, ignore_merges;
    bool lowercase;   /* the normalizer */
    bool word_runs;   /* the pre-tokenizer parts \w from the rest (Whitespace) */
    bool punctuation; /* and each punctuation mark from all else (BertPreTokenizer) */
    uint16_t prefix[VNP_SPECIAL_MAX], suffix[VNP_SPECIAL_MAX];
    int n_prefix, n_suffix;
    uint32_t crc; /* CRC-32 of all of the above: tells tokenizers apart by content */
    void *json;   /* what the texts are borrowed from */
};

/* Fails with VNP_NOINPUT, or VNP_DATA for a file that is malformed or asks for something else, the path in front.
 * vnp_tokenizer_json_free() takes what was made, zeroed on failure. */
VNP_MUST_CHECK enum vnp_status vnp_tokenizer_json_load(struct vnp_tokenizer_json *t, const char *path,
                                                       struct vnp_err *err);
void vnp_tokenizer_json_free(struct vnp_tokenizer_json *t);

/* The id of a text in the model's vocabulary, or VNP_BPE_NONE. */
uint16_t vnp_tokenizer_json_find(const struct vnp_tokenizer_json *t, const char *text, size_t n);

#endif
