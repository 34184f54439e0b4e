/* vnp_gemm() and each kernel behind it against sums in double over the same rounded inputs; then, bit for bit, against
 * itself under other row counts, positions and tile widths. */
#include <stdio.h>

#include "gemm.h"
#include "gemm_impl.h"
#include "gpu.h"
#include "rotary.h"

enum { MOST_ROWS = 8191, POSITIONS = 128, GUARD = 4096 };

enum kernel { BY_CHOICE, TILE_256, TILE_160, PORTABLE };

struct problem {
    enum vnp_gemm_type type;
    enum vnp_gemm_epilogue epilogue;
    int64_t n, k;
    int head;
    int residual_f32;
};

/* Random inputs of one type, made once and used by every shape: the first n * k of w, and so on. */
struct inputs {
    enum vnp_gemm_type type;
    float *a, *w, *bias, *residual, *table; /* residual: in the type of out */
    void *d_a, *d_w, *d_residual;
    float *d_bias, *d_residual_f32, *d_table;
    int32_t *pos, *d_pos;
};

static enum vnp_dtype storage(enum vnp_gemm_type type)
{
    return type == VNP_GEMM_F16 ? VNP_F16 : type == VNP_GEMM_BF16 ? VNP_BF16 : VNP_F32;
}

static float *numbers(int64_t n, float scale, enum vnp_dtype dtype, uint64_t seed)
{
    float *v = xreallocarray(NULL, (size_t)n, sizeof *v);
    for (int64_t i = 0; i < n; i++)
        v[i] = rounded(normal(&seed) * scale, dtype);
    return v;
}

static struct inputs make(enum vnp_gemm_type type, int64_t rows, int64_t most_n, int64_t most_k, int64_t most_nk)
{
    struct inputs in = {.type = type};
    const enum vnp_dtype dtype = storage(type);
    /* TF32 has bfloat16's numbers among its own: rounding the operands then costs nothing, and the bound stays sharp.
     */
    const enum vnp_dtype operand = type == VNP_GEMM_TF32 ? VNP_BF16 : dtype;
    in.a = numbers(rows * most_k, 1, operand, 1);
    in.w = numbers(most_nk, 0.05f, operand, 2);
    in.bias = numbers(most_n, 0.5f, VNP_F32, 3);
    in.residual = numbers(rows * most_n, 2, dtype, 4);
    in.pos = xreallocarray(NULL, (size_t)rows, 4);
    uint64_t seed = 5;
    for (int64_t i = 0; i < rows; i++)
        in.pos[i] = (int32_t)(uniform(&seed) * POSITIONS);
    in.d_a = to_device(in.a, rows * most_k, dtype);
    in.d_w = to_device(in.w, most_nk, dtype);
    in.d_bias = to_device(in.bias, most_n, VNP_F32);
    in.d_residual = to_device(in.residual, rows * most_n, dtype);
    in.d_residual_f32 = to_device(in.residual, rows * most_n, VNP_F32);
    in.d_pos = bytes_to_device(in.pos, (size_t)rows * 4);
    return in;
}

static void drop(struct inputs *in)
{
    void *host[] = {in->a, in->w, in->bias, in->residual, in->pos};
    void *device[] = {in->d_a, in->d_w, in->d_bias, in->d_residual, in->d_residual_f32, in->d_pos};
    for (size_t i = 0; i < sizeof host / sizeof *host; i++)
        free(host[i]);
    for (size_t i = 0; i < sizeof device / sizeof *device; i++)
        CUDA_CHECK(cudaFree(device[i]));
}

/* The table for heads of `dim`, on both sides; the caller frees both. */
static void make_table(struct inputs *in, int dim)
{
    const int half = dim / 2;
    in->table = xreallocarray(NULL, (size_t)POSITIONS * (size_t)half * 2, sizeof(float));
    for (int p = 0; p < POSITIONS; p++)
        for (int i = 0; i < half; i++) {
            const double angle = p * pow(10000, -2.0 * i / dim);
            in->table[(p * half + i) * 2] = (float)cos(angle);
            in->table[(p * half + i) * 2 + 1] = (float)sin(angle);
        }
    in->d_table = to_device(in->table, (int64_t)POSITIONS * half * 2, VNP_F32);
}

