#include "fasta.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guess.h"
#include "source.h"
#include "xmalloc.h"

#define CHUNK ((size_t)256 << 10)     /* read at a time: stays in the second-level cache until it is used */
#define SMALL ((size_t)64 << 10)      /* up to here, moving a record to the front of the buffer costs nothing */
#define LINE_LIMIT ((size_t)64 << 20) /* of lines that must be looked at whole: headers and comments */

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

const char *vnp_printable_id(char text[64], struct vnp_str id)
{
    uint32_t n = id.n < 60 ? id.n : 60;
    for (uint32_t i = 0; i < n; i++)
        text[i] = id.s[i] > ' ' && id.s[i] < 127 ? id.s[i] : '?';
    strcpy(text + n, n < id.n ? ".." : "");
    return text;
}

const char *vnp_fasta_place(const struct vnp_fasta *f, const struct vnp_record *rec, char *text, size_t cap)
{
    char id[64];
    snprintf(text, cap, "%s:%llu: record %llu (%s)", f->name, (unsigned long long)rec->line,
             (unsigned long long)rec->number, vnp_printable_id(id, rec->id));
    return text;
}

/* "file:line: record N (id): what", as much of it as is known. Returns false for the callers' sake. */
static bool fail(const struct vnp_fasta *f, uint64_t line, struct vnp_err *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static bool fail(const struct vnp_fasta *f, uint64_t line, struct vnp_err *err, const char *fmt, ...)
{
    char what[512], place[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    const struct vnp_record rec = {.id = {f->buf + f->record, (uint32_t)f->id_n}, .line = line, .number = f->number};
    if (f->in_record)
        vnp_fasta_place(f, &rec, place, sizeof place);
    else if (f->number > 0)
        snprintf(place, sizeof place, "%s:%llu: after record %llu", f->name, (unsigned long long)line,
                 (unsigned long long)f->number);
    else
        snprintf(place, sizeof place, "%s:%llu", f->name, (unsigned long long)line);
    vnp_error(err, VNP_DATA, "%s: %s", place, what);
    return false;
}

/* Puts the place into an error of the source, "name: what". */
static bool fail_source(const struct vnp_fasta *f, struct vnp_err *err)
{
    size_t n = strlen(f->name);
    struct vnp_err cause = *err;
    const char *what = strncmp(cause.msg, f->name, n) == 0 && cause.msg[n] == ':' ? cause.msg + n + 1 : cause.msg;
    fail(f, f->line, err, "%s", what + strspn(what, " "));
    err->status = cause.status;
    return false;
}

/* Room for a CHUNK behind `end`. Moves what is kept to the front when that is cheap or there is no room left. */
static bool make_room(struct vnp_fasta *f, struct vnp_err *err)
{
    size_t kept = f->out - f->record, pending = f->end - f->pos;
    if (kept + pending > SMALL && f->cap - f->end >= CHUNK)
        return true;
    if (f->record > 0)
        memmove(f->buf, f->buf + f->record, kept);
    memmove(f->buf + kept, f->buf + f->pos, pending);
    f->record = 0;
    f->out = f->pos = kept;
    f->end = kept + pending;
    if (f->cap - f->end >= CHUNK)
        return true;
    char *bigger = f->cap <= SIZE_MAX / 2 ? realloc(f->buf, f->cap * 2) : NULL;
    if (bigger == NULL) {
        fail(f, f->line, err, "out of memory: the record has over %zu bytes", f->end);
        err->status = VNP_OS;
        return false;
    }
    f->buf = bigger;
    f->cap *= 2;
    return true;
}

/* More input behind `end`: 1, 0 at the end of the file, -1 on an error. */
static int fill(struct vnp_fasta *f, struct vnp_err *err)
{
    if (f->eof)
        return 0;
    if (!make_room(f, err))
        return -1;
    ssize_t got = vnp_source_read(f->src, f->buf + f->end, CHUNK, err);
    if (got < 0) {
        fail_source(f, err);
        return -1;
    }
    f->eof = got == 0;
    f->end += (size_t)got;
    f->bytes += (uint64_t)got;
    return got > 0;
}

/* The byte at `pos`, -1 at the end of the file, -2 on an error. */
static inline int peek(struct vnp_fasta *f, struct vnp_err *err)
{
    if (f->pos == f->end) {
        int more = fill(f, err);
        if (more <= 0)
            return more - 1;
    }
    return (unsigned char)f->buf[f->pos];
}

static int skip_blank(struct vnp_fasta *f, struct vnp_err *err)
{
    int c;
    while ((c = peek(f, err)) == ' ' || (c >= '\t' && c <= '\r')) {
        f->line += c == '\n';
        f->pos++;
    }
    return c;
}

/* Brings the whole line at `pos` into the buffer; its length without the line feed. Looks at each byte once. */
static bool whole_line(struct vnp_fasta *f, size_t *n, struct vnp_err *err)
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
            return fail(f, f->line, err, "a header line of over %zu MiB: no text file?", LINE_LIMIT >> 20);
        more = fill(f, err);
    }
    *n = f->end - f->pos;
    return more == 0;
}

