#include "chunk.h"

struct vnp_chunks vnp_chunks(uint64_t letters, uint64_t size)
{
    struct vnp_chunks c = {.letters = letters, .size = size};
    if (letters == 0)
        return c;
    c.n = (letters + size - 1) / size;
    const uint64_t rep = c.n * size - letters;
    c.lo = rep / c.n;
    c.need = rep - c.lo * (c.n - 1);
    return c;
}

uint64_t vnp_chunk_start(const struct vnp_chunks *c, uint64_t k)
{
    return k * (c->size - c->lo) - (k < c->need ? k : c->need);
}

uint64_t vnp_chunk_letters(const struct vnp_chunks *c, uint64_t k)
{
    const uint64_t left = c->letters - vnp_chunk_start(c, k);
    return left < c->size ? left : c->size;
}
