/* Models made of numbers that look like weights: any size, the same bytes on any machine, no download. What they
 * compute means nothing, but it flows as in a trained model: attention neither flat nor one-hot, activations of order
 * one.
 *
 * Element i of a tensor is mean + scale x (the sum of the four 16-bit parts of u - 131070), in float32 without
 * contraction; u = mix64(key + (i + 1) x 0x9e3779b97f4a7c15), key = mix64(mix64(seed) ^ FNV-1a64(name as Hugging Face
 * has it)): SplitMix64 as a counter, and a sum that is near enough normal (it ends at 3.46 standard deviations). No
 * libm, so no differences. */
#ifndef VNP_SYNTH_H
#define VNP_SYNTH_H

#include <stdbool.h>
#include <stdint.h>

#include "model.h"

#define VNP_SYNTH_CHANNELS 4

struct vnp_synth {
    struct vnp_model_config config;
    uint64_t seed;
    /* Massive channels, as large trained models have: a few of the residual stream hold hundreds from the second layer
     * on, and the weights of the LayerNorms behind it make up for them. None unless `outliers`. */
    bool outliers;
    int channel[VNP_SYNTH_CHANNELS];
};

/* `shape`: a published size ("8M" to "15B") or name, LAYERSxHEADSxWIDTH, "dnabert-s", or
 * "dnabert-s:LAYERSxHEADSxWIDTH"; the feed-forward is four times the width. VNP_USAGE for anything else, with what is
 * wrong. */
VNP_MUST_CHECK enum vnp_status vnp_synth_init(struct vnp_synth *s, const char *shape, uint64_t seed, bool outliers,
                                              struct vnp_err *err);

/* Elements [first, first + count) of a tensor of that name, drawn as above; `std` is that of the numbers. */
void vnp_synth_normal(uint64_t seed, const char *name, int64_t first, int64_t count, float mean, double std,
                      float *dst);

/* A vnp_fill_fn over a struct vnp_synth. */
void vnp_synth_fill(void *synth, enum vnp_role role, int layer, int64_t first, int64_t count, float *dst);

#endif
