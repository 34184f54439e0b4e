/* Records of FASTA and FASTQ files, whatever they are wrapped in: any compression of source.h, CRLF, blank lines, lines
 * of any length, several files in a row. Built for speed: memchr for line ends, one move a line, no allocation a
 * record. */
#ifndef VNP_FASTA_H
#define VNP_FASTA_H

#include <stddef.h>
#include <stdint.h>

#include "block.h"
#include "status.h"

#define VNP_ID_LIMIT 65535 /* bytes; a longer first word means that this is no sequence file */

struct vnp_fasta;

/* One record. Text is borrowed until the next call. */
struct vnp_record {
    struct vnp_str id; /* first word of the header; n == 0 when there is none */
    const char *seq;   /* the letters as they came, without line ends and white space; not NUL-terminated */
    uint64_t n;        /* letters */
    uint64_t line;     /* of the header, in its file, from 1 */
    uint64_t number;   /* of the record in its file, from 1 */
};

/* Opens the files in turn ("-": stdin; none: stdin). Fails with VNP_NOINPUT at once when any is missing or a directory.
 * `paths` is borrowed. The caller closes *out. */
VNP_MUST_CHECK enum vnp_status vnp_fasta_open(struct vnp_fasta **out, char *const *paths, int n_paths,
                                              struct vnp_err *err);

/* Makes a record of more than `letters` letters an error that ends in `way_out` (borrowed), before it is read into
 * memory. Without a limit, memory grows to the largest record. */
void vnp_fasta_limit(struct vnp_fasta *f, uint64_t letters, const char *way_out);

/* Makes a file without records no error, but the end of its records. */
void vnp_fasta_allow_empty(struct vnp_fasta *f);

/* The next record: VNP_OK with *rec filled in, VNP_END after the last one of the last file, else an error: VNP_DATA
 * with "file:line: record N (id): what" for whatever is malformed, a file without records included unless it is allowed; VNP_IO;
 * VNP_NOINPUT; VNP_OS when a record does not fit into memory. A record without letters is no error: rec->n is 0. */
VNP_MUST_CHECK enum vnp_status vnp_fasta_next(struct vnp_fasta *f, struct vnp_record *rec, struct vnp_err *err);

/* The file that the last record came from, and where in it that record is: "file:line: record N (id)". A path too long
 * for `text`, of 128 bytes or more, loses its beginning: "...file:line: record N (id)". */
const char *vnp_fasta_name(const struct vnp_fasta *f);
const char *vnp_fasta_place(const struct vnp_fasta *f, const struct vnp_record *rec, char *text, size_t cap);

/* Bytes read so far, after decompression: for progress. */
uint64_t vnp_fasta_bytes(const struct vnp_fasta *f);

/* NULL is allowed. */
void vnp_fasta_close(struct vnp_fasta *f);

/* The id for a message: at most 60 bytes, and nothing in it that a terminal would act on. `text` holds 64 bytes. */
const char *vnp_printable_id(char text[64], struct vnp_str id);

#endif
