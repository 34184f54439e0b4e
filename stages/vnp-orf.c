/* vnp-orf: contigs to the open reading frames of their chunks. See man/vnp-orf.1. */
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chunk.h"
#include "codon.h"
#include "fasta.h"
#include "idset.h"
#include "nucleotide.h"
#include "output.h"
#include "stage.h"
#include "telemetry.h"
#include "xmalloc.h"

#define CHUNK_LEAST 3 /* one codon */
#define CHUNK_MOST 1000000
#define FLUSH_BYTES ((size_t)256 << 10) /* of any output: all are written then, so that they keep step */
#define LABEL_BYTES (VNP_ID_LIMIT + 64) /* ">ID_chunk_N" */
/* Bytes of a contig's id: its frames' ids are longer, and none may be longer than the next stage takes. */
#define ID_MOST ((size_t)VNP_ID_LIMIT - (sizeof "_chunk_18446744073709551615F1" - 1))

struct options {
    int64_t chunk;
    const char *nucleotides, *proteins, *chunks; /* NULL: not wanted */
};

/* One of the outputs. `out` is NULL when it is not wanted. */
struct sink {
    const char *path;
    struct vnp_output *out;
    char *buf;
    size_t n;
    bool begun; /* something has been written */
};

/* Where the records of an input file begin to count. */
struct file {
    char *name;
    uint64_t first;
};

struct counts {
    uint64_t records, contigs, empty, chunks, closed_chunks, frames, residues;
    struct vnp_nucleotides seen;
    char first_empty[256], first_stray[256];
};

struct work {
    struct options opt;
    struct vnp_fasta *in;
    struct sink nucleotides, proteins, chunks;
    struct vnp_idset *ids;
    struct file *files;
    size_t n_files;
    char *label;   /* of the chunk, without the frame */
    size_t stem_n; /* ">ID_chunk_", of the contig */
    size_t contig_n; /* "ID" */
    char *protein; /* of the frame */
    struct counts n;
};

static const struct options defaults = {.chunk = 500};
static const char chunks_head[] = "chunk_id\tcontig\tstart\tend\n";

static void usage(FILE *to)
{
    fprintf(
        to,
        "usage: vnp-orf [options] [FILE ...]\n"
        "Cuts contigs (FASTA or FASTQ; plain, gzip or zstd; no FILE or -: stdin) into chunks and writes each\n"
        "chunk's open reading frames, of six, as FASTA.\n"
        "\n"
        "  -l, --length N        letters of a chunk: 500, 300, or what the model was trained with (default: %lld)\n"
        "      --nucleotides FILE\n"
        "                        write the frames' nucleotides to FILE\n"
        "      --proteins FILE   write the frames' proteins to FILE\n"
        "  -o, --output FILE     the same as --proteins\n"
        "      --chunks FILE     write where each chunk lies in its contig, for vnp-classify --gff\n"
        "                        a FILE appears when it is whole; -: stdout; without any: the proteins to stdout\n"
        VNP_HELP_COMMON,
        (long long)defaults.chunk);
}

static void check_outputs(const struct options *opt, char *const *inputs, int n)
{
    static const char *const names[] = {"--nucleotides", "--proteins", "--chunks"};
    const char *const paths[] = {opt->nucleotides, opt->proteins, opt->chunks};
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < i; k++)
            if (vnp_same_output(paths[i], paths[k]))
                vnp_die(VNP_USAGE, "%s and %s are the same, %s", names[k], names[i], paths[i]);
    for (int i = 0; i < 3; i++)
        vnp_refuse_inputs(paths[i], inputs, n);
}

static struct options parse(int argc, char **argv)
{
    enum { NUCLEOTIDES = VNP_OPT_OWN, PROTEINS, CHUNKS };
    static const struct option table[] = {{"length", required_argument, NULL, 'l'},
                                          {"nucleotides", required_argument, NULL, NUCLEOTIDES},
                                          {"proteins", required_argument, NULL, PROTEINS},
                                          {"chunks", required_argument, NULL, CHUNKS},
                                          VNP_COMMON_OPTIONS,
                                          {NULL, 0, NULL, 0}};
    struct options opt = defaults;
    int c;
    while ((c = getopt_long(argc, argv, "l:hqvo:", table, NULL)) != -1)
        switch (c) {
        case 'l':
            opt.chunk = vnp_option_int("--length", optarg, CHUNK_LEAST, CHUNK_MOST);
            break;
        case NUCLEOTIDES:
            opt.nucleotides = optarg;
            break;
        case PROTEINS:
        case 'o':
            opt.proteins = optarg;
            break;
        case CHUNKS:
            opt.chunks = optarg;
            break;
        default:
            vnp_common_option(c, usage);
        }
    if (opt.nucleotides == NULL && opt.proteins == NULL)
        opt.proteins = "-";
    check_outputs(&opt, argv + optind, argc - optind);
    return opt;
}