static enum vnp_dtype out_type(const struct problem *p)
{
    return p->epilogue == VNP_GEMM_BIAS_RESIDUAL && p->residual_f32 ? VNP_F32 : storage(p->type);
}

/* Runs m rows from row `first` of the inputs; the result's bytes, poison where nothing was written. The caller frees.
 * The memory before and after it must be as it was. A residual is added in place. */
static unsigned char *run(const struct inputs *in, const struct problem *p, enum kernel kernel, int64_t first,
                          int64_t m)
{
    const size_t element = vnp_dtype_bytes(storage(p->type)), wide = vnp_dtype_bytes(out_type(p));
    const size_t bytes = (size_t)(m * p->n) * wide;
    unsigned char *d_block = poisoned((int64_t)(bytes + 2 * GUARD) / 2, VNP_F16), *d_out = d_block + GUARD;
    if (p->epilogue == VNP_GEMM_BIAS_RESIDUAL)
        CUDA_CHECK(cudaMemcpy(d_out,
                              (const char *)(p->residual_f32 ? (void *)in->d_residual_f32 : in->d_residual) +
                                  (size_t)(first * p->n) * wide,
                              bytes, cudaMemcpyDeviceToDevice));
    const struct vnp_gemm_params params = {
        .type = p->type,
        .epilogue = p->epilogue,
        .m = m,
        .n = p->n,
        .k = p->k,
        .d_a = (const char *)in->d_a + (size_t)(first * p->k) * element,
        .d_w = in->d_w,
        .d_bias = in->d_bias,
        .d_out = d_out,
        .d_residual = d_out,
        .residual_f32 = p->residual_f32,
        .d_pos = in->d_pos + first,
        .d_rotary = in->d_table,
        .head_dim = p->head,
        .q_scale = p->head ? 1 / sqrtf((float)p->head) : 0,
    };
    const int status = kernel == BY_CHOICE  ? vnp_gemm(&params, 0)
                       : kernel == PORTABLE ? vnp_gemm_mma(&params, 0)
                                            : vnp_gemm_sm90(&params, kernel == TILE_256 ? 256 : 160, 0);
    assert_int_equal(status, cudaSuccess);
    CUDA_CHECK(cudaDeviceSynchronize());
    unsigned char *block = xmalloc(bytes + 2 * GUARD);
    CUDA_CHECK(cudaMemcpy(block, d_block, bytes + 2 * GUARD, cudaMemcpyDeviceToHost));
    CUDA_CHECK(cudaFree(d_block));
    for (size_t i = 0; i < GUARD; i++)
        if (block[i] != 0xff || block[GUARD + bytes + i] != 0xff)
            fail_msg("written outside the result, %zu bytes from its edge", i);
    memmove(block, block + GUARD, bytes);
    return block;
}

static double element(const unsigned char *out, enum vnp_dtype dtype, int64_t at)
{
    if (dtype == VNP_F32)
        return ((const float *)(const void *)out)[at];
    const uint16_t h = ((const uint16_t *)(const void *)out)[at];
    return dtype == VNP_F16 ? vnp_f16_f32(h) : vnp_bf16_f32(h);
}

/* Half a unit in the last place of the type at v. */
static double half_ulp(double v, enum vnp_dtype dtype)
{
    const double a = fabs(v);
    return dtype == VNP_F16 ? fmax(a * 0x1p-11, 0x1p-25) : dtype == VNP_BF16 ? a * 0x1p-8 : fmax(a * 0x1p-24, 0x1p-149);
}

