/* vnp_attention() against loops in double over the same rounded inputs, plain and with ALiBi. */
#include "alibi.h"
#include "attention.h"
#include "gpu.h"

struct batch {
    enum vnp_dtype dtype;
    int heads, dim, n;
    int32_t *cu;
    float *qkv;    /* already rounded to dtype */
    float *slopes; /* NULL: plain */
    float scale;
};

static int64_t tokens_of(const struct batch *b)
{
    return b->cu[b->n];
}

static struct batch make(enum vnp_dtype dtype, int heads, int dim, bool alibi, const int *lengths, int n,
                         float sharpness, uint64_t seed)
{
    struct batch b = {
        .dtype = dtype, .heads = heads, .dim = dim, .n = n, .cu = xcalloc((size_t)n + 1, 4), .scale = 0.75f};
    for (int i = 0; i < n; i++)
        b.cu[i + 1] = b.cu[i] + lengths[i];
    const int64_t width = (int64_t)heads * dim, all = tokens_of(&b) * 3 * width;
    b.qkv = xmalloc((size_t)all * 4);
    for (int64_t i = 0; i < all; i++) {
        const float scale = i % (3 * width) < width ? sharpness / sqrtf((float)dim) : 1;
        b.qkv[i] = rounded(normal(&seed) * scale, dtype);
    }
    if (alibi) {
        b.slopes = xcalloc((size_t)heads, sizeof *b.slopes);
        vnp_alibi_slopes(b.slopes, heads);
    }
    return b;
}

static void drop(struct batch *b)
{
    free(b->slopes);
    free(b->cu);
    free(b->qkv);
}

/* The kernel's output [tokens, heads, dim]; the caller frees. */
static float *run(const struct batch *b)
{
    const int64_t width = (int64_t)b->heads * b->dim, out = tokens_of(b) * width, n = vnp_attention_count(b->cu, b->n);
    struct vnp_attention_tile *tiles = xcalloc((size_t)n, sizeof *tiles);
    int32_t *order = xcalloc((size_t)b->n, 4);
    const struct vnp_attention_work work = vnp_attention_tiles(b->cu, b->n, order, tiles);
    void *d_qkv = to_device(b->qkv, 3 * out, b->dtype), *d_out = poisoned(out, b->dtype);
    void *d_tiles = bytes_to_device(tiles, (size_t)n * sizeof *tiles);
    float *d_slopes = b->slopes ? to_device(b->slopes, b->heads, VNP_F32) : NULL;
    const struct vnp_attention_params p = {.dtype = b->dtype,
                                           .heads = b->heads,
                                           .head_dim = b->dim,
                                           .d_qkv = d_qkv,
                                           .d_out = d_out,
                                           .d_tiles = d_tiles,
                                           .work = work,
                                           .d_slopes = d_slopes,
                                           .scale = b->scale};
    vnp_attention(&p, 0);
    CUDA_CHECK(cudaDeviceSynchronize());
    float *v = from_device(d_out, out, b->dtype);
    cudaFree(d_qkv), cudaFree(d_out), cudaFree(d_tiles), cudaFree(d_slopes);
    free(tiles), free(order);
    return v;
}

/* One row of one head in double. */
static void reference(const struct batch *b, int first, int length, int row, int head, double *out)
{
    const int64_t width = (int64_t)b->heads * b->dim;
    const float *q = b->qkv + (first + row) * 3 * width + head * b->dim;
    double *s = xcalloc((size_t)length, sizeof *s), top = -INFINITY, sum = 0;
    for (int j = 0; j < length; j++) {
        const float *k = b->qkv + (first + j) * 3 * width + width + head * b->dim;
        for (int d = 0; d < b->dim; d++)
            s[j] += (double)q[d] * k[d];
        if (b->slopes)
            s[j] = s[j] * (double)b->scale - (double)b->slopes[head] * abs(row - j);
        top = s[j] > top ? s[j] : top;
    }
    memset(out, 0, (size_t)b->dim * sizeof *out);
    for (int j = 0; j < length; j++) {
        const float *v = b->qkv + (first + j) * 3 * width + 2 * width + head * b->dim;
        const double p = exp(s[j] - top);
        sum += p;
        for (int d = 0; d < b->dim; d++)
            out[d] += p * v[d];
    }
    for (int d = 0; d < b->dim; d++)
        out[d] /= sum;
    free(s);
}