/* FASTA has no way to say that it ends too soon. A NUL byte in a header is what its readers stop at: no reader here
 * takes a stream that ends so for a whole one. */
static void spoil(struct sink *s)
{
    static char mark[] = ">vnp-orf-stopped \0 here, by an error: what comes before is not all there is\n";
    const struct iovec part = {mark, sizeof mark - 1};
    struct vnp_err err;
    if (s->out == NULL)
        return;
    const bool read = s->begun || !isatty(STDOUT_FILENO); /* by a stage, and not by a person who has the message */
    if (read && vnp_output_is_stream(s->out) && vnp_output_write(s->out, &part, 1, &err) != VNP_OK)
        vnp_log(VNP_LOG_DEBUG, "%s", err.msg);
    vnp_output_discard(s->out);
}

static void fail(struct work *w, const struct vnp_err *err) __attribute__((noreturn));
static void fail(struct work *w, const struct vnp_err *err)
{
    vnp_log(VNP_LOG_ERROR, "%s", err->msg);
    signal(SIGPIPE, SIG_IGN);
    spoil(&w->nucleotides);
    spoil(&w->proteins);
    spoil(&w->chunks);
    exit(err->status);
}

static void open_sink(struct work *w, struct sink *s, const char *path)
{
    struct vnp_err err;
    s->path = path;
    s->buf = xmalloc(FLUSH_BYTES + 2 * LABEL_BYTES + (size_t)w->opt.chunk);
    if (path != NULL && vnp_output_open_text(&s->out, path, &err) != VNP_OK)
        fail(w, &err);
}

static void write_sink(struct work *w, struct sink *s)
{
    struct vnp_err err;
    const struct iovec part = {s->buf, s->n};
    if (s->n == 0)
        return;
    s->begun = true;
    s->n = 0;
    if (vnp_output_write(s->out, &part, 1, &err) != VNP_OK)
        fail(w, &err);
}

static void flush(struct work *w)
{
    write_sink(w, &w->nucleotides);
    write_sink(w, &w->proteins);
    write_sink(w, &w->chunks);
    vnp_telemetry_sequences(w->n.frames);
    vnp_progress("%" PRIu64 " contigs, %" PRIu64 " chunks, %" PRIu64 " open frames", w->n.contigs, w->n.chunks,
                 w->n.frames);
}

/* Adds the header line; the sequence goes behind it. */
static void add_label(const struct work *w, struct sink *s, size_t label_n, int frame)
{
    memcpy(s->buf + s->n, w->label, label_n);
    s->n += label_n;
    memcpy(s->buf + s->n, vnp_frame_name[frame], 2);
    s->buf[s->n + 2] = '\n';
    s->n += 3;
}

/* VirNucPro keeps one base more than the codons that count, where there is one; its classifiers were trained so. */
static void add_frame(struct work *w, const char *seq, uint64_t n, int frame, size_t residues, size_t label_n)
{
    struct sink *const nt = &w->nucleotides, *const aa = &w->proteins;
    if (nt->out != NULL) {
        add_label(w, nt, label_n, frame);
        nt->n += vnp_frame_letters(seq, n, frame, 3 * residues + 1, nt->buf + nt->n);
        nt->buf[nt->n++] = '\n';
    }
    if (aa->out != NULL) {
        add_label(w, aa, label_n, frame);
        memcpy(aa->buf + aa->n, w->protein, residues);
        aa->n += residues;
        aa->buf[aa->n++] = '\n';
    }
    if (nt->n >= FLUSH_BYTES || aa->n >= FLUSH_BYTES)
        flush(w);
}

static size_t put_number(char *to, uint64_t v)
{
    char digits[20];
    size_t n = 0;
    do
        digits[n++] = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    for (size_t i = 0; i < n; i++)
        to[i] = digits[n - 1 - i];
    return n;
}

static void add_text(struct sink *s, const char *text, size_t n)
{
    memcpy(s->buf + s->n, text, n);
    s->n += n;
}

/* A line of the table of chunks. The label is the contig's, up to the chunk's number. */
static void add_place(struct work *w, uint64_t number, uint64_t start, uint64_t letters)
{
    struct sink *const s = &w->chunks;
    add_text(s, w->label + 1, w->stem_n - 1);
    s->n += put_number(s->buf + s->n, number);
    add_text(s, "\t", 1);
    add_text(s, w->label + 1, w->contig_n);
    add_text(s, "\t", 1);
    s->n += put_number(s->buf + s->n, start);
    add_text(s, "\t", 1);
    s->n += put_number(s->buf + s->n, start + letters);
    add_text(s, "\n", 1);
    if (s->n >= FLUSH_BYTES)
        flush(w);
}

