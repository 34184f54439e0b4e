/* vnp-pack: token frames in, batches of at most a budget of tokens out. */
#include <string.h>

#include "packer.h"
#include "stage.h"

#define LOW_EFFICIENCY 0.85   /* under this a warning */
#define ENOUGH_BATCHES 20     /* fewer, and the last one alone explains a low figure */
#define FRAME_ROOM ((uint64_t)1 << 20)

struct options {
    int64_t budget, lookahead; /* lookahead 0: from the budget */
    bool no_packing;
    const char *output;
};

/* Enough rows to fill the largest batches with short proteins several times over. */
static int64_t default_lookahead(int64_t budget)
{
    int64_t rows = budget / 16;
    return rows < 1024 ? 1024 : rows > VNP_PACKER_MAX_LOOKAHEAD ? VNP_PACKER_MAX_LOOKAHEAD : rows;
}

static const struct options defaults = {.budget = VNP_PACKER_DEFAULT_BUDGET};

static void usage(FILE *f)
{
    fprintf(f,
            "usage: vnp-pack [options] [FILE]\n"
            "Packs the sequences of a token stream (FILE or stdin) into batches for the model. Nothing is padded,\n"
            "cut or dropped; a sequence larger than the budget is a batch of its own.\n\n"
            "  -b, --budget TOKENS   at most so many tokens a batch, special ones included (default: %lld)\n"
            "      --lookahead N     choose among N sequences (default: budget/16, at least %lld)\n"
            "      --no-packing      one sequence a batch; VIRNUCPRO_DISABLE_PACKING=1 does the same\n"
            VNP_HELP_OUTPUT VNP_HELP_COMMON,
            (long long)defaults.budget, (long long)default_lookahead(0));
}

static void parse_options(struct options *o, int argc, char **argv)
{
    enum { LOOKAHEAD = VNP_OPT_OWN, NO_PACKING };
    static const struct option table[] = {{"budget", required_argument, NULL, 'b'},
                                          {"lookahead", required_argument, NULL, LOOKAHEAD},
                                          {"no-packing", no_argument, NULL, NO_PACKING},
                                          VNP_COMMON_OPTIONS,
                                          {NULL, 0, NULL, 0}};
    int c;
    while ((c = vnp_frames_option(argc, argv, "b:hqvo:", table)) != -1)
        switch (c) {
        case 'b': o->budget = vnp_option_int("--budget", optarg, 3, VNP_PACKER_MAX_BUDGET); break;
        case LOOKAHEAD: o->lookahead = vnp_option_int("--lookahead", optarg, 1, VNP_PACKER_MAX_LOOKAHEAD); break;
        case NO_PACKING: o->no_packing = true; break;
        case 'o': o->output = optarg; break;
        default: vnp_common_option(c, usage);
        }
    if (argc - optind > 1)
        vnp_die(VNP_USAGE, "one stream at a time: %s, %s", argv[optind], argv[optind + 1]);
    vnp_refuse_input(o->output, argv[optind]);
    if (o->lookahead == 0)
        o->lookahead = default_lookahead(o->budget);
    if (!o->no_packing && vnp_env_true("VIRNUCPRO_DISABLE_PACKING")) {
        vnp_warn("VIRNUCPRO_DISABLE_PACKING is set: one sequence a batch");
        o->no_packing = true;
    }
    if (o->no_packing)
        o->lookahead = 1;
}

/* The stream's head, with what this stage does to it. */
static enum vnp_status make_head(struct vnp_head *head, const struct vnp_reader *in, const struct options *o,
                                 struct vnp_err *err)
{
    *head = *vnp_reader_head(in);
    head->kind = VNP_BATCHES;
    struct vnp_producer *by = vnp_head_add_stage(head, "vnp-pack");
    if (by == NULL)
        return vnp_head_full(head, vnp_reader_name(in), err);
    vnp_producer_param(by, "budget", "%lld", (long long)o->budget);
    vnp_producer_param(by, "lookahead", "%lld", (long long)o->lookahead);
    return VNP_OK;
}

static enum vnp_status write_batch(struct vnp_packer *p, struct vnp_rows *batch, struct vnp_writer *out,
                                   struct vnp_err *err)
{
    enum vnp_status st = vnp_packer_batch(p, batch, err);
    if (st != VNP_OK)
        return st;
    struct vnp_block b = vnp_rows_block(batch);
    return vnp_writer_block(out, &b, err);
}