static double gelu(double v)
{
    return 0.5 * v * erfc(-v * 0.70710678118654752440);
}

/* Row `row` of the inputs in double: sum + bias, and the bound of an FP32 sum's error. */
static void exact_row(const struct inputs *in, const struct problem *p, int64_t row, double *v, double *bound)
{
    const double each = (p->type == VNP_GEMM_F32 ? (double)p->k : (double)p->k / 8 + 8) * 0x1p-23;
    for (int64_t j = 0; j < p->n; j++) {
        double sum = in->bias[j], size = fabs(sum);
        for (int64_t t = 0; t < p->k; t++) {
            const double x = (double)in->a[row * p->k + t] * in->w[j * p->k + t];
            sum += x;
            size += fabs(x);
        }
        v[j] = sum;
        bound[j] = size * each;
    }
}

/* Applies the epilogue to an exact row; `bound` becomes the error allowed in the result. `fused`: one rounding only. */
static void finish_row(const struct inputs *in, const struct problem *p, int64_t row, double *v, double *bound,
                       int fused)
{
    const enum vnp_dtype out = out_type(p);
    const int half = p->head / 2;
    for (int64_t j = 0; j < p->n && p->epilogue == VNP_GEMM_BIAS_ROTARY; j++) {
        if (j >= 2 * p->n / 3 || j % p->head >= half)
            continue;
        const float *turn = in->table + (in->pos[row] * half + j % p->head) * 2;
        const double scale = j < p->n / 3 ? 1 / sqrtf((float)p->head) : 1, x = v[j] * scale, y = v[j + half] * scale;
        const double early = fused ? 0 : half_ulp(fabs(x) + fabs(y), out);
        v[j] = x * turn[0] - y * turn[1];
        v[j + half] = y * turn[0] + x * turn[1];
        bound[j] = bound[j + half] = (bound[j] + bound[j + half]) * scale + (fabs(x) + fabs(y)) * 0x1p-22 + early;
    }
    for (int64_t j = 0; j < p->n; j++) {
        if (p->epilogue == VNP_GEMM_BIAS_GELU) {
            v[j] = gelu(v[j]);
            bound[j] = 1.13 * bound[j] + 0.25 * half_ulp(v[j], out) + fabs(v[j]) * 0x1p-20;
        }
        if (p->epilogue == VNP_GEMM_BIAS_RESIDUAL)
            v[j] += in->residual[row * p->n + j];
        bound[j] += half_ulp(fabs(v[j]) + bound[j], out);
    }
}

/* The rows that are summed again in double: edges of tiles, the ends, and some between. */
static int64_t sample(int64_t m, int i)
{
    static const int64_t rows[] = {0, 1, 7, 8, 63, 64, 127, 128, 129, 255, 256, 1000, 4095, 4096};
    const int n = sizeof rows / sizeof *rows;
    return i < n ? rows[i] % m : i == n ? m - 1 : i == n + 1 ? m / 2 : -1;
}

static void check_exact(const struct inputs *in, const struct problem *p, const unsigned char *out, int64_t m,
                        int fused)
{
    double *v = xreallocarray(NULL, (size_t)p->n, sizeof *v), *bound = xreallocarray(NULL, (size_t)p->n, sizeof *v);
    int64_t row;
    for (int i = 0; (row = sample(m, i)) >= 0; i++) {
        exact_row(in, p, row, v, bound);
        finish_row(in, p, row, v, bound, fused);
        for (int64_t j = 0; j < p->n; j++) {
            const double got = element(out, out_type(p), row * p->n + j);
            if (!(fabs(got - v[j]) <= bound[j]))
                fail_msg("type %d epilogue %d n %d k %d head %d: row %d column %d: %.9g, exact %.9g, allowed %.3g",
                         (int)p->type, (int)p->epilogue, (int)p->n, (int)p->k, p->head, (int)row, (int)j, got, v[j],
                         bound[j]);
        }
    }
    free(v);
    free(bound);
}

