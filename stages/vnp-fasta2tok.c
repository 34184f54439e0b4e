/* vnp-fasta2tok: FASTA and FASTQ to token frames. See man/vnp-fasta2tok.1. */
#include <stdbool.h>
#include <string.h>

#include "cutter.h"
#include "fasta.h"
#include "nucleotide.h"
#include "stage.h"
#include "tokenizer.h"

#define ROW_LIMIT                                                                                                      \
    (VNP_FRAME_LIMIT - (128u << 10)) /* bytes of tokens; the rest of a frame is for an id and the other columns */

#define LOOKED_AT 10000 /* residues: enough to tell proteins from nucleotides, whose letters ESM-2 reads as residues too */

struct options {
    const char *output, *tokenizer;
    int64_t max_len, window; /* 0: not given */
    int64_t overlap;
    bool overlap_given, allow_empty;
};

/* What the closing lines are made of; the first record of each kind that is warned about, by its place. */
struct counts {
    uint64_t records, residues, truncated, windowed, empty, nameless;
    bool protein; /* a letter that no nucleotide sequence holds is in a record that begins among the first LOOKED_AT */
    struct vnp_unknown unknown;
    char first_unknown[256], first_empty[256], first_nameless[256];
};

struct work {
    struct options opt;
    struct vnp_tokenizer *tokenizer;
    struct vnp_fasta *in;
    struct vnp_writer *out;
    size_t token_bytes;
    struct vnp_cutter cutter;
    struct counts n;
};

static const struct options defaults = {.tokenizer = "esm2", .overlap = 0};

static void usage(FILE *to)
{
    fprintf(to,
            "usage: vnp-fasta2tok [options] [FILE ...]\n"
            "Turns FASTA or FASTQ (plain, gzip or zstd; no FILE or -: stdin) into token frames.\n"
            "\n"
            "      --tokenizer T     esm2, or a tokenizer.json or a directory with one (default: %s)\n"
            "      --max-len N       cut records after N residues, keeping the N-terminal end (default: don't)\n"
            "      --window N        split longer records into windows of N residues (default: don't)\n"
            "      --overlap M       residues that a window shares with the next one, less than N (default: %lld)\n"
            "      --allow-empty     input without records gives a stream without sequences (default: it is an error)\n"
            VNP_HELP_OUTPUT VNP_HELP_COMMON,
            defaults.tokenizer, (long long)defaults.overlap);
}

static struct options parse(int argc, char **argv)
{
    enum { MAX_LEN = VNP_OPT_OWN, WINDOW, OVERLAP, TOKENIZER, ALLOW_EMPTY };
    static const struct option table[] = {{"tokenizer", required_argument, NULL, TOKENIZER},
                                          {"max-len", required_argument, NULL, MAX_LEN},
                                          {"window", required_argument, NULL, WINDOW},
                                          {"overlap", required_argument, NULL, OVERLAP},
                                          {"allow-empty", no_argument, NULL, ALLOW_EMPTY},
                                          VNP_COMMON_OPTIONS,
                                          {NULL, 0, NULL, 0}};
    struct options opt = defaults;
    int c;
    while ((c = vnp_frames_option(argc, argv, "hqvo:", table)) != -1)
        switch (c) {
        case TOKENIZER:
            opt.tokenizer = optarg;
            break;
        case MAX_LEN:
            opt.max_len = vnp_option_int("--max-len", optarg, 1, ROW_LIMIT);
            break;
        case WINDOW:
            opt.window = vnp_option_int("--window", optarg, 1, ROW_LIMIT);
            break;
        case OVERLAP:
            opt.overlap = vnp_option_int("--overlap", optarg, 0, ROW_LIMIT);
            opt.overlap_given = true;
            break;
        case ALLOW_EMPTY:
            opt.allow_empty = true;
            break;
        case 'o':
            opt.output = optarg;
            break;
        default:
            vnp_common_option(c, usage);
        }
    if (opt.max_len > 0 && opt.window > 0)
        vnp_die(VNP_USAGE, "--max-len and --window exclude each other: one cuts long records, the other splits them");
    if (opt.overlap_given && opt.window == 0)
        vnp_die(VNP_USAGE, "--overlap says how far windows overlap: give --window too");
    if (opt.window > 0 && opt.overlap >= opt.window)
        vnp_die(VNP_USAGE, "--overlap must be less than --window");
    vnp_refuse_inputs(opt.output, argv + optind, argc - optind);
    vnp_refuse_input(opt.output, opt.tokenizer);
    return opt;
}

