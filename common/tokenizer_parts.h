/* The parts of a tokenizer.json around its model, each read from the file's root into *t; for tokenizer_json.c alone.
 * All return VNP_OK, VNP_DATA with what is wrong or not supported, or VNP_OS. */
#ifndef VNP_TOKENIZER_PARTS_H
#define VNP_TOKENIZER_PARTS_H

#include "json_get.h"
#include "tokenizer_json.h"

/* After the vocabulary: tokens may be new to it, and then t->text grows (it has room for every id). */
VNP_MUST_CHECK enum vnp_status vnp_tokenizer_read_added_tokens(struct vnp_tokenizer_json *t, const json_t *root,
                                                               struct vnp_err *err);
VNP_MUST_CHECK enum vnp_status vnp_tokenizer_read_normalizer(struct vnp_tokenizer_json *t, const json_t *root,
                                                             struct vnp_err *err);
VNP_MUST_CHECK enum vnp_status vnp_tokenizer_read_pre_tokenizer(struct vnp_tokenizer_json *t, const json_t *root,
                                                                struct vnp_err *err);
/* After the added tokens: checks that its ids are there. */
VNP_MUST_CHECK enum vnp_status vnp_tokenizer_read_post_processor(struct vnp_tokenizer_json *t, const json_t *root,
                                                                 struct vnp_err *err);

#endif
