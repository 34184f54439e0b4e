/* A short name for a model's values. */
#ifndef VNP_FINGERPRINT_H
#define VNP_FINGERPRINT_H

#include <stddef.h>

#include "model.h"

/* Writes 16 hex digits: a 64-bit hash over the architecture, the settings that change results and, of every tensor in
 * the order of its role, the shape and 64 evenly spread runs of 1024 elements (all of them when there are fewer) as
 * float32. So it is equal for equal values whatever the container and dtype; and cheap: 150 MB are read for 3B. It
 * tells models apart; it does not protect against somebody who wants two to look the same. */
void vnp_fingerprint(const struct vnp_model *m, char *text, size_t cap);

/* Of two fingerprints, in this order, as long as one. */
void vnp_fingerprint_join(char *text, size_t cap, const char *a, const char *b);

#endif