static void write_head(struct work *w)
{
    struct vnp_head head = {.kind = VNP_TOKENS};
    struct vnp_err err;
    vnp_tokenizer_head(w->tokenizer, &head);
    w->token_bytes = (size_t)head.token_bytes;
    struct vnp_producer *self = vnp_head_add_stage(&head, vnp_log_stage());
    if (w->opt.max_len > 0)
        vnp_producer_param(self, "max-len", "%lld", (long long)w->opt.max_len);
    if (w->opt.window > 0) {
        vnp_producer_param(self, "window", "%lld", (long long)w->opt.window);
        vnp_producer_param(self, "overlap", "%lld", (long long)w->opt.overlap);
    }
    vnp_cutter_to(&w->cutter, w->out, head.kind);
    if (vnp_writer_head(w->out, &head, &err) != VNP_OK)
        vnp_stage_fail(w->out, &err);
}

/* Adds residues [row->start, row->start + row->residues) of a record to the block under construction. The first
 * `shared` of them are those of the window before, too. */
static void add_row(struct work *w, const struct vnp_record *rec, struct vnp_row *row, uint64_t shared)
{
    struct vnp_err err;
    char place[256];
    const uint64_t bound = vnp_tokenizer_bound(w->tokenizer, row->residues) * w->token_bytes;
    void *tokens;
    if (vnp_cutter_room(&w->cutter, bound, &tokens, &err) != VNP_OK)
        vnp_stage_fail(w->out, &err);
    if (!vnp_tokenizer_reserve(w->tokenizer, row->residues)) {
        vnp_error(&err, VNP_OS, "%s: out of memory for its tokens", vnp_fasta_place(w->in, rec, place, sizeof place));
        vnp_stage_fail(w->out, &err);
    }
    row->tokens =
        (uint32_t)vnp_tokenize(w->tokenizer, rec->seq + row->start, row->residues, shared, tokens, &w->n.unknown);
    row->data = tokens;
    row->bytes = row->tokens * w->token_bytes;
    if (vnp_cutter_put(&w->cutter, row, &err) != VNP_OK)
        vnp_stage_fail(w->out, &err);
    if (w->cutter.rows.n <= 1)
        vnp_progress("%llu records, %llu residues", (unsigned long long)w->n.records,
                     (unsigned long long)w->n.residues);
}

/* Windows begin at multiples of window - overlap; the last one is the first that reaches the end of the record. */
static void add_windows(struct work *w, const struct vnp_record *rec, struct vnp_row *row)
{
    const uint64_t size = (uint64_t)w->opt.window, step = size - (uint64_t)w->opt.overlap;
    const uint64_t windows = 1 + (row->total - size + step - 1) / step;
    struct vnp_err err;
    char place[256];
    if (windows > UINT32_MAX) {
        vnp_error(&err, VNP_DATA, "%s: %llu windows, more than 2^32 - 1: make --window longer or --overlap shorter",
                  vnp_fasta_place(w->in, rec, place, sizeof place), (unsigned long long)windows);
        vnp_stage_fail(w->out, &err);
    }
    w->n.windowed++;
    row->windows = (uint32_t)windows;
    for (row->window = 0; row->window < row->windows; row->window++) {
        row->start = row->window * step;
        row->residues = (uint32_t)(row->total - row->start < size ? row->total - row->start : size);
        add_row(w, rec, row, row->window > 0 ? (uint64_t)w->opt.overlap : 0);
    }
}

static void remember_first(const struct work *w, const struct vnp_record *rec, uint64_t n, char first[256])
{
    if (n > 0 && first[0] == '\0')
        vnp_fasta_place(w->in, rec, first, 256);
}

