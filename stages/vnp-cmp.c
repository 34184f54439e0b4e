/* vnp-cmp: how far the embeddings of two streams agree. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cursor.h"
#include "jsonout.h"
#include "output.h"
#include "stage.h"
#include "stats.h"
#include "waiting.h"
#include "xmalloc.h"

#define OUTLIER_Z 3.0 /* standard deviations from the mean that make a value an outlier */
#define NAMED 20 /* rows of each complaint that are named; all are counted */

struct options {
    const char *path[2], *output;
    bool by_id, each, json;
    double min_cosine;
};
static const struct options defaults = {{NULL, NULL}, NULL, false, false, false, 0.99};

/* Rows that something is wrong with: the first few by name. */
struct complaint {
    const char *key, *what;
    uint64_t count;
    struct vnp_text names;
};
enum { ONLY_A, ONLY_B, OTHER_ID, OTHER_LENGTH, N_COMPLAINTS };

/* One of the two streams, at a row. */
struct side {
    struct vnp_cursor at;
    const struct vnp_head *head;
    size_t vector_bytes;
    float *scratch; /* a vector as floats */
};

struct cmp {
    struct options opt;
    struct side side[2];
    struct vnp_agreement agreement;
    uint64_t sequences;
    struct complaint complaints[N_COMPLAINTS];
    bool min_known;       /* the row with the smallest cosine is: */
    uint64_t min_ordinal;
    struct vnp_text min_id, out;
    struct vnp_output *file;
};

static void usage(FILE *f)
{
    fprintf(f,
            "usage: vnp-cmp [options] A B\n"
            "Compares the embeddings of two streams; one of the two may be - for stdin. Exits 0 when every row is\n"
            "on both sides and every cosine is large enough, 1 when not.\n\n"
            "      --by ordinal|id   what pairs the rows (default: %s)\n"
            "      --min-cosine X    smallest cosine allowed (default: %g)\n"
            "      --each            a line for each sequence: ordinal, id, residues, cosine, largest difference\n"
            "      --json            the result as a JSON object; with --each, one a sequence before it\n"
            VNP_HELP_OUTPUT VNP_HELP_COMMON,
            defaults.by_id ? "id" : "ordinal", defaults.min_cosine);
}

static void die_on(struct cmp *c, enum vnp_status st, const struct vnp_err *err)
{
    if (st == VNP_OK)
        return;
    if (c->file != NULL)
        vnp_output_discard(c->file);
    vnp_stage_fail(NULL, err);
}

/* --- output ------------------------------------------------------------------------------------------------------- */

static void flush_out(struct cmp *c)
{
    struct vnp_err err = {0};
    struct iovec part = {c->out.p, c->out.n};
    if (c->out.n == 0)
        return;
    if (c->file != NULL)
        die_on(c, vnp_output_write(c->file, &part, 1, &err), &err);
    else
        die_on(c, vnp_stdout_write(c->out.p, c->out.n, &err), &err);
    c->out.n = 0;
}

static void put_number(struct vnp_text *t, const char *key, double x)
{
    if (isfinite(x))
        vnp_text_printf(t, ",\"%s\":%.17g", key, x);
    else
        vnp_text_printf(t, ",\"%s\":null", key);
}

