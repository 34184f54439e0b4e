/* vnp-split: a token stream in, blocks of records out, each a token stream of its own. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cutter.h"
#include "jsonout.h"
#include "output.h"
#include "stage.h"
#include "tempdir.h"
#include "xmalloc.h"

#define MOST_BLOCKS 1000000 /* six digits: names that sort as text */

struct options {
    int64_t records, tokens; /* a block's, at most; 0: not limited */
    bool list;
    const char *dir;
};
static const struct options defaults = {.tokens = 10000000};

/* Everything between the reader and the blocks. */
struct work {
    struct options opt;
    struct vnp_reader *in;
    struct vnp_tempdir *temp; /* NULL with --list */
    struct vnp_output *table; /* blocks.tsv */
    struct vnp_text lines;    /* of the table, not yet written */
    struct vnp_head head;     /* of the newest block */
    struct vnp_writer *out;   /* of the newest block, while it is open */
    struct vnp_cutter cutter;
    struct vnp_rows record;   /* the windows, so far, of the record that is coming in */
    uint64_t records, tokens; /* in the newest block */
    struct vnp_totals totals; /* of all blocks */
    int64_t blocks;
};

static void usage(FILE *f)
{
    fprintf(f,
            "usage: vnp-split [--records N | --tokens N] -o DIR [STREAM]\n"
            "       vnp-split [--records N | --tokens N] --list [STREAM]\n"
            "Cuts a token stream (STREAM or stdin) into blocks, each a token stream of its own: DIR/000000.vnp,\n"
            "DIR/000001.vnp, ... and a table of them, DIR/blocks.tsv. DIR appears when all is whole.\n\n"
            "      --records N       at most N records a block\n"
            "      --tokens N        at most N tokens a block, but at least one record (default: %lld)\n"
            "      --list            write no blocks, only the table, to stdout\n"
            "  -o, --output DIR      the directory; must not exist, or be empty\n" VNP_HELP_COMMON,
            (long long)defaults.tokens);
}

static void parse_options(struct options *o, int argc, char **argv)
{
    enum { RECORDS = VNP_OPT_OWN, TOKENS, LIST };
    static const struct option table[] = {{"records", required_argument, NULL, RECORDS},
                                          {"tokens", required_argument, NULL, TOKENS},
                                          {"list", no_argument, NULL, LIST},
                                          VNP_COMMON_OPTIONS,
                                          {NULL, 0, NULL, 0}};
    int c;
    bool tokens = false;
    while ((c = getopt_long(argc, argv, "hqvo:", table, NULL)) != -1)
        switch (c) {
        case RECORDS:
            o->records = vnp_option_int("--records", optarg, 1, INT64_MAX);
            break;
        case TOKENS:
            o->tokens = vnp_option_int("--tokens", optarg, 1, INT64_MAX);
            tokens = true;
            break;
        case LIST:
            o->list = true;
            break;
        case 'o':
            o->dir = optarg;
            break;
        default:
            vnp_common_option(c, usage);
        }
    if (argc - optind > 1)
        vnp_die(VNP_USAGE, "one stream at a time: %s, %s", argv[optind], argv[optind + 1]);
    if (o->records > 0 && tokens)
        vnp_die(VNP_USAGE, "--records and --tokens: one of them");
    if (o->list == (o->dir != NULL))
        vnp_die(VNP_USAGE, o->list ? "--list writes no directory: leave -o out" : "where to? Give -o DIR, or --list");
    vnp_refuse_stdout(o->dir);
    if (o->records > 0)
        o->tokens = 0;
}

/* --- blocks ------------------------------------------------------------------------------------------------------- */

static enum vnp_status flush_table(struct work *w, struct vnp_err *err)
{
    const struct iovec part = {w->lines.p, w->lines.n};
    enum vnp_status st = vnp_output_write(w->table, &part, 1, err);
    w->lines.n = 0;
    return st;
}

/* A block whose first record is `first`. */
static enum vnp_status open_block(struct work *w, uint64_t first, struct vnp_err *err)
{
    if (w->blocks == MOST_BLOCKS)
        return vnp_error(err, VNP_USAGE, "%s: makes more than %d blocks: let them be larger (--records, --tokens)",
                         vnp_reader_name(w->in), MOST_BLOCKS);
    char *path = w->temp != NULL ? xasprintf("%s/%06" PRId64 ".vnp", vnp_tempdir_path(w->temp), w->blocks)
                                 : xstrdup("/dev/null");
    enum vnp_status st = vnp_writer_open(&w->out, &(struct vnp_writer_options){.path = path, .sync_later = true}, err);
    free(path);
    if (st != VNP_OK)
        return st;
    w->head.first = first;
    w->records = w->tokens = 0;
    vnp_cutter_to(&w->cutter, w->out, w->head.kind);
    return vnp_writer_head(w->out, &w->head, err);
}

static enum vnp_status close_block(struct work *w, struct vnp_err *err)
{
    enum vnp_status st = vnp_cutter_flush(&w->cutter, err);
    if (st != VNP_OK)
        return st;
    const struct vnp_totals *n = vnp_writer_totals(w->out);
    vnp_text_printf(&w->lines, "%06" PRId64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%08" PRIx32 "\n", w->blocks++,
                    w->head.first, n->sequences, n->tokens, vnp_writer_crc(w->out));
    w->totals.sequences += n->sequences;
    w->totals.rows += n->rows;
    w->totals.tokens += n->tokens;
    struct vnp_writer *out = w->out;
    w->out = NULL;
    st = vnp_writer_finish(out, err);
    vnp_progress("%" PRId64 " block%s, %" PRIu64 " sequences", w->blocks, vnp_plural((uint64_t)w->blocks),
                 w->totals.sequences);
    return st == VNP_OK && w->lines.n > 1 << 16 ? flush_table(w, err) : st;
}

