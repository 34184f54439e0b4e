/* vnp-dedup: token frames in, those of the unique records out, and a file that says which records were equal. */
#include <string.h>

#include "cutter.h"
#include "dedup.h"
#include "output.h"
#include "stage.h"

#define COPIES_LEVEL 1 /* zstd: ids, and numbers that count up */

struct options {
    int64_t memory; /* MiB */
    const char *output, *copies;
};

struct work {
    struct options opt;
    struct vnp_reader *in;
    struct vnp_writer *out, *copies;
    struct vnp_dedup *dedup;
    struct vnp_cutter cutter;
    char digest[VNP_DEDUP_DIGEST]; /* of all records */
};

static const struct options defaults = {.memory = 512};

static void usage(FILE *f)
{
    fprintf(
        f,
        "usage: vnp-dedup --copies FILE [options] [FILE]\n"
        "Reads a token stream (FILE or stdin) to its end, and then writes each sequence that is in it once.\n"
        "vnp-expand gives the embeddings of all from those of the unique ones and the file of copies.\n\n"
        "      --copies FILE     which records are equal goes here, before the stream begins\n"
        "      --memory MIB      at most so much, about; more goes through $TMPDIR (default: %lld)\n" VNP_HELP_OUTPUT
            VNP_HELP_COMMON,
        (long long)defaults.memory);
}

static void check_paths(const struct options *o, const char *input)
{
    if (o->copies == NULL)
        vnp_die(VNP_USAGE, "--copies FILE is wanted: vnp-expand needs it to give every record its embedding");
    if (vnp_same_output(o->copies, o->output != NULL ? o->output : "-"))
        vnp_die(VNP_USAGE, "--copies and the stream can't both go to %s",
                strcmp(o->copies, "-") == 0 ? "stdout" : o->copies);
    vnp_refuse_input(o->copies, input);
    vnp_refuse_input(o->output, input);
}

static void parse_options(struct options *o, int argc, char **argv)
{
    enum { COPIES = VNP_OPT_OWN, MEMORY };
    static const struct option table[] = {{"copies", required_argument, NULL, COPIES},
                                          {"memory", required_argument, NULL, MEMORY},
                                          VNP_COMMON_OPTIONS,
                                          {NULL, 0, NULL, 0}};
    int c;
    while ((c = vnp_frames_option(argc, argv, "hqvo:", table)) != -1)
        switch (c) {
        case COPIES:
            o->copies = optarg;
            break;
        case MEMORY:
            o->memory = vnp_option_int("--memory", optarg, 1, (int64_t)1 << 30);
            break;
        case 'o':
            o->output = optarg;
            break;
        default:
            vnp_common_option(c, usage);
        }
    if (argc - optind > 1)
        vnp_die(VNP_USAGE, "one stream at a time: %s, %s", argv[optind], argv[optind + 1]);
    check_paths(o, argv[optind]);
}

/* --- in ----------------------------------------------------------------------------------------------------------- */

static enum vnp_status check_head(const struct work *w, struct vnp_err *err)
{
    const struct vnp_head *head = vnp_reader_head(w->in);
    const char *name = vnp_reader_name(w->in);
    enum vnp_status st = vnp_reader_expect(w->in, VNP_TOKENS, err);
    if (st == VNP_OK && head->unique[0] != '\0')
        return vnp_error(err, VNP_DATA, "%s: has been through vnp-dedup before: leave one of them out", name);
    if (st == VNP_OK && head->first != 0)
        return vnp_error(err, VNP_DATA,
                         "%s: is a part of an input, from record %llu on: put vnp-dedup before what divides it", name,
                         (unsigned long long)head->first);
    return st;
}

static enum vnp_status take_block(struct work *w, const struct vnp_block *b, struct vnp_err *err)
{
    enum vnp_status st = VNP_OK;
    size_t at = 0;
    for (int64_t i = 0; st == VNP_OK && i < b->n; i++) {
        struct vnp_row row;
        const size_t bytes = vnp_row_bytes(vnp_reader_head(w->in), b, i);
        st = vnp_row_of(b, i, at, bytes, &row, err);
        if (st == VNP_OK)
            st = vnp_dedup_add(w->dedup, &row, err);
        at += bytes;
    }
    return st;
}

static enum vnp_status take_stream(struct work *w, struct vnp_err *err)
{
    struct vnp_block b;
    enum vnp_status st;
    while ((st = vnp_reader_next(w->in, &b, err)) == VNP_OK) {
        if ((st = take_block(w, &b, err)) != VNP_OK)
            return st;
        vnp_progress("%llu records", (unsigned long long)vnp_reader_totals(w->in)->sequences);
    }
    return st == VNP_END ? vnp_dedup_find(w->dedup, w->digest, err) : st;
}

