/* Writes FASTA like UniProt's, the same bytes for the same arguments: residues at UniProt's frequencies, headers of
 * about a hundred bytes, log-normal lengths.
 *
 *   synth-fasta MEGABYTES MEAN_LENGTH [COLUMNS (60; 0: one line)] [SIGMA of ln(length) (0.6; 0: all equal)] */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t state = 0x9e3779b97f4a7c15;

/* splitmix64, Steele, Lea and Flood 2014. */
static uint64_t next(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static double uniform(void)
{
    return ((double)(next() >> 11) + 0.5) / 9007199254740992.0;
}

int main(int argc, char **argv)
{
    static const char letters[] = "LAGVESIKRDTPNQFYMHCW";
    static const int per_mille[] = {97, 83, 71, 69, 67, 66, 59, 58, 55, 55, 54, 47, 41, 39, 39, 29, 24, 23, 14, 10};
    char by_share[1024];
    static char line[1 << 16];
    if (argc < 3 || argc > 5) {
        fputs("usage: synth-fasta MEGABYTES MEAN_LENGTH [COLUMNS [SIGMA]]\n", stderr);
        return 2;
    }
    const double bytes = 1e6 * atof(argv[1]), mean = atof(argv[2]), sigma = argc > 4 ? atof(argv[4]) : 0.6;
    const int columns = argc > 3 ? atoi(argv[3]) : 60;
    for (int i = 0; i < 1024; i++)
        by_share[i] = letters[i % 20];
    for (int k = 0, i = 0; k < 20; k++)
        for (int j = 0; j < per_mille[k] && i < 1024; j++)
            by_share[i++] = letters[k];
    setvbuf(stdout, NULL, _IOFBF, 1 << 20);
    double written = 0;
    for (unsigned r = 0; written < bytes; r++) {
        double gauss = sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
        int n = (int)(mean * exp(sigma * gauss - sigma * sigma / 2) + 0.5);
        n = n < 1 ? 1 : n > 60000 ? 60000 : n;
        written +=
            printf(">sp|Q%07u|P%u_SYNTH Synthetic protein %u OS=Bench organism (strain %u) OX=%u GN=g%u PE=1 SV=1\n", r,
                   r % 100000, r, r % 97, r % 99991, r);
        int at = 0;
        for (int i = 0; i < n; i++) {
            line[at++] = by_share[next() & 1023];
            if ((columns > 0 && (i + 1) % columns == 0) || i + 1 == n)
                line[at++] = '\n';
        }
        written += at;
        fwrite(line, 1, (size_t)at, stdout);
    }
    return fflush(stdout) != 0;
}
