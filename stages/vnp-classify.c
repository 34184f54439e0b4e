/* vnp-classify: merged embeddings in; scores, verdicts and tables out. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "classifier.h"
#include "stage.h"
#include "vectors.h"
#include "verdicts.h"
#include "xmalloc.h"

#define BATCH 1024 /* rows that are scored at a time */

struct options {
    const char *model, *input;
    bool gff;
    int64_t threads;
    struct vnp_verdict_options verdicts;
};

struct work {
    struct options opt;
    struct vnp_classifier *classifier;
    struct vnp_cpu_threads *threads;
    struct vnp_reader *in;
    const struct vnp_head *head;
    struct vnp_verdicts *verdicts;
    /* Rows that wait to be scored. */
    float *x;      /* [BATCH, width] */
    float *scores; /* [BATCH, 2] */
    int64_t n;
    struct vnp_text ids; /* one after the other */
    size_t id_end[BATCH];
    uint64_t rows;
};

static struct options defaults(void)
{
    return (struct options){.threads = vnp_cpu_count(), .verdicts = {.min_viral = 0.5}};
}

static void usage(FILE *f)
{
    const struct options d = defaults();
    fprintf(f,
            "usage: vnp-classify --model FILE [-o DIR] [--json] [options] [STREAM]\n"
            "Scores merged embeddings (STREAM or stdin) with VirNucPro's classifier and writes the verdicts.\n\n"
            "      --model FILE      the classifier: 500_model.pth, or its tensors as torch file or safetensors\n"
            "  -o, --output DIR      prediction_results.txt, ..._highestscore.csv and ..._contigs.tsv go there\n"
            "      --json            JSON lines to stdout: frames, chunks, contigs, summary\n"
            "      --max-scores      max_score_0 and max_score_1 in ..._highestscore.csv too\n"
            "      --min-viral X     share of its chunks that makes a contig a virus (default: %g)\n"
            "      --gff             ..._viral.gff too: where the viral stretches are\n"
            "      --chunks FILE     for --gff: where the chunks are, from vnp-orf --chunks\n"
            "      --threads N       threads (default: %" PRId64 ", the CPUs this process may use)\n" VNP_HELP_COMMON,
            d.verdicts.min_viral, d.threads);
}

static void check_options(const struct options *o)
{
    if (o->model == NULL)
        vnp_die(VNP_USAGE, "which classifier? give --model FILE");
    if (o->verdicts.dir == NULL && !o->verdicts.json)
        vnp_die(VNP_USAGE, "where to? give -o DIR, --json or both");
    if (o->gff != (o->verdicts.chunks != NULL) || (o->gff && o->verdicts.dir == NULL))
        vnp_die(VNP_USAGE, "--gff goes with -o DIR and --chunks FILE, and --chunks with --gff");
}

static struct options parse(int argc, char **argv)
{
    enum { MODEL = VNP_OPT_OWN, JSON, MAX_SCORES, MIN_VIRAL, GFF, CHUNKS, THREADS };
    static const struct option table[] = {{"model", required_argument, NULL, MODEL},
                                          {"json", no_argument, NULL, JSON},
                                          {"max-scores", no_argument, NULL, MAX_SCORES},
                                          {"min-viral", required_argument, NULL, MIN_VIRAL},
                                          {"gff", no_argument, NULL, GFF},
                                          {"chunks", required_argument, NULL, CHUNKS},
                                          {"threads", required_argument, NULL, THREADS},
                                          VNP_COMMON_OPTIONS,
                                          {NULL, 0, NULL, 0}};
    struct options o = defaults();
    int c;
    while ((c = getopt_long(argc, argv, "hqvo:", table, NULL)) != -1)
        switch (c) {
        case MODEL:
            o.model = optarg;
            break;
        case JSON:
            o.verdicts.json = true;
            break;
        case MAX_SCORES:
            o.verdicts.max_scores = true;
            break;
        case MIN_VIRAL:
            o.verdicts.min_viral = vnp_option_double("--min-viral", optarg, 0, 1);
            break;
        case GFF:
            o.gff = true;
            break;
        case CHUNKS:
            o.verdicts.chunks = optarg;
            break;
        case THREADS:
            o.threads = vnp_option_int("--threads", optarg, 1, 1024);
            break;
        case 'o':
            o.verdicts.dir = optarg;
            break;
        default:
            vnp_common_option(c, usage);
        }
    if (argc - optind > 1)
        vnp_die(VNP_USAGE, "one stream at a time: %s, %s", argv[optind], argv[optind + 1]);
    o.input = argv[optind];
    check_options(&o);
    return o;
}

/* --- set-up ------------------------------------------------------------------------------------------------------- */

static enum vnp_status check_head(const struct work *w, struct vnp_err *err)
{
    const char *name = vnp_reader_name(w->in);
    if (strcmp(w->head->pool, "none") == 0)
        return vnp_error(err, VNP_DATA, "%s: has a vector for each residue; one a sequence is wanted", name);
    if (w->head->width != w->classifier->width)
        return vnp_error(err, VNP_DATA,
                         "%s: has vectors of %d values (%s), but classifier %s takes %d: merge the embeddings that it "
                         "was trained on with vnp-merge",
                         name, w->head->width, w->head->model, w->opt.model, w->classifier->width);
    return VNP_OK;
}

