/* Where VirNucPro cuts a contig: into n = ceil(letters / size) chunks of `size` letters that overlap by about as much
 * as fills the last one up. With rep = n size - letters and lo = rep / n (whole), chunk k (from 0) begins k size
 * letters on, less the shifts of the chunks before it: the first `need` = rep - lo (n - 1) shifts are lo + 1, the
 * others lo. What would reach over the end is cut off there, so that the last chunk is often short. */
#ifndef VNP_CHUNK_H
#define VNP_CHUNK_H

#include <stdint.h>

struct vnp_chunks {
    uint64_t letters, size;
    uint64_t n; /* chunks; 0 for no letters */
    uint64_t lo, need;
};

/* `size` is at least 1; letters + size must fit 64 bits. */
struct vnp_chunks vnp_chunks(uint64_t letters, uint64_t size);

/* The first letter of chunk k < n, from 0, and how many letters the chunk has. */
uint64_t vnp_chunk_start(const struct vnp_chunks *c, uint64_t k);
uint64_t vnp_chunk_letters(const struct vnp_chunks *c, uint64_t k);

#endif
