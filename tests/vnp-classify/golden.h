/* The inputs of tests/golden/classifier, as make_golden.py has them. */
#ifndef VNP_TESTS_CLASSIFIER_GOLDEN_H
#define VNP_TESTS_CLASSIFIER_GOLDEN_H

#include <stdint.h>

#include "mix64.h"

/* From -2 to 2. */
static inline float golden_input(uint64_t i)
{
    return (float)(vnp_mix64(i) >> 40) / 4194304.0F - 2;
}

#endif
