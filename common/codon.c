#include "codon.h"

#include <stddef.h>

const char vnp_frame_name[VNP_FRAMES][3] = {"F1", "F2", "F3", "R1", "R2", "R3"};

enum { T = 1, C, A, G };

static const uint8_t letter[256] = {['T'] = T, ['t'] = T, ['C'] = C, ['c'] = C,
                                    ['A'] = A, ['a'] = A, ['G'] = G, ['g'] = G};
static const uint8_t opposite[256] = {['A'] = T, ['a'] = T, ['G'] = C, ['g'] = C,
                                      ['T'] = A, ['t'] = A, ['C'] = G, ['c'] = G};

/* A codon is a number of three octal digits; 0 for any other letter makes it none. */
#define CODON(x, y, z) ((x) << 6 | (y) << 3 | (z))
#define FOUR(x, y, t, c, a, g) [CODON(x, y, T)] = t, [CODON(x, y, C)] = c, [CODON(x, y, A)] = a, [CODON(x, y, G)] = g
static const char amino[512] = {
    FOUR(T, T, 'F', 'F', 'L', 'L'), FOUR(T, C, 'S', 'S', 'S', 'S'), FOUR(T, A, 'Y', 'Y', '*', '*'),
    FOUR(T, G, 'C', 'C', '*', 'W'), FOUR(C, T, 'L', 'L', 'L', 'L'), FOUR(C, C, 'P', 'P', 'P', 'P'),
    FOUR(C, A, 'H', 'H', 'Q', 'Q'), FOUR(C, G, 'R', 'R', 'R', 'R'), FOUR(A, T, 'I', 'I', 'I', 'M'),
    FOUR(A, C, 'T', 'T', 'T', 'T'), FOUR(A, A, 'N', 'N', 'K', 'K'), FOUR(A, G, 'S', 'S', 'R', 'R'),
    FOUR(G, T, 'V', 'V', 'V', 'V'), FOUR(G, C, 'A', 'A', 'A', 'A'), FOUR(G, A, 'D', 'D', 'E', 'E'),
    FOUR(G, G, 'G', 'G', 'G', 'G')};

/* Half of all frames of random DNA end within 15 codons: nothing is prepared that such a frame would not use. */
static inline int64_t read_codons(const uint8_t *seq, ptrdiff_t at, const ptrdiff_t step, uint64_t codons,
                                  const uint8_t *code, char *protein)
{
    char *end = protein;
    for (; codons > 0; codons--, at += 3 * step) {
        const char aa = amino[CODON(code[seq[at]], code[seq[at + step]], code[seq[at + 2 * step]])];
        if (aa == '*')
            return -1;
        *end = aa;
        end += aa != 0;
    }
    return end - protein;
}

int64_t vnp_translate(const char *seq, uint64_t n, int frame, char *protein)
{
    const uint8_t *s = (const uint8_t *)seq;
    const uint64_t from = (uint64_t)frame % 3, codons = n > from ? (n - from) / 3 : 0;
    if (frame < 3)
        return read_codons(s, (ptrdiff_t)from, 1, codons, letter, protein);
    return read_codons(s, (ptrdiff_t)n - 1 - (ptrdiff_t)from, -1, codons, opposite, protein);
}

static inline char upper(char c)
{
    return (char)((unsigned char)(c - 'a') < 26 ? c - 32 : c);
}

uint64_t vnp_frame_letters(const char *seq, uint64_t n, int frame, uint64_t want, char *out)
{
    static const char base[] = {0, 'T', 'C', 'A', 'G'};
    const uint64_t from = (uint64_t)frame % 3, left = n > from ? n - from : 0;
    const uint64_t letters = want < left ? want : left;
    if (frame < 3) {
        for (uint64_t i = 0; i < letters; i++)
            out[i] = upper(seq[from + i]);
        return letters;
    }
    for (uint64_t i = 0; i < letters; i++) {
        const char c = seq[n - 1 - from - i], mapped = base[opposite[(uint8_t)c]];
        out[i] = mapped != 0 ? mapped : upper(c);
    }
    return letters;
}
