/* Files of published models, with where they are and what they must be: what vnp-model fetch trusts. */
#ifndef VNP_KNOWN_MODELS_H
#define VNP_KNOWN_MODELS_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

struct vnp_known_file {
    char model[64];      /* what users call it: esm2_t6_8M_UR50D */
    char repository[96]; /* of the server: facebook/esm2_t6_8M_UR50D */
    char revision[64];   /* commit there, so that the file can't change */
    char file[96];
    uint64_t bytes;
    char sha256[65]; /* lower-case hex */
};

/* The list that is built in, as text: a line a file, the fields above separated by blanks; '#' begins a comment. */
extern const char vnp_known_models[];

/* Picks the files of `model` from such a text. VNP_DATA, with the line, when the text is not of that form; VNP_NOINPUT,
 * with the models that there are, when it has none. The caller frees *files. `source` is for messages. */
VNP_MUST_CHECK enum vnp_status vnp_known_find(const char *text, const char *source, const char *model,
                                              struct vnp_known_file **files, size_t *n, struct vnp_err *err);

#endif
