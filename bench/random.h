/* Random numbers for made-up sequences: the same from one run to the next. SplitMix64 (Steele, Lea and Flood 2014). */
#ifndef VNP_BENCH_RANDOM_H
#define VNP_BENCH_RANDOM_H

#include <math.h>
#include <stdint.h>

#include "mix64.h"

/* 64 random bits. */
static inline uint64_t random_bits(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15;
    return vnp_mix64(state += 0x9e3779b97f4a7c15);
}

/* Over 0, under 1. */
static inline double random_uniform(void)
{
    return ((double)(random_bits() >> 11) + 0.5) / 9007199254740992.0;
}

/* A length, log-normal: `sigma` is the standard deviation of its logarithm (0: all are `median`); held to low..high. */
static inline int random_length(double median, double sigma, int low, int high)
{
    const double gauss = sqrt(-2 * log(random_uniform())) * cos(6.283185307179586 * random_uniform());
    return (int)fmin(fmax(floor(median * exp(sigma * gauss) + 0.5), low), high);
}

#endif
