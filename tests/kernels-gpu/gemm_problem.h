/* One matrix product and its check: against sums in double over the same rounded inputs; then, bit for bit, against
 * itself under other row counts and positions. */
#ifndef TESTS_GEMM_PROBLEM_H
#define TESTS_GEMM_PROBLEM_H

#include <stdio.h>

#include "gemm.h"
#include "gemm_impl.h"
#include "gpu.h"
#include "rotary.h"
#include "target.h"

enum { POSITIONS = 128, GUARD = 4096 };

/* Of the long run of a problem. */
static inline int64_t most_rows(void)
{
    return light() ? 519 : 8191;
}

/* vnp_gemm(), a tile of the Hopper kernel (enum vnp_sm90_tile), or the kernel of any device. */
enum kernel { BY_CHOICE, FIRST_TILE, LAST_TILE = VNP_SM90_TURN_160, PORTABLE };

struct problem {
    enum vnp_gemm_type type;
    enum vnp_gemm_epilogue epilogue;
    int64_t n, k;
    int head;
    int scaled; /* by a row scale, where that may be left away; a gate then has a bias, too */
};

/* Random inputs of one type, made once and used by every shape: the first n * k of w, and so on. */
struct inputs {
    enum vnp_gemm_type type;
    float *a, *w, *bias, *residual, *scale, *shift, *gain, *table;
    void *d_a, *d_w, *d_residual;
    float *d_bias, *d_scale, *d_shift, *d_gain, *d_table;
    int32_t *pos, *d_pos;
};

static inline float *numbers(int64_t n, float scale, enum vnp_dtype dtype, uint64_t seed)
{
    float *v = xreallocarray(NULL, (size_t)n, sizeof *v);
    for (int64_t i = 0; i < n; i++)
        v[i] = rounded(normal(&seed) * scale, dtype);
    return v;
}

static inline struct inputs make(enum vnp_gemm_type type, int64_t rows, int64_t most_n, int64_t most_k, int64_t most_nk)
{
    struct inputs in = {.type = type};
    const enum vnp_dtype dtype = vnp_gemm_storage(type);
    /* TF32 has bfloat16's numbers among its own: rounding the operands then costs nothing, and the bound stays sharp.
     */
    const enum vnp_dtype operand = type == VNP_GEMM_TF32 ? VNP_BF16 : dtype;
    in.a = numbers(rows * most_k, 1, operand, 1);
    in.w = numbers(most_nk, 0.05f, operand, 2);
    in.bias = numbers(most_n, 0.5f, VNP_F32, 3);
    in.residual = numbers(rows * most_n, 2, dtype, 4);
    in.scale = numbers(rows, 3, VNP_F32, 6);
    in.shift = numbers(rows, 3, VNP_F32, 7);
    in.gain = numbers(most_n, 1, VNP_F32, 8);
    in.pos = xreallocarray(NULL, (size_t)rows, 4);
    uint64_t seed = 5;
    for (int64_t i = 0; i < rows; i++)
        in.pos[i] = (int32_t)(uniform(&seed) * POSITIONS);
    in.d_a = to_device(in.a, rows * most_k, dtype);
    in.d_w = to_device(in.w, most_nk, dtype);
    in.d_bias = to_device(in.bias, most_n, VNP_F32);
    in.d_residual = to_device(in.residual, rows * most_n, dtype);
    in.d_scale = to_device(in.scale, rows, VNP_F32);
    in.d_shift = to_device(in.shift, rows, VNP_F32);
    in.d_gain = to_device(in.gain, most_n, VNP_F32);
    in.d_pos = bytes_to_device(in.pos, (size_t)rows * 4);
    return in;
}

static inline void drop(struct inputs *in)
{
    void *host[] = {in->a, in->w, in->bias, in->residual, in->scale, in->shift, in->gain, in->pos};
    void *device[] = {in->d_a, in->d_w, in->d_bias, in->d_residual, in->d_scale, in->d_shift, in->d_gain, in->d_pos};
    for (size_t i = 0; i < sizeof host / sizeof *host; i++)
        free(host[i]);
    for (size_t i = 0; i < sizeof device / sizeof *device; i++)
        CUDA_CHECK(cudaFree(device[i]));
}

