/* ESM-2's vocabulary as vocab.txt has it: one token a line, the id is the line's number from 0. */
#ifndef VNP_ESM2_VOCAB_H
#define VNP_ESM2_VOCAB_H

#include "status.h"

#define VNP_ESM2_TOKENS 33

/* fair-esm esm/constants.py and esm/data.py; the same as vocab.txt of the published models. */
extern const char *const vnp_esm2_tokens[VNP_ESM2_TOKENS];

/* VNP_DATA, with the line, when the first 33 lines of the file are not these. */
VNP_MUST_CHECK enum vnp_status vnp_esm2_vocab_check(const char *path, struct vnp_err *err);

#endif
