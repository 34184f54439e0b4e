/* Where vnp_gemm() could go wrong: edges of tiles, the Hopper kernel's tiles against each other, what is not finite,
 * parameters outside the contract; and the GELU and the rotary table by themselves. */
#include "gemm_problem.h"

/* Widths that are multiples of 8 and of nothing else that a tile would like. */
static void ragged_edges(void **state)
{
    (void)state;
    need_gpu();
    struct inputs in = make(VNP_GEMM_F16, most_rows(), 264, 1000, 264 * 1000);
    static const int64_t shapes[][2] = {{8, 8}, {8, 1000}, {24, 72}, {168, 136}, {264, 8}, {264, 1000}};
    static const int64_t gated[][2] = {{16, 8}, {48, 72}, {208, 1000}, {256, 136}};
    for (size_t i = 0; i < sizeof gated / sizeof *gated; i++) {
        const struct problem p = {VNP_GEMM_F16, VNP_GEMM_GEGLU, gated[i][0], gated[i][1], 0, i % 2};
        check(&in, &p, BY_CHOICE, 1);
        check(&in, &p, PORTABLE, 1);
    }
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const int64_t n = shapes[i][0], k = shapes[i][1];
        const struct problem problems[] = {{VNP_GEMM_F16, VNP_GEMM_BIAS_RESIDUAL, n, k, 0, 0},
                                           {VNP_GEMM_F16, VNP_GEMM_BIAS_NORMED, n, k, 0, 0},
                                           {VNP_GEMM_F16, VNP_GEMM_BIAS, n, k, 0, 1}};
        for (size_t j = 0; j < sizeof problems / sizeof *problems; j++) {
            check(&in, &problems[j], BY_CHOICE, 1);
            check(&in, &problems[j], PORTABLE, 1);
        }
    }
    drop(&in);
}

/* Every tile of the Hopper kernel, with a k of one stage, of fewer and of more than the ring has, and a part of one. */
static void tiles_agree(void **state)
{
    (void)state;
    need_gpu();
    if (!hopper())
        skip();
    struct inputs in = make(VNP_GEMM_F16, most_rows(), 1280, 1280, 960 * 1280);
    const struct problem problems[] = {
        {VNP_GEMM_F16, VNP_GEMM_BIAS_ROTARY, 960, 320, 16, 0},
        {VNP_GEMM_F16, VNP_GEMM_BIAS_ROTARY, 960, 320, 32, 1},
        {VNP_GEMM_F16, VNP_GEMM_BIAS_GELU, 1280, 320, 0, 0},
        {VNP_GEMM_F16, VNP_GEMM_BIAS_GELU, 1280, 64, 0, 0},
        {VNP_GEMM_F16, VNP_GEMM_BIAS, 640, 1280, 0, 0},
        {VNP_GEMM_F16, VNP_GEMM_BIAS, 72, 8, 0, 0},
        {VNP_GEMM_F16, VNP_GEMM_BIAS_RESIDUAL, 320, 1280, 0, 0},
        {VNP_GEMM_F16, VNP_GEMM_BIAS_RESIDUAL, 1000, 200, 0, 0},
        {VNP_GEMM_F16, VNP_GEMM_BIAS_NORMED, 320, 1280, 0, 0},
        {VNP_GEMM_F16, VNP_GEMM_BIAS_NORMED, 1000, 200, 0, 0},
        {VNP_GEMM_F16, VNP_GEMM_BIAS_GELU, 640, 1280, 0, 1},
    };
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        const struct problem *p = problems + i;
        if (p->head)
            make_table(&in, p->head);
        unsigned char *first = run(&in, p, FIRST_TILE, 0, most_rows(), NULL);
        for (enum kernel tile = FIRST_TILE + 1; tile <= LAST_TILE; tile++) {
            unsigned char *other = run(&in, p, tile, 0, most_rows(), NULL);
            assert_memory_equal(first, other, (size_t)most_rows() * row_bytes(p));
            free(other);
        }
        free(first);
        if (p->head) {
            free(in.table);
            CUDA_CHECK(cudaFree(in.d_table));
        }
    }
    drop(&in);
}

/* Every finite FP16 number through the GELU: as the sum of one product with 1. */
static void gelu_of_every_f16(void **state)
{
    (void)state;
    need_gpu();
    enum { M = 63488, N = 8, K = 8 };
    float *a = xcalloc(M * K, sizeof *a), w[N * K] = {0};
    for (int i = 0; i < M; i++)
        a[i * K] = vnp_f16_f32((uint16_t)(i < M / 2 ? i : i - M / 2 + 0x8000));
    for (int j = 0; j < N; j++)
        w[j * K] = 1;
    for (int portable = 0; portable < 2; portable++) {
        void *d_a = to_device(a, M * K, VNP_F16), *d_w = to_device(w, N * K, VNP_F16),
             *d_out = poisoned(M * N, VNP_F16);
        const struct vnp_gemm_params p = {.type = VNP_GEMM_F16,
                                          .epilogue = VNP_GEMM_BIAS_GELU,
                                          .m = M,
                                          .n = N,
                                          .k = K,
                                          .d_a = d_a,
                                          .d_w = d_w,
                                          .d_out = d_out};
        assert_int_equal(portable ? vnp_gemm_mma(&p, 0) : vnp_gemm(&p, 0), cudaSuccess);
        float *out = from_device(d_out, M * N, VNP_F16);
        for (int i = 0; i < M; i++) {
            const double exact = gelu(a[i * K]), spacing = fmax(exp2(floor(log2(fabs(exact) + 1e-300)) - 10), 0x1p-24);
            for (int j = 0; j < N; j++)
                if (!(fabs(out[i * N + j] - exact) <= 0.65 * spacing))
                    fail_msg("gelu(%g) = %.9g, exact %.9g: %.3g of the spacing", a[i * K], out[i * N + j], exact,
                             fabs(out[i * N + j] - exact) / spacing);
        }
        free(out);
        CUDA_CHECK(cudaFree(d_a));
        CUDA_CHECK(cudaFree(d_w));
        CUDA_CHECK(cudaFree(d_out));
    }
    free(a);
}

