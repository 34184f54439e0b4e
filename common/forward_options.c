#include "forward_options.h"

#include <getopt.h>

static enum vnp_pool parse_pool(const char *text)
{
    enum vnp_pool pool;
    if (!vnp_pool_parse(text, &pool) || pool == VNP_POOL_NONE)
        vnp_die(VNP_USAGE, "--pool: mean, cls or max, not %s", text);
    return pool;
}

bool vnp_forward_option(int c, struct vnp_forward *f)
{
    switch (c) {
    case 'm': f->path = optarg; break;
    case 'o': f->output = optarg; break;
    case VNP_OPT_LAYER: f->wanted = vnp_option_int("--layer", optarg, -10000, 10000); break;
    case VNP_OPT_POOL: f->pool = parse_pool(optarg); break;
    case VNP_OPT_ALL_TOKENS: f->all_tokens = true; break;
    default: return false;
    }
    return true;
}

bool vnp_type_option(int c, enum vnp_gemm_type *type)
{
    if (c < VNP_OPT_TYPE || c > VNP_OPT_TYPE + VNP_GEMM_TF32)
        return false;
    *type = (enum vnp_gemm_type)(c - VNP_OPT_TYPE);
    return true;
}

enum vnp_gemm_type vnp_type_allowed(enum vnp_gemm_type wanted)
{
    return vnp_env_true("VIRNUCPRO_DISABLE_FP16") ? VNP_GEMM_F32 : wanted;
}

void vnp_forward_check_options(const struct vnp_forward *f, int operands)
{
    if (operands > 1)
        vnp_die(VNP_USAGE, "one FILE at most, not %d", operands);
    if (f->all_tokens && f->pool != VNP_POOL_MEAN && f->pool != VNP_POOL_MAX)
        vnp_die(VNP_USAGE, "--all-tokens goes with --pool mean or max");
}
