/* vnp-pool: hidden states in, one embedding a sequence out, in input order. */
#include <stdlib.h>
#include <string.h>

#include "cutter.h"
#include "join.h"
#include "pool.h"
#include "reorder.h"
#include "stage.h"
#include "xmalloc.h"

struct options {
    int pool; /* enum vnp_pool, or -1: not given */
    bool all_tokens;
    enum vnp_dtype dtype;
    int64_t max_pending; /* MiB */
    struct vnp_writer_options file; /* the output */
};

/* Everything between the reader and the writer. */
struct work {
    struct options opt;
    struct vnp_reader *in;
    struct vnp_writer *out;
    const struct vnp_head *from;
    struct vnp_head head; /* of the output */
    enum vnp_pool pool;
    enum vnp_dtype held; /* what rows wait as: floats or, with "none", what will be written */
    struct vnp_reorder *reorder;
    struct vnp_join *join;
    struct vnp_cutter cutter;
    void *converted; /* one vector of the output */
};

static const struct options defaults = {.pool = -1, .dtype = VNP_F32, .file.zstd_level = VNP_ZSTD_LEVEL, .max_pending = 8192};

static void usage(FILE *f)
{
    fprintf(f,
            "usage: vnp-pool [options] [FILE]\n"
            "Makes embeddings, in input order, from a stream of hidden states (FILE or stdin), or writes one that\n"
            "was pooled before again.\n\n"
            "      --mean            the mean over residues (default)\n"
            "      --cls             the first token's vector\n"
            "      --max             the largest value over residues\n"
            "      --none            one vector a residue\n"
            "      --all-tokens      mean or max over the special tokens too\n"
            "      --f32, --f16      numbers of the output (default: --%s)\n"
            VNP_HELP_ZSTD
            "      --max-pending N   at most N MiB wait for older rows (default: %lld)\n"
            VNP_HELP_OUTPUT VNP_HELP_COMMON,
            vnp_dtype_name(defaults.dtype), (long long)defaults.max_pending);
}

static void parse_options(struct options *o, int argc, char **argv)
{
    enum { MEAN = VNP_OPT_OWN, CLS, MAX, NONE, ALL_TOKENS, F32, F16, MAX_PENDING };
    static const struct option table[] = {{"mean", no_argument, NULL, MEAN},
                                          {"cls", no_argument, NULL, CLS},
                                          {"max", no_argument, NULL, MAX},
                                          {"none", no_argument, NULL, NONE},
                                          {"all-tokens", no_argument, NULL, ALL_TOKENS},
                                          {"f32", no_argument, NULL, F32},
                                          {"f16", no_argument, NULL, F16},
                                          VNP_ZSTD_OPTIONS,
                                          {"max-pending", required_argument, NULL, MAX_PENDING},
                                          VNP_COMMON_OPTIONS,
                                          {NULL, 0, NULL, 0}};
    int c;
    while ((c = vnp_frames_option(argc, argv, "hqvo:", table)) != -1)
        switch (c) {
        case MEAN:
        case CLS:
        case MAX:
        case NONE:
            if (o->pool >= 0 && o->pool != c - MEAN)
                vnp_die(VNP_USAGE, "--mean, --cls, --max and --none: one of them");
            o->pool = c - MEAN + VNP_POOL_MEAN;
            break;
        case ALL_TOKENS: o->all_tokens = true; break;
        case F32: o->dtype = VNP_F32; break;
        case F16: o->dtype = VNP_F16; break;
        case MAX_PENDING: o->max_pending = vnp_option_int("--max-pending", optarg, 1, (int64_t)1 << 40); break;
        default:
            if (!vnp_writer_option(c, &o->file))
                vnp_common_option(c, usage);
        }
    if (argc - optind > 1)
        vnp_die(VNP_USAGE, "one stream at a time: %s, %s", argv[optind], argv[optind + 1]);
    vnp_refuse_input(o->file.path, argv[optind]);
    if (o->all_tokens && (o->pool == VNP_POOL_CLS || o->pool == VNP_POOL_NONE))
        vnp_die(VNP_USAGE, "--all-tokens goes with --mean or --max");
}

/* --- set-up ------------------------------------------------------------------------------------------------------- */

