/* A stream of batches, counted: what there is to compute, without computing it. */
#ifndef VNP_CENSUS_H
#define VNP_CENSUS_H

#include "block.h"

#define VNP_CENSUS_SAMPLE 256
#define VNP_ESM2_TRAINED 1022 /* residues: ESM-2 was trained on sequences of up to 1024 tokens, two of them special */

struct vnp_census {
    uint64_t records, rows, tokens;
    uint64_t windowed;                    /* records in windows */
    uint64_t truncated, empty;            /* records */
    uint64_t residues, shortest, longest; /* of the records as they are in the input; shortest 0 when there are none */
    uint64_t kept;      /* residues that have a vector of their own in the end: cut ones not, shared ones once */
    uint64_t untrained; /* rows of more residues than VNP_ESM2_TRAINED */
    uint64_t id_bytes;  /* of the records' ids */
    /* Batches, those of one row larger than the budget apart, as in packer.h. */
    uint64_t batches, packed_tokens, oversize;
    uint64_t largest_batch, longest_row; /* tokens */
    /* Tokens of rows evenly spread over the stream: every `stride`-th of the `filled`, those with any. */
    uint64_t filled;
    uint32_t sample[VNP_CENSUS_SAMPLE];
    int64_t n_sample;
    uint64_t stride; /* 0 before the first row */
};

/* Adds a batch. `budget`: its tokens at most, but for a row larger than that. */
void vnp_census_add(struct vnp_census *c, const struct vnp_block *batch, uint64_t budget);

/* The tokens of a row of the sample, for i = 0, 1, ...: each once before one comes again, in no order. There is one when
 * the census has tokens. */
uint32_t vnp_census_sampled(const struct vnp_census *c, int64_t i);

/* Share of the budget that the batches use; 1 when there are none. */
double vnp_census_used(const struct vnp_census *c, uint64_t budget);

#endif