static void put_each(struct cmp *c, uint64_t ordinal, struct vnp_str id, uint32_t residues, double cosine, double diff)
{
    struct vnp_text *t = &c->out;
    if (c->opt.json) {
        vnp_text_printf(t, "{\"ordinal\":%llu,\"id\":", (unsigned long long)ordinal);
        vnp_text_json(t, id.s, id.n);
        vnp_text_printf(t, ",\"length\":%u", residues);
        put_number(t, "cosine", cosine);
        put_number(t, "max_abs_diff", diff);
        vnp_text_str(t, "}\n");
    } else {
        vnp_text_printf(t, "%llu\t", (unsigned long long)ordinal);
        vnp_text_plain(t, id.s, id.n);
        vnp_text_printf(t, "\t%u\t%.9g\t%.9g\n", residues, cosine, diff);
    }
    if (t->n > 1 << 16)
        flush_out(c);
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

static void complain(struct cmp *c, int what, uint64_t ordinal, struct vnp_str id)
{
    struct complaint *p = &c->complaints[what];
    if (p->count++ >= NAMED)
        return;
    vnp_text_printf(&p->names, "%s%llu (", p->names.n > 0 ? ", " : "", (unsigned long long)ordinal);
    vnp_text_plain(&p->names, id.s, id.n < 100 ? id.n : 100);
    vnp_text_str(&p->names, ")");
}

/* Goes to the next row, or to the end. */
static void advance(struct cmp *c, struct vnp_cursor *at)
{
    struct vnp_err err = {0};
    die_on(c, vnp_cursor_next(at, &err), &err);
}

/* Compares two rows that belong together; a sequence of several vectors is as good as its worst. */
static void compare(struct cmp *c, const struct vnp_row *a, const struct vnp_row *b)
{
    const struct side *s = c->side;
    const size_t vectors = a->bytes / s[0].vector_bytes;
    const bool alike = vectors == b->bytes / s[1].vector_bytes; /* else nobody knows which belong together */
    const int64_t n = alike ? (int64_t)vectors : 0;
    double cosine = n > 0 ? 1 : NAN, diff = n > 0 ? 0 : NAN;
    c->sequences++;
    if (!vnp_str_equal(a->id, b->id))
        complain(c, OTHER_ID, a->ordinal, a->id);
    if (a->residues != b->residues)
        complain(c, OTHER_LENGTH, a->ordinal, a->id);
    for (int64_t k = 0; k < n; k++) {
        struct vnp_pair p;
        const double before = c->agreement.min_cosine;
        vnp_agreement_add(&c->agreement, vnp_row_vector(s[0].head, a, k, s[0].scratch),
                          vnp_row_vector(s[1].head, b, k, s[1].scratch), s[0].head->width, &p);
        if (!(c->agreement.min_cosine >= before) && !isnan(before)) {
            c->min_known = true;
            c->min_ordinal = a->ordinal;
            c->min_id.n = 0;
            vnp_text_add(&c->min_id, a->id.s, a->id.n);
        }
        if (!isnan(cosine) && !(p.cosine >= cosine))
            cosine = p.cosine;
        if (!isnan(diff) && !(p.max_diff <= diff))
            diff = p.max_diff;
    }
    if (c->opt.each)
        put_each(c, a->ordinal, a->id, a->residues, cosine, diff);
}

/* Both streams are in input order: a merge, one block of each in memory. */
static void pair_by_ordinal(struct cmp *c)
{
    struct vnp_cursor *a = &c->side[0].at, *b = &c->side[1].at;
    advance(c, a);
    advance(c, b);
    while (!a->end || !b->end) {
        const struct vnp_row *x = &a->row, *y = &b->row;
        const int order = a->end ? 1 : b->end ? -1 : (x->ordinal > y->ordinal) - (x->ordinal < y->ordinal);
        if (order == 0)
            compare(c, x, y);
        else if (order < 0)
            complain(c, ONLY_A, x->ordinal, x->id);
        else
            complain(c, ONLY_B, y->ordinal, y->id);
        if (order <= 0)
            advance(c, a);
        if (order >= 0)
            advance(c, b);
    }
}

static void complain_held(void *data, int side, const struct vnp_row *row)
{
    complain(data, side == 0 ? ONLY_A : ONLY_B, row->ordinal, row->id);
}

/* A row waits until its id comes on the other side too. Both streams advance together, so that little waits when their
 * orders are alike. */
static void pair_by_id(struct cmp *c)
{
    struct vnp_err err = {0};
    struct vnp_waiting *waiting = vnp_waiting_new();
    while (!c->side[0].at.end || !c->side[1].at.end)
        for (int k = 0; k < 2; k++) {
            struct vnp_cursor *at = &c->side[k].at;
            advance(c, at);
            if (at->end)
                continue;
            struct vnp_row *other = vnp_waiting_take(waiting, 1 - k, &at->row);
            if (other == NULL) {
                die_on(c, vnp_waiting_add(waiting, k, &at->row, &err), &err);
                continue;
            }
            compare(c, k == 0 ? &at->row : other, k == 0 ? other : &at->row);
            free(other);
        }
    vnp_waiting_each(waiting, complain_held, c);
    vnp_waiting_free(waiting);
}

/* --- the result --------------------------------------------------------------------------------------------------- */

/* What is printed. A figure of which there was nothing to measure is NaN: no number may reassure by default. */
struct result {
    double min_cosine, mean_cosine, max_diff; /* of all pairs: NaN when a vector is not finite */
    double mean[2], std[2];                   /* of A and B, over finite pairs */
    double norm[2], min_norm[2], max_norm[2]; /* L2 */
    uint64_t outliers[2];
    double std_percent, norm_percent, outlier_percent;
    bool agree;
};

static struct result conclude(const struct cmp *c)
{
    const struct vnp_agreement *g = &c->agreement;
    const struct vnp_side *sides[2] = {&g->a, &g->b};
    const bool any = g->vectors > 0, measured = g->vectors > g->nonfinite;
    struct result r;
    r.min_cosine = any ? g->min_cosine : NAN;
    r.mean_cosine = any ? vnp_agreement_mean_cosine(g) : NAN;
    r.max_diff = any && g->nonfinite == 0 ? g->max_diff : NAN;
    for (int k = 0; k < 2; k++) {
        const struct vnp_side *s = sides[k];
        r.mean[k] = measured ? s->values.mean : NAN;
        r.std[k] = measured ? vnp_moments_std(&s->values) : NAN;
        r.norm[k] = measured ? s->norms.mean : NAN;
        r.min_norm[k] = measured ? s->min_norm : NAN;
        r.max_norm[k] = measured ? s->max_norm : NAN;
        r.outliers[k] = vnp_side_outliers(s, OUTLIER_Z);
    }
    r.std_percent = vnp_percent(r.std[0], r.std[1]);
    r.norm_percent = vnp_percent(r.norm[0], r.norm[1]);
    r.outlier_percent = measured ? vnp_percent((double)r.outliers[0], (double)r.outliers[1]) : NAN;
    r.agree = any && g->nonfinite == 0 && g->min_cosine >= c->opt.min_cosine;
    /* Other lengths matter where there is a vector a residue. */
    bool per_residue = strcmp(c->side[0].head->pool, "none") == 0;
    for (int i = 0; i < N_COMPLAINTS; i++)
        if (c->complaints[i].count > 0 && (i != OTHER_LENGTH || per_residue))
            r.agree = false;
    return r;
}

static void report_text(struct cmp *c, const struct result *r)
{
    const struct vnp_agreement *g = &c->agreement;
    struct vnp_text *t = &c->out;
    vnp_text_printf(t, "sequences       %llu on both sides, %lld vectors of %d\n", (unsigned long long)c->sequences,
                    (long long)g->vectors, c->side[0].head->width);
    vnp_text_printf(t, "cosine          min %.9g", r->min_cosine);
    if (c->min_known) {
        vnp_text_printf(t, " (ordinal %llu%s", (unsigned long long)c->min_ordinal, c->min_id.n > 0 ? ", " : "");
        vnp_text_plain(t, c->min_id.p, c->min_id.n);
        vnp_text_str(t, ")");
    }
    vnp_text_printf(t, ", mean %.9g\n", r->mean_cosine);
    vnp_text_printf(t, "largest |a-b|   %.6g\n", r->max_diff);
    vnp_text_printf(t, "mean            %.6g and %.6g, |difference| %.3g\n", r->mean[0], r->mean[1],
                    fabs(r->mean[0] - r->mean[1]));
    vnp_text_printf(t, "deviation       %.6g and %.6g, difference %.3g %%\n", r->std[0], r->std[1], r->std_percent);
    vnp_text_printf(t, "mean L2 norm    %.6g and %.6g, difference %.3g %%\n", r->norm[0], r->norm[1], r->norm_percent);
    vnp_text_printf(t, "L2 norms        %.6g to %.6g and %.6g to %.6g\n", r->min_norm[0], r->max_norm[0],
                    r->min_norm[1], r->max_norm[1]);
    vnp_text_printf(t, "|z| > %-9g %llu and %llu values, difference %.3g %%\n", OUTLIER_Z,
                    (unsigned long long)r->outliers[0], (unsigned long long)r->outliers[1], r->outlier_percent);
    vnp_text_printf(t, "not finite      %lld\n", (long long)g->nonfinite);
    for (int i = 0; i < N_COMPLAINTS; i++)
        vnp_text_printf(t, "%-15s %llu%s%.*s%s\n", c->complaints[i].what, (unsigned long long)c->complaints[i].count,
                        c->complaints[i].count > 0 ? ": " : "", (int)c->complaints[i].names.n,
                        c->complaints[i].count > 0 ? c->complaints[i].names.p : "",
                        c->complaints[i].count > NAMED ? ", ..." : "");
    vnp_text_printf(t, "verdict         %s (every cosine >= %.9g wanted)\n",
                    r->agree ? "agree" : g->vectors == 0 ? "nothing to compare" : "differ", c->opt.min_cosine);
}

static void report_json(struct cmp *c, const struct result *r)
{
    const struct vnp_agreement *g = &c->agreement;
    struct vnp_text *t = &c->out;
    vnp_text_printf(t, "{\"sequences\":%llu,\"vectors\":%lld,\"width\":%d", (unsigned long long)c->sequences,
                    (long long)g->vectors, c->side[0].head->width);
    put_number(t, "min_cosine", r->min_cosine);
    if (c->min_known) {
        vnp_text_printf(t, ",\"min_cosine_ordinal\":%llu,\"min_cosine_id\":", (unsigned long long)c->min_ordinal);
        vnp_text_json(t, c->min_id.p, c->min_id.n);
    }
    put_number(t, "mean_cosine", r->mean_cosine);
    put_number(t, "max_abs_diff", r->max_diff);
    put_number(t, "mean_a", r->mean[0]);
    put_number(t, "mean_b", r->mean[1]);
    put_number(t, "mean_diff", fabs(r->mean[0] - r->mean[1]));
    put_number(t, "std_a", r->std[0]);
    put_number(t, "std_b", r->std[1]);
    put_number(t, "std_diff_percent", r->std_percent);
    put_number(t, "norm_a", r->norm[0]);
    put_number(t, "norm_b", r->norm[1]);
    put_number(t, "norm_diff_percent", r->norm_percent);
    put_number(t, "min_norm_a", r->min_norm[0]);
    put_number(t, "max_norm_a", r->max_norm[0]);
    put_number(t, "min_norm_b", r->min_norm[1]);
    put_number(t, "max_norm_b", r->max_norm[1]);
    vnp_text_printf(t, ",\"outliers_a\":%llu,\"outliers_b\":%llu", (unsigned long long)r->outliers[0],
                    (unsigned long long)r->outliers[1]);
    put_number(t, "outliers_diff_percent", r->outlier_percent);
    vnp_text_printf(t, ",\"nonfinite\":%lld", (long long)g->nonfinite);
    for (int i = 0; i < N_COMPLAINTS; i++)
        vnp_text_printf(t, ",\"%s\":%llu", c->complaints[i].key, (unsigned long long)c->complaints[i].count);
    put_number(t, "threshold", c->opt.min_cosine);
    vnp_text_printf(t, ",\"agree\":%s}\n", r->agree ? "true" : "false");
}

/* With --json too, people see on stderr what is missing. */
static void name_complaints(const struct cmp *c)
{
    for (int i = 0; i < N_COMPLAINTS; i++) {
        const struct complaint *p = &c->complaints[i];
        if (p->count > 0)
            vnp_warn("%s: %llu rows: %.*s%s", p->what, (unsigned long long)p->count, (int)p->names.n, p->names.p,
                     p->count > NAMED ? ", ..." : "");
    }
}

/* --- main --------------------------------------------------------------------------------------------------------- */

static void parse_options(struct options *o, int argc, char **argv)
{
    enum { BY = VNP_OPT_OWN, MIN_COSINE, EACH, JSON };
    static const struct option table[] = {{"by", required_argument, NULL, BY},
                                          {"min-cosine", required_argument, NULL, MIN_COSINE},
                                          {"each", no_argument, NULL, EACH},
                                          {"json", no_argument, NULL, JSON},
                                          VNP_COMMON_OPTIONS,
                                          {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "hqvo:", table, NULL)) != -1)
        switch (c) {
        case BY:
            o->by_id = strcmp(optarg, "id") == 0;
            if (!o->by_id && strcmp(optarg, "ordinal") != 0)
                vnp_die(VNP_USAGE, "--by: ordinal or id, not %s", optarg);
            break;
        case MIN_COSINE: o->min_cosine = vnp_option_double("--min-cosine", optarg, -1, 1); break;
        case EACH: o->each = true; break;
        case JSON: o->json = true; break;
        case 'o': o->output = optarg; break;
        default: vnp_common_option(c, usage);
        }
    vnp_two_streams(o->path, argc, argv, usage);
    vnp_refuse_input(o->output, o->path[0]);
    vnp_refuse_input(o->output, o->path[1]);
}

