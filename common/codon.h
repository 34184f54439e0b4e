/* Six reading frames of a piece of DNA, as VirNucPro reads them. Frames 0 to 2 (F1 F2 F3) begin at the first three
 * letters; 3 to 5 (R1 R2 R3) at the first three of the reverse complement, in which A C G T are mapped and every other
 * letter stays what it is. Lower case is upper case everywhere. */
#ifndef VNP_CODON_H
#define VNP_CODON_H

#include <stdint.h>

#define VNP_FRAMES 6

extern const char vnp_frame_name[VNP_FRAMES][3]; /* "F1" .. "R3" */

/* Translates frame `frame` of the n letters with the standard genetic code (NCBI translation table 1). A codon with a
 * letter other than A C G T contributes nothing. Writes the residues to `protein`, which has room for n / 3, and
 * returns how many they are; -1 as soon as there is a stop. */
int64_t vnp_translate(const char *seq, uint64_t n, int frame, char *protein);

/* Writes the first `want` letters of the frame's strand, from where the frame begins, to `out`, in upper case; fewer
 * where the strand ends. Returns how many. */
uint64_t vnp_frame_letters(const char *seq, uint64_t n, int frame, uint64_t want, char *out);

#endif
