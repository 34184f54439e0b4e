/* How fast the GPU stage is known to be. No CUDA: for telling how long a run will take. */
#ifndef VNP_GPU_SPEED_H
#define VNP_GPU_SPEED_H

#include <stdint.h>

#include "model.h"

/* TFLOP/s of a model of this shape on one NVIDIA H200 in FP16 (BF16 runs the same kernels), batches of `budget` tokens
 * of mixed lengths, sustained: ESM-2 as measured for three widths, and in between by the logarithm of the width;
 * DNABERT-S as measured for its own. */
double vnp_gpu_h200_tflops(const struct vnp_model_config *c, int64_t budget);

#endif
