/* Arrays from one element type to another, on the device. */
#ifndef VNP_CONVERT_H
#define VNP_CONVERT_H

#include <cuda_runtime_api.h>
#include <stdint.h>

#include "block.h"

#ifdef __cplusplus
extern "C" {
#endif

/* d_out[i] = d_in[i] for i < n, to nearest, ties to even; what is too large becomes Inf. Any alignment of whole
 * elements. */
void vnp_convert_device(void *d_out, enum vnp_dtype out, const void *d_in, enum vnp_dtype in, int64_t n,
                        cudaStream_t stream);

#ifdef __cplusplus
}
#endif
#endif
