/* Options that stages which run a model have in common, with vnp-plan, which tells what they will take. */
#ifndef VNP_FORWARD_OPTIONS_H
#define VNP_FORWARD_OPTIONS_H

#include <stdbool.h>

#include "forward.h"
#include "gemm_type.h"
#include "stage.h"

enum { VNP_OPT_LAYER = 0x1800, VNP_OPT_POOL, VNP_OPT_ALL_TOKENS, VNP_OPT_TYPE /* and an enum vnp_gemm_type */ };

/* For a stage's table, whose short options begin with "m:". */
#define VNP_MODEL_OPTIONS {"model", required_argument, NULL, 'm'}, {"layer", required_argument, NULL, VNP_OPT_LAYER}
#define VNP_FORWARD_OPTIONS                                                                                           \
    VNP_MODEL_OPTIONS, {"pool", required_argument, NULL, VNP_OPT_POOL},                                               \
        {"all-tokens", no_argument, NULL, VNP_OPT_ALL_TOKENS}
#define VNP_TYPE_OPTIONS                                                                                              \
    {"fp16", no_argument, NULL, VNP_OPT_TYPE + VNP_GEMM_F16},                                                         \
        {"bf16", no_argument, NULL, VNP_OPT_TYPE + VNP_GEMM_BF16},                                                    \
        {"fp32", no_argument, NULL, VNP_OPT_TYPE + VNP_GEMM_F32},                                                     \
        {"tf32", no_argument, NULL, VNP_OPT_TYPE + VNP_GEMM_TF32}

/* What is wanted when no option says otherwise. */
#define VNP_FORWARD_DEFAULT {.wanted = VNP_LAYER_LAST, .pool = VNP_POOL_NONE}

/* Takes those of VNP_FORWARD_OPTIONS, and -o. False for any other. */
bool vnp_forward_option(int c, struct vnp_forward *f);

/* Takes those of VNP_TYPE_OPTIONS. False for any other. */
bool vnp_type_option(int c, enum vnp_gemm_type *type);

/* The numbers to compute in: those that are wanted or, where the environment has VIRNUCPRO_DISABLE_FP16, FP32. */
enum vnp_gemm_type vnp_type_allowed(enum vnp_gemm_type wanted);

/* What can only be said when all options are read: one operand at most, and options that go together; or exit 2. */
void vnp_forward_check_options(const struct vnp_forward *f, int operands);

#endif
