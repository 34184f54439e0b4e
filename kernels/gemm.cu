/* vnp_gemm: checks the contract, then chooses by device and type. The choice never depends on m. */
#include <stdint.h>
#include <stdio.h>

#include "gemm_impl.h"
#include "layernorm.h"
#include "rotary.h"
#include "target.h"

namespace
{

bool aligned(const void *p)
{
    return p != nullptr && (uintptr_t)p % 16 == 0;
}

bool hopper(const vnp_gemm_params *p)
{
    return vnp_target() == 90 && (p->type == VNP_GEMM_F16 || p->type == VNP_GEMM_BF16);
}

bool valid(const vnp_gemm_params *p)
{
    const int64_t most = INT32_MAX - 1024; /* rows and columns are 32-bit coordinates on the device */
    if (p->m < 1 || p->n < 8 || p->k < 8 || p->m > most || p->n > most || p->k > most || p->n % 8 || p->k % 8)
        return false;
    if (!aligned(p->d_a) || !aligned(p->d_w) || !aligned(p->d_out) || (p->d_bias != nullptr && !aligned(p->d_bias)))
        return false;
    const bool residual = p->epilogue == VNP_GEMM_BIAS_RESIDUAL, normed = p->epilogue == VNP_GEMM_BIAS_NORMED;
    if (p->d_moments != nullptr && !residual && !normed)
        return false;
    if (p->d_row_scale != nullptr && residual)
        return false;
    switch (p->epilogue) {
    case VNP_GEMM_BIAS:
    case VNP_GEMM_BIAS_GELU:
        return true;
    case VNP_GEMM_BIAS_RESIDUAL:
        return aligned(p->d_residual);
    case VNP_GEMM_BIAS_NORMED:
        return aligned(p->d_residual) && aligned(p->d_gain) && p->d_bias != nullptr && p->d_row_scale != nullptr &&
               p->d_row_shift != nullptr;
    case VNP_GEMM_GEGLU:
        return p->n % 16 == 0;
    case VNP_GEMM_BIAS_ROTARY:
        return p->head_dim >= 2 && p->head_dim % 2 == 0 && p->n % 3 == 0 && p->n / 3 % p->head_dim == 0 &&
               p->d_pos != nullptr && aligned(p->d_rotary);
    }
    return false;
}

int launch(const vnp_gemm_params *p, cudaStream_t stream)
{
    if (hopper(p))
        return vnp_gemm_sm90(p, vnp_gemm_sm90_tile(p), stream);
    const int status = p->type == VNP_GEMM_F32 ? vnp_gemm_fp32(p, stream) : vnp_gemm_mma(p, stream);
    if (status == cudaSuccess && p->d_moments != nullptr)
        vnp_row_moments(p->d_out, vnp_gemm_storage(p->type), p->m, static_cast<int>(p->n), p->d_moments, stream);
    return status;
}

/* Is the rotation part of the kernel that would run? */
bool fused(const vnp_gemm_params *p)
{
    if (p->epilogue != VNP_GEMM_BIAS_ROTARY)
        return true;
    if (hopper(p))
        return vnp_gemm_sm90_tile(p) != VNP_SM90_NONE;
    return p->type != VNP_GEMM_F32 && vnp_gemm_mma_rotates(p->head_dim);
}

} // namespace

int vnp_gemm(const struct vnp_gemm_params *params, cudaStream_t stream)
{
    if (!valid(params))
        return cudaErrorInvalidValue;
    if (fused(params))
        return launch(params, stream);
    vnp_gemm_params plain = *params;
    plain.epilogue = VNP_GEMM_BIAS;
    const int status = launch(&plain, stream);
    if (status != cudaSuccess)
        return status;
    return vnp_rotary(params->d_out, params->type, params->m, params->n / 3, params->head_dim, params->q_scale,
                      params->d_pos, params->d_rotary, stream);
}

int32_t vnp_gemm_moments_columns(const struct vnp_gemm_params *params)
{
    return hopper(params) ? vnp_gemm_sm90_columns(vnp_gemm_sm90_tile(params)) : static_cast<int32_t>(params->n);
}

const char *vnp_gemm_kernel_name(const struct vnp_gemm_params *params)
{
    static const char *const sm90[2][5] = {{"", "sm90 wgmma 256x256 f16", "sm90 wgmma 256x160 f16",
                                            "sm90 wgmma 256x192 f16 in turn", "sm90 wgmma 256x160 f16 in turn"},
                                           {"", "sm90 wgmma 256x256 bf16", "sm90 wgmma 256x160 bf16",
                                            "sm90 wgmma 256x192 bf16 in turn", "sm90 wgmma 256x160 bf16 in turn"}};
    if (hopper(params)) {
        vnp_gemm_params plain = *params;
        if (!fused(params))
            plain.epilogue = VNP_GEMM_BIAS;
        return sm90[params->type == VNP_GEMM_BF16][vnp_gemm_sm90_tile(&plain)];
    }
    switch (params->type) {
    case VNP_GEMM_F16:
        return "mma.sync 128x128 f16";
    case VNP_GEMM_BF16:
        return "mma.sync 128x128 bf16";
    case VNP_GEMM_TF32:
        return "mma.sync 128x128 tf32";
    case VNP_GEMM_F32:
        break;
    }
    return "multiply-add 128x128 f32";
}