/* The table for heads of `dim`, on both sides; the caller frees both. */
static inline void make_table(struct inputs *in, int dim)
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

static inline bool has_residual(const struct problem *p)
{
    return p->epilogue == VNP_GEMM_BIAS_RESIDUAL || p->epilogue == VNP_GEMM_BIAS_NORMED;
}

static inline bool has_bias(const struct problem *p)
{
    return p->epilogue != VNP_GEMM_GEGLU || p->scaled;
}

static inline int64_t out_columns(const struct problem *p)
{
    return p->epilogue == VNP_GEMM_GEGLU ? p->n / 2 : p->n;
}

static inline size_t row_bytes(const struct problem *p)
{
    return (size_t)out_columns(p) * vnp_dtype_bytes(vnp_gemm_storage(p->type));
}

/* The columns of a part of the moments that the kernel makes; 0: it makes none. */
static inline int32_t made_columns(const struct problem *p, enum kernel kernel)
{
    const struct vnp_gemm_params params = {.type = p->type, .epilogue = p->epilogue, .n = p->n, .k = p->k};
    if (!has_residual(p) || kernel == PORTABLE)
        return 0;
    return kernel == BY_CHOICE ? vnp_gemm_moments_columns(&params) : vnp_gemm_sm90_columns((enum vnp_sm90_tile)kernel);
}

static inline int64_t parts(int64_t width, int64_t columns)
{
    return columns ? (width + columns - 1) / columns : 0;
}

/* Runs m rows from row `first` of the inputs; the result's bytes, poison where nothing was written. The caller frees.
 * The memory before and after it must be as it was. A residual is added in place; `made`: room for the moments that the
 * kernel makes, or NULL. */
static inline unsigned char *run(const struct inputs *in, const struct problem *p, enum kernel kernel, int64_t first,
                                 int64_t m, float *made)
{
    const size_t element = vnp_dtype_bytes(vnp_gemm_storage(p->type));
    const int32_t columns = made_columns(p, kernel);
    const int64_t moments = m * parts(p->n, columns) * 2;
    float *d_made = poisoned(moments, VNP_F32);
    const size_t bytes = (size_t)m * row_bytes(p);
    unsigned char *d_block = poisoned((int64_t)(bytes + 2 * GUARD) / 2, VNP_F16), *d_out = d_block + GUARD;
    if (has_residual(p))
        CUDA_CHECK(cudaMemcpy(d_out, (const char *)in->d_residual + (size_t)(first * p->n) * element, bytes,
                              cudaMemcpyDeviceToDevice));
    const struct vnp_gemm_params params = {
        .type = p->type,
        .epilogue = p->epilogue,
        .m = m,
        .n = p->n,
        .k = p->k,
        .d_a = (const char *)in->d_a + (size_t)(first * p->k) * element,
        .d_w = in->d_w,
        .d_bias = has_bias(p) ? in->d_bias : NULL,
        .d_out = d_out,
        .d_residual = d_out,
        .d_moments = made ? d_made : NULL,
        .d_row_scale = p->scaled || p->epilogue == VNP_GEMM_BIAS_NORMED ? in->d_scale + first : NULL,
        .d_row_shift = in->d_shift + first,
        .d_gain = in->d_gain,
        .d_pos = in->d_pos + first,
        .d_rotary = in->d_table,
        .head_dim = p->head,
        .q_scale = p->head ? 1 / sqrtf((float)p->head) : 0,
    };
    const int status = kernel == BY_CHOICE  ? vnp_gemm(&params, 0)
                       : kernel == PORTABLE ? vnp_gemm_mma(&params, 0)
                                            : vnp_gemm_sm90(&params, (enum vnp_sm90_tile)kernel, 0);
    assert_int_equal(status, cudaSuccess);
    CUDA_CHECK(cudaDeviceSynchronize());
    unsigned char *block = xmalloc(bytes + 2 * GUARD);
    CUDA_CHECK(cudaMemcpy(block, d_block, bytes + 2 * GUARD, cudaMemcpyDeviceToHost));
    CUDA_CHECK(cudaFree(d_block));
    if (made)
        CUDA_CHECK(cudaMemcpy(made, d_made, (size_t)moments * 4, cudaMemcpyDeviceToHost));
    CUDA_CHECK(cudaFree(d_made));
    for (size_t i = 0; i < GUARD; i++)
        if (block[i] != 0xff || block[GUARD + bytes + i] != 0xff)
            fail_msg("written outside the result, %zu bytes from its edge", i);
    memmove(block, block + GUARD, bytes);
    return block;
}