static void open_sides(struct cmp *c)
{
    struct vnp_err err = {0};
    const struct vnp_head *h[2];
    for (int k = 0; k < 2; k++) {
        die_on(c, vnp_reader_open_embeddings(&c->side[k].at.reader, c->opt.path[k], !c->opt.by_id, &err), &err);
        h[k] = c->side[k].head = vnp_reader_head(c->side[k].at.reader);
        c->side[k].vector_bytes = (size_t)h[k]->width * vnp_dtype_bytes(h[k]->dtype);
        c->side[k].scratch = xreallocarray(NULL, (size_t)h[k]->width, sizeof(float));
    }
    if (h[0]->width != h[1]->width || h[0]->layer != h[1]->layer || strcmp(h[0]->pool, h[1]->pool) != 0)
        die_on(c, vnp_error(&err, VNP_DATA,
                            "not comparable: %s has width %d, layer %d, pool %s; %s has width %d, layer %d, pool %s",
                            vnp_reader_name(c->side[0].at.reader), h[0]->width, h[0]->layer, h[0]->pool,
                            vnp_reader_name(c->side[1].at.reader), h[1]->width, h[1]->layer, h[1]->pool), &err);
    if (strcmp(h[0]->fingerprint, h[1]->fingerprint) != 0)
        vnp_warn("different models: %s has %s (%s), %s has %s (%s)", vnp_reader_name(c->side[0].at.reader), h[0]->model,
                 h[0]->fingerprint, vnp_reader_name(c->side[1].at.reader), h[1]->model, h[1]->fingerprint);
}