static void next_line(struct vnp_fasta *f, size_t n)
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
            return fail(f, f->line, err, "NUL byte: damaged, or no text file");
        if (p[i] == mark)
            return fail(f, f->line, err, "'%c' inside a line of sequence (were files joined without a line end?)", c);
        if (c > ' ')
            f->buf[f->out++] = p[i];
    }
    return true;
}

/* Takes the rest of the line, or of the file: appends its letters to the record. */
static bool take_line(struct vnp_fasta *f, char mark, struct vnp_err *err)
{
    const char *end;
    do {
        int c = peek(f, err);
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
            return fail(f, f->line, err, "more than %llu letters: %s", (unsigned long long)f->limit, f->way_out);
    } while (end == NULL);
    f->line++;
    return true;
}

/* Reads the header line at `pos` and begins a record with its first word. */
static bool take_header(struct vnp_fasta *f, struct vnp_err *err)
{
    size_t n;
    f->record = f->out = f->pos;
    f->id_n = 0;
    if (!whole_line(f, &n, err))
        return false;
    f->number++;
    const char *line = f->buf + f->pos;
    size_t text = n;
    while (text > 0 && line[text - 1] == '\r')
        text--;
    size_t from = 1;
    while (from < text && (line[from] == ' ' || line[from] == '\t'))
        from++;
    size_t to = from;
    while (to < text && line[to] != ' ' && (line[to] < '\t' || line[to] > '\r'))
        to++;
    f->record = f->pos + from;
    f->out = f->pos + to;
    f->id_n = to - from < VNP_ID_LIMIT ? to - from : VNP_ID_LIMIT;
    f->in_record = true;
    if (memchr(line, 0, text) != NULL) {
        const char *guess = f->number == 1 ? vnp_guess_format(line, n) : NULL;
        return fail(f, f->line, err, "NUL byte in the header: %s%s", guess ? "looks like " : "damaged, or no text file",
                    guess ? guess : "");
    }
    if (memchr(line, '\r', text) != NULL)
        return fail(f, f->line, err, "line ends are bare carriage returns (tr '\\r' '\\n' <FILE |)");
    if (to - from > VNP_ID_LIMIT)
        return fail(f, f->line, err, "the first word of the header has %zu bytes (at most %d)", to - from,
                    VNP_ID_LIMIT);
    next_line(f, n);
    return true;
}

static bool fasta_body(struct vnp_fasta *f, struct vnp_err *err)
{
    int c;
    while ((c = peek(f, err)) >= 0 && c != '>') {
        if (c == '@')
            return fail(f, f->line, err, "a line begins with '@': FASTQ inside FASTA (give the files one by one)");
        if (c == ';') {
            size_t n;
            if (!whole_line(f, &n, err))
                return false;
            next_line(f, n);
        } else if (!take_line(f, '>', err)) {
            return false;
        }
    }
    return c != -2;
}

/* Reads the quality, which is as long as the sequence and is wrapped only where that is, and forgets it. */
static bool take_quality(struct vnp_fasta *f, bool wrapped, struct vnp_err *err)
{
    const size_t want = f->out - f->record - f->id_n;
    size_t got = 0;
    uint64_t limit = f->limit, line = f->line;
    f->limit = UINT64_MAX;
    while (got < want) {
        int c = peek(f, err);
        if (c == -2)
            return false;
        line = f->line;
        if (c >= 0 && !take_line(f, 0, err))
            return false;
        got = f->out - f->record - f->id_n - want;
        if (c == -1 || (!wrapped && got < want))
            return fail(f, line, err, "the quality is short: %zu values for %zu letters", got, want);
    }
    if (got > want)
        return fail(f, line, err, "the quality is long: %zu values for %zu letters", got, want);
    f->limit = limit;
    f->out = f->record + f->id_n + want;
    return true;
}

static bool fastq_body(struct vnp_fasta *f, struct vnp_err *err)
{
    int c, lines = 0;
    size_t n;
    while ((c = peek(f, err)) >= 0 && c != '+') {
        size_t before = f->out - f->record;
        if (c == '@')
            return fail(f, f->line, err, "the next record begins before a '+' line%s",
                        f->number == 1 && f->id_n == 2 ? " (a SAM file? samtools fasta FILE |)" : "");
        if (!take_line(f, '@', err))
            return false;
        if (f->out - f->record > before && lines < 2)
            lines++;
    }
    if (c == -2)
        return false;
    if (c == -1)
        return fail(f, f->line, err, "the file ends before the record's '+' line and quality");
    if (!whole_line(f, &n, err))
        return false;
    next_line(f, n);
    return take_quality(f, lines > 1, err);
}

static bool not_sequences(struct vnp_fasta *f, int c, struct vnp_err *err)
{
    while (f->end - f->pos < 64) {
        int more = fill(f, err);
        if (more < 0)
            return false;
        if (more == 0)
            break;
    }
    size_t n = f->end - f->pos < 64 ? f->end - f->pos : 64;
    const char *guess = vnp_guess_format(f->buf + f->pos, n);
    if (guess != NULL)
        return fail(f, f->line, err, "neither FASTA nor FASTQ: looks like %s", guess);
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
        return fail(f, f->line, err, "a sequence without a header: a FASTA file begins with '>'");
    return fail(f, f->line, err, "neither FASTA nor FASTQ: a file begins with '>' or '@'");
}

