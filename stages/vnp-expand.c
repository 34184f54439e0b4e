/* vnp-expand: embeddings of the unique records in, and the copies that vnp-dedup wrote; those of all records out. */
#include <string.h>

#include "cursor.h"
#include "cutter.h"
#include "output.h"
#include "shelf.h"
#include "stage.h"

#define OF_THE_VECTOR (VNP_REDONE | VNP_NONFINITE) /* flags; the others are the record's */

struct options {
    const char *copies;
    struct vnp_writer_options file; /* the output */
};

struct work {
    struct options opt;
    struct vnp_cursor unique, copies;
    struct vnp_writer *out;
    struct vnp_cutter cutter;
    struct vnp_shelf *shelf;
};

static const struct options defaults = {.file.zstd_level = VNP_ZSTD_LEVEL};

static void usage(FILE *f)
{
    fputs("usage: vnp-expand --copies FILE [options] [FILE]\n"
          "Gives every record its embedding, in input order, from those of the unique ones (FILE or stdin, out of\n"
          "vnp-pool) and the file of copies that vnp-dedup wrote: the same bytes as without both of them.\n\n"
          "      --copies FILE     what vnp-dedup --copies wrote of this input\n"
          VNP_HELP_ZSTD VNP_HELP_OUTPUT VNP_HELP_COMMON,
          f);
}

static void check_paths(const struct options *o, const char *input)
{
    const bool from_stdin = input == NULL || strcmp(input, "-") == 0;
    if (o->copies == NULL)
        vnp_die(VNP_USAGE, "--copies FILE is wanted: what vnp-dedup wrote of this input");
    if (strcmp(o->copies, "-") == 0 && from_stdin)
        vnp_die(VNP_USAGE, "--copies and the embeddings can't both come from stdin");
    vnp_refuse_input(o->file.path, o->copies);
    vnp_refuse_input(o->file.path, input);
}

static void parse_options(struct options *o, int argc, char **argv)
{
    enum { COPIES = VNP_OPT_OWN };
    static const struct option table[] = {{"copies", required_argument, NULL, COPIES},
                                          VNP_ZSTD_OPTIONS,
                                          VNP_COMMON_OPTIONS,
                                          {NULL, 0, NULL, 0}};
    int c;
    while ((c = vnp_frames_option(argc, argv, "hqvo:", table)) != -1)
        switch (c) {
        case COPIES:
            o->copies = optarg;
            break;
        default:
            if (!vnp_writer_option(c, &o->file))
                vnp_common_option(c, usage);
        }
    if (argc - optind > 1)
        vnp_die(VNP_USAGE, "one stream at a time: %s, %s", argv[optind], argv[optind + 1]);
    check_paths(o, argv[optind]);
}

/* --- in ----------------------------------------------------------------------------------------------------------- */

/* That the two are of one input. */
static enum vnp_status check_heads(const struct work *w, struct vnp_err *err)
{
    const struct vnp_head *unique = vnp_reader_head(w->unique.reader), *copies = vnp_reader_head(w->copies.reader);
    const char *unique_name = vnp_reader_name(w->unique.reader), *copies_name = vnp_reader_name(w->copies.reader);
    enum vnp_status st = vnp_reader_expect(w->copies.reader, VNP_COPIES, err);
    if (st == VNP_OK && strcmp(unique->unique, copies->unique) != 0)
        st =
            vnp_error(err, VNP_DATA,
                      "%s: is of another input (%s) than the embeddings in %s (%s): give the file that vnp-dedup wrote "
                      "together with their tokens",
                      copies_name, copies->unique, unique_name, unique->unique);
    return st;
}

/* The copies are opened when the embeddings have begun: in a pipe, vnp-dedup has written them by then. */
static enum vnp_status open_all(struct work *w, const char *input, struct vnp_err *err)
{
    enum vnp_status st = vnp_writer_open(&w->out, &w->opt.file, err);
    if (st == VNP_OK)
        st = vnp_reader_open(&w->unique.reader, input, err);
    if (st == VNP_OK)
        st = vnp_reader_expect(w->unique.reader, VNP_EMBEDDINGS, err);
    if (st == VNP_OK)
        st = vnp_reader_expect_order(w->unique.reader, err);
    if (st == VNP_OK && vnp_reader_head(w->unique.reader)->unique[0] == '\0')
        st = vnp_error(err, VNP_DATA,
                       "%s: embeddings whose tokens did not go through vnp-dedup: there is nothing to expand",
                       vnp_reader_name(w->unique.reader));
    if (st == VNP_OK)
        st = vnp_reader_open(&w->copies.reader, w->opt.copies, err);
    if (st == VNP_OK)
        st = check_heads(w, err);
    return st == VNP_OK ? vnp_shelf_new(&w->shelf, err) : st;
}

/* --- out ---------------------------------------------------------------------------------------------------------- */

static enum vnp_status differ(const struct work *w, const struct vnp_row *copy, const char *what, struct vnp_err *err)
{
    return vnp_error(err, VNP_DATA, "%s: record %llu (%.*s): %s in %s: the two do not belong together",
                     vnp_reader_name(w->copies.reader), (unsigned long long)copy->ordinal, VNP_SHOWN(copy->id), what,
                     vnp_reader_name(w->unique.reader));
}

