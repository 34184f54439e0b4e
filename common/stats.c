#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats.h"
#include "xmalloc.h"

/* Sign, exponent and the first 12 bits of the fraction. */
#define BIN_BITS 21
#define BIN_SHIFT (32 - BIN_BITS)

/* Independent partial sums: the compiler may keep them in vector registers without reordering an addition. */
#define LANES 8

static double fold(const double *lanes)
{
    double sum = 0;
    for (int k = 0; k < LANES; k++)
        sum += lanes[k];
    return sum;
}

static double sum_of(const float *x, int64_t n)
{
    double lanes[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++)
            lanes[k] += x[i + k];
    for (; i < n; i++)
        lanes[0] += x[i];
    return fold(lanes);
}

static double squares_about(const float *x, int64_t n, double mean)
{
    double lanes[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++)
            lanes[k] += (x[i + k] - mean) * (x[i + k] - mean);
    for (; i < n; i++)
        lanes[0] += (x[i] - mean) * (x[i] - mean);
    return fold(lanes);
}

static void merge(struct vnp_moments *m, double n, double mean, double m2)
{
    double total = m->n + n, delta = mean - m->mean;
    m->mean += delta * n / total;
    m->m2 += m2 + delta * delta * m->n * n / total;
    m->n = total;
}

void vnp_moments_add(struct vnp_moments *m, const float *x, int64_t n)
{
    if (n <= 0)
        return;
    double mean = sum_of(x, n) / (double)n;
    merge(m, (double)n, mean, squares_about(x, n, mean));
}

double vnp_moments_std(const struct vnp_moments *m)
{
    return m->n > 0 ? sqrt(m->m2 / m->n) : 0;
}

void vnp_pair_compare(struct vnp_pair *p, const float *a, const float *b, int64_t width)
{
    double ab[LANES] = {0}, aa[LANES] = {0}, bb[LANES] = {0}, most[LANES] = {0};
    for (int64_t i = 0; i < width; i += LANES) {
        int lanes = width - i < LANES ? (int)(width - i) : LANES;
        for (int k = 0; k < lanes; k++) {
            double x = a[i + k], y = b[i + k], d = fabs(x - y);
            ab[k] += x * y;
            aa[k] += x * x;
            bb[k] += y * y;
            most[k] = d > most[k] ? d : most[k];
        }
    }
    /* The root of the product, which fits a double, and not the product of the roots: equal vectors give exactly 1. */
    double sum_aa = fold(aa), sum_bb = fold(bb), norms = sqrt(sum_aa * sum_bb);
    p->norm_a = sqrt(sum_aa);
    p->norm_b = sqrt(sum_bb);
    /* A float squared can't overflow a double, so the sums are finite exactly when every element is. */
    p->finite = isfinite(sum_aa) && isfinite(sum_bb);
    p->cosine = norms > 0 ? fmin(fold(ab) / norms, 1) : sum_aa == sum_bb ? 1 : 0;
    p->max_diff = 0;
    for (int k = 0; k < LANES; k++)
        p->max_diff = fmax(p->max_diff, most[k]);
    if (!p->finite)
        p->cosine = p->max_diff = NAN;
}

static void side_init(struct vnp_side *s)
{
    memset(s, 0, sizeof *s);
    s->histogram = xcalloc((size_t)1 << BIN_BITS, sizeof *s->histogram);
}

static void side_add(struct vnp_side *s, const float *x, int64_t n, double norm)
{
    s->min_norm = s->norms.n == 0 ? norm : fmin(s->min_norm, norm);
    s->max_norm = fmax(s->max_norm, norm);
    merge(&s->norms, 1, norm, 0);
    vnp_moments_add(&s->values, x, n);
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], 4);
        s->histogram[bits >> BIN_SHIFT]++;
    }
}

uint64_t vnp_side_outliers(const struct vnp_side *s, double z)
{
    double limit = z * vnp_moments_std(&s->values);
    uint64_t outliers = 0;
    if (!(limit > 0))
        return 0;
    for (uint32_t bin = 0; bin < (uint32_t)1 << BIN_BITS; bin++) {
        if (s->histogram[bin] == 0)
            continue;
        uint32_t bits = bin << BIN_SHIFT;
        float low;
        memcpy(&low, &bits, 4);
        if (fabs(low - s->values.mean) > limit)
            outliers += s->histogram[bin];
    }
    return outliers;
}

void vnp_agreement_init(struct vnp_agreement *g)
{
    memset(g, 0, sizeof *g);
    g->min_cosine = 1;
    side_init(&g->a);
    side_init(&g->b);
}

void vnp_agreement_free(struct vnp_agreement *g)
{
    free(g->a.histogram);
    free(g->b.histogram);
}

void vnp_agreement_add(struct vnp_agreement *g, const float *a, const float *b, int64_t width, struct vnp_pair *p)
{
    struct vnp_pair own;
    if (p == NULL)
        p = &own;
    vnp_pair_compare(p, a, b, width);
    g->vectors++;
    g->sum_cosine += p->cosine;
    if (!isnan(g->min_cosine) && !(p->cosine >= g->min_cosine)) /* NaN wins, and stays */
        g->min_cosine = p->cosine;
    if (!p->finite) {
        g->nonfinite++;
        return;
    }
    g->max_diff = fmax(g->max_diff, p->max_diff);
    side_add(&g->a, a, width, p->norm_a);
    side_add(&g->b, b, width, p->norm_b);
}

double vnp_agreement_mean_cosine(const struct vnp_agreement *g)
{
    return g->vectors > 0 ? g->sum_cosine / (double)g->vectors : 1;
}

double vnp_percent(double a, double b)
{
    if (a == b)
        return 0;
    return 100 * fabs(b - a) / fabs(a);
}