/* One problem, whole: a long run against double; short runs, and runs from another row, against the long one's bytes.
 */
static void check(struct inputs *in, const struct problem *p, enum kernel kernel, int fused)
{
    static const int64_t counts[] = {1, 2, 3, 63, 64, 65, 127, 128, 129, 257, 1000};
    const size_t row_bytes = (size_t)p->n * vnp_dtype_bytes(out_type(p));
    if (p->head)
        make_table(in, p->head);
    unsigned char *whole = run(in, p, kernel, 0, MOST_ROWS);
    check_exact(in, p, whole, MOST_ROWS, fused);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const int64_t m = counts[i], first = i % 2 ? 37 + 128 * (int64_t)i : 0;
        unsigned char *part = run(in, p, kernel, first, m);
        for (int64_t row = 0; row < m; row++)
            if (memcmp(part + (size_t)row * row_bytes, whole + (size_t)(first + row) * row_bytes, row_bytes) != 0)
                fail_msg("type %d epilogue %d n %d k %d: row %d of %d differs from the same row among %d", (int)p->type,
                         (int)p->epilogue, (int)p->n, (int)p->k, (int)row, (int)m, MOST_ROWS);
        free(part);
    }
    free(whole);
    if (p->head) {
        free(in->table);
        CUDA_CHECK(cudaFree(in->d_table));
    }
}

/* The four products of a layer of this width, each with its epilogue. */
static void check_layer(struct inputs *in, int64_t width, int head, enum kernel kernel, int fused)
{
    const struct problem problems[] = {
        {in->type, VNP_GEMM_BIAS_ROTARY, 3 * width, width, head, 0},
        {in->type, VNP_GEMM_BIAS_RESIDUAL, width, width, 0, 0},
        {in->type, VNP_GEMM_BIAS_GELU, 4 * width, width, 0, 0},
        {in->type, VNP_GEMM_BIAS_RESIDUAL, width, 4 * width, 0, 1},
        {in->type, VNP_GEMM_BIAS, width, 4 * width, 0, 0},
    };
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
        if (fused || problems[i].epilogue != VNP_GEMM_BIAS_ROTARY || kernel == BY_CHOICE)
            check(in, problems + i, kernel, fused);
}

static int hopper(void)
{
    int device, major;
    CUDA_CHECK(cudaGetDevice(&device));
    CUDA_CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
    return major == 9;
}

static void half_layers(enum vnp_gemm_type type)
{
    need_gpu();
    struct inputs in = make(type, MOST_ROWS, 2560, 2560, 640 * 2560);
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
    struct inputs in = make(VNP_GEMM_F32, MOST_ROWS, 1920, 1920, 480 * 1920);
    check_layer(&in, 320, 16, BY_CHOICE, 1);
    check_layer(&in, 480, 24, BY_CHOICE, 1);
    drop(&in);
}

static void tf32_layers(void **state)
{
    (void)state;
    need_gpu();
    struct inputs in = make(VNP_GEMM_TF32, MOST_ROWS, 1920, 1920, 480 * 1920);
    check_layer(&in, 320, 16, BY_CHOICE, 1);
    check_layer(&in, 480, 24, BY_CHOICE, 1);
    drop(&in);
}

/* Widths that are multiples of 8 and of nothing else that a tile would like. */
static void ragged_edges(void **state)
{
    (void)state;
    need_gpu();
    struct inputs in = make(VNP_GEMM_F16, MOST_ROWS, 264, 1000, 264 * 1000);
    static const int64_t shapes[][2] = {{8, 8}, {8, 1000}, {24, 72}, {168, 136}, {264, 8}, {264, 1000}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int residual_f32 = 0; residual_f32 < 2; residual_f32++) {
            const struct problem p = {VNP_GEMM_F16, VNP_GEMM_BIAS_RESIDUAL, shapes[i][0], shapes[i][1], 0,
                                      residual_f32};
            check(&in, &p, BY_CHOICE, 1);
            check(&in, &p, PORTABLE, 1);
        }
    drop(&in);
}