/* Opens the next file and goes to its first header. */
static bool begin_file(struct vnp_fasta *f, struct vnp_err *err)
{
    const char *path = f->n_paths > 0 ? f->paths[f->next_path] : "-";
    f->next_path++;
    if (vnp_source_open(&f->src, path, err) != VNP_OK)
        return false;
    free(f->name);
    f->name = xstrdup(vnp_source_name(f->src));
    f->record = f->out = f->pos = f->end = f->id_n = 0;
    f->eof = f->in_record = false;
    f->line = 1;
    f->number = 0;
    const uint64_t before = f->bytes;
    int c = skip_blank(f, err);
    if (c == 0xef) { /* a byte order mark, as Windows editors leave it */
        while (f->end - f->pos < 3 && fill(f, err) > 0)
            ;
        if (f->end - f->pos >= 3 && memcmp(f->buf + f->pos, "\xef\xbb\xbf", 3) == 0)
            f->pos += 3;
        c = skip_blank(f, err);
    }
    while (c == ';') {
        size_t n;
        if (!whole_line(f, &n, err))
            return false;
        next_line(f, n);
        c = skip_blank(f, err);
    }
    f->fastq = c == '@';
    if (c == -1 && !f->empty_allowed) {
        vnp_error(err, VNP_DATA, "%s: no records: %s", f->name,
                  f->bytes > before ? "blank lines only" : "the file is empty");
        return false;
    }
    return c == '>' || c == '@' || c == -1 || (c >= 0 && not_sequences(f, c, err));
}

/* Goes to the next header: 1, or 0 after the last file, -1 on an error. */
static int find_header(struct vnp_fasta *f, struct vnp_err *err)
{
    int last = f->n_paths > 0 ? f->n_paths : 1;
    f->in_record = false;
    f->record = f->out = f->pos;
    if (f->src != NULL) {
        int c = f->fastq ? skip_blank(f, err) : peek(f, err);
        if (c == -2)
            return -1;
        if (c >= 0 && f->fastq && c != '@') {
            fail(f, f->line, err, "a FASTQ record begins with '@', but this line does not");
            return -1;
        }
        if (c >= 0)
            return 1;
        vnp_source_close(f->src);
        f->src = NULL;
    }
    if (f->next_path == last)
        return 0;
    if (!begin_file(f, err))
        return -1;
    return f->pos < f->end ? 1 : find_header(f, err); /* no record in it, and that is allowed */
}

enum vnp_status vnp_fasta_next(struct vnp_fasta *f, struct vnp_record *rec, struct vnp_err *err)
{
    int found = find_header(f, err);
    if (found <= 0)
        return found == 0 ? VNP_END : err->status;
    uint64_t line = f->line;
    if (!take_header(f, err) || !(f->fastq ? fastq_body(f, err) : fasta_body(f, err)))
        return err->status;
    rec->id = (struct vnp_str){f->buf + f->record, (uint32_t)f->id_n};
    rec->seq = f->buf + f->record + f->id_n;
    rec->n = f->out - f->record - f->id_n;
    rec->line = line;
    rec->number = f->number;
    return VNP_OK;
}

enum vnp_status vnp_fasta_open(struct vnp_fasta **out, char *const *paths, int n_paths, struct vnp_err *err)
{
    *out = NULL;
    for (int i = 0; i < n_paths; i++) {
        struct stat st;
        if (strcmp(paths[i], "-") == 0)
            continue;
        if (stat(paths[i], &st) != 0 || access(paths[i], R_OK) != 0)
            return vnp_error(err, VNP_NOINPUT, "%s: %s", paths[i], strerror(errno));
        if (S_ISDIR(st.st_mode))
            return vnp_error(err, VNP_NOINPUT, "%s: is a directory", paths[i]);
    }
    struct vnp_fasta *f = xcalloc(1, sizeof *f);
    f->paths = paths;
    f->n_paths = n_paths;
    f->name = xstrdup("");
    f->cap = 4 * CHUNK;
    f->buf = xmalloc(f->cap);
    f->limit = UINT64_MAX;
    f->way_out = "";
    *out = f;
    return VNP_OK;
}

void vnp_fasta_allow_empty(struct vnp_fasta *f)
{
    f->empty_allowed = true;
}

void vnp_fasta_limit(struct vnp_fasta *f, uint64_t letters, const char *way_out)
{
    f->limit = letters;
    f->way_out = way_out;
}

const char *vnp_fasta_name(const struct vnp_fasta *f)
{
    return f->name;
}

uint64_t vnp_fasta_bytes(const struct vnp_fasta *f)
{
    return f->bytes;
}

void vnp_fasta_close(struct vnp_fasta *f)
{
    if (f == NULL)
        return;
    vnp_source_close(f->src);
    free(f->name);
    free(f->buf);
    free(f);
}
