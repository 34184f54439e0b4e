#include "fasta.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fasta_text.h"
#include "guess.h"
#include "xmalloc.h"

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
    vnp_format(text, cap, "%s:%llu: record %llu (%s)", f->name, (unsigned long long)rec->line,
               (unsigned long long)rec->number, vnp_printable_id(id, rec->id));
    return text;
}

/* Reads the header line at `pos` and begins a record with its first word. */
static bool take_header(struct vnp_fasta *f, struct vnp_err *err)
{
    size_t n;
    f->record = f->out = f->pos;
    f->id_n = 0;
    if (!vnp_fa_line(f, &n, err))
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
        return vnp_fa_fail(f, f->line, err, "NUL byte in the header: %s%s",
                           guess ? "looks like " : "damaged, or no text file", guess ? guess : "");
    }
    if (memchr(line, '\r', text) != NULL)
        return vnp_fa_fail(f, f->line, err, "line ends are bare carriage returns (tr '\\r' '\\n' <FILE |)");
    if (to - from > VNP_ID_LIMIT)
        return vnp_fa_fail(f, f->line, err, "the first word of the header has %zu bytes (at most %d)", to - from,
                           VNP_ID_LIMIT);
    vnp_fa_next_line(f, n);
    return true;
}

static bool fasta_body(struct vnp_fasta *f, struct vnp_err *err)
{
    int c;
    while ((c = vnp_fa_peek(f, err)) >= 0 && c != '>') {
        if (c == '@')
            return vnp_fa_fail(f, f->line, err,
                               "a line begins with '@': FASTQ inside FASTA (give the files one by one)");
        if (c == ';') {
            size_t n;
            if (!vnp_fa_line(f, &n, err))
                return false;
            vnp_fa_next_line(f, n);
        } else if (!vnp_fa_letters(f, '>', err)) {
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
        int c = vnp_fa_peek(f, err);
        if (c == -2)
            return false;
        line = f->line;
        if (c >= 0 && !vnp_fa_letters(f, 0, err))
            return false;
        got = f->out - f->record - f->id_n - want;
        if (c == -1 || (!wrapped && got < want))
            return vnp_fa_fail(f, line, err, "the quality is short: %zu values for %zu letters", got, want);
    }
    if (got > want)
        return vnp_fa_fail(f, line, err, "the quality is long: %zu values for %zu letters", got, want);
    f->limit = limit;
    f->out = f->record + f->id_n + want;
    return true;
}

static bool fastq_body(struct vnp_fasta *f, struct vnp_err *err)
{
    int c, lines = 0;
    size_t n;
    while ((c = vnp_fa_peek(f, err)) >= 0 && c != '+') {
        size_t before = f->out - f->record;
        if (c == '@')
            return vnp_fa_fail(f, f->line, err, "the next record begins before a '+' line%s",
                               f->number == 1 && f->id_n == 2 ? " (a SAM file? samtools fasta FILE |)" : "");
        if (!vnp_fa_letters(f, '@', err))
            return false;
        if (f->out - f->record > before && lines < 2)
            lines++;
    }
    if (c == -2)
        return false;
    if (c == -1)
        return vnp_fa_fail(f, f->line, err, "the file ends before the record's '+' line and quality");
    if (!vnp_fa_line(f, &n, err))
        return false;
    vnp_fa_next_line(f, n);
    return take_quality(f, lines > 1, err);
}

static bool not_sequences(struct vnp_fasta *f, int c, struct vnp_err *err)
{
    while (f->end - f->pos < 64) {
        int more = vnp_fa_fill(f, err);
        if (more < 0)
            return false;
        if (more == 0)
            break;
    }
    size_t n = f->end - f->pos < 64 ? f->end - f->pos : 64;
    const char *guess = vnp_guess_format(f->buf + f->pos, n);
    if (guess != NULL)
        return vnp_fa_fail(f, f->line, err, "neither FASTA nor FASTQ: looks like %s", guess);
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
        return vnp_fa_fail(f, f->line, err, "a sequence without a header: a FASTA file begins with '>'");
    return vnp_fa_fail(f, f->line, err, "neither FASTA nor FASTQ: a file begins with '>' or '@'");
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
    const char *holds = "blank lines only";
    int c = vnp_fa_skip_blank(f, err);
    if (c == 0xef) { /* a byte order mark, as Windows editors leave it */
        while (f->end - f->pos < 3 && vnp_fa_fill(f, err) > 0)
            ;
        if (f->end - f->pos >= 3 && memcmp(f->buf + f->pos, "\xef\xbb\xbf", 3) == 0)
            f->pos += 3;
        c = vnp_fa_skip_blank(f, err);
    }
    while (c == ';') {
        size_t n;
        if (!vnp_fa_line(f, &n, err))
            return false;
        vnp_fa_next_line(f, n);
        c = vnp_fa_skip_blank(f, err);
        holds = "comments only";
    }
    f->fastq = c == '@';
    if (c == -1 && !f->empty_allowed) {
        vnp_error(err, VNP_DATA, "%s: no records: %s", f->name, f->bytes > before ? holds : "the file is empty");
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
        int c = f->fastq ? vnp_fa_skip_blank(f, err) : vnp_fa_peek(f, err);
        if (c == -2)
            return -1;
        if (c >= 0 && f->fastq && c != '@') {
            vnp_fa_fail(f, f->line, err, "a FASTQ record begins with '@', but this line does not");
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
    f->cap = 4 * VNP_FA_CHUNK;
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
