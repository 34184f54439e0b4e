#include "guess.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Magic numbers, the longest and surest first where two could match. */
static const struct {
    const char *magic;
    size_t n;
    const char *phrase;
} forms[] = {
    {"\xfd\x37zXZ\0", 6, "xz data (xz -dc FILE |)"},
    {"BZh", 3, "bzip2 data (bzip2 -dc FILE |)"},
    {"PK\3\4", 4, "a zip archive (unzip -p FILE |)"},
    {"7z\xbc\xaf\x27\x1c", 6, "a 7z archive (unpack it first)"},
    {"\x04\x22\x4d\x18", 4, "lz4 data (lz4 -dc FILE |)"},
    {"\x1f\x8b", 2, "gzip inside compressed data (zcat FILE | zcat |)"},
    {"\x1f\x9d", 2, "compress (.Z) data (gzip -dc FILE |)"},
    {"\x28\xb5\x2f\xfd", 4, "zstd inside compressed data (decompress it once first)"},
    {"\xff\xfe", 2, "UTF-16 text (iconv -f UTF-16 -t UTF-8 FILE |)"},
    {"\xfe\xff", 2, "UTF-16 text (iconv -f UTF-16 -t UTF-8 FILE |)"},
    {"BAM\1", 4, "a BAM file (samtools fasta FILE |)"},
    {"CRAM", 4, "a CRAM file (samtools fasta FILE |)"},
    {"\177ELF", 4, "a program"},
    {"%PDF", 4, "a PDF document"},
    {"LOCUS ", 6, "a GenBank file (convert it to FASTA first)"},
    {"ID   ", 5, "an EMBL or Swiss-Prot file (convert it to FASTA first)"},
    {"# STOCKHOLM", 11, "a Stockholm alignment (convert it to FASTA first)"},
    {"CLUSTAL", 7, "a Clustal alignment (convert it to FASTA first)"},
    {"##gff", 5, "a GFF file, which is no sequence file"},
    {"<", 1, "HTML or XML (an error page that was downloaded?)"},
    {"{", 1, "JSON"},
    {"[", 1, "JSON"},
};

/* A frame: a length of a sane size, then a msgpack map (fixmap, map 16 or map 32). */
static bool looks_like_stream(const uint8_t *p, size_t n)
{
    return n >= 5 && p[3] < 0x40 && (p[2] | p[3] | p[1] | p[0]) != 0 && ((p[4] & 0xf0) == 0x80 || p[4] == 0xde);
}

const char *vnp_guess_format(const void *first, size_t n)
{
    const uint8_t *p = first;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (n >= forms[i].n && memcmp(p, forms[i].magic, forms[i].n) == 0)
            return forms[i].phrase;
    if (looks_like_stream(p, n))
        return "a stream of frames (vnp-cat shows what is in it)";
    for (size_t i = 0; i < n; i++)
        if (p[i] < 0x20 && (p[i] < '\t' || p[i] > '\r'))
            return "binary data";
    return NULL;
}

const char *vnp_guess_any(const void *first, size_t n)
{
    const char *c = first, *phrase = vnp_guess_format(first, n);
    if (n == 0)
        return NULL;
    if (phrase == NULL && (*c == '>' || *c == ';'))
        return "FASTA (vnp-fasta2tok reads it)";
    if (phrase == NULL && *c == '@')
        return "FASTQ (vnp-fasta2tok reads it)";
    return phrase != NULL ? phrase : "text";
}
