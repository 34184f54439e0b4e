/* How fast the GPU stage is known to be. No CUDA: for telling how long a run will take. */
#ifndef VNP_GPU_SPEED_H
#define VNP_GPU_SPEED_H

#include <stdint.h>

/* TFLOP/s of an ESM-2 of this width on one NVIDIA H200 in FP16 (BF16 runs the same kernels), batches of `budget` tokens
 * of mixed lengths, sustained: as measured for three widths, and in between by the logarithm of the width. */
double vnp_gpu_h200_tflops(int width, int64_t budget);

#endif
