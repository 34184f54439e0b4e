#include "viral_gff.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "source.h"
#include "spool.h"
#include "xmalloc.h"

#define LINE_MOST ((size_t)1 << 20)

/* A run of viral chunks that follow one another. */
struct stretch {
    uint64_t first, last; /* numbers of its chunks */
    double sum;           /* of their scores */
    float max;
    uint32_t n_contig; /* bytes of the name that follows in the file */
};

struct vnp_viral_gff {
    FILE *spool; /* of stretches */
    struct stretch now;
    bool open;              /* `now` is under way */
    struct vnp_text contig; /* of `now` */
};

enum vnp_status vnp_viral_gff_new(struct vnp_viral_gff **out, struct vnp_err *err)
{
    int fd;
    *out = NULL;
    enum vnp_status st = vnp_spool_open(&fd, err);
    if (st != VNP_OK)
        return st;
    struct vnp_viral_gff *g = xcalloc(1, sizeof *g);
    g->spool = fdopen(fd, "w+");
    if (g->spool == NULL) {
        close(fd);
        free(g);
        return vnp_error(err, VNP_OS, "a temporary file can't be opened: %s", strerror(errno));
    }
    *out = g;
    return VNP_OK;
}

void vnp_viral_gff_free(struct vnp_viral_gff *g)
{
    if (g == NULL)
        return;
    fclose(g->spool);
    free(g->contig.p);
    free(g);
}

/* --- in ----------------------------------------------------------------------------------------------------------- */

static enum vnp_status end_stretch(struct vnp_viral_gff *g, struct vnp_err *err)
{
    if (!g->open)
        return VNP_OK;
    g->open = false;
    g->now.n_contig = (uint32_t)g->contig.n;
    if (fwrite(&g->now, sizeof g->now, 1, g->spool) != 1 ||
        fwrite(g->contig.p, 1, g->contig.n, g->spool) != g->contig.n)
        return vnp_error(err, VNP_IO, "a temporary file can't be written: %s; set TMPDIR to where there is room",
                         strerror(errno));
    return VNP_OK;
}

static bool equal(struct vnp_str a, const char *s, size_t n)
{
    return a.n == n && memcmp(a.s, s, n) == 0;
}

enum vnp_status vnp_viral_gff_add(struct vnp_viral_gff *g, const struct vnp_frame_id *chunk, bool viral, float score,
                                  struct vnp_err *err)
{
    const bool follows = g->open && chunk->number == g->now.last + 1 && equal(chunk->contig, g->contig.p, g->contig.n);
    if (!viral || !follows) {
        enum vnp_status st = end_stretch(g, err);
        if (st != VNP_OK || !viral)
            return st;
        g->open = true;
        g->now = (struct stretch){.first = chunk->number, .max = score};
        g->contig.n = 0;
        vnp_text_add(&g->contig, chunk->contig.s, chunk->contig.n);
    }
    g->now.last = chunk->number;
    g->now.sum += score;
    g->now.max = score > g->now.max ? score : g->now.max;
    return VNP_OK;
}

/* --- the table of chunks ------------------------------------------------------------------------------------------ */

struct table {
    struct vnp_source *source;
    struct vnp_text bytes; /* read and not used: from `at` on */
    size_t at;
    uint64_t line;
    struct vnp_frame_id id; /* of the line that was read last */
    uint64_t start, end;
};

static enum vnp_status line_error(const struct table *t, struct vnp_err *err, const char *what)
{
    return vnp_error(err, VNP_DATA, "%s:%" PRIu64 ": %s", vnp_source_name(t->source), t->line, what);
}

/* The line is not what it should be. */
static enum vnp_status bad_line(const struct table *t, struct vnp_str line, struct vnp_err *err, const char *what)
{
    const bool crlf = line.n > 0 && line.s[line.n - 1] == '\r';
    return line_error(t, err, crlf ? "its line end is CRLF, that of Windows (tr -d '\\r' <FILE)" : what);
}

/* The next line without its end; VNP_END when there is none. */
static enum vnp_status next_line(struct table *t, struct vnp_str *line, struct vnp_err *err)
{
    size_t searched = 0;
    t->line++;
    for (;;) {
        char *const p = t->bytes.p != NULL ? t->bytes.p + t->at : NULL;
        const size_t n = t->bytes.n - t->at;
        const char *eol = n > searched ? memchr(p + searched, '\n', n - searched) : NULL;
        if (eol != NULL) {
            *line = (struct vnp_str){p, (uint32_t)(eol - p)};
            t->at += line->n + 1;
            return VNP_OK;
        }
        if (n > LINE_MOST)
            return line_error(t, err, "a line of over 1 MiB: no table of chunks");
        searched = n;
        if (t->at > 0)
            memmove(t->bytes.p, p, n);
        t->bytes.n = n;
        t->at = 0;
        char piece[65536];
        const ssize_t got = vnp_source_read(t->source, piece, sizeof piece, err);
        if (got < 0)
            return err->status;
        if (got == 0)
            return n == 0 ? VNP_END : line_error(t, err, "the last line has no end: the table was cut short");
        vnp_text_add(&t->bytes, piece, (size_t)got);
    }
}

static bool number(struct vnp_str field, uint64_t *value)
{
    *value = 0;
    for (uint32_t i = 0; i < field.n; i++) {
        if (field.s[i] < '0' || field.s[i] > '9')
            return false;
        *value = 10 * *value + (uint64_t)(field.s[i] - '0');
    }
    return field.n > 0 && field.n <= 18;
}