static inline double element(const unsigned char *out, enum vnp_dtype dtype, int64_t at)
{
    if (dtype == VNP_F32)
        return ((const float *)(const void *)out)[at];
    const uint16_t h = ((const uint16_t *)(const void *)out)[at];
    return dtype == VNP_F16 ? vnp_f16_f32(h) : vnp_bf16_f32(h);
}

/* Half a unit in the last place of the type at v. */
static inline double half_ulp(double v, enum vnp_dtype dtype)
{
    const double a = fabs(v);
    return dtype == VNP_F16 ? fmax(a * 0x1p-11, 0x1p-25) : dtype == VNP_BF16 ? a * 0x1p-8 : fmax(a * 0x1p-24, 0x1p-149);
}

static inline double gelu(double v)
{
    return 0.5 * v * erfc(-v * 0.70710678118654752440);
}

/* Row `row` of the inputs in double: sum * scale + bias, and the bound of an FP32 sum's error. */
static inline void exact_row(const struct inputs *in, const struct problem *p, int64_t row, double *v, double *bound)
{
    const double each = (p->type == VNP_GEMM_F32 ? (double)p->k : (double)p->k / 8 + 8) * 0x1p-23;
    const double scale = p->scaled ? in->scale[row] : 1;
    for (int64_t j = 0; j < p->n; j++) {
        const double bias = has_bias(p) ? in->bias[j] : 0;
        double sum = 0, size = fabs(bias / scale);
        for (int64_t t = 0; t < p->k; t++) {
            const double x = (double)in->a[row * p->k + t] * in->w[j * p->k + t];
            sum += x;
            size += fabs(x);
        }
        v[j] = sum * scale + bias;
        bound[j] = size * fabs(scale) * each;
    }
}

/* Applies the epilogue to an exact row; `bound` becomes the error allowed in the result. `fused`: one rounding only. */
static inline void finish_row(const struct inputs *in, const struct problem *p, int64_t row, double *v, double *bound,
                              int fused)
{
    const enum vnp_dtype out = vnp_gemm_storage(p->type);
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
    for (int64_t j = 0; j < out_columns(p); j++) {
        if (p->epilogue == VNP_GEMM_GEGLU) { /* never behind what is still to be read */
            const int64_t gate = j / 8 * 16 + j % 8, by = gate + 8;
            const double g = gelu(v[gate]), off = 1.13 * bound[gate] + 0.25 * half_ulp(g, out) + fabs(g) * 0x1p-20;
            bound[j] = off * (fabs(v[by]) + bound[by]) + fabs(g) * bound[by];
            v[j] = g * v[by];
        }
        if (p->epilogue == VNP_GEMM_BIAS_GELU) {
            v[j] = gelu(v[j]);
            bound[j] = 1.13 * bound[j] + 0.25 * half_ulp(v[j], out) + fabs(v[j]) * 0x1p-20;
        }
        if (p->epilogue == VNP_GEMM_BIAS_RESIDUAL)
            v[j] += in->residual[row * p->n + j];
        if (p->epilogue == VNP_GEMM_BIAS_NORMED) {
            const double gain = in->gain[j], scaled = (double)in->residual[row * p->n + j] * in->scale[row];
            v[j] += gain * (scaled + in->shift[row]);
            bound[j] += (fabs(v[j]) + fabs(gain) * (fabs(scaled) + fabs(in->shift[row]))) * 0x1p-23;
        }
        bound[j] += half_ulp(fabs(v[j]) + bound[j], out);
    }
}

