/* synth-contigs [options]: contigs as FASTA on stdout, the same bytes for the same options. They are made of genes,
 * each a stretch of sense codons on either strand and in any frame, and of random bases between.
 *   -m MB or -n CONTIGS     how much
 *   -l MEDIAN (2000)  -s SIGMA of ln(length) (0.8; 0: all equal)   lengths, log-normal, 1 to 10 million
 *   -c CODING (0.8)         share of the bases in genes; 0: random, 1: genes alone
 *   -g BASES (900)          of a gene
 *   -w COLUMNS (60; 0: one line a record) */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "random.h"

enum { MAX_LENGTH = 10000000 };

struct options {
    double bytes, contigs, median, sigma, coding;
    int gene, columns;
};

static void put_random(char *to, int n)
{
    for (int i = 0; i < n; i++)
        to[i] = "ACGT"[random_bits() >> 62];
}

static char opposite(char c)
{
    return c == 'A' ? 'T' : c == 'C' ? 'G' : c == 'G' ? 'C' : 'A';
}

static int is_stop(char a, char b, char c)
{
    return a == 'T' && ((b == 'A' && (c == 'A' || c == 'G')) || (b == 'G' && c == 'A'));
}

/* Three letters that are no stop codon as they stand or, on the other strand, read from behind. */
static void put_codon(char *to, int reverse)
{
    do
        put_random(to, 3);
    while (reverse ? is_stop(opposite(to[2]), opposite(to[1]), opposite(to[0])) : is_stop(to[0], to[1], to[2]));
}

static void put_contig(char *to, int n, const struct options *o)
{
    const double between = o->coding > 0 ? o->gene * (1 / o->coding - 1) : MAX_LENGTH;
    for (int at = 0; at < n;) {
        int gap = (int)(2 * between * random_uniform());
        gap = gap < n - at ? gap : n - at;
        put_random(to + at, gap);
        at += gap;
        const int reverse = (int)(random_bits() >> 63), end = at + 3 * (o->gene / 3);
        for (; at < end && at < n && o->coding > 0; at += 3)
            put_codon(to + at, reverse);
    }
}

static long put_lines(const char *letters, int n, int columns)
{
    long lines = 0;
    const int width = columns > 0 ? columns : n;
    for (int at = 0; at < n; at += width, lines++) {
        fwrite(letters + at, 1, (size_t)(n - at < width ? n - at : width), stdout);
        putchar('\n');
    }
    return n + lines;
}

static struct options parse(int argc, char **argv)
{
    struct options o = {.bytes = INFINITY, .contigs = INFINITY, .median = 2000, .sigma = 0.8, .coding = 0.8,
                        .gene = 900, .columns = 60};
    for (int c; (c = getopt(argc, argv, "m:n:l:s:c:g:w:")) != -1;)
        switch (c) {
        case 'm': o.bytes = 1e6 * atof(optarg); break;
        case 'n': o.contigs = atof(optarg); break;
        case 'l': o.median = atof(optarg); break;
        case 's': o.sigma = atof(optarg); break;
        case 'c': o.coding = atof(optarg); break;
        case 'g': o.gene = atoi(optarg); break;
        case 'w': o.columns = atoi(optarg); break;
        default: exit(2);
        }
    if (optind < argc || (isinf(o.bytes) && isinf(o.contigs)) || o.gene < 3 || !(o.coding >= 0 && o.coding <= 1)) {
        fputs("synth-contigs: wants -m MB or -n CONTIGS, a coding share of 0 to 1, genes of 3 or more bases\n", stderr);
        exit(2);
    }
    return o;
}

int main(int argc, char **argv)
{
    const struct options o = parse(argc, argv);
    char *letters = malloc(MAX_LENGTH + 3);
    if (letters == NULL)
        return 71;
    setvbuf(stdout, NULL, _IOFBF, 1 << 20);
    double written = 0;
    for (unsigned r = 0; written < o.bytes && r < o.contigs; r++) {
        const int n = random_length(o.median, o.sigma, 1, MAX_LENGTH);
        put_contig(letters, n, &o);
        written += printf(">contig_%u len=%d\n", r + 1, n);
        written += (double)put_lines(letters, n, o.columns);
    }
    free(letters);
    return fflush(stdout) != 0 || ferror(stdout);
}