static enum vnp_status next_chunk(struct table *t, struct vnp_err *err)
{
    struct vnp_str line, field[4];
    enum vnp_status st = next_line(t, &line, err);
    if (st != VNP_OK)
        return st;
    int n = 0;
    for (uint32_t i = 0, begin = 0; i <= line.n; i++)
        if (i == line.n || line.s[i] == '\t') {
            if (n < 4)
                field[n] = (struct vnp_str){line.s + begin, i - begin};
            n++;
            begin = i + 1;
        }
    if (n != 4 || !vnp_chunk_id(&t->id, field[0]) || !equal(field[1], t->id.contig.s, t->id.contig.n) ||
        !number(field[2], &t->start) || !number(field[3], &t->end) || t->start >= t->end)
        return bad_line(t, line, err, "not a chunk's id, its contig, start and end, as vnp-orf --chunks writes them");
    return VNP_OK;
}

static enum vnp_status open_table(struct table *t, const char *path, struct vnp_err *err)
{
    static const char head[] = "chunk_id\tcontig\tstart\tend";
    struct vnp_str line = {NULL, 0};
    enum vnp_status st = vnp_source_open(&t->source, path, err);
    if (st == VNP_OK)
        st = next_line(t, &line, err);
    if (st == VNP_END || (st == VNP_OK && !equal(line, head, sizeof head - 1)))
        st = bad_line(t, line, err, "does not begin with the line \"chunk_id contig start end\" of vnp-orf --chunks");
    return st;
}

/* Goes on to the chunk of that number of the stretch's contig. */
static enum vnp_status seek(struct table *t, const struct vnp_viral_gff *g, uint64_t chunk, struct vnp_err *err)
{
    while (t->id.number != chunk || !equal(t->id.contig, g->contig.p, g->contig.n)) {
        enum vnp_status st = next_chunk(t, err);
        if (st == VNP_END)
            return vnp_error(err, VNP_DATA, "%s: has no chunk %.*s_chunk_%" PRIu64 ", or not in input order",
                             vnp_source_name(t->source), VNP_SHOWN_BYTES(g->contig.p, g->contig.n), chunk);
        if (st != VNP_OK)
            return st;
    }
    return VNP_OK;
}

/* --- out ---------------------------------------------------------------------------------------------------------- */

/* The next stretch of the spool into g->now and g->contig. */
static enum vnp_status next_stretch(struct vnp_viral_gff *g, struct vnp_err *err)
{
    char piece[4096];
    if (fread(&g->now, sizeof g->now, 1, g->spool) != 1)
        return ferror(g->spool) ? vnp_error(err, VNP_IO, "a temporary file can't be read: %s", strerror(errno))
                                : VNP_END;
    g->contig.n = 0;
    for (uint32_t left = g->now.n_contig; left > 0;) {
        const size_t n = left < sizeof piece ? left : sizeof piece;
        if (fread(piece, 1, n, g->spool) != n)
            return vnp_error(err, VNP_IO, "a temporary file can't be read: it is too short");
        vnp_text_add(&g->contig, piece, n);
        left -= (uint32_t)n;
    }
    return VNP_OK;
}

/* As the first column of GFF3 wants it: other characters as %XX. */
static void put_name(struct vnp_text *out, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)s[i];
        const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                           (c != '\0' && strchr(".:^*$@!+_?-|", c) != NULL);
        if (plain)
            vnp_text_add(out, s + i, 1);
        else
            vnp_text_printf(out, "%%%02X", c);
    }
}

static enum vnp_status put_stretch(const struct vnp_viral_gff *g, struct table *t, struct vnp_text *out, uint64_t run,
                                   struct vnp_err *err)
{
    const struct stretch *s = &g->now;
    const uint64_t chunks = s->last - s->first + 1;
    enum vnp_status st = seek(t, g, s->first, err);
    const uint64_t start = t->start;
    if (st == VNP_OK)
        st = seek(t, g, s->last, err);
    if (st != VNP_OK)
        return st;
    put_name(out, g->contig.p, g->contig.n);
    vnp_text_printf(out, "\tvnp\tviral_sequence\t%" PRIu64 "\t%" PRIu64 "\t", start + 1, t->end);
    vnp_text_float(out, (float)(s->sum / (double)chunks), NULL);
    vnp_text_printf(out, "\t.\t.\tID=viral_%" PRIu64 ";chunks=%" PRIu64 ";first_chunk=%" PRIu64 ";max_score=", run,
                    chunks, s->first);
    vnp_text_float(out, s->max, NULL);
    vnp_text_str(out, "\n");
    return VNP_OK;
}

enum vnp_status vnp_viral_gff_write(struct vnp_viral_gff *g, const char *chunks, struct vnp_tables *t, int file,
                                    uint64_t *runs, struct vnp_err *err)
{
    struct table table = {0};
    struct vnp_text *out = vnp_tables_text(t, file);
    *runs = 0;
    enum vnp_status st = end_stretch(g, err);
    if (st == VNP_OK && (fflush(g->spool) != 0 || fseek(g->spool, 0, SEEK_SET) != 0))
        st = vnp_error(err, VNP_IO, "a temporary file can't be written: %s; set TMPDIR to where there is room",
                       strerror(errno));
    if (st == VNP_OK)
        st = open_table(&table, chunks, err);
    vnp_text_str(out, "##gff-version 3\n");
    while (st == VNP_OK && (st = next_stretch(g, err)) == VNP_OK) {
        st = put_stretch(g, &table, out, ++*runs, err);
        if (st == VNP_OK)
            st = vnp_tables_flush(t, file, 0, err);
    }
    vnp_source_close(table.source);
    free(table.bytes.p);
    return st == VNP_END ? VNP_OK : st;
}
