/* The tensors that one or more files hold, by name, as they lie there: what safetensors.c and torchfile.c produce and
 * model.c chooses from. Sizes have been checked against the files; what a tensor is for has not. */
#ifndef VNP_STORED_H
#define VNP_STORED_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mapfile.h"
#include "status.h"

#define VNP_MAX_DIMS 8

struct vnp_stored {
    const char *name; /* owned by the set */
    const char *file; /* path, owned by the set */
    char dtype[16];   /* F32, F16, BF16, or another that only the file knows: I64, BOOL, ... */
    bool contiguous;  /* row-major without gaps; else `data` is only where its first element is */
    int ndim;
    int64_t shape[VNP_MAX_DIMS];
    const uint8_t *data; /* in one of the set's maps; may be unaligned */
    uint64_t bytes;
};

struct vnp_stored_set {
    struct vnp_stored *v; /* sorted by name once vnp_stored_sort() has run */
    size_t n, cap;
    struct vnp_map *maps;
    char **paths;
    size_t n_maps;
    json_t *metadata; /* a safetensors file's own notes: an object, or NULL */
    /* The modules of a torch file that holds a whole one, or NULL: path in front of its tensors' names ("", "bn1.") to
     * {"class": "torch.nn.modules.batchnorm.BatchNorm1d", "eps": 1e-05, ...}. */
    json_t *modules;
};

/* Maps a file and keeps it and a copy of its path until the set is freed. */
VNP_MUST_CHECK enum vnp_status vnp_stored_map(struct vnp_stored_set *s, const char *path, struct vnp_map *map,
                                              const char **kept_path, struct vnp_err *err);

/* Appends a copy of *t (its name is copied too; `file` is borrowed from vnp_stored_map()). */
void vnp_stored_add(struct vnp_stored_set *s, const struct vnp_stored *t);

/* Sorts; VNP_DATA when a name comes twice. */
VNP_MUST_CHECK enum vnp_status vnp_stored_sort(struct vnp_stored_set *s, struct vnp_err *err);

/* NULL when there is none of that name. Needs a sorted set. */
const struct vnp_stored *vnp_stored_find(const struct vnp_stored_set *s, const char *name);

/* Bytes of one element for "F32", "F16", "BF16", "I64" and the other names that safetensors has; 0 for a name unknown.
 */
unsigned vnp_stored_dtype_bytes(const char *dtype);

/* Product of the shape and `element` bytes; false when it does not fit 63 bits or a dimension is negative. */
bool vnp_stored_bytes(const int64_t *shape, int ndim, unsigned element, uint64_t *bytes);

/* "[33, 320]" into buf. */
const char *vnp_shape_text(char *buf, size_t cap, const int64_t *shape, int ndim);

/* Unmaps everything. */
void vnp_stored_free(struct vnp_stored_set *s);

#endif