/* What is not finite stays in its row, and does not turn finite. */
static void nonfinite_rows(void **state)
{
    (void)state;
    need_gpu();
    enum { M = 200, N = 320, K = 320 };
    static const enum vnp_gemm_epilogue epilogues[] = {VNP_GEMM_BIAS, VNP_GEMM_BIAS_GELU, VNP_GEMM_BIAS_RESIDUAL,
                                                       VNP_GEMM_BIAS_NORMED, VNP_GEMM_GEGLU};
    struct inputs in = make(VNP_GEMM_F16, M, N, K, N * K);
    in.a[70 * K + 5] = NAN;
    in.a[131 * K + 319] = INFINITY;
    CUDA_CHECK(cudaFree(in.d_a));
    in.d_a = to_device(in.a, M * K, VNP_F16);
    for (size_t e = 0; e < sizeof epilogues / sizeof *epilogues; e++)
        for (enum kernel kernel = BY_CHOICE; kernel <= PORTABLE; kernel += PORTABLE) {
            const struct problem p = {VNP_GEMM_F16, epilogues[e], N, K, 0, 0};
            unsigned char *out = run(&in, &p, kernel, 0, M, NULL);
            const int64_t columns = out_columns(&p);
            for (int64_t i = 0; i < M * columns; i++)
                if (!isfinite(element(out, VNP_F16, i)) != (i / columns == 70 || i / columns == 131))
                    fail_msg("epilogue %d: row %d column %d is %g", (int)epilogues[e], (int)(i / columns),
                             (int)(i % columns), element(out, VNP_F16, i));
            free(out);
        }
    drop(&in);
}

static void bad_parameters_are_refused(void **state)
{
    (void)state;
    need_gpu();
    void *d = poisoned(1 << 16, VNP_F16);
    const struct vnp_gemm_params good = {.type = VNP_GEMM_F16,
                                         .epilogue = VNP_GEMM_BIAS,
                                         .m = 8,
                                         .n = 48,
                                         .k = 16,
                                         .d_a = d,
                                         .d_w = d,
                                         .d_out = d,
                                         .head_dim = 16};
    struct vnp_gemm_params bad[15], normed = good;
    normed.epilogue = VNP_GEMM_BIAS_NORMED;
    normed.d_residual = normed.d_bias = normed.d_row_scale = normed.d_row_shift = normed.d_gain = d;
    for (size_t i = 0; i < 15; i++)
        bad[i] = i < 11 ? good : normed;
    bad[0].m = 0;
    bad[1].n = 20;
    bad[2].k = 12;
    bad[3].d_a = NULL;
    bad[4].d_w = (const char *)d + 2;
    bad[5].epilogue = VNP_GEMM_BIAS_RESIDUAL;
    bad[6].epilogue = VNP_GEMM_BIAS_ROTARY;
    bad[7].m = (int64_t)1 << 31;
    bad[8].epilogue = VNP_GEMM_GEGLU;
    bad[8].n = 24;
    bad[9].d_moments = d; /* without a residual */
    bad[10].epilogue = VNP_GEMM_BIAS_RESIDUAL;
    bad[10].d_residual = bad[10].d_row_scale = d;
    bad[11].d_bias = NULL;
    bad[12].d_row_scale = NULL;
    bad[13].d_row_shift = NULL;
    bad[14].d_gain = NULL;
    for (size_t i = 0; i < 15; i++)
        assert_int_equal(vnp_gemm(bad + i, 0), cudaErrorInvalidValue);
    CUDA_CHECK(cudaDeviceSynchronize());
    CUDA_CHECK(cudaFree(d));
}

static void table_is_exact(void **state)
{
    (void)state;
    need_gpu();
    enum { DIM = 24, ROWS = 2000 };
    float *d_table = poisoned(ROWS * DIM, VNP_F32);
    assert_int_equal(vnp_rotary_table(d_table, ROWS, DIM, 0), cudaSuccess);
    float *table = from_device(d_table, ROWS * DIM, VNP_F32);
    for (int p = 0; p < ROWS; p++)
        for (int i = 0; i < DIM / 2; i++) {
            const double angle = (float)p * (float)pow(10000, -2.0 * i / DIM);
            const float exact[2] = {(float)cos((float)angle), (float)sin((float)angle)};
            for (int j = 0; j < 2; j++)
                if (!(fabsf(table[(p * DIM / 2 + i) * 2 + j] - exact[j]) <= 0x1p-23f))
                    fail_msg("position %d pair %d: %.9g, exact %.9g", p, i, table[(p * DIM / 2 + i) * 2 + j], exact[j]);
        }
    free(table);
    CUDA_CHECK(cudaFree(d_table));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ragged_edges),
        cmocka_unit_test(tiles_agree),
        cmocka_unit_test(gelu_of_every_f16),
        cmocka_unit_test(nonfinite_rows),
        cmocka_unit_test(bad_parameters_are_refused),
        cmocka_unit_test(table_is_exact),
    };
    return cmocka_run_group_tests_name("gemm-edges-gpu", tests, NULL, NULL);
}
