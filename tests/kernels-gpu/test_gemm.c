/* vnp_gemm() and each kernel behind it on the products of a layer, in every kind of numbers. */
#include "gemm_problem.h"

/* The products of a layer of this width, each with its epilogue. */
static void check_layer(struct inputs *in, int64_t width, int head, enum kernel kernel, int fused)
{
    const struct problem problems[] = {
        {in->type, VNP_GEMM_BIAS_ROTARY, 3 * width, width, head, 1},
        {in->type, VNP_GEMM_BIAS_ROTARY, 3 * width, width, head, 0},
        {in->type, VNP_GEMM_BIAS_RESIDUAL, width, width, 0, 0},
        {in->type, VNP_GEMM_BIAS_GELU, 4 * width, width, 0, 1},
        {in->type, VNP_GEMM_BIAS_GELU, 4 * width, width, 0, 0},
        {in->type, VNP_GEMM_BIAS_RESIDUAL, width, 4 * width, 0, 0},
        {in->type, VNP_GEMM_BIAS, width, 4 * width, 0, 0},
        {in->type, VNP_GEMM_GEGLU, 2 * width, width, 0, 0},
        {in->type, VNP_GEMM_GEGLU, 2 * width, width, 0, 1},
        {in->type, VNP_GEMM_BIAS_NORMED, width, width, 0, 0},
        {in->type, VNP_GEMM_BIAS_NORMED, width, 4 * width, 0, 0},
    };
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
        if (fused || problems[i].epilogue != VNP_GEMM_BIAS_ROTARY || kernel == BY_CHOICE)
            check(in, problems + i, kernel, fused);
}

static void half_layers(enum vnp_gemm_type type)
{
    need_gpu();
    struct inputs in = make(type, most_rows(), 2560, 2560, 640 * 2560);
    check_layer(&in, 320, 16, BY_CHOICE, 1);
    check_layer(&in, 480, 24, BY_CHOICE, 0);
    check_layer(&in, 640, 32, BY_CHOICE, 1);
    check_layer(&in, 128, 64, BY_CHOICE, 1);
    check_layer(&in, 256, 128, BY_CHOICE, hopper());
    check_layer(&in, 320, 16, PORTABLE, 1);
    check_layer(&in, 320, 32, PORTABLE, 1);
    check_layer(&in, 192, 64, PORTABLE, 1);
    drop(&in);
}

static void f16_layers(void **state)
{
    (void)state;
    half_layers(VNP_GEMM_F16);
}

static void bf16_layers(void **state)
{
    (void)state;
    half_layers(VNP_GEMM_BF16);
}

static void f32_layers(void **state)
{
    (void)state;
    need_gpu();
    struct inputs in = make(VNP_GEMM_F32, most_rows(), 1920, 1920, 480 * 1920);
    check_layer(&in, 320, 16, BY_CHOICE, 1);
    check_layer(&in, 480, 24, BY_CHOICE, 1);
    drop(&in);
}

static void tf32_layers(void **state)
{
    (void)state;
    need_gpu();
    struct inputs in = make(VNP_GEMM_TF32, most_rows(), 1920, 1920, 480 * 1920);
    check_layer(&in, 320, 16, BY_CHOICE, 1);
    check_layer(&in, 480, 24, BY_CHOICE, 1);
    drop(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f16_layers),
        cmocka_unit_test(bf16_layers),
        cmocka_unit_test(f32_layers),
        cmocka_unit_test(tf32_layers),
    };
    return cmocka_run_group_tests_name("gemm-gpu", tests, NULL, NULL);
}