static void add_chunk(struct work *w, const char *seq, uint64_t n, uint64_t number)
{
    size_t label_n = 0;
    for (int frame = 0; frame < VNP_FRAMES; frame++) {
        const int64_t residues = vnp_translate(seq, n, frame, w->protein);
        if (residues <= 0)
            continue;
        if (label_n == 0)
            label_n = w->stem_n + put_number(w->label + w->stem_n, number);
        add_frame(w, seq, n, frame, (size_t)residues, label_n);
        w->n.frames++;
        w->n.residues += (uint64_t)residues;
    }
    w->n.chunks++;
    w->n.closed_chunks += label_n == 0;
}

/* A stray letter is worth a warning; a record with one in ten is none of ours. Of proteins it is one in three. */
static void check_letters(struct work *w, const struct vnp_record *rec)
{
    char place[256], letters[256];
    struct vnp_err err;
    const uint64_t strays = vnp_nucleotides_count(rec->seq, rec->n, &w->n.seen);
    if (strays == 0)
        return;
    vnp_fasta_place(w->in, rec, place, sizeof place);
    if (w->n.first_stray[0] == '\0')
        strcpy(w->n.first_stray, place);
    if (strays < (rec->n + 9) / 10)
        return;
    struct vnp_nucleotides own = {0};
    vnp_nucleotides_count(rec->seq, rec->n, &own);
    vnp_error(&err, VNP_DATA,
              "%s: %" PRIu64 " of %" PRIu64 " letters are no nucleotides, %s: a protein? contigs are wanted", place,
              strays, rec->n, vnp_unknown_text(&own.strays, letters, sizeof letters));
    fail(w, &err);
}

/* That the contig has an id, and one to which a chunk's number can be added. */
static void check_id_bytes(struct work *w, const struct vnp_record *rec)
{
    char place[256];
    struct vnp_err err;
    if (rec->id.n > 0 && rec->id.n <= ID_MOST)
        return;
    vnp_fasta_place(w->in, rec, place, sizeof place);
    if (rec->id.n == 0)
        vnp_error(&err, VNP_DATA, "%s: has no id: give it one, for results go by id", place);
    else
        vnp_error(&err, VNP_DATA,
                  "%s: its id has %u bytes, and at most %zu leave room for the chunk's number: give it a shorter one",
                  place, rec->id.n, ID_MOST);
    fail(w, &err);
}

/* The input that a record came from, by its number among all. */
static const struct file *file_of(const struct work *w, uint64_t number)
{
    size_t file = w->n_files - 1;
    while (w->files[file].first > number)
        file--;
    return &w->files[file];
}

/* Chunks and scores are joined by id from here on: contigs of one id would become one. */
static void check_id(struct work *w, const struct vnp_record *rec)
{
    char place[256];
    uint64_t earlier;
    struct vnp_err err;
    check_id_bytes(w, rec);
    const enum vnp_status st = vnp_idset_add(w->ids, rec->id, w->n.records, &earlier, &err);
    if (st == VNP_OK)
        return;
    if (st == VNP_DATA) {
        const struct file *file = file_of(w, earlier);
        vnp_error(&err, VNP_DATA, "%s: has the id of record %" PRIu64 " of %s: rename one, for results go by id",
                  vnp_fasta_place(w->in, rec, place, sizeof place), earlier - file->first + 1, file->name);
    }
    fail(w, &err);
}

/* The same of contigs that were too many to be known as they came. */
static void check_ids(struct work *w)
{
    uint64_t earlier, number;
    struct vnp_err err;
    const enum vnp_status st = vnp_idset_check(w->ids, &earlier, &number, &err);
    if (st == VNP_OK)
        return;
    if (st == VNP_DATA) {
        const struct file *file = file_of(w, number), *before = file_of(w, earlier);
        vnp_error(&err, VNP_DATA,
                  "%s: record %" PRIu64 ": has the id of record %" PRIu64 " of %s: rename one, for results go by id",
                  file->name, number - file->first + 1, earlier - before->first + 1, before->name);
    }
    fail(w, &err);
}

static void remember_file(struct work *w, const struct vnp_record *rec)
{
    if (rec->number != 1)
        return;
    w->files = xreallocarray(w->files, w->n_files + 1, sizeof *w->files);
    w->files[w->n_files++] = (struct file){xstrdup(vnp_fasta_name(w->in)), w->n.records};
}