/* --- out ---------------------------------------------------------------------------------------------------------- */

/* All rows that `next` gives, as a stream with `head`. */
static enum vnp_status write_rows(struct work *w, struct vnp_writer *to, const struct vnp_head *head,
                                  enum vnp_status (*next)(struct vnp_dedup *, struct vnp_row *, struct vnp_err *),
                                  struct vnp_err *err)
{
    struct vnp_row row;
    vnp_cutter_to(&w->cutter, to, head->kind);
    enum vnp_status st = vnp_writer_head(to, head, err);
    while (st == VNP_OK && (st = next(w->dedup, &row, err)) == VNP_OK)
        st = vnp_cutter_put(&w->cutter, &row, err);
    return st == VNP_END ? vnp_cutter_flush(&w->cutter, err) : st;
}

/* The copies, whole and under their name before the stream begins: vnp-expand, further down the pipe, opens them when
 * it does. */
static enum vnp_status write_copies(struct work *w, struct vnp_err *err)
{
    struct vnp_head head = *vnp_reader_head(w->in);
    head.kind = VNP_COPIES;
    snprintf(head.unique, sizeof head.unique, "%s", w->digest);
    if (vnp_head_add_stage(&head, "vnp-dedup") == NULL)
        return vnp_head_full(&head, vnp_reader_name(w->in), err);
    enum vnp_status st = write_rows(w, w->copies, &head, vnp_dedup_next_copy, err);
    const struct vnp_totals *in = vnp_reader_totals(w->in), *out = vnp_writer_totals(w->copies);
    if (st == VNP_OK && (in->sequences != out->sequences || in->tokens != out->tokens))
        st = vnp_totals_differ(vnp_reader_name(w->in), in, out, err);
    if (st != VNP_OK)
        return st;
    struct vnp_writer *copies = w->copies;
    w->copies = NULL;
    return vnp_writer_finish(copies, err);
}

/* No stage is added to the head: nothing here shapes an embedding. */
static enum vnp_status write_unique(struct work *w, struct vnp_err *err)
{
    struct vnp_head head = *vnp_reader_head(w->in);
    snprintf(head.unique, sizeof head.unique, "%s", w->digest);
    return write_rows(w, w->out, &head, vnp_dedup_next_unique, err);
}

static void report(const struct vnp_totals *in, const struct vnp_totals *out)
{
    const uint64_t saved = in->tokens - out->tokens;
    vnp_info("%llu record%s, %llu of them unique; %llu of %llu tokens saved (%.1f%%)",
             (unsigned long long)in->sequences, vnp_plural(in->sequences), (unsigned long long)out->sequences,
             (unsigned long long)saved, (unsigned long long)in->tokens,
             in->tokens > 0 ? 100 * (double)saved / (double)in->tokens : 0.0);
}

static enum vnp_status open_all(struct work *w, const char *input, struct vnp_err *err)
{
    const struct vnp_writer_options file = {.path = w->opt.output};
    const struct vnp_writer_options copies = {.path = w->opt.copies, .zstd_level = COPIES_LEVEL};
    enum vnp_status st = vnp_writer_open(&w->copies, &copies, err);
    if (st == VNP_OK)
        st = vnp_writer_open(&w->out, &file, err); /* the last that is opened is told when this stage dies */
    if (st == VNP_OK)
        st = vnp_reader_open(&w->in, input, err);
    if (st == VNP_OK)
        st = check_head(w, err);
    if (st != VNP_OK)
        return st;
    const struct vnp_dedup_options opt = {
        .token_bytes = vnp_reader_head(w->in)->token_bytes, .memory = (size_t)w->opt.memory << 20, .hash_bits = 64};
    return vnp_dedup_new(&w->dedup, &opt, err);
}

int main(int argc, char **argv)
{
    struct work w = {.opt = defaults};
    struct vnp_err err = {0};
    vnp_stage_init_frames("vnp-dedup");
    parse_options(&w.opt, argc, argv);

    enum vnp_status st = open_all(&w, argv[optind], &err);
    if (st == VNP_OK)
        st = take_stream(&w, &err);
    if (st == VNP_OK)
        st = write_copies(&w, &err);
    if (st == VNP_OK)
        st = write_unique(&w, &err);
    if (st != VNP_OK)
        vnp_writer_abort(w.copies, &err);
    const struct vnp_totals totals = vnp_stage_finish(w.out, st, &err);
    report(vnp_reader_totals(w.in), &totals);
    vnp_dedup_free(w.dedup);
    vnp_cutter_free(&w.cutter);
    vnp_reader_close(w.in);
    return VNP_OK;
}
