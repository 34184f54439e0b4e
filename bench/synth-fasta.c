/* synth-fasta [options]: proteins as FASTA on stdout, the same bytes for the same options. Residues have UniProt's
 * frequencies, headers its form, about ninety bytes; lengths are log-normal.
 *   -m MB, -n SEQUENCES or -t TOKENS (of ESM-2)   how much
 *   -l MEDIAN (292)  -s SIGMA of ln(length) (0.6; 0: all equal)  -r LOW-HIGH (1-60000)   lengths; those outside are cut
 *   -w COLUMNS (60; 0: one line a record)
 *   -d   nucleotides, all four alike, instead */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "random.h"

enum { MAX_LENGTH = 60000 };

struct options {
    double bytes, sequences, tokens;
    double median, sigma;
    int low, high, columns, dna;
};

static struct options parse(int argc, char **argv)
{
    struct options o = {.bytes = INFINITY, .sequences = INFINITY, .tokens = INFINITY,
                        .median = 292, .sigma = 0.6, .low = 1, .high = MAX_LENGTH, .columns = 60};
    for (int c; (c = getopt(argc, argv, "m:n:t:l:s:r:w:d")) != -1;) {
        switch (c) {
        case 'm': o.bytes = 1e6 * atof(optarg); break;
        case 'n': o.sequences = atof(optarg); break;
        case 't': o.tokens = atof(optarg); break;
        case 'l': o.median = atof(optarg); break;
        case 's': o.sigma = atof(optarg); break;
        case 'r':
            if (sscanf(optarg, "%d-%d", &o.low, &o.high) != 2)
                exit(2);
            break;
        case 'w': o.columns = atoi(optarg); break;
        case 'd': o.dna = 1; break;
        default: exit(2);
        }
    }
    if (optind != argc || fmin(o.bytes, fmin(o.sequences, o.tokens)) == INFINITY || o.low < 1 || o.high > MAX_LENGTH) {
        fputs("synth-fasta: wants one of -m MB, -n SEQUENCES, -t TOKENS, and lengths from 1 to 60000\n", stderr);
        exit(2);
    }
    return o;
}

/* Bytes written. */
static int put_residues(const char by_share[1024], int n, int columns)
{
    static char text[2 * MAX_LENGTH + 1];
    int at = 0;
    for (int i = 0; i < n; i++) {
        text[at++] = by_share[random_bits() & 1023];
        if ((columns > 0 && (i + 1) % columns == 0) || i + 1 == n)
            text[at++] = '\n';
    }
    return (int)fwrite(text, 1, (size_t)at, stdout);
}

int main(int argc, char **argv)
{
    static const char letters[] = "LAGVESIKRDTPNQFYMHCW";
    static const int per_mille[] = {97, 83, 71, 69, 67, 66, 59, 58, 55, 55, 54, 47, 41, 39, 39, 29, 24, 23, 14, 10};
    char by_share[1024];
    const struct options o = parse(argc, argv);
    for (int i = 0; i < 1024; i++)
        by_share[i] = letters[i % 20];
    for (int k = 0, i = 0; k < 20; k++)
        for (int j = 0; j < per_mille[k] && i < 1024; j++)
            by_share[i++] = letters[k];
    for (int i = 0; o.dna && i < 1024; i++)
        by_share[i] = "ACGT"[i % 4];
    setvbuf(stdout, NULL, _IOFBF, 1 << 20);
    double written = 0, tokens = 0;
    for (unsigned r = 0; written < o.bytes && r < o.sequences && tokens < o.tokens; r++) {
        int n = random_length(o.median, o.sigma, o.low, o.high);
        written += printf(">sp|Q%07u|P%u_SYNTH Synthetic protein %u OS=Bench organism (strain %u) OX=%u GN=g%u "
                          "PE=1 SV=1\n",
                          r, r % 100000, r, r % 97, r % 99991, r);
        written += put_residues(by_share, n, o.columns);
        tokens += n + 2;
    }
    return fflush(stdout) != 0 || ferror(stdout);
}
