/* Reads every value that the forward pass uses. */
#ifndef VNP_MODEL_VERIFY_H
#define VNP_MODEL_VERIFY_H

#include <stdint.h>

#include "model.h"

/* One tensor's outcome. */
struct vnp_verified {
    const struct vnp_tensor *tensor; /* NULL for a role that the architecture lacks */
    uint32_t crc;                    /* CRC-32 of the values as float32, little-endian */
    int64_t bad, first_bad;          /* values that are NaN or infinite; index of the first of them */
};

/* Fills in an entry for each of vnp_model_tensors(m), on all cores. Returns the CRC-32 of all their values, in order.
 */
uint32_t vnp_model_verify(const struct vnp_model *m, struct vnp_verified *results);

#endif
