/* The numbers of the matrix products on the GPU. Apart from gemm.h, because this can be read without CUDA. */
#ifndef VNP_GEMM_TYPE_H
#define VNP_GEMM_TYPE_H

#include "block.h"

/* Element type of A, W, residual and out. Sums, bias and epilogues are FP32 in all of them. */
enum vnp_gemm_type {
    VNP_GEMM_F16,
    VNP_GEMM_BF16,
    VNP_GEMM_F32, /* FP32 storage, true FP32 multiply-add */
    VNP_GEMM_TF32 /* FP32 storage, operands rounded to nearest TF32 in the tensor cores */
};

/* The parts that vnp_gemm makes of a row for its moments, at most. */
#define VNP_MOMENTS_PARTS(width) (((width) + 159) / 160)

/* How A, W, residual and out are stored. */
static inline enum vnp_dtype vnp_gemm_storage(enum vnp_gemm_type type)
{
    return type == VNP_GEMM_F16 ? VNP_F16 : type == VNP_GEMM_BF16 ? VNP_BF16 : VNP_F32;
}

#endif