/* The rows that are summed again in double: edges of tiles, the ends, and some between. */
static inline int64_t sample(int64_t m, int i)
{
    static const int64_t rows[] = {0, 1, 7, 8, 63, 64, 127, 128, 129, 255, 256, 1000, 4095, 4096};
    const int n = sizeof rows / sizeof *rows;
    return i < n ? rows[i] % m : i == n ? m - 1 : i == n + 1 ? m / 2 : -1;
}

/* The moments of a finished row, v, from which each value may be off by its bound. */
static inline void check_made(const struct problem *p, const float *made, int64_t columns, const double *v,
                              const double *bound)
{
    for (int64_t at = 0; at < p->n; at += columns, made += 2) {
        const int64_t end = at + columns < p->n ? at + columns : p->n;
        double sum = 0, off = 0, squares = 0, slack = 0;
        for (int64_t j = at; j < end; j++)
            sum += v[j], off += bound[j] + fabs(v[j]) * 0x1p-21;
        for (int64_t j = at; j < end; j++) {
            const double d = v[j] - sum / (double)(end - at), each = bound[j] + off / (double)(end - at);
            squares += d * d, slack += (2 * fabs(d) + each) * each + d * d * 0x1p-19;
        }
        if (!(fabs(made[0] - sum) <= off) || !(fabs(made[1] - squares) <= slack))
            fail_msg("n %d k %d: moments of columns %d to %d: %.9g, %.9g; exact %.9g, %.9g; allowed %.3g, %.3g",
                     (int)p->n, (int)p->k, (int)at, (int)end, made[0], made[1], sum, squares, off, slack);
    }
}

/* made, columns: the moments that came with out, or NULL. */
static inline void check_exact(const struct inputs *in, const struct problem *p, const unsigned char *out, int64_t m,
                               int fused, const float *made, int64_t columns)
{
    double *v = xreallocarray(NULL, (size_t)p->n, sizeof *v), *bound = xreallocarray(NULL, (size_t)p->n, sizeof *v);
    int64_t row;
    for (int i = 0; (row = sample(m, i)) >= 0; i++) {
        exact_row(in, p, row, v, bound);
        finish_row(in, p, row, v, bound, fused);
        if (made)
            check_made(p, made + row * parts(p->n, columns) * 2, columns, v, bound);
        for (int64_t j = 0; j < out_columns(p); j++) {
            const double got = element(out, vnp_gemm_storage(p->type), row * out_columns(p) + j);
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
static inline void check(struct inputs *in, const struct problem *p, enum kernel kernel, int fused)
{
    static const int64_t counts[] = {1, 2, 3, 63, 64, 65, 127, 128, 129, 257, 1000};
    const size_t each = row_bytes(p);
    if (p->head)
        make_table(in, p->head);
    const int32_t columns = made_columns(p, kernel);
    const size_t moments = (size_t)parts(p->n, columns) * 2;
    const int64_t rows = most_rows();
    float *made = columns ? xreallocarray(NULL, (size_t)rows * moments, sizeof *made) : NULL,
          *made_part = columns ? xreallocarray(NULL, (size_t)rows * moments, sizeof *made) : NULL;
    unsigned char *whole = run(in, p, kernel, 0, rows, made);
    check_exact(in, p, whole, rows, fused, made, columns);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i += light() ? 3 : 1) {
        const int64_t m = counts[i], first = i % 2 ? 37 + 128 * (int64_t)i : 0;
        if (first + m > rows)
            continue;
        unsigned char *part = run(in, p, kernel, first, m, made_part);
        for (int64_t row = 0; row < m; row++)
            if (memcmp(part + (size_t)row * each, whole + (size_t)(first + row) * each, each) != 0 ||
                (made && memcmp(made_part + (size_t)row * moments, made + (size_t)(first + row) * moments,
                                moments * sizeof *made) != 0))
                fail_msg("type %d epilogue %d n %d k %d: row %d of %d differs from the same row among %d", (int)p->type,
                         (int)p->epilogue, (int)p->n, (int)p->k, (int)row, (int)m, (int)rows);
        free(part);
    }
    free(whole);
    free(made);
    free(made_part);
    if (p->head) {
        free(in->table);
        CUDA_CHECK(cudaFree(in->d_table));
    }
}

static inline int hopper(void)
{
    return vnp_target() == 90;
}

#endif
