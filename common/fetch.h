/* Downloads the files of a known model, resuming where an earlier attempt stopped, and believes none of them before its
 * SHA-256 has been compared. curl and sha256sum do the work. */
#ifndef VNP_FETCH_H
#define VNP_FETCH_H

#include "status.h"

struct vnp_fetch {
    const char *model; /* a name of the list */
    const char *list;  /* a file in the format of vnp_known_models; NULL: the list that is built in */
    const char *base;  /* "https://huggingface.co": files are at BASE/REPOSITORY/resolve/REVISION/FILE */
    const char *dir;   /* where to; NULL: the cache of Hugging Face, where a bare name is looked for */
};

/* Makes `dir` if need be. A file comes to have its name only when its hash is right; until then it is FILE.part, which
 * a later call continues. Files that are there already are checked, not fetched. VNP_DATA when a hash is wrong (the
 * file is kept as FILE.bad), VNP_UNAVAILABLE when the server can't be reached or lacks the file. *path: the model's
 * directory, for the caller to free. */
VNP_MUST_CHECK enum vnp_status vnp_fetch_model(const struct vnp_fetch *f, char **path, struct vnp_err *err);

#endif
