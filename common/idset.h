/* Ids seen so far, to notice one that comes twice: 16 bytes an id in a table that is a third to two thirds full, and
 * when it holds as many as it may, sorted at the end, in files where they are many (sorter.h). Ids are known by 88 bits
 * of hash: among 100 million different ones the chance that any two are taken for one is 2e-11. */
#ifndef VNP_IDSET_H
#define VNP_IDSET_H

#include "block.h"

struct vnp_idset;

#define VNP_IDSET_MOST ((size_t)11000000) /* ids in a table of 256 MiB, and 384 while it grows to that */

/* `most`: ids in the table. */
struct vnp_idset *vnp_idset_new(size_t most);
/* NULL is allowed. */
void vnp_idset_free(struct vnp_idset *s);

/* Adds the id under `number` < 2^40 - 1: VNP_OK; VNP_DATA when it is in the table already, with the number it has in
 * *earlier and *err untouched; VNP_OS when there is no memory; what vnp_sorter_add() fails with. */
VNP_MUST_CHECK enum vnp_status vnp_idset_add(struct vnp_idset *s, struct vnp_str id, uint64_t number, uint64_t *earlier,
                                             struct vnp_err *err);

/* Behind the last id: whether one of those that were not in the table came twice. VNP_OK when none did; VNP_DATA with
 * its two numbers and *err untouched; what vnp_sorter_next() fails with. */
VNP_MUST_CHECK enum vnp_status vnp_idset_check(struct vnp_idset *s, uint64_t *earlier, uint64_t *number,
                                               struct vnp_err *err);

#endif
