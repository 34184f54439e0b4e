#include "nucleotide.h"

#include <stdbool.h>

#define SPAN 64 /* letters looked at together */

#define BOTH(upper) [upper] = true, [upper + 32] = true
static const bool known[256] = {
    BOTH('A'), BOTH('C'), BOTH('G'), BOTH('T'), BOTH('U'), BOTH('R'), BOTH('Y'), BOTH('S'), BOTH('W'),
    BOTH('K'), BOTH('M'), BOTH('B'), BOTH('D'), BOTH('H'), BOTH('V'), BOTH('N'), BOTH('X'), ['-'] = true, ['.'] = true};

static inline uint8_t least(uint8_t a, uint8_t b)
{
    return a < b ? a : b;
}

/* 0 for A C G T N in either case. As minima, since the compiler makes vector instructions of these, but not of ||. */
static inline uint8_t uncommon(char letter)
{
    const uint8_t c = (uint8_t)letter | 0x20;
    return least(least(least(c ^ 'a', c ^ 'c'), least(c ^ 'g', c ^ 't')), c ^ 'n');
}

static inline bool all_common(const char *seq)
{
    uint8_t any = 0;
    for (int i = 0; i < SPAN; i++)
        any |= uncommon(seq[i]);
    return any == 0;
}

uint64_t vnp_nucleotides_count(const char *seq, uint64_t n, struct vnp_nucleotides *sum)
{
    const uint64_t before = sum->strays.n;
    for (uint64_t at = 0; at < n; at += SPAN) {
        const uint64_t end = n - at < SPAN ? n : at + SPAN;
        if (n - at >= SPAN && all_common(seq + at))
            continue;
        for (uint64_t i = at; i < end; i++) {
            const uint8_t c = (uint8_t)seq[i];
            sum->uracils += c == 'U' || c == 'u';
            if (known[c])
                continue;
            sum->strays.n++;
            sum->strays.by_letter[c >= 'a' && c <= 'z' ? c - 32 : c]++;
        }
    }
    return sum->strays.n - before;
}
