/* The files that torch.save() wrote before version 1.6, and writes still when asked to: five pickles one after the
 * other (a magic number, a protocol, the machine, the object, the names of its storages), then for each name the number
 * of elements in 8 bytes and the elements. (torch/serialization.py) */
#ifndef VNP_TORCHLEGACY_H
#define VNP_TORCHLEGACY_H

#include <stdbool.h>
#include <stdint.h>

#include "mapfile.h"
#include "pickle.h"

struct vnp_torchlegacy;

/* By the magic number. */
bool vnp_torchlegacy_is(const struct vnp_map *map);

/* Reads the pickles and finds each storage; `map` must outlive *out, which owns all that *root leads to. `file` is for
 * messages. VNP_DATA when anything does not fit. */
VNP_MUST_CHECK enum vnp_status vnp_torchlegacy_open(struct vnp_torchlegacy **out, const struct vnp_py **root,
                                                    const struct vnp_map *map, const char *file, struct vnp_err *err);

/* The bytes of the storage of that name (n_key characters). VNP_DATA when there is none. */
VNP_MUST_CHECK enum vnp_status vnp_torchlegacy_entry(const struct vnp_torchlegacy *l, const char *key, size_t n_key,
                                                     const uint8_t **p, uint64_t *n, struct vnp_err *err);

/* NULL is allowed. */
void vnp_torchlegacy_close(struct vnp_torchlegacy *l);

#endif
