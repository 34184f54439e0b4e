/* Ids seen so far, to notice one that comes twice: 16 bytes an id in a table that is a third to two thirds full. Ids
 * are known by 88 bits of hash: among 100 million different ones the chance that any two are taken for one is 2e-11. */
#ifndef VNP_IDSET_H
#define VNP_IDSET_H

#include "block.h"

struct vnp_idset;

struct vnp_idset *vnp_idset_new(void);
/* NULL is allowed. */
void vnp_idset_free(struct vnp_idset *s);

/* Adds the id under `number` < 2^40 - 1: VNP_OK; VNP_DATA when it is there already, with the number it has in *earlier
 * and *err untouched; VNP_OS when there is no memory. */
VNP_MUST_CHECK enum vnp_status vnp_idset_add(struct vnp_idset *s, struct vnp_str id, uint64_t number, uint64_t *earlier,
                                             struct vnp_err *err);

#endif