static enum vnp_status pack_block(const struct vnp_block *b, int token_bytes, struct vnp_packer *p,
                                  struct vnp_rows *batch, struct vnp_writer *out, struct vnp_err *err)
{
    enum vnp_status st = VNP_OK;
    size_t at = 0;
    for (int64_t i = 0; st == VNP_OK && i < b->n; i++) {
        struct vnp_row row;
        while (st == VNP_OK && vnp_packer_full(p))
            st = write_batch(p, batch, out, err);
        if (st == VNP_OK)
            st = vnp_row_of(b, i, at, (size_t)b->tokens[i] * (size_t)token_bytes, &row, err);
        if (st == VNP_OK)
            st = vnp_packer_add(p, &row, err);
        at += (size_t)b->tokens[i] * (size_t)token_bytes;
    }
    return st;
}

/* All of the stream, up to but without the end frame. */
static enum vnp_status pack_stream(struct vnp_reader *in, struct vnp_packer *p, struct vnp_writer *out,
                                   struct vnp_err *err)
{
    struct vnp_rows batch = {0};
    struct vnp_block b;
    enum vnp_status st;
    while ((st = vnp_reader_next(in, &b, err)) == VNP_OK)
        if ((st = pack_block(&b, vnp_reader_head(in)->token_bytes, p, &batch, out, err)) != VNP_OK)
            break;
    if (st == VNP_END)
        while ((st = write_batch(p, &batch, out, err)) == VNP_OK)
            ;
    vnp_rows_free(&batch);
    if (st != VNP_END)
        return st;
    const struct vnp_totals *came = vnp_reader_totals(in), *went = vnp_writer_totals(out);
    return memcmp(came, went, sizeof *came) == 0 ? VNP_OK : vnp_totals_differ(vnp_reader_name(in), came, went, err);
}

static void report(const struct options *o, const struct vnp_packer_stats *s, const struct vnp_totals *t)
{
    double used = s->batches ? (double)s->tokens / ((double)s->batches * (double)o->budget) : 1.0;
    char alone[96] = "";
    if (s->oversize_rows > 0)
        snprintf(alone, sizeof alone, "; %llu over the budget went alone", (unsigned long long)s->oversize_rows);
    const unsigned long long batches = s->batches + s->oversize_rows;
    vnp_info("%llu sequence%s, %llu tokens in %llu batch%s; %.2f%% of the budget of %lld used%s",
             (unsigned long long)t->sequences, vnp_plural(t->sequences), (unsigned long long)t->tokens, batches,
             batches == 1 ? "" : "es", 100 * used, (long long)o->budget, alone);
    if (used < LOW_EFFICIENCY && s->batches >= ENOUGH_BATCHES && !o->no_packing)
        vnp_warn("batches are only %.1f%% full, with %llu tokens a sequence on average: %s", 100 * used,
                 (unsigned long long)(s->tokens / s->rows),
                 2 * s->tokens / s->rows > (uint64_t)o->budget ? "a larger -b packs better"
                                                               : "a larger --lookahead packs better");
}

int main(int argc, char **argv)
{
    struct options opt = defaults;
    struct vnp_err err = {0};
    struct vnp_reader *in = NULL;
    struct vnp_writer *out = NULL;
    struct vnp_packer *packer = NULL;
    struct vnp_head head;
    vnp_stage_init_frames("vnp-pack");
    parse_options(&opt, argc, argv);

    const struct vnp_writer_options file = {.path = opt.output};
    const struct vnp_packer_options packing = {opt.budget, opt.lookahead, VNP_FRAME_LIMIT - FRAME_ROOM};
    enum vnp_status st = vnp_writer_open(&out, &file, &err);
    if (st == VNP_OK)
        st = vnp_reader_open(&in, argv[optind], &err);
    if (st == VNP_OK)
        st = vnp_reader_expect(in, VNP_TOKENS, &err);
    if (st == VNP_OK)
        st = make_head(&head, in, &opt, &err);
    if (st == VNP_OK)
        st = vnp_packer_new(&packer, &packing, &err);
    if (st == VNP_OK)
        st = vnp_writer_head(out, &head, &err);
    if (st == VNP_OK)
        st = pack_stream(in, packer, out, &err);

    const struct vnp_totals totals = vnp_stage_finish(out, st, &err);
    report(&opt, vnp_packer_stats(packer), &totals);
    vnp_packer_free(packer);
    vnp_reader_close(in);
    return VNP_OK;
}
