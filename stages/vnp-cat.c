/* vnp-cat: what is in a stream, as JSON, tables, a NumPy array, a summary or a verdict. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jsonout.h"
#include "npy.h"
#include "output.h"
#include "stage.h"
#include "stream_show.h"
#include "vectors.h"
#include "xmalloc.h"

#define FLUSH_BYTES ((size_t)256 << 10) /* text held before it is written */

enum mode { MODE_UNSET, MODE_NONE, MODE_JSON, MODE_TSV, MODE_SUMMARY, MODE_CHECK };

struct options {
    enum mode mode;
    bool json; /* with --summary: as an object */
    const char *output, *npy, *ids;
};

/* Where text goes: a file that appears when it is whole, or stdout, a terminal too. */
struct sink {
    struct vnp_output *file;
    struct vnp_text text;
};

/* What the rows of the files go through. */
struct cat {
    struct options opt;
    struct sink out, ids;
    struct vnp_npy *npy;
    int npy_width;
    float *scratch; /* one vector */
    int scratch_width;
};

static void usage(FILE *f)
{
    fputs("usage: vnp-cat [options] [FILE ...]\n"
          "Shows what is in streams of frames, plain or zstd; no FILE or -: stdin. Each must be whole.\n\n"
          "      --json            one JSON object a row (default); with --summary: one a file\n"
          "      --tsv             one line a row: id, then numbers separated by tabs\n"
          "      --summary         what each stream is and holds\n"
          "      --check           reads all, and says 'ok' with counts and checksum, or what is wrong\n"
          "      --npy FILE        the vectors as a NumPy float32 array; nothing on stdout unless asked for\n"
          "      --ids FILE        the ids, a line for each row of that array\n"
          VNP_HELP_OUTPUT VNP_HELP_COMMON,
          f);
}

/* Ends the program when `st` is an error; no unfinished file stays behind. */
static void die_on(struct cat *c, enum vnp_status st, const struct vnp_err *err)
{
    if (st == VNP_OK)
        return;
    vnp_npy_discard(c->npy);
    if (c->out.file != NULL)
        vnp_output_discard(c->out.file);
    if (c->ids.file != NULL)
        vnp_output_discard(c->ids.file);
    vnp_stage_fail(NULL, err);
}

/* --- text out ----------------------------------------------------------------------------------------------------- */

static void sink_open(struct cat *c, struct sink *s, const char *path)
{
    struct vnp_err err = {0};
    if (path != NULL && strcmp(path, "-") != 0)
        die_on(c, vnp_output_open(&s->file, path, 0, &err), &err);
}

static void sink_flush(struct cat *c, struct sink *s)
{
    struct vnp_err err = {0};
    struct iovec part = {s->text.p, s->text.n};
    if (s->text.n == 0)
        return;
    if (s->file != NULL)
        die_on(c, vnp_output_write(s->file, &part, 1, &err), &err);
    else
        die_on(c, vnp_stdout_write(s->text.p, s->text.n, &err), &err);
    s->text.n = 0;
}

static struct vnp_text *sink_room(struct cat *c, struct sink *s)
{
    if (s->text.n >= FLUSH_BYTES)
        sink_flush(c, s);
    return &s->text;
}