static enum vnp_status choose_pool(struct work *w, struct vnp_err *err)
{
    const char *name = vnp_reader_name(w->in);
    enum vnp_pool before;
    w->pool = w->opt.pool >= 0 ? (enum vnp_pool)w->opt.pool : VNP_POOL_MEAN;
    if (w->from->kind == VNP_HIDDEN) {
        if (w->pool == VNP_POOL_CLS && w->from->prefix == 0)
            return vnp_error(err, VNP_DATA, "%s: --cls wants a first special token, and vocabulary %s has none", name,
                             w->from->vocab);
        return VNP_OK;
    }
    if (w->from->kind != VNP_EMBEDDINGS)
        return vnp_reader_expect(w->in, VNP_HIDDEN, err);
    if (!vnp_pool_parse(w->from->pool, &before))
        return vnp_error(err, VNP_DATA, "%s: was pooled in a way unknown here: %s", name, w->from->pool);
    if ((w->opt.pool >= 0 && w->pool != before) || (w->opt.all_tokens && !vnp_pool_all_tokens(w->from)))
        return vnp_error(err, VNP_DATA,
                         "%s: was pooled before (%s), so that %s%s can't be had: leave it to vnp-pool, without --pool "
                         "at the stage before",
                         name, w->from->pool, w->opt.all_tokens ? "--all-tokens" : "--",
                         w->opt.all_tokens ? "" : vnp_pool_name(w->pool));
    w->pool = before;
    return VNP_OK;
}

static enum vnp_status set_up(struct work *w, struct vnp_err *err)
{
    enum vnp_status st = choose_pool(w, err);
    if (st != VNP_OK)
        return st;
    w->head = *w->from;
    w->head.kind = VNP_EMBEDDINGS;
    w->head.dtype = w->opt.dtype;
    w->head.ordered = true;
    snprintf(w->head.pool, sizeof w->head.pool, "%s", vnp_pool_name(w->pool));
    struct vnp_producer *by = vnp_head_add_stage(&w->head, "vnp-pool");
    if (by == NULL)
        return vnp_head_full(&w->head, vnp_reader_name(w->in), err);
    vnp_producer_param(by, "pool", "%s", w->head.pool);
    vnp_producer_param(by, "dtype", "%s", vnp_dtype_name(w->head.dtype));
    if (w->opt.all_tokens)
        vnp_producer_param(by, "tokens", "all");
    w->held = w->pool == VNP_POOL_NONE ? w->opt.dtype : VNP_F32;
    w->reorder = vnp_reorder_new(vnp_reader_name(w->in), w->from->first, (uint64_t)w->opt.max_pending << 20);
    w->join = vnp_join_new(vnp_reader_name(w->in), w->pool, w->held, w->from->width, VNP_FRAME_LIMIT);
    vnp_cutter_to(&w->cutter, w->out, w->head.kind);
    w->converted = xcalloc((size_t)w->from->width, sizeof(float));
    return vnp_writer_head(w->out, &w->head, err);
}

/* --- rows out ----------------------------------------------------------------------------------------------------- */

static enum vnp_status row_error(const struct work *w, const struct vnp_row *row, struct vnp_err *err, const char *what)
{
    return vnp_error(err, VNP_DATA, "%s: record %llu (%.*s): %s", vnp_reader_name(w->in),
                     (unsigned long long)row->ordinal, VNP_SHOWN(row->id), what);
}

static enum vnp_status convert(const struct work *w, const struct vnp_row *row, enum vnp_dtype from, const void *src,
                               int64_t n, enum vnp_dtype to, void *dst, struct vnp_err *err)
{
    char what[128];
    int64_t at;
    if (vnp_convert(from, src, n, to, dst, &at))
        return VNP_OK;
    snprintf(what, sizeof what, "value %lld is too large for FP16 (65504 at most): write --f32",
             (long long)(at % w->from->width));
    return row_error(w, row, err, what);
}

/* One finished record, in order. */
static enum vnp_status put_record(struct work *w, const struct vnp_row *record, struct vnp_err *err)
{
    struct vnp_row row = *record;
    enum vnp_status st = VNP_OK;
    if (!vnp_all_finite(w->held, row.data, (int64_t)(row.bytes / vnp_dtype_bytes(w->held))))
        row.flags |= VNP_NONFINITE;
    if (w->held != w->head.dtype) {
        st = convert(w, &row, w->held, row.data, w->from->width, w->head.dtype, w->converted, err);
        row.data = w->converted;
        row.bytes = (size_t)w->from->width * vnp_dtype_bytes(w->head.dtype);
    }
    return st == VNP_OK ? vnp_cutter_put(&w->cutter, &row, err) : st;
}

/* All rows whose turn has come. */
static enum vnp_status drain(struct work *w, struct vnp_err *err)
{
    struct vnp_held *held;
    enum vnp_status st;
    while ((st = vnp_reorder_pop(w->reorder, &held, err)) == VNP_OK) {
        const struct vnp_row *record;
        st = vnp_join_add(w->join, &held->row, &record, err);
        if (st == VNP_OK && record != NULL)
            st = put_record(w, record, err);
        free(held);
        if (st != VNP_OK)
            return st;
    }
    return st == VNP_END ? VNP_OK : st;
}

/* --- rows in ------------------------------------------------------------------------------------------------------ */