/* That the next embedding is of the record that `copy` says came first, and keeps it when it is wanted again. */
static enum vnp_status take(struct work *w, const struct vnp_row *copy, uint64_t slot, struct vnp_row *row,
                            struct vnp_err *err)
{
    enum vnp_status st = vnp_cursor_next(&w->unique, err);
    if (st != VNP_OK)
        return st;
    if (w->unique.end)
        return differ(w, copy, "there is no embedding for it", err);
    *row = w->unique.row;
    if (!vnp_str_equal(row->id, copy->id) || row->residues != copy->residues || row->total != copy->total ||
        row->tokens != copy->tokens || (row->flags & ~(uint32_t)OF_THE_VECTOR) != copy->flags)
        return differ(w, copy, "its id, length or flags are others", err);
    return slot > 0 ? vnp_shelf_put(w->shelf, row, err) : VNP_OK;
}

/* The embedding of an earlier record. */
static enum vnp_status take_again(struct work *w, const struct vnp_row *copy, const struct vnp_copy *c,
                                  struct vnp_row *row, struct vnp_err *err)
{
    enum vnp_status st = vnp_shelf_get(w->shelf, c->slot - 1, row, err);
    if (st == VNP_OK && (row->ordinal != c->of || row->residues != copy->residues || row->tokens != copy->tokens))
        st = differ(w, copy, "what it equals has another length or place", err);
    return st;
}

static enum vnp_status put_copy(struct work *w, uint64_t *unique, struct vnp_err *err)
{
    const struct vnp_row *copy = &w->copies.row;
    struct vnp_copy c;
    struct vnp_row row;
    memcpy(&c, copy->data, sizeof c);
    const bool first = c.of == *unique; /* the reader has seen that it is, or came before */
    enum vnp_status st = first ? take(w, copy, c.slot, &row, err) : take_again(w, copy, &c, &row, err);
    if (st != VNP_OK)
        return st;
    *unique += first;
    row.ordinal = copy->ordinal;
    row.id = copy->id;
    row.total = copy->total;
    row.flags = copy->flags | (row.flags & OF_THE_VECTOR);
    return vnp_cutter_put(&w->cutter, &row, err);
}

/* All of both streams, up to but without the end frame. */
static enum vnp_status expand(struct work *w, struct vnp_err *err)
{
    struct vnp_head head = *vnp_reader_head(w->unique.reader);
    uint64_t unique = 0;
    head.unique[0] = '\0';
    vnp_cutter_to(&w->cutter, w->out, VNP_EMBEDDINGS);
    enum vnp_status st = vnp_writer_head(w->out, &head, err);
    while (st == VNP_OK && (st = vnp_cursor_next(&w->copies, err)) == VNP_OK && !w->copies.end)
        st = put_copy(w, &unique, err);
    if (st == VNP_OK)
        st = vnp_cutter_flush(&w->cutter, err);
    if (st == VNP_OK)
        st = vnp_cursor_next(&w->unique, err);
    if (st == VNP_OK && !w->unique.end)
        return vnp_error(err, VNP_DATA, "%s: has more embeddings than the %llu unique records of %s",
                         vnp_reader_name(w->unique.reader), (unsigned long long)unique,
                         vnp_reader_name(w->copies.reader));
    return st;
}

static enum vnp_status check_counts(const struct work *w, struct vnp_err *err)
{
    const struct vnp_totals *in = vnp_reader_totals(w->copies.reader), *out = vnp_writer_totals(w->out);
    if (in->sequences == out->sequences && in->tokens == out->tokens && in->truncated == out->truncated)
        return VNP_OK;
    return vnp_totals_differ(vnp_reader_name(w->copies.reader), in, out, err);
}

static void report(const struct work *w, const struct vnp_totals *out)
{
    const struct vnp_totals *in = vnp_reader_totals(w->unique.reader);
    const uint64_t saved = out->tokens - in->tokens;
    vnp_info("%llu embedding%s from %llu unique one%s; %.1f%% of the tokens were saved", (unsigned long long)out->rows,
             vnp_plural(out->rows), (unsigned long long)in->rows, vnp_plural(in->rows),
             out->tokens > 0 ? 100 * (double)saved / (double)out->tokens : 0.0);
    if (out->nonfinite > 0)
        vnp_warn("%llu of them hold%s NaN or Inf", (unsigned long long)out->nonfinite, out->nonfinite == 1 ? "s" : "");
}

int main(int argc, char **argv)
{
    struct work w = {.opt = defaults};
    struct vnp_err err = {0};
    vnp_stage_init_frames("vnp-expand");
    parse_options(&w.opt, argc, argv);

    enum vnp_status st = open_all(&w, argv[optind], &err);
    if (st == VNP_OK)
        st = expand(&w, &err);
    if (st == VNP_OK)
        st = check_counts(&w, &err);

    const struct vnp_totals totals = vnp_stage_finish(w.out, st, &err);
    report(&w, &totals);
    vnp_shelf_free(w.shelf);
    vnp_cutter_free(&w.cutter);
    vnp_reader_close(w.unique.reader);
    vnp_reader_close(w.copies.reader);
    return VNP_OK;
}