/* Every row of short sequences, and some of long ones: both ends, both sides of tile borders, and a few between. */
static int looked_at(int row, int length)
{
    return length <= 65 || row < 2 || row >= length - 2 || row % 64 < 1 || row % 97 == 5;
}

static void compare(const struct batch *b, const float *got, double tolerance)
{
    double want[128];
    for (int i = 0; i < b->n; i++)
        for (int row = 0; row < b->cu[i + 1] - b->cu[i]; row++)
            for (int head = 0; head < b->heads && looked_at(row, b->cu[i + 1] - b->cu[i]); head++) {
                const float *g = got + ((int64_t)(b->cu[i] + row) * b->heads + head) * b->dim;
                double largest = 0;
                reference(b, b->cu[i], b->cu[i + 1] - b->cu[i], row, head, want);
                for (int d = 0; d < b->dim; d++)
                    largest = fmax(largest, fabs(want[d]));
                for (int d = 0; d < b->dim; d++)
                    if (!(fabs(g[d] - want[d]) <= tolerance * largest))
                        fail_msg("dtype %d dim %d%s sequence %d of %d tokens, row %d head %d dim %d: %.8g, wanted %.8g",
                                 b->dtype, b->dim, b->slopes ? " alibi" : "", i, b->cu[i + 1] - b->cu[i], row, head, d,
                                 g[d], want[d]);
            }
}

static const enum vnp_dtype dtypes[] = {VNP_F32, VNP_F16, VNP_BF16};
static const int dims[] = {16, 24, 32, 64, 128};

static double tolerance(enum vnp_dtype dtype)
{
    return dtype == VNP_F32 ? 5e-6 : dtype == VNP_F16 ? 2e-3 : 1.6e-2;
}

/* FP32 rounding of a score counts in full in its exponential. */
static void check_all(const int *lengths, int n, int heads, float sharpness)
{
    for (size_t t = 0; t < sizeof dtypes / sizeof *dtypes; t++)
        for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
            for (int alibi = 0; alibi < 2; alibi++) {
                struct batch b = make(dtypes[t], heads, dims[d], alibi, lengths, n, sharpness, 1 + t * 10 + d);
                float *got = run(&b);
                compare(&b, got, tolerance(b.dtype) * fmaxf(1, sharpness / 4));
                free(got);
                drop(&b);
            }
}

static void lengths_1_to_129(void **state)
{
    int lengths[129];
    (void)state;
    need_gpu();
    const int step = light() ? 16 : 1, n = 128 / step + 1;
    for (int i = 0; i < n; i++)
        lengths[i] = i * step + 1;
    check_all(lengths, n, light() ? 1 : 3, 1);
}

static void awkward_lengths(void **state)
{
    (void)state;
    need_gpu();
    check_all((const int[]){511, 2, 512, 513, 1, 1022, 64, 1024}, light() ? 2 : 8, 2, 1);
    if (!light())
        check_all((const int[]){4096}, 1, 1, 1);
}

/* One key takes nearly all: scores up to a hundred. */
static void sharp_scores(void **state)
{
    (void)state;
    need_gpu();
    check_all((const int[]){70, 200, 1, 31}, 4, 2, 25);
}

/* DNABERT-S's twelve heads: both of ALiBi's rules for slopes. */
static void twelve_heads(void **state)
{
    (void)state;
    need_gpu();
    check_all((const int[]){1, 17, 64, 65, 110, 300}, light() ? 4 : 6, 12, 1);
}

static void hundreds_of_short_ones(void **state)
{
    int lengths[700];
    uint64_t seed = 9;
    (void)state;
    need_gpu();
    for (int i = 0; i < 700; i++)
        lengths[i] = 1 + (int)(uniform(&seed) * 20);
    check_all(lengths, light() ? 70 : 700, 5, 1);
}