/* The record whose rows have all come, into the block that it fits in. */
static enum vnp_status put_record(struct work *w, struct vnp_err *err)
{
    const struct options *o = &w->opt;
    const struct vnp_block b = vnp_rows_block(&w->record);
    const uint64_t tokens = vnp_sum(b.tokens, b.n);
    enum vnp_status st = VNP_OK;
    if (w->out != NULL && ((o->records > 0 && w->records == (uint64_t)o->records) ||
                           (o->tokens > 0 && w->tokens + tokens > (uint64_t)o->tokens)))
        st = close_block(w, err);
    if (st == VNP_OK && w->out == NULL)
        st = open_block(w, b.ordinal[0], err);
    if (st == VNP_OK)
        st = vnp_cutter_put_block(&w->cutter, &w->head, &b, err);
    w->records++;
    w->tokens += tokens;
    vnp_rows_clear(&w->record);
    return st;
}

/* --- the stream --------------------------------------------------------------------------------------------------- */

static enum vnp_status split_rows(struct work *w, const struct vnp_block *b, struct vnp_err *err)
{
    enum vnp_status st = VNP_OK;
    size_t at = 0;
    for (int64_t i = 0; st == VNP_OK && i < b->n; i++) {
        struct vnp_row row;
        const size_t bytes = vnp_row_bytes(&w->head, b, i);
        st = vnp_row_of(b, i, at, bytes, &row, err);
        if (st == VNP_OK)
            st = vnp_rows_add(&w->record, &row, err);
        if (st == VNP_OK && row.window + 1 == row.windows)
            st = put_record(w, err);
        at += bytes;
    }
    return st;
}

static enum vnp_status split_stream(struct work *w, struct vnp_err *err)
{
    struct vnp_block b;
    enum vnp_status st;
    w->head = *vnp_reader_head(w->in);
    vnp_text_str(&w->lines, "block\tfirst\tsequences\ttokens\tcrc32\n");
    while ((st = vnp_reader_next(w->in, &b, err)) == VNP_OK)
        if ((st = split_rows(w, &b, err)) != VNP_OK)
            return st;
    if (st != VNP_END)
        return st;
    st = w->out == NULL ? open_block(w, w->head.first, err) : VNP_OK; /* a stream without records is a block too */
    if (st == VNP_OK)
        st = close_block(w, err);
    if (st != VNP_OK)
        return st;
    const struct vnp_totals *in = vnp_reader_totals(w->in), *out = &w->totals;
    return vnp_totals_match(in, out) ? flush_table(w, err) : vnp_totals_differ(vnp_reader_name(w->in), in, out, err);
}

/* The table's place: stdout, or the directory, which is made. */
static enum vnp_status open_outputs(struct work *w, struct vnp_err *err)
{
    if (w->opt.list)
        return vnp_output_open_text(&w->table, NULL, err);
    enum vnp_status st = vnp_tempdir_open(&w->temp, w->opt.dir, err);
    if (st != VNP_OK)
        return st;
    char *path = xasprintf("%s/blocks.tsv", vnp_tempdir_path(w->temp));
    st = vnp_output_open_text(&w->table, path, err);
    free(path);
    return st;
}

static void fail(struct work *w, const struct vnp_err *err) __attribute__((noreturn));
static void fail(struct work *w, const struct vnp_err *err)
{
    if (w->table != NULL)
        vnp_output_discard(w->table);
    if (w->temp != NULL)
        vnp_tempdir_discard(w->temp);
    vnp_stage_fail(w->out, err);
}

int main(int argc, char **argv)
{
    struct work w = {.opt = defaults};
    struct vnp_err err = {0};
    vnp_stage_init("vnp-split");
    parse_options(&w.opt, argc, argv);

    enum vnp_status st = open_outputs(&w, &err);
    if (st == VNP_OK)
        st = vnp_reader_open(&w.in, argv[optind], &err);
    if (st == VNP_OK)
        st = vnp_reader_expect(w.in, VNP_TOKENS, &err);
    if (st == VNP_OK)
        st = split_stream(&w, &err);
    if (st != VNP_OK)
        fail(&w, &err);

    struct vnp_output *table = w.table;
    w.table = NULL;
    if (vnp_output_commit(table, &err) != VNP_OK || (w.temp != NULL && vnp_tempdir_sync(w.temp, &err) != VNP_OK))
        fail(&w, &err);
    struct vnp_tempdir *temp = w.temp;
    w.temp = NULL;
    if (temp != NULL && vnp_tempdir_commit(temp, &err) != VNP_OK)
        fail(&w, &err);
    vnp_info("%" PRId64 " block%s, %" PRIu64 " sequence%s, %" PRIu64 " tokens", w.blocks,
             vnp_plural((uint64_t)w.blocks), w.totals.sequences, vnp_plural(w.totals.sequences), w.totals.tokens);
    free(w.lines.p);
    vnp_cutter_free(&w.cutter);
    vnp_rows_free(&w.record);
    vnp_reader_close(w.in);
    return VNP_OK;
}
