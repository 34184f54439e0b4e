/* vnp_fold_layernorm() and vnp_fold_shift() against their formulas in double, and against LayerNorm and the layer it
 * was folded into. */
#include "fold.h"
#include "gpu.h"

enum { ROWS = 37 };

struct layer {
    int width;
    float *w, *gain, *shift, *bias; /* w [ROWS, width] */
};

static struct layer make(int width, enum vnp_dtype in)
{
    struct layer l = {.width = width};
    uint64_t seed = (uint64_t)width;
    l.w = xmalloc((size_t)(ROWS * width) * 4);
    l.gain = xmalloc((size_t)width * 4), l.shift = xmalloc((size_t)width * 4), l.bias = xmalloc(ROWS * 4);
    for (int i = 0; i < ROWS * width; i++)
        l.w[i] = rounded(0.05f * normal(&seed) + 0.02f, in);
    for (int j = 0; j < width; j++)
        l.gain[j] = 1 + 0.3f * normal(&seed), l.shift[j] = 0.2f * normal(&seed);
    for (int i = 0; i < ROWS; i++)
        l.bias[i] = normal(&seed);
    return l;
}

static void drop(struct layer *l)
{
    free(l->w), free(l->gain), free(l->shift), free(l->bias);
}

/* The folded weights and bias; the caller frees both. */
static void fold(const struct layer *l, enum vnp_dtype in, enum vnp_dtype out, float **w, float **bias)
{
    void *d_w = to_device(l->w, ROWS * l->width, in), *d_out = poisoned(ROWS * l->width, out);
    float *d_gain = to_device(l->gain, l->width, VNP_F32), *d_shift = to_device(l->shift, l->width, VNP_F32);
    float *d_bias = to_device(l->bias, ROWS, VNP_F32);
    vnp_fold_layernorm(d_out, out, d_w, in, ROWS, l->width, d_gain, d_shift, d_bias, 0);
    CUDA_CHECK(cudaDeviceSynchronize());
    *w = from_device(d_out, ROWS * l->width, out);
    *bias = from_device(d_bias, ROWS, VNP_F32);
    cudaFree(d_w), cudaFree(d_out), cudaFree(d_gain), cudaFree(d_shift), cudaFree(d_bias);
}

static void against_its_formula(void **state)
{
    const int widths[] = {8, 40, 320, 2560};
    (void)state;
    need_gpu();
    for (size_t k = 0; k < sizeof widths / sizeof *widths; k++)
        for (int in = 0; in < 3; in++)
            for (int out = 0; out < 3; out++) {
                struct layer l = make(widths[k], (enum vnp_dtype)in);
                const double ulp = out == VNP_F32 ? 0x1p-22 : out == VNP_F16 ? 0x1p-11 : 0x1p-8;
                float *w, *bias;
                fold(&l, (enum vnp_dtype)in, (enum vnp_dtype)out, &w, &bias);
                for (int i = 0; i < ROWS; i++) {
                    const float *row = l.w + i * l.width;
                    double mean = 0, shifted = l.bias[i];
                    for (int j = 0; j < l.width; j++)
                        mean += (double)row[j] * l.gain[j] / l.width, shifted += (double)row[j] * l.shift[j];
                    for (int j = 0; j < l.width; j++) {
                        const double want = (double)row[j] * l.gain[j] - mean, got = w[i * l.width + j];
                        if (!(fabs(got - want) <= ulp * fabs(want) + 1e-7))
                            fail_msg("%d -> %d, width %d: row %d column %d: %.9g, exact %.9g", in, out, l.width, i, j,
                                     got, want);
                    }
                    if (!(fabs(bias[i] - shifted) <= 2e-6 * (1 + fabs(shifted))))
                        fail_msg("%d -> %d, width %d: bias %d: %.9g, exact %.9g", in, out, l.width, i, bias[i],
                                 shifted);
                }
                free(w), free(bias);
                drop(&l);
            }
}

/* What it is for: W LayerNorm(x) + bias, for rows far from a mean of zero and with a massive channel. */
static void gives_the_layer_behind_layernorm(void **state)
{
    enum { WIDTH = 640 };
    (void)state;
    need_gpu();
    struct layer l = make(WIDTH, VNP_F32);
    float *w, *bias;
    uint64_t seed = 5;
    fold(&l, VNP_F32, VNP_F32, &w, &bias);
    for (int row = 0; row < 8; row++) {
        double x[WIDTH], mean = 0, variance = 0;
        for (int j = 0; j < WIDTH; j++)
            x[j] = normal(&seed) * (j == 11 ? 300 : 1) + 3 * row, mean += x[j] / WIDTH;
        for (int j = 0; j < WIDTH; j++)
            variance += (x[j] - mean) * (x[j] - mean) / WIDTH;
        const double scale = 1 / sqrt(variance + 1e-5);
        for (int i = 0; i < ROWS; i++) {
            double want = l.bias[i], got = 0;
            for (int j = 0; j < WIDTH; j++) {
                want += l.w[i * WIDTH + j] * ((x[j] - mean) * scale * l.gain[j] + l.shift[j]);
                got += w[i * WIDTH + j] * x[j];
            }
            got = got * scale + bias[i];
            if (!(fabs(got - want) <= 1e-5 * (1 + fabs(want))))
                fail_msg("row %d, output %d: %.9g, by LayerNorm %.9g", row, i, got, want);
        }
    }
    free(w), free(bias);
    drop(&l);
}

static void shifts_are_added(void **state)
{
    enum { WIDTH = 1003 };
    float bias[WIDTH], shift[WIDTH];
    uint64_t seed = 9;
    (void)state;
    need_gpu();
    for (int i = 0; i < WIDTH; i++)
        bias[i] = normal(&seed), shift[i] = normal(&seed);
    float *d_bias = to_device(bias, WIDTH, VNP_F32), *d_shift = to_device(shift, WIDTH, VNP_F32);
    vnp_fold_shift(d_bias, d_shift, WIDTH, 0);
    float *got = from_device(d_bias, WIDTH, VNP_F32);
    for (int i = 0; i < WIDTH; i++)
        assert_true(got[i] == bias[i] + shift[i]);
    cudaFree(d_bias), cudaFree(d_shift);
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_its_formula),
        cmocka_unit_test(gives_the_layer_behind_layernorm),
        cmocka_unit_test(shifts_are_added),
    };
    return cmocka_run_group_tests_name("fold-gpu", tests, NULL, NULL);
}