static void close_sides(struct cmp *c)
{
    for (int k = 0; k < 2; k++) {
        vnp_reader_close(c->side[k].at.reader);
        free(c->side[k].scratch);
    }
    for (int i = 0; i < N_COMPLAINTS; i++)
        free(c->complaints[i].names.p);
    vnp_agreement_free(&c->agreement);
    free(c->min_id.p);
    free(c->out.p);
}

int main(int argc, char **argv)
{
    struct cmp c = {.opt = defaults,
                    .complaints = {[ONLY_A] = {.key = "only_in_a", .what = "only in A"},
                                   [ONLY_B] = {.key = "only_in_b", .what = "only in B"},
                                   [OTHER_ID] = {.key = "other_id", .what = "another id"},
                                   [OTHER_LENGTH] = {.key = "other_length", .what = "another length"}}};
    struct vnp_err err = {0};
    vnp_stage_init("vnp-cmp");
    parse_options(&c.opt, argc, argv);
    open_sides(&c);
    if (c.opt.output != NULL && strcmp(c.opt.output, "-") != 0)
        die_on(&c, vnp_output_open(&c.file, c.opt.output, 0, &err), &err);

    vnp_agreement_init(&c.agreement);
    if (c.opt.by_id)
        pair_by_id(&c);
    else
        pair_by_ordinal(&c);

    struct result result = conclude(&c);
    name_complaints(&c);
    (c.opt.json ? report_json : report_text)(&c, &result);
    flush_out(&c);
    if (c.file != NULL && vnp_output_commit(c.file, &err) != VNP_OK)
        vnp_stage_fail(NULL, &err);
    close_sides(&c);
    if (vnp_stdout_close(&err) != VNP_OK)
        vnp_stage_fail(NULL, &err);
    return result.agree ? VNP_OK : VNP_FAIL;
}