static void add_record(struct work *w, const struct vnp_record *rec)
{
    struct vnp_row row = {.ordinal = w->n.records++, .id = rec->id, .windows = 1};
    row.total = vnp_tokenizer_residues(w->tokenizer, rec->seq, rec->n);
    if (w->n.residues < LOOKED_AT && !w->n.protein)
        w->n.protein = vnp_nucleotides_count(rec->seq, row.total, &(struct vnp_nucleotides){0}) > 0;
    w->n.residues += row.total;
    w->n.nameless += rec->id.n == 0;
    if (row.total == 0) {
        row.flags |= VNP_EMPTY;
        w->n.empty++;
    }
    if (w->opt.window > 0 && row.total > (uint64_t)w->opt.window) {
        add_windows(w, rec, &row);
    } else {
        row.residues = (uint32_t)row.total;
        if (w->opt.max_len > 0 && row.total > (uint64_t)w->opt.max_len) {
            row.residues = (uint32_t)w->opt.max_len;
            row.flags |= VNP_TRUNCATED;
            w->n.truncated++;
        }
        add_row(w, rec, &row, 0);
    }
    remember_first(w, rec, w->n.unknown.n, w->n.first_unknown);
    remember_first(w, rec, w->n.empty, w->n.first_empty);
    remember_first(w, rec, w->n.nameless, w->n.first_nameless);
}

static void summarise(const struct work *w, double seconds)
{
    char letters[512], rate[VNP_RATE_TEXT];
    const struct counts *n = &w->n;
    typedef unsigned long long ull;
    if (n->unknown.n > 0)
        vnp_warn("%llu letter%s outside the alphabet %s: %s; the first in %s", (ull)n->unknown.n,
                 vnp_plural(n->unknown.n), vnp_tokenizer_unknown(w->tokenizer),
                 vnp_unknown_text(&n->unknown, letters, sizeof letters), n->first_unknown);
    if (n->empty > 0)
        vnp_warn("%llu empty record%s became %s; the first: %s", (ull)n->empty, vnp_plural(n->empty),
                 vnp_tokenizer_empty(w->tokenizer), n->first_empty);
    if (n->nameless > 0)
        vnp_warn("%llu record%s without an id; the first: %s", (ull)n->nameless, vnp_plural(n->nameless),
                 n->first_nameless);
    if (n->truncated > 0)
        vnp_warn("%llu record%s cut after %lld residues (--max-len)", (ull)n->truncated, vnp_plural(n->truncated),
                 (long long)w->opt.max_len);
    if (n->windowed > 0)
        vnp_info("%llu record%s split into windows of %lld residues", (ull)n->windowed, vnp_plural(n->windowed),
                 (long long)w->opt.window);
    if (!n->protein && n->residues >= 100 && strcmp(w->opt.tokenizer, "esm2") == 0)
        vnp_warn("these look like nucleotides, which ESM-2 reads as amino acids; vnp-orf translates contigs");
    const uint64_t tokens = vnp_writer_totals(w->out)->tokens;
    vnp_info("%llu record%s, %llu residue%s, %llu tokens%s", (ull)n->records, vnp_plural(n->records), (ull)n->residues,
             vnp_plural(n->residues), (ull)tokens, vnp_rate_text(rate, vnp_fasta_bytes(w->in), seconds));
}

int main(int argc, char **argv)
{
    vnp_stage_init_frames("vnp-fasta2tok");
    struct work w = {.opt = parse(argc, argv)};
    struct vnp_record rec;
    struct vnp_err err;
    enum vnp_status st;
    const double begin = vnp_now();

    if (vnp_writer_open(&w.out, &(struct vnp_writer_options){.path = w.opt.output}, &err) != VNP_OK ||
        vnp_tokenizer_open(&w.tokenizer, w.opt.tokenizer, &err) != VNP_OK ||
        vnp_fasta_open(&w.in, argv + optind, argc - optind, &err) != VNP_OK)
        vnp_stage_fail(w.out, &err);
    write_head(&w);
    if (w.opt.max_len == 0 && w.opt.window == 0)
        vnp_fasta_limit(w.in, ROW_LIMIT / w.token_bytes,
                        "too large for one frame; split it with --window N or cut it with --max-len N");
    if (w.opt.allow_empty)
        vnp_fasta_allow_empty(w.in);
    while ((st = vnp_fasta_next(w.in, &rec, &err)) == VNP_OK)
        add_record(&w, &rec);
    if (st != VNP_END)
        vnp_stage_fail(w.out, &err);
    if (vnp_cutter_flush(&w.cutter, &err) != VNP_OK)
        vnp_stage_fail(w.out, &err);
    summarise(&w, vnp_now() - begin);
    if (vnp_writer_finish(w.out, &err) != VNP_OK)
        vnp_stage_fail(NULL, &err);

    vnp_fasta_close(w.in);
    vnp_cutter_free(&w.cutter);
    vnp_tokenizer_close(w.tokenizer);
    return VNP_OK;
}