/* Everything that can be wrong is, before a file is made. */
static enum vnp_status set_up(struct work *w, struct vnp_err *err)
{
    enum vnp_status st = vnp_classifier_open(&w->classifier, w->opt.model, err);
    if (st == VNP_OK)
        st = vnp_reader_open(&w->in, w->opt.input, err);
    if (st == VNP_OK)
        st = vnp_reader_expect(w->in, VNP_EMBEDDINGS, err);
    if (st == VNP_OK)
        st = vnp_reader_expect_order(w->in, err);
    if (st != VNP_OK)
        return st;
    w->head = vnp_reader_head(w->in);
    st = check_head(w, err);
    if (st == VNP_OK)
        st = vnp_verdicts_open(&w->verdicts, &w->opt.verdicts, err);
    if (st != VNP_OK)
        return st;
    w->threads = vnp_cpu_threads_new((int)w->opt.threads);
    if (w->threads == NULL)
        return vnp_error(err, VNP_OS, "the system gives no %" PRId64 " threads: try fewer with --threads",
                         w->opt.threads);
    w->x = xreallocarray(NULL, (size_t)BATCH * (size_t)w->head->width, sizeof *w->x);
    w->scores = xreallocarray(NULL, (size_t)BATCH * VNP_CLASSES, sizeof *w->scores);
    return VNP_OK;
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

static enum vnp_status score_batch(struct work *w, struct vnp_err *err)
{
    vnp_classifier_scores(w->classifier, w->threads, w->x, w->n, w->scores);
    enum vnp_status st = VNP_OK;
    for (int64_t i = 0; i < w->n && st == VNP_OK; i++) {
        const size_t begin = i > 0 ? w->id_end[i - 1] : 0;
        const struct vnp_str id = {w->ids.p + begin, (uint32_t)(w->id_end[i] - begin)};
        st = vnp_verdicts_add(w->verdicts, id, w->scores + i * VNP_CLASSES, err);
    }
    w->rows += (uint64_t)w->n;
    w->n = 0;
    w->ids.n = 0;
    vnp_progress("%" PRIu64 " frames", w->rows);
    return st;
}

static enum vnp_status take_block(struct work *w, const struct vnp_block *b, struct vnp_err *err)
{
    const int64_t width = w->head->width;
    for (int64_t i = 0; i < b->n; i++) {
        float *x = w->x + w->n * width;
        const float *v = vnp_vectors_f32(w->head, b, i, 1, x);
        if (v != x)
            memcpy(x, v, (size_t)width * sizeof *x);
        vnp_text_add(&w->ids, b->id[i].s, b->id[i].n);
        w->id_end[w->n++] = w->ids.n;
        enum vnp_status st = w->n == BATCH ? score_batch(w, err) : VNP_OK;
        if (st != VNP_OK)
            return st;
    }
    return VNP_OK;
}

static enum vnp_status classify(struct work *w, struct vnp_err *err)
{
    struct vnp_block b;
    enum vnp_status st;
    while ((st = vnp_reader_next(w->in, &b, err)) == VNP_OK)
        if ((st = take_block(w, &b, err)) != VNP_OK)
            return st;
    return st == VNP_END ? score_batch(w, err) : st;
}

static void report(const struct vnp_verdict_counts *n)
{
    vnp_progress_end();
    vnp_info("%" PRIu64 " frame%s, %" PRIu64 " viral; %" PRIu64 " chunk%s, %" PRIu64 " viral; %" PRIu64
             " contig%s, %" PRIu64 " viral",
             n->frames, vnp_plural(n->frames), n->viral_frames, n->chunks, vnp_plural(n->chunks), n->viral_chunks,
             n->contigs, vnp_plural(n->contigs), n->viral_contigs);
}

int main(int argc, char **argv)
{
    struct work w = {0};
    struct vnp_err err = {0};
    struct vnp_verdict_counts counts;
    vnp_stage_init("vnp-classify");
    w.opt = parse(argc, argv);

    enum vnp_status st = set_up(&w, &err);
    if (st == VNP_OK)
        st = classify(&w, &err);
    if (st != VNP_OK) {
        vnp_verdicts_discard(w.verdicts);
        vnp_stage_fail(NULL, &err);
    }
    if (vnp_verdicts_finish(w.verdicts, &counts, &err) != VNP_OK)
        vnp_stage_fail(NULL, &err);
    report(&counts);

    vnp_cpu_threads_free(w.threads);
    vnp_classifier_close(w.classifier);
    vnp_reader_close(w.in);
    free(w.x);
    free(w.scores);
    free(w.ids.p);
    if (ferror(stdout) || fclose(stdout) != 0)
        vnp_die(VNP_IO, "stdout: can't be written: %s", strerror(errno));
    return VNP_OK;
}