static void add_record(struct work *w, const struct vnp_record *rec)
{
    static const char tail[] = "_chunk_";
    remember_file(w, rec);
    if (rec->n == 0) {
        if (w->n.empty++ == 0)
            vnp_fasta_place(w->in, rec, w->n.first_empty, sizeof w->n.first_empty);
        w->n.records++;
        return;
    }
    check_letters(w, rec);
    check_id(w, rec);
    memcpy(w->label + 1, rec->id.s, rec->id.n);
    memcpy(w->label + 1 + rec->id.n, tail, sizeof tail - 1);
    w->stem_n = rec->id.n + sizeof tail;
    w->contig_n = rec->id.n;
    const struct vnp_chunks chunks = vnp_chunks(rec->n, (uint64_t)w->opt.chunk);
    for (uint64_t k = 0; k < chunks.n; k++) {
        const uint64_t start = vnp_chunk_start(&chunks, k), letters = vnp_chunk_letters(&chunks, k);
        if (w->chunks.out != NULL)
            add_place(w, k + 1, start, letters);
        add_chunk(w, rec->seq + start, letters, k + 1);
    }
    w->n.records++;
    w->n.contigs++;
}

/* All or none: when a later file can't be had, those before it are taken back. The table of chunks comes first: whoever
 * has seen the end of a stream can read it. */
static void finish(struct work *w)
{
    struct vnp_err err;
    struct sink *const sinks[] = {&w->chunks, &w->nucleotides, &w->proteins};
    const char *named[3];
    int n_named = 0;
    flush(w);
    for (int i = 0; i < 3; i++) {
        struct vnp_output *const out = sinks[i]->out;
        if (out == NULL)
            continue;
        const bool file = !vnp_output_is_stream(out);
        sinks[i]->out = NULL;
        if (vnp_output_commit(out, &err) != VNP_OK) {
            while (n_named > 0)
                unlink(named[--n_named]);
            fail(w, &err);
        }
        if (file)
            named[n_named++] = sinks[i]->path;
    }
}

static void summarise(const struct work *w, double seconds)
{
    char letters[512], rate[VNP_RATE_TEXT];
    const struct counts *n = &w->n;
    if (n->empty > 0)
        vnp_warn("%" PRIu64 " empty record%s skipped; the first: %s", n->empty, vnp_plural(n->empty), n->first_empty);
    if (n->seen.strays.n > 0)
        vnp_warn("%" PRIu64 " letter%s no nucleotide: %s; the first in %s", n->seen.strays.n,
                 n->seen.strays.n == 1 ? " is" : "s are", vnp_unknown_text(&n->seen.strays, letters, sizeof letters),
                 n->first_stray);
    if (n->seen.uracils > 0)
        vnp_warn("%" PRIu64 " letter%s U, of which nothing is translated: RNA? (sed '/^>/!y/Uu/Tt/' FILE |)",
                 n->seen.uracils, n->seen.uracils == 1 ? " is" : "s are");
    if (n->frames == 0)
        vnp_warn("no open frame in all the input: the output is empty");
    vnp_info("%" PRIu64 " contig%s, %" PRIu64 " chunk%s of %lld letters, %" PRIu64 " without an open frame; %" PRIu64
             " frame%s kept, %" PRIu64 " residue%s%s",
             n->contigs, vnp_plural(n->contigs), n->chunks, vnp_plural(n->chunks), (long long)w->opt.chunk,
             n->closed_chunks, n->frames, vnp_plural(n->frames), n->residues, vnp_plural(n->residues),
             vnp_rate_text(rate, vnp_fasta_bytes(w->in), seconds));
}

int main(int argc, char **argv)
{
    vnp_stage_init("vnp-orf");
    struct work w = {.opt = parse(argc, argv)};
    struct vnp_record rec;
    struct vnp_err err;
    enum vnp_status st;
    const double begin = vnp_now();

    vnp_telemetry_open(VNP_IN);
    if (vnp_fasta_open(&w.in, argv + optind, argc - optind, &err) != VNP_OK)
        fail(&w, &err);
    open_sink(&w, &w.nucleotides, w.opt.nucleotides);
    open_sink(&w, &w.proteins, w.opt.proteins);
    open_sink(&w, &w.chunks, w.opt.chunks);
    if (w.chunks.out != NULL)
        add_text(&w.chunks, chunks_head, sizeof chunks_head - 1);
    w.ids = vnp_idset_new(VNP_IDSET_MOST);
    w.protein = xmalloc((size_t)w.opt.chunk);
    w.label = xmalloc(LABEL_BYTES);
    w.label[0] = '>';
    while ((st = vnp_fasta_next(w.in, &rec, &err)) == VNP_OK)
        add_record(&w, &rec);
    if (st != VNP_END)
        fail(&w, &err);
    check_ids(&w);
    finish(&w);
    summarise(&w, vnp_now() - begin);

    vnp_fasta_close(w.in);
    vnp_idset_free(w.ids);
    for (size_t i = 0; i < w.n_files; i++)
        free(w.files[i].name);
    free(w.files);
    free(w.nucleotides.buf);
    free(w.proteins.buf);
    free(w.chunks.buf);
    free(w.protein);
    free(w.label);
    return VNP_OK;
}
