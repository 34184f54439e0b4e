/* The safetensors format: 8 bytes little-endian header length, a JSON object {"name": {"dtype", "shape",
 * "data_offsets": [begin, end]}, "__metadata__": {text: text}}, then the data, which the tensors cover exactly: no
 * overlap, no hole, nothing behind. https://github.com/huggingface/safetensors */
#ifndef VNP_SAFETENSORS_H
#define VNP_SAFETENSORS_H

#include "stored.h"

/* The format's own limit. */
#define VNP_SAFETENSORS_HEADER_LIMIT 100000000u

/* Maps `path` and adds its tensors to the set (unsorted). Anything that the format does not allow is VNP_DATA. */
VNP_MUST_CHECK enum vnp_status vnp_safetensors_read(struct vnp_stored_set *s, const char *path, struct vnp_err *err);

#endif
