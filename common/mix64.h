/* The finalizer of SplitMix64 (Steele, Lea, Flood 2014; http://prng.di.unimi.it/splitmix64.c): a bijection of 64 bits
 * whose output bits each depend on every input bit. */
#ifndef VNP_MIX64_H
#define VNP_MIX64_H

#include <stdint.h>

static inline uint64_t vnp_mix64(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

#endif
