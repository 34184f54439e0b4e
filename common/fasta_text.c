#include "fasta_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALL ((size_t)64 << 10)      /* up to here, moving a record to the front of the buffer costs nothing */
#define LINE_LIMIT ((size_t)64 << 20) /* of lines that must be looked at whole: headers and comments */

bool vnp_fa_fail(const struct vnp_fasta *f, uint64_t line, struct vnp_err *err, const char *fmt, ...)
{
    char what[512], place[512];
    va_list ap;
    va_start(ap, fmt);
    vnp_vformat(what, sizeof what, fmt, ap);
    va_end(ap);
    const struct vnp_record rec = {.id = {f->buf + f->record, (uint32_t)f->id_n}, .line = line, .number = f->number};
    if (f->in_record)
        vnp_fasta_place(f, &rec, place, sizeof place);
    else if (f->number > 0)
        vnp_format(place, sizeof place, "%s:%llu: after record %llu", f->name, (unsigned long long)line,
                   (unsigned long long)f->number);
    else
        vnp_format(place, sizeof place, "%s:%llu", f->name, (unsigned long long)line);
    vnp_error(err, VNP_DATA, "%s: %s", place, what);
    return false;
}

/* Puts the place into an error of the source, "name: what". */
static bool fail_source(const struct vnp_fasta *f, struct vnp_err *err)
{
    size_t n = strlen(f->name);
    struct vnp_err cause = *err;
    const char *what = strncmp(cause.msg, f->name, n) == 0 && cause.msg[n] == ':' ? cause.msg + n + 1 : cause.msg;
    vnp_fa_fail(f, f->line, err, "%s", what + strspn(what, " "));
    err->status = cause.status;
    return false;
}

/* Room for a VNP_FA_CHUNK behind `end`. Moves what is kept to the front when that is cheap or there is no room left. */
static bool make_room(struct vnp_fasta *f, struct vnp_err *err)
{
    size_t kept = f->out - f->record, pending = f->end - f->pos;
    if (kept + pending > SMALL && f->cap - f->end >= VNP_FA_CHUNK)
        return true;
    if (f->record > 0)
        memmove(f->buf, f->buf + f->record, kept);
    memmove(f->buf + kept, f->buf + f->pos, pending);
    f->record = 0;
    f->out = f->pos = kept;
    f->end = kept + pending;
    if (f->cap - f->end >= VNP_FA_CHUNK)
        return true;
    char *bigger = f->cap <= SIZE_MAX / 2 ? realloc(f->buf, f->cap * 2) : NULL;
    if (bigger == NULL) {
        vnp_fa_fail(f, f->line, err, "out of memory: the record has over %zu bytes", f->end);
        err->status = VNP_OS;
        return false;
    }
    f->buf = bigger;
    f->cap *= 2;
    return true;
}

int vnp_fa_fill(struct vnp_fasta *f, struct vnp_err *err)
{
    if (f->eof)
        return 0;
    if (!make_room(f, err))
        return -1;
    ssize_t got = vnp_source_read(f->src, f->buf + f->end, VNP_FA_CHUNK, err);
    if (got < 0) {
        fail_source(f, err);
        return -1;
    }
    f->eof = got == 0;
    f->end += (size_t)got;
    f->bytes += (uint64_t)got;
    return got > 0;
}

int vnp_fa_skip_blank(struct vnp_fasta *f, struct vnp_err *err)
{
    int c;
    while ((c = vnp_fa_peek(f, err)) == ' ' || (c >= '\t' && c <= '\r')) {
        f->line += c == '\n';
        f->pos++;
    }
    return c;
}

/* Looks at each byte once. */
bool vnp_fa_line(struct vnp_fasta *f, size_t *n, struct vnp_err *err)
{
    size_t seen = 0;
    int more = 1;
    while (more > 0) {
        const char *line = f->buf + f->pos;
        const char *end = memchr(line + seen, '\n', f->end - f->pos - seen);
        seen = f->end - f->pos;
        if (end != NULL) {
            *n = (size_t)(end - line);
            return true;
        }
        if (seen > LINE_LIMIT)
            return vnp_fa_fail(f, f->line, err, "a header line of over %zu MiB: no text file?", LINE_LIMIT >> 20);
        more = vnp_fa_fill(f, err);
    }
    *n = f->end - f->pos;
    return more == 0;
}

void vnp_fa_next_line(struct vnp_fasta *f, size_t n)
{
    f->pos += n;
    if (f->pos < f->end)
        f->pos++;
    f->line++;
}

/* Is there any byte up to ' ', or `mark`, among the n? Eight at a time: the bit tricks are exact for "any". */
static inline bool has_special(const char *p, size_t n, char mark)
{
    const uint64_t ones = 0x0101010101010101, tops = 0x8080808080808080, marks = ones * (unsigned char)mark;
    uint64_t found = 0, w;
    if (n < 8) {
        for (size_t i = 0; i < n; i++)
            found |= (unsigned char)p[i] <= ' ' || p[i] == mark;
        return found != 0;
    }
    for (size_t i = 0; i <= n - 8; i += 8) {
        memcpy(&w, p + i, 8);
        found |= ((w - ones * 0x21) & ~w) | (((w ^ marks) - ones) & ~(w ^ marks));
    }
    memcpy(&w, p + n - 8, 8);
    found |= ((w - ones * 0x21) & ~w) | (((w ^ marks) - ones) & ~(w ^ marks));
    return (found & tops) != 0;
}

/* Appends letters one by one, for spans that hold white space; a NUL or `mark` is an error. */
static bool append_slowly(struct vnp_fasta *f, const char *p, size_t n, char mark, struct vnp_err *err)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if (c == 0)
            return vnp_fa_fail(f, f->line, err, "NUL byte: damaged, or no text file");
        if (p[i] == mark)
            return vnp_fa_fail(f, f->line, err,
                               "'%c' inside a line of sequence (were files joined without a line end?)", c);
        if (c > ' ')
            f->buf[f->out++] = p[i];
    }
    return true;
}

bool vnp_fa_letters(struct vnp_fasta *f, char mark, struct vnp_err *err)
{
    const char *end;
    do {
        int c = vnp_fa_peek(f, err);
        if (c < 0)
            return c == -1;
        const char *p = f->buf + f->pos;
        end = memchr(p, '\n', f->end - f->pos);
        size_t n = (end ? (size_t)(end - f->buf) : f->end) - f->pos;
        f->pos += n + (end != NULL);
        if (end != NULL && n > 0 && p[n - 1] == '\r')
            n--;
        if (has_special(p, n, mark)) {
            if (!append_slowly(f, p, n, mark, err))
                return false;
        } else {
            memmove(f->buf + f->out, p, n);
            f->out += n;
        }
        if (f->out - f->record - f->id_n > f->limit)
            return vnp_fa_fail(f, f->line, err, "more than %llu letters: %s", (unsigned long long)f->limit, f->way_out);
    } while (end == NULL);
    f->line++;
    return true;
}
