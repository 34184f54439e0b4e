/* The zip archives that torch.save() writes since version 1.6: entries NAME/data.pkl, NAME/data/0, NAME/data/1, ...,
 * all stored without compression, so that they can be used where they lie. Zip64 is read. (PKWARE APPNOTE.TXT) */
#ifndef VNP_TORCHZIP_H
#define VNP_TORCHZIP_H

#include <stddef.h>
#include <stdint.h>

#include "mapfile.h"
#include "status.h"

struct vnp_torchzip;

/* Reads the directory of the archive in `map`, which must outlive it; `file` is for messages. */
VNP_MUST_CHECK enum vnp_status vnp_torchzip_open(struct vnp_torchzip **out, const struct vnp_map *map, const char *file,
                                                 struct vnp_err *err);

/* The bytes of entry NAME/`part` (n_part characters), where NAME is that of the archive's data.pkl. VNP_DATA when there
 * is none, or when it is compressed, encrypted or not within the file. */
VNP_MUST_CHECK enum vnp_status vnp_torchzip_entry(const struct vnp_torchzip *z, const char *part, size_t n_part,
                                                  const uint8_t **p, uint64_t *n, struct vnp_err *err);

/* Whether there is such an entry. */
int vnp_torchzip_has(const struct vnp_torchzip *z, const char *part);

/* NULL is allowed. */
void vnp_torchzip_close(struct vnp_torchzip *z);

#endif