static void sink_close(struct cat *c, struct sink *s)
{
    struct vnp_err err = {0};
    sink_flush(c, s);
    free(s->text.p);
    if (s->file == NULL)
        return;
    struct vnp_output *file = s->file;
    s->file = NULL;
    die_on(c, vnp_output_commit(file, &err), &err);
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

static const struct {
    uint32_t bit;
    const char *name;
} flag_names[] = {{VNP_TRUNCATED, "truncated"}, {VNP_EMPTY, "empty"}, {VNP_REDONE, "redone"},
                  {VNP_NONFINITE, "nonfinite"}};

static void put_row_fields(struct vnp_text *t, const struct vnp_block *b, int64_t i)
{
    vnp_text_str(t, "{\"ordinal\":");
    vnp_text_uint(t, b->ordinal[i]);
    vnp_text_str(t, ",\"id\":");
    vnp_text_json(t, b->id[i].s, b->id[i].n);
    vnp_text_field(t, "length", b->residues[i]);
    if (b->total[i] != b->residues[i])
        vnp_text_field(t, "total", b->total[i]);
    if (b->window != NULL && b->windows[i] > 1) {
        vnp_text_field(t, "window", b->window[i]);
        vnp_text_field(t, "windows", b->windows[i]);
        vnp_text_field(t, "start", b->start[i]);
    }
    if (b->flags[i] == 0)
        return;
    bool any = false;
    vnp_text_str(t, ",\"flags\":[");
    for (size_t k = 0; k < sizeof flag_names / sizeof flag_names[0]; k++)
        if (b->flags[i] & flag_names[k].bit) {
            vnp_text_printf(t, "%s\"%s\"", any ? "," : "", flag_names[k].name);
            any = true;
        }
    vnp_text_str(t, "]");
}

static void put_tokens(struct vnp_text *t, const struct vnp_head *h, const struct vnp_block *b, int64_t first,
                       int64_t n, char separator)
{
    for (int64_t k = 0; k < n; k++) {
        if (k > 0 || separator == '\t')
            vnp_text_add(t, &separator, 1);
        vnp_text_uint(t, vnp_token(b->bulk, h->token_bytes, first + k));
    }
}

static void put_vector(struct vnp_text *t, const float *v, int width)
{
    for (int k = 0; k < width; k++) {
        vnp_text_add(t, k > 0 ? "," : "[", 1);
        vnp_text_float(t, v[k], "null");
    }
    vnp_text_add(t, "]", 1);
}

/* One row as a JSON object. `first`: its first token or vector in the bulk, of `n`. */
static void json_row(struct cat *c, const struct vnp_head *h, const struct vnp_block *b, uint64_t block, int64_t i,
                     int64_t first, int64_t n)
{
    struct vnp_text *t = &c->out.text;
    put_row_fields(t, b, i);
    if (h->kind == VNP_BATCHES)
        vnp_text_field(t, "batch", block);
    if (h->kind == VNP_COPIES) {
        const struct vnp_copy *copy = (const struct vnp_copy *)b->bulk + i;
        vnp_text_field(t, "of", copy->of);
        vnp_text_field(t, "slot", copy->slot);
        vnp_text_str(t, "}\n");
        return;
    }
    if (vnp_kind_tokens(h->kind)) {
        vnp_text_str(t, ",\"tokens\":[");
        put_tokens(t, h, b, first, n, ',');
        vnp_text_str(t, "]}\n");
        return;
    }
    bool many = h->kind == VNP_HIDDEN || strcmp(h->pool, "none") == 0;
    vnp_text_str(t, h->kind == VNP_HIDDEN ? ",\"hidden\":" : ",\"embedding\":");
    vnp_text_str(t, many ? "[" : "");
    for (int64_t k = 0; k < n; k++) {
        vnp_text_str(sink_room(c, &c->out), k > 0 ? "," : "");
        put_vector(t, vnp_vectors_f32(h, b, first + k, 1, c->scratch), h->width);
    }
    vnp_text_str(t, many ? "]}\n" : "}\n");
}

static void tsv_row(struct cat *c, const struct vnp_head *h, const struct vnp_block *b, int64_t i, int64_t first,
                    int64_t n)
{
    struct vnp_text *t = &c->out.text;
    if (h->kind == VNP_COPIES) {
        const struct vnp_copy *copy = (const struct vnp_copy *)b->bulk + i;
        vnp_text_plain(t, b->id[i].s, b->id[i].n);
        vnp_text_printf(t, "\t%llu\t%llu\n", (unsigned long long)copy->of, (unsigned long long)copy->slot);
        return;
    }
    if (vnp_kind_tokens(h->kind)) {
        vnp_text_plain(t, b->id[i].s, b->id[i].n);
        put_tokens(t, h, b, first, n, '\t');
        vnp_text_add(t, "\n", 1);
        return;
    }
    for (int64_t k = 0; k < n; k++) {
        const float *v = vnp_vectors_f32(h, b, first + k, 1, c->scratch);
        vnp_text_plain(sink_room(c, &c->out), b->id[i].s, b->id[i].n);
        for (int j = 0; j < h->width; j++) {
            vnp_text_add(t, "\t", 1);
            vnp_text_float(t, v[j], NULL);
        }
        vnp_text_add(t, "\n", 1);
    }
}

static void array_row(struct cat *c, const struct vnp_head *h, const struct vnp_block *b, int64_t i, int64_t first,
                      int64_t n)
{
    struct vnp_err err = {0};
    for (int64_t k = 0; k < n; k++) {
        if (c->npy != NULL)
            die_on(c, vnp_npy_add(c->npy, vnp_vectors_f32(h, b, first + k, 1, c->scratch), 1, &err), &err);
        if (c->opt.ids != NULL) {
            vnp_text_plain(sink_room(c, &c->ids), b->id[i].s, b->id[i].n);
            vnp_text_add(&c->ids.text, "\n", 1);
        }
    }
}

static void put_block(struct cat *c, const struct vnp_head *h, const struct vnp_block *b, uint64_t block)
{
    const bool vectors = vnp_kind_vectors(h->kind);
    for (int64_t i = 0, first = 0; i < b->n; i++) {
        int64_t n = vectors ? vnp_row_vectors(h, b, i) : b->tokens[i];
        sink_room(c, &c->out);
        if (c->opt.mode == MODE_JSON)
            json_row(c, h, b, block, i, first, n);
        else if (c->opt.mode == MODE_TSV)
            tsv_row(c, h, b, i, first, n);
        if (c->opt.npy != NULL || c->opt.ids != NULL)
            array_row(c, h, b, i, first, vectors ? n : 1);
        first += n;
    }
}

/* Arrays and tables do not say where a row belongs, so its place must. The array takes its width from the first file;
 * the others must have it too. */
static void prepare(struct cat *c, const struct vnp_reader *r)
{
    struct vnp_err err = {0};
    const struct vnp_head *h = vnp_reader_head(r);
    if (h->width > c->scratch_width) {
        c->scratch = xreallocarray(c->scratch, (size_t)h->width, sizeof *c->scratch);
        c->scratch_width = h->width;
    }
    if (c->opt.npy != NULL || c->opt.ids != NULL || c->opt.mode == MODE_TSV)
        die_on(c, vnp_reader_expect_order(r, &err), &err);
    if (c->opt.npy == NULL)
        return;
    if (!vnp_kind_vectors(h->kind))
        die_on(c, vnp_error(&err, VNP_DATA, "%s: holds %s, but --npy wants vectors, from a forward stage or vnp-pool",
                            vnp_reader_name(r), vnp_kind_name(h->kind)), &err);
    if (c->npy == NULL) {
        die_on(c, vnp_npy_open(&c->npy, c->opt.npy, h->width, &err), &err);
        c->npy_width = h->width;
    }
    if (h->width != c->npy_width)
        die_on(c, vnp_error(&err, VNP_DATA, "%s: vectors of %d, but the array's rows have %d", vnp_reader_name(r),
                            h->width, c->npy_width), &err);
}

static void finish_array(struct cat *c)
{
    struct vnp_err err = {0};
    struct vnp_npy *npy = c->npy;
    c->npy = NULL;
    if (npy != NULL)
        die_on(c, vnp_npy_finish(npy, &err), &err);
}

static void cat_file(struct cat *c, const char *path)
{
    struct vnp_err err = {0};
    struct vnp_reader *r;
    struct vnp_block b;
    die_on(c, vnp_reader_open(&r, path, &err), &err);
    prepare(c, r);
    enum vnp_status st;
    for (uint64_t block = 0; (st = vnp_reader_next(r, &b, &err)) == VNP_OK; block++)
        put_block(c, vnp_reader_head(r), &b, block);
    if (st != VNP_END) {
        if (c->out.file == NULL)
            sink_flush(c, &c->out);
        fflush(stdout);
        die_on(c, st, &err);
    }
    vnp_reader_close(r);
}

/* --- summaries ---------------------------------------------------------------------------------------------------- */

/* Reads a whole stream. VNP_OK when it is whole; else *err says what is wrong. *out is for the caller to close. */
static enum vnp_status read_all(struct vnp_reader **out, const char *path, struct vnp_lengths *len, struct vnp_err *err)
{
    struct vnp_block b;
    enum vnp_status st = vnp_reader_open(out, path, err);
    if (st != VNP_OK)
        return st;
    *len = (struct vnp_lengths){0, UINT32_MAX, 0};
    while ((st = vnp_reader_next(*out, &b, err)) == VNP_OK)
        for (int64_t i = 0; i < b.n; i++) {
            len->sum += b.residues[i];
            len->min = b.residues[i] < len->min ? b.residues[i] : len->min;
            len->max = b.residues[i] > len->max ? b.residues[i] : len->max;
        }
    len->min = vnp_reader_totals(*out)->rows > 0 ? len->min : 0;
    return st == VNP_END ? VNP_OK : st;
}

static enum vnp_status check_file(struct cat *c, const char *path)
{
    struct vnp_err err = {0};
    struct vnp_reader *r;
    struct vnp_lengths len;
    struct vnp_text *t = sink_room(c, &c->out);
    enum vnp_status st = read_all(&r, path, &len, &err);
    if (st != VNP_OK && err.stage[0] != '\0')
        vnp_log(VNP_LOG_ERROR, "%s: %s failed: %s", path != NULL ? path : "stdin", err.stage, err.msg);
    else if (st != VNP_OK)
        vnp_log(VNP_LOG_ERROR, "%s", err.msg);
    else if (c->opt.mode == MODE_SUMMARY)
        (c->opt.json ? vnp_stream_show_json : vnp_stream_show)(t, r, &len);
    else {
        const struct vnp_totals *n = vnp_reader_totals(r);
        vnp_text_printf(t, "%s: ok, %llu sequences, %llu rows, %llu tokens, crc32 %08x%s\n", vnp_reader_name(r),
                        (unsigned long long)n->sequences, (unsigned long long)n->rows, (unsigned long long)n->tokens,
                        vnp_reader_crc(r), vnp_reader_head(r)->ordered ? "" : vnp_stream_order(r));
    }
    vnp_reader_close(r);
    return st;
}

/* --- main --------------------------------------------------------------------------------------------------------- */

static void set_mode(struct options *o, enum mode mode)
{
    if (mode == MODE_JSON)
        o->json = true;
    else if (o->mode != MODE_UNSET && o->mode != mode)
        vnp_die(VNP_USAGE, "--tsv, --summary and --check: one of them");
    else
        o->mode = mode;
}

/* Two outputs into one file: the last would win. */
static void refuse_equal(const char *a, const char *path_a, const char *b, const char *path_b)
{
    if (vnp_same_output(path_a, path_b))
        vnp_die(VNP_USAGE, "%s and %s: both into %s", a, b, strcmp(path_a, "-") == 0 ? "stdout" : path_a);
}

static void parse_options(struct options *o, int argc, char **argv)
{
    enum { JSON = VNP_OPT_OWN, TSV, SUMMARY, CHECK, NPY, IDS };
    static const struct option table[] = {{"json", no_argument, NULL, JSON},
                                          {"tsv", no_argument, NULL, TSV},
                                          {"summary", no_argument, NULL, SUMMARY},
                                          {"check", no_argument, NULL, CHECK},
                                          {"npy", required_argument, NULL, NPY},
                                          {"ids", required_argument, NULL, IDS},
                                          VNP_COMMON_OPTIONS,
                                          {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "hqvo:", table, NULL)) != -1)
        switch (c) {
        case JSON: set_mode(o, MODE_JSON); break;
        case TSV: set_mode(o, MODE_TSV); break;
        case SUMMARY: set_mode(o, MODE_SUMMARY); break;
        case CHECK: set_mode(o, MODE_CHECK); break;
        case NPY: o->npy = optarg; break;
        case IDS: o->ids = optarg; break;
        case 'o': o->output = optarg; break;
        default: vnp_common_option(c, usage);
        }
    if (o->json && o->mode != MODE_UNSET && o->mode != MODE_SUMMARY)
        vnp_die(VNP_USAGE, "--json goes with --summary or alone");
    if ((o->mode == MODE_SUMMARY || o->mode == MODE_CHECK) && (o->npy != NULL || o->ids != NULL))
        vnp_die(VNP_USAGE, "--npy and --ids go with --json, --tsv or alone");
    if (o->mode == MODE_UNSET)
        o->mode = !o->json && (o->npy != NULL || o->ids != NULL) ? MODE_NONE : MODE_JSON;
    refuse_equal("--npy", o->npy, "--ids", o->ids);
    refuse_equal("--npy", o->npy, "-o", o->output);
    if (o->mode != MODE_NONE || o->output != NULL)
        refuse_equal("--ids", o->ids, "-o", o->output != NULL ? o->output : "-");
    const char *const outputs[] = {o->output, o->npy, o->ids};
    for (int i = 0; i < 3; i++)
        vnp_refuse_inputs(outputs[i], argv + optind, argc - optind);
}

int main(int argc, char **argv)
{
    struct cat c = {0};
    struct vnp_err err;
    enum vnp_status worst = VNP_OK;
    char *stdin_only[] = {NULL};
    vnp_stage_init("vnp-cat");
    parse_options(&c.opt, argc, argv);
    char **files = optind < argc ? argv + optind : stdin_only;
    int n_files = optind < argc ? argc - optind : 1;

    sink_open(&c, &c.out, c.opt.output);
    if (c.opt.ids != NULL)
        sink_open(&c, &c.ids, c.opt.ids);
    for (int i = 0; i < n_files; i++)
        if (c.opt.mode == MODE_SUMMARY || c.opt.mode == MODE_CHECK) {
            enum vnp_status st = check_file(&c, files[i]);
            worst = worst == VNP_OK ? st : worst;
        } else
            cat_file(&c, files[i]);
    finish_array(&c);
    sink_close(&c, &c.ids);
    sink_close(&c, &c.out);
    free(c.scratch);
    if (vnp_stdout_close(&err) != VNP_OK)
        vnp_stage_fail(NULL, &err);
    return worst;
}