/* The vectors of `row` that count, pooled or converted, in memory of their own. */
static enum vnp_status pool_row(struct work *w, const struct vnp_row *row, struct vnp_held **out, struct vnp_err *err)
{
    const int64_t width = w->from->width;
    const size_t vector = (size_t)width * vnp_dtype_bytes(w->from->dtype);
    int64_t first = 0, count = (int64_t)(row->bytes / vector);
    if (w->from->kind == VNP_HIDDEN)
        vnp_pool_span(w->from, w->pool, w->opt.all_tokens, row->tokens, &first, &count);
    if (w->pool == VNP_POOL_NONE && count != (int64_t)row->residues)
        return row_error(w, row, err, "its tokens are not one a residue, as --none wants them");
    size_t bytes = (size_t)(w->pool == VNP_POOL_NONE ? count : 1) * (size_t)width * vnp_dtype_bytes(w->held);
    enum vnp_status st = vnp_held_new(out, row, bytes, err);
    if (st != VNP_OK)
        return st;
    const void *src = (const uint8_t *)row->data + (size_t)first * vector;
    if (w->from->kind == VNP_HIDDEN && w->pool != VNP_POOL_NONE)
        vnp_pool_vectors(w->pool, w->from->dtype, src, count, width, (*out)->data);
    else
        st = convert(w, row, w->from->dtype, src, count * width, w->held, (*out)->data, err);
    if (st != VNP_OK)
        free(*out);
    return st;
}

static enum vnp_status pool_block(struct work *w, const struct vnp_block *b, struct vnp_err *err)
{
    enum vnp_status st = VNP_OK;
    size_t at = 0;
    for (int64_t i = 0; st == VNP_OK && i < b->n; i++) {
        struct vnp_row row;
        struct vnp_held *held;
        const size_t bytes = vnp_row_bytes(w->from, b, i);
        st = vnp_row_of(b, i, at, bytes, &row, err);
        if (st == VNP_OK)
            st = pool_row(w, &row, &held, err);
        if (st == VNP_OK)
            st = vnp_reorder_push(w->reorder, held, err);
        if (st == VNP_OK)
            st = drain(w, err);
        at += bytes;
    }
    return st;
}

/* All of the stream, up to but without the end frame. */
static enum vnp_status pool_stream(struct work *w, struct vnp_err *err)
{
    struct vnp_block b;
    enum vnp_status st;
    while ((st = vnp_reader_next(w->in, &b, err)) == VNP_OK)
        if ((st = pool_block(w, &b, err)) != VNP_OK)
            return st;
    if (st == VNP_END)
        st = vnp_reorder_end(w->reorder, err);
    if (st == VNP_OK)
        st = vnp_cutter_flush(&w->cutter, err);
    if (st != VNP_OK)
        return st;
    const struct vnp_totals *in = vnp_reader_totals(w->in), *out = vnp_writer_totals(w->out);
    if (in->sequences != out->sequences || in->tokens != out->tokens)
        return vnp_totals_differ(vnp_reader_name(w->in), in, out, err);
    return VNP_OK;
}

static void report(const struct work *w, const struct vnp_totals *out)
{
    char joined[64] = "", waited[64] = "";
    const double mib = (double)vnp_reorder_peak(w->reorder) / 1048576;
    uint64_t windows = vnp_reader_totals(w->in)->rows - out->rows;
    if (windows > 0)
        snprintf(joined, sizeof joined, ", %llu window%s joined to others", (unsigned long long)windows,
                 vnp_plural(windows));
    if (mib >= 64)
        snprintf(waited, sizeof waited, "; at most %.0f MiB waited for their turn", mib);
    vnp_info("%llu embedding%s (%s) of %d %s%s%s", (unsigned long long)out->rows, vnp_plural(out->rows), w->head.pool,
             w->head.width, vnp_dtype_name(w->head.dtype), joined, waited);
    if (out->nonfinite > 0)
        vnp_warn("%llu of them hold%s NaN or Inf", (unsigned long long)out->nonfinite, out->nonfinite == 1 ? "s" : "");
}

int main(int argc, char **argv)
{
    struct work w = {.opt = defaults};
    struct vnp_err err = {0};
    vnp_stage_init_frames("vnp-pool");
    parse_options(&w.opt, argc, argv);

    enum vnp_status st = vnp_writer_open(&w.out, &w.opt.file, &err);
    if (st == VNP_OK)
        st = vnp_reader_open(&w.in, argv[optind], &err);
    if (st == VNP_OK) {
        w.from = vnp_reader_head(w.in);
        st = set_up(&w, &err);
    }
    if (st == VNP_OK)
        st = pool_stream(&w, &err);

    const struct vnp_totals totals = vnp_stage_finish(w.out, st, &err);
    report(&w, &totals);
    vnp_join_free(w.join);
    vnp_reorder_free(w.reorder);
    vnp_cutter_free(&w.cutter);
    free(w.converted);
    vnp_reader_close(w.in);
    return VNP_OK;
}