/* The same bytes alone and among others, at any place. */
static void same_bytes_in_any_company(void **state)
{
    const int lengths[] = {33, 300, 128, 1, 65, 64, 129, 52};
    (void)state;
    need_gpu();
    for (size_t t = 0; t < 3; t++)
        for (size_t d = 0; d < 10; d++) { /* plain, then ALiBi */
            struct batch all = make(dtypes[t], 5, dims[d % 5], d >= 5, lengths, 8, 2, 77);
            const int64_t width = 5 * dims[d % 5];
            float *together = run(&all);
            for (int i = 0; i < 8; i += light() ? 3 : 1) {
                struct batch one = make(dtypes[t], 5, dims[d % 5], d >= 5, lengths + i, 1, 2, 1);
                memcpy(one.qkv, all.qkv + all.cu[i] * 3 * width, (size_t)lengths[i] * 3 * (size_t)width * 4);
                float *alone = run(&one);
                assert_memory_equal(alone, together + all.cu[i] * width, (size_t)lengths[i] * (size_t)width * 4);
                free(alone);
                drop(&one);
            }
            free(together);
            drop(&all);
        }
}

/* NaN and Inf in one sequence leave the bytes of its neighbours alone, and show in every one of its own rows. */
static void nothing_crosses_a_border(void **state)
{
    const int lengths[] = {20, 77, 110, 64, 3};
    (void)state;
    need_gpu();
    for (size_t t = 0; t < 3; t++)
        for (size_t d = 0; d < 10; d++) { /* plain, then ALiBi */
            struct batch b = make(dtypes[t], 3, dims[d % 5], d >= 5, lengths, 5, 1, 5);
            const int64_t width = 3 * dims[d % 5];
            float *clean = run(&b);
            for (int64_t i = b.cu[1] * 3 * width; i < b.cu[4] * 3 * width; i++)
                if (i < b.cu[2] * 3 * width || i >= b.cu[3] * 3 * width)
                    b.qkv[i] = i % 2 ? NAN : INFINITY;
            float *dirty = run(&b);
            for (int i = 0; i < 5; i++)
                for (int64_t j = b.cu[i] * width; j < b.cu[i + 1] * width; j++)
                    if (i == 1 || i == 3)
                        assert_true(isnan(dirty[j]));
                    else
                        assert_memory_equal(&dirty[j], &clean[j], 4);
            free(clean), free(dirty);
            drop(&b);
        }
}

static void tiles_cover_each_row_once(void **state)
{
    const int32_t cu[] = {0, 1, 65, 130, 130 + 64, 20194};
    int32_t order[5], seen = 0;
    struct vnp_attention_tile tiles[400];
    char rows[20194] = {0};
    (void)state;
    const int64_t n = vnp_attention_count(cu, 5);
    assert_int_equal(n, 1 + 1 + 2 + 1 + 313);
    const struct vnp_attention_work work = vnp_attention_tiles(cu, 5, order, tiles);
    assert_int_equal(work.tiles, n);
    assert_int_equal(work.whole[2].n, 1);
    assert_int_equal(work.whole[2].at, 313);
    assert_int_equal(work.whole[2].longest, 65);
    for (int64_t i = 0; i < n; i++) {
        assert_true(i == 0 || (tiles[i].length + 63) / 64 <= (tiles[i - 1].length + 63) / 64);
        for (int r = tiles[i].query; r < tiles[i].length && r < tiles[i].query + VNP_ATTENTION_ROWS; r++, seen++)
            assert_int_equal(rows[tiles[i].first + r]++, 0);
    }
    assert_int_equal(seen, 20194);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiles_cover_each_row_once),
        cmocka_unit_test(lengths_1_to_129),
        cmocka_unit_test(awkward_lengths),
        cmocka_unit_test(sharp_scores),
        cmocka_unit_test(twelve_heads),
        cmocka_unit_test(hundreds_of_short_ones),
        cmocka_unit_test(same_bytes_in_any_company),
        cmocka_unit_test(nothing_crosses_a_border),
    };
    return cmocka_run_group_tests_name("attention-gpu", tests, NULL, NULL);
}