static void tile_widths_agree(void **state)
{
    (void)state;
    need_gpu();
    if (!hopper())
        skip();
    struct inputs in = make(VNP_GEMM_F16, MOST_ROWS, 1280, 1280, 960 * 1280);
    const struct problem problems[] = {
        {VNP_GEMM_F16, VNP_GEMM_BIAS_ROTARY, 960, 320, 16, 0},
        {VNP_GEMM_F16, VNP_GEMM_BIAS_ROTARY, 960, 320, 32, 0},
        {VNP_GEMM_F16, VNP_GEMM_BIAS_GELU, 1280, 320, 0, 0},
        {VNP_GEMM_F16, VNP_GEMM_BIAS, 640, 1280, 0, 0},
        {VNP_GEMM_F16, VNP_GEMM_BIAS_RESIDUAL, 320, 1280, 0, 0},
        {VNP_GEMM_F16, VNP_GEMM_BIAS_RESIDUAL, 320, 1280, 0, 1},
    };
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        const struct problem *p = problems + i;
        if (p->head)
            make_table(&in, p->head);
        unsigned char *wide = run(&in, p, TILE_256, 0, 1000), *narrow = run(&in, p, TILE_160, 0, 1000);
        assert_memory_equal(wide, narrow, (size_t)(1000 * p->n) * vnp_dtype_bytes(out_type(p)));
        free(wide);
        free(narrow);
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
    static const enum vnp_gemm_epilogue epilogues[] = {VNP_GEMM_BIAS, VNP_GEMM_BIAS_GELU, VNP_GEMM_BIAS_RESIDUAL};
    struct inputs in = make(VNP_GEMM_F16, M, N, K, N * K);
    in.a[70 * K + 5] = NAN;
    in.a[131 * K + 319] = INFINITY;
    CUDA_CHECK(cudaFree(in.d_a));
    in.d_a = to_device(in.a, M * K, VNP_F16);
    for (size_t e = 0; e < 3; e++)
        for (enum kernel kernel = BY_CHOICE; kernel <= PORTABLE; kernel += PORTABLE) {
            const struct problem p = {VNP_GEMM_F16, epilogues[e], N, K, 0, 0};
            unsigned char *out = run(&in, &p, kernel, 0, M);
            for (int64_t i = 0; i < M * N; i++)
                if (!isfinite(element(out, VNP_F16, i)) != (i / N == 70 || i / N == 131))
                    fail_msg("epilogue %d: row %d column %d is %g", (int)epilogues[e], (int)(i / N), (int)(i % N),
                             element(out, VNP_F16, i));
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
    struct vnp_gemm_params bad[8];
    for (size_t i = 0; i < 8; i++)
        bad[i] = good;
    bad[0].m = 0;
    bad[1].n = 20;
    bad[2].k = 12;
    bad[3].d_a = NULL;
    bad[4].d_w = (const char *)d + 2;
    bad[5].epilogue = VNP_GEMM_BIAS_RESIDUAL;
    bad[6].epilogue = VNP_GEMM_BIAS_ROTARY;
    bad[7].m = (int64_t)1 << 31;
    for (size_t i = 0; i < 8; i++)
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
        cmocka_unit_test(f16_layers),
        cmocka_unit_test(bf16_layers),
        cmocka_unit_test(f32_layers),
        cmocka_unit_test(tf32_layers),
        cmocka_unit_test(ragged_edges),
        cmocka_unit_test(tile_widths_agree),
        cmocka_unit_test(gelu_of_every_f16),
        cmocka_unit_test(nonfinite_rows),
        cmocka_unit_test(bad_parameters_are_refused),
        cmocka_unit_test(table_is_exact),
    };
    return cmocka_run_group_tests_name("gemm-gpu", tests, NULL, NULL);
}
