#include "pool.h"

#include <string.h>

#include "half.h"

#define TILE 512 /* columns at a time: the sums (8 KiB) and four rows of floats (8 KiB) stay in the L1 cache */

const char *const vnp_pool_names[VNP_POOLS] = {"mean", "cls", "max", "none"};

const char *vnp_pool_name(enum vnp_pool pool)
{
    return vnp_pool_names[pool];
}

bool vnp_pool_parse(const char *name, enum vnp_pool *pool)
{
    for (int i = 0; i < VNP_POOLS; i++)
        if (strcmp(name, vnp_pool_names[i]) == 0) {
            *pool = (enum vnp_pool)i;
            return true;
        }
    return false;
}

void vnp_pool_span(const struct vnp_head *head, enum vnp_pool pool, bool all_tokens, uint32_t tokens, int64_t *first,
                   int64_t *count)
{
    if (pool == VNP_POOL_CLS) {
        *first = 0;
        *count = tokens > 0;
    } else {
        *first = all_tokens ? 0 : head->prefix;
        *count = (int64_t)tokens - (all_tokens ? 0 : head->prefix + head->suffix);
    }
}

bool vnp_pool_all_tokens(const struct vnp_head *head)
{
    for (int i = 0; i < head->n_by; i++)
        for (int j = 0; j < head->by[i].n_params; j++)
            if (strcmp(head->by[i].params[j].key, "tokens") == 0 && strcmp(head->by[i].params[j].value, "all") == 0)
                return true;
    return false;
}

/* --- rows as floats ----------------------------------------------------------------------------------------------- */

static void f16_to_f32(const uint16_t *restrict src, int64_t n, float *restrict dst)
{
    for (int64_t i = 0; i < n; i++)
        dst[i] = vnp_f16_f32(src[i]);
}

static void bf16_to_f32(const uint16_t *restrict src, int64_t n, float *restrict dst)
{
    for (int64_t i = 0; i < n; i++)
        dst[i] = vnp_bf16_f32(src[i]);
}

/* Elements [at, at + n) as floats: where they are, or in `scratch`. */
static const float *floats(enum vnp_dtype dtype, const void *src, int64_t at, int64_t n, float *scratch)
{
    if (dtype == VNP_F32)
        return (const float *)src + at;
    if (dtype == VNP_F16)
        f16_to_f32((const uint16_t *)src + at, n, scratch);
    else
        bf16_to_f32((const uint16_t *)src + at, n, scratch);
    return scratch;
}

/* --- pooling ------------------------------------------------------------------------------------------------------ */

static void add_four(double *restrict acc, const float *restrict a, const float *restrict b, const float *restrict c,
                     const float *restrict d, int64_t n)
{
    for (int64_t j = 0; j < n; j++)
        acc[j] += ((double)a[j] + (double)b[j]) + ((double)c[j] + (double)d[j]);
}

static void add_one(double *restrict acc, const float *restrict a, int64_t n)
{
    for (int64_t j = 0; j < n; j++)
        acc[j] += (double)a[j];
}

/* Columns [at, at + n) of vectors [i, end), summed into acc[n]. */
static void sum_run(enum vnp_dtype dtype, const void *src, int64_t i, int64_t end, int64_t width, int64_t at, int64_t n,
                    double *acc)
{
    float scratch[4][TILE];
    memset(acc, 0, (size_t)n * sizeof *acc);
    for (; i + 4 <= end; i += 4) {
        const float *v[4];
        for (int64_t k = 0; k < 4; k++)
            v[k] = floats(dtype, src, (i + k) * width + at, n, scratch[k]);
        add_four(acc, v[0], v[1], v[2], v[3], n);
    }
    for (; i < end; i++)
        add_one(acc, floats(dtype, src, i * width + at, n, scratch[0]), n);
}

/* Columns [at, at + n) of the mean. */
static void mean_tile(enum vnp_dtype dtype, const void *src, int64_t count, int64_t width, int64_t at, int64_t n,
                      float *dst)
{
    double all[TILE] = {0}, run[TILE];
    for (int64_t i = 0; i < count; i += VNP_POOL_RUN) {
        sum_run(dtype, src, i, i + VNP_POOL_RUN < count ? i + VNP_POOL_RUN : count, width, at, n, run);
        for (int64_t j = 0; j < n; j++)
            all[j] += run[j];
    }
    for (int64_t j = 0; j < n; j++)
        dst[at + j] = (float)(all[j] / (double)count);
}

static void max_one(float *restrict m, const float *restrict a, int64_t n)
{
    for (int64_t j = 0; j < n; j++)
        m[j] = vnp_max_or_nan(m[j], a[j]);
}

static void max_tile(enum vnp_dtype dtype, const void *src, int64_t count, int64_t width, int64_t at, int64_t n,
                     float *dst)
{
    float scratch[TILE];
    memcpy(dst + at, floats(dtype, src, at, n, scratch), (size_t)n * sizeof *dst);
    for (int64_t i = 1; i < count; i++)
        max_one(dst + at, floats(dtype, src, i * width + at, n, scratch), n);
}

void vnp_pool_vectors(enum vnp_pool pool, enum vnp_dtype dtype, const void *src, int64_t count, int64_t width,
                      float *dst)
{
    if (count == 0) {
        memset(dst, 0, (size_t)width * sizeof *dst);
        return;
    }
    for (int64_t at = 0; at < width; at += TILE) {
        int64_t n = width - at < TILE ? width - at : TILE;
        if (pool == VNP_POOL_MEAN)
            mean_tile(dtype, src, count, width, at, n, dst);
        else
            max_tile(dtype, src, pool == VNP_POOL_CLS ? 1 : count, width, at, n, dst);
    }
}

/* --- conversions -------------------------------------------------------------------------------------------------- */

/* The index of the first finite element that FP16 can't hold, or n. */
static int64_t f32_to_f16(const float *restrict src, int64_t n, uint16_t *restrict dst)
{
    int64_t bad = n;
    for (int64_t i = 0; i < n; i++) {
        dst[i] = vnp_f32_f16(src[i]);
        if ((dst[i] & 0x7fff) == 0x7c00 && (vnp_f32_bits(src[i]) & 0x7fffffff) < 0x7f800000 && bad == n)
            bad = i;
    }
    return bad;
}

bool vnp_convert(enum vnp_dtype from, const void *src, int64_t n, enum vnp_dtype to, void *dst, int64_t *at)
{
    float scratch[TILE];
    if (from == to) {
        memcpy(dst, src, (size_t)n * vnp_dtype_bytes(to));
        return true;
    }
    for (int64_t i = 0; i < n; i += TILE) {
        int64_t m = n - i < TILE ? n - i : TILE;
        const float *v = floats(from, src, i, m, scratch);
        if (to == VNP_F32) {
            memcpy((float *)dst + i, v, (size_t)m * sizeof *v);
            continue;
        }
        int64_t bad = f32_to_f16(v, m, (uint16_t *)dst + i);
        if (bad < m) {
            *at = i + bad;
            return false;
        }
    }
    return true;
}

bool vnp_all_finite(enum vnp_dtype dtype, const void *v, int64_t n)
{
    uint32_t bad = 0;
    if (dtype == VNP_F32) {
        const uint32_t *u = v;
        for (int64_t i = 0; i < n; i++)
            bad |= (u[i] & 0x7f800000) == 0x7f800000;
    } else {
        const uint16_t *u = v, exponent = dtype == VNP_F16 ? 0x7c00 : 0x7f80;
        for (int64_t i = 0; i < n; i++)
            bad |= (u[i] & exponent) == exponent;
    }
    return bad == 0;
}
