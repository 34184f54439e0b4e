/* Which letters a nucleotide sequence may hold: A C G T U, the IUPAC codes R Y S W K M B D H V N, X for what was
 * masked, '-' and '.' for gaps; in either case. */
#ifndef VNP_NUCLEOTIDE_H
#define VNP_NUCLEOTIDE_H

#include <stdint.h>

#include "tokenizer.h"

/* What has been counted. */
struct vnp_nucleotides {
    struct vnp_unknown strays; /* letters that are none of these, by letter (upper-case) */
    uint64_t uracils;
};

/* Adds the letters to *sum. Returns how many of them are strays. */
uint64_t vnp_nucleotides_count(const char *seq, uint64_t n, struct vnp_nucleotides *sum);

#endif
