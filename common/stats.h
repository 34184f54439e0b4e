/* How far two sets of vectors agree: cosines, differences, moments, outliers. One pass, memory that does not grow, sums
 * in double. */
#ifndef VNP_STATS_H
#define VNP_STATS_H

#include <stdbool.h>
#include <stdint.h>

/* Mean and spread of numbers seen so far. Zero-initialised is empty. Chunks are merged by the formula of Chan, Golub
 * and LeVeque (1979), which does not cancel as E[x^2] - E[x]^2 does. */
struct vnp_moments {
    double n, mean, m2; /* m2: sum of (x - mean)^2 */
};
void vnp_moments_add(struct vnp_moments *m, const float *x, int64_t n);
/* Standard deviation of the whole (divided by n, not n - 1); 0 for an empty one. */
double vnp_moments_std(const struct vnp_moments *m);

/* What one pair of vectors has to say. */
struct vnp_pair {
    double cosine;   /* 1 when both are zero vectors, 0 when one is, NaN when !finite */
    double max_diff; /* largest |a - b|, NaN when !finite */
    double norm_a, norm_b; /* L2 */
    bool finite;     /* no NaN, no infinity on either side */
};
void vnp_pair_compare(struct vnp_pair *p, const float *a, const float *b, int64_t width);

/* One side of a comparison. */
struct vnp_side {
    struct vnp_moments values, norms;
    double min_norm, max_norm;
    uint64_t *histogram; /* by the upper bits of the float; vnp_side_outliers() says how fine */
};

/* All pairs so far. A vector that is not finite counts as such and makes min_cosine and mean_cosine NaN; the moments
 * and norms are of the rest. */
struct vnp_agreement {
    int64_t vectors, nonfinite;
    double min_cosine, sum_cosine;
    double max_diff; /* over the finite pairs */
    struct vnp_side a, b;
};

/* Takes 32 MiB; the caller frees with vnp_agreement_free(). */
void vnp_agreement_init(struct vnp_agreement *g);
void vnp_agreement_free(struct vnp_agreement *g);
/* Adds a pair; *p, which may be NULL, gets what it was. */
void vnp_agreement_add(struct vnp_agreement *g, const float *a, const float *b, int64_t width, struct vnp_pair *p);
/* 1 when nothing was compared. */
double vnp_agreement_mean_cosine(const struct vnp_agreement *g);

/* Values further than `z` standard deviations from the side's mean. The mean is known only after the last value, so
 * they are counted in a histogram whose bins are 2^-12 of the value wide: a value nearer than that to the limit may
 * fall on its other side, any other is counted exactly. */
uint64_t vnp_side_outliers(const struct vnp_side *s, double z);

/* 100 |b - a| / |a|: 0 when both are 0, infinite when only a is. */
double vnp_percent(double a, double b);

#endif
