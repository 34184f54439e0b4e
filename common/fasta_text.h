/* The text of a sequence file as the FASTA reader goes through it: one buffer with the record so far and the input that
 * has not been looked at, by lines and letters. For fasta.c alone, which knows what the lines mean. */
#ifndef VNP_FASTA_TEXT_H
#define VNP_FASTA_TEXT_H

#include <stdbool.h>

#include "fasta.h"
#include "source.h"

#define VNP_FA_CHUNK ((size_t)256 << 10) /* read at a time: stays in the second-level cache until it is used */

/* One buffer holds everything: [record, out) is the record so far, its id and then its letters moved together; [pos,
 * end) is input not looked at yet. Letters only ever move down, so out <= pos. */
struct vnp_fasta {
    char *const *paths;
    int n_paths, next_path;
    struct vnp_source *src; /* NULL between files */
    char *name;             /* of the file that the last record came from */
    char *buf;
    size_t cap, record, id_n, out, pos, end;
    bool eof, fastq, in_record;
    uint64_t line;   /* that `pos` is in */
    uint64_t number; /* records of this file so far */
    uint64_t bytes;
    uint64_t limit; /* letters */
    const char *way_out;
    bool empty_allowed;
};

/* VNP_DATA with "file:line: record N (id): what", as much of it as is known. Returns false for the callers' sake; the
 * functions below that return false or an error have called it. */
bool vnp_fa_fail(const struct vnp_fasta *f, uint64_t line, struct vnp_err *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* More input behind `end`: 1, 0 at the end of the file, -1 on an error. */
int vnp_fa_fill(struct vnp_fasta *f, struct vnp_err *err);

/* The byte at `pos`, -1 at the end of the file, -2 on an error. */
static inline int vnp_fa_peek(struct vnp_fasta *f, struct vnp_err *err)
{
    if (f->pos == f->end) {
        int more = vnp_fa_fill(f, err);
        if (more <= 0)
            return more - 1;
    }
    return (unsigned char)f->buf[f->pos];
}

/* Goes over white space and blank lines, to what vnp_fa_peek() then says. */
int vnp_fa_skip_blank(struct vnp_fasta *f, struct vnp_err *err);

/* Brings the whole line at `pos` into the buffer; its length without the line feed. Lines of letters have no limit, and
 * go another way. */
bool vnp_fa_line(struct vnp_fasta *f, size_t *n, struct vnp_err *err);
/* Goes behind that line. */
void vnp_fa_next_line(struct vnp_fasta *f, size_t n);

/* Takes the rest of the line, or of the file: appends its letters to the record. A `mark` among them is an error, and
 * so are more letters than the limit. */
bool vnp_fa_letters(struct vnp_fasta *f, char mark, struct vnp_err *err);

#endif
