/* vnp-classify: merged embeddings in; scores, verdicts and tables out. In two halves, of which one run does either or
 * both: embeddings to scores, and scores to verdicts. Blocks of scores go from the one to the other. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "classifier.h"
#include "cutter.h"
#include "output.h"
#include "parallel.h"
#include "pool.h"
#include "rows.h"
#include "scores.h"
#include "stage.h"
#include "vectors.h"
#include "verdicts.h"
#include "xmalloc.h"

#define BATCH 1024 /* rows that are scored at a time */

struct options {
    const char *model, *input;
    struct vnp_writer_options file; /* the output */
    bool scores, gff;
    int64_t threads;
    struct vnp_verdict_options verdicts;
};

struct work {
    struct options opt;
    struct vnp_reader *in;
    const struct vnp_head *from;
    uint64_t n; /* rows with scores */
    /* The first half, with --model: */
    struct vnp_classifier *classifier;
    struct vnp_cpu_threads *threads;
    float *x;             /* [BATCH, width]: embeddings that wait to be scored */
    struct vnp_rows rows; /* their rows; the data is scores: [n, 2] */
    /* Where scores go: a stream or the second half. */
    struct vnp_writer *out;
    struct vnp_head head; /* of that stream */
    struct vnp_cutter cutter;
    struct vnp_verdicts *verdicts;
};

static struct options defaults(void)
{
    return (struct options){
        .file.zstd_level = VNP_ZSTD_LEVEL, .threads = vnp_cpu_count(), .verdicts = {.min_viral = 0.5}};
}

static void usage(FILE *f)
{
    const struct options d = defaults();
    fprintf(f,
            "usage: vnp-classify --model FILE [-o DIR] [--json] [options] [STREAM]\n"
            "       vnp-classify --model FILE --scores [-o FILE] [--level N | --plain] [STREAM]\n"
            "       vnp-classify [-o DIR] [--json] [options] [SCORES]\n"
            "Scores merged embeddings (STREAM or stdin) with VirNucPro's classifier and writes the verdicts; or only\n"
            "the scores, or the verdicts of SCORES.\n\n"
            "      --model FILE      the classifier: 500_model.pth, or its tensors as torch file or safetensors\n"
            "  -o, --output DIR      prediction_results.txt, ..._highestscore.csv and ..._contigs.tsv go there\n"
            "      --json            JSON lines to stdout: frames, chunks, contigs, summary\n"
            "      --max-scores      max_score_0 and max_score_1 in ..._highestscore.csv too\n"
            "      --min-viral X     share of its chunks that makes a contig a virus (default: %g)\n"
            "      --gff             ..._viral.gff too: where the viral stretches are\n"
            "      --chunks FILE     for --gff: where the chunks are, from vnp-orf --chunks\n"
            "      --threads N       threads (default: %" PRId64 ", the CPUs this process may use)\n"
            "      --scores          no verdicts: the scores as a stream, to -o FILE (default: stdout), and with these:\n"
            VNP_HELP_ZSTD VNP_HELP_COMMON,
            d.verdicts.min_viral, d.threads);
}

static void check_options(struct options *o)
{
    const struct options d = defaults();
    struct vnp_verdict_options *v = &o->verdicts;
    if (o->scores && o->model == NULL)
        vnp_die(VNP_USAGE, "--scores wants a classifier: give --model FILE");
    if (o->scores && (v->json || v->max_scores || v->min_viral != d.verdicts.min_viral || o->gff || v->chunks != NULL))
        vnp_die(VNP_USAGE, "--scores draws no verdicts: give --json, --max-scores, --min-viral, --gff and --chunks to "
                           "the vnp-classify that reads the scores");
    if (!o->scores && o->file.zstd_level != d.file.zstd_level)
        vnp_die(VNP_USAGE, "--level and --plain go with --scores");
    if (!o->scores && o->file.path == NULL && !v->json)
        vnp_die(VNP_USAGE, "where to? give -o DIR, --json or both");
    if (o->gff != (v->chunks != NULL) || (o->gff && o->file.path == NULL))
        vnp_die(VNP_USAGE, "--gff goes with -o DIR and --chunks FILE, and --chunks with --gff");
    v->dir = o->scores ? NULL : o->file.path;
    vnp_refuse_stdout(v->dir);
}

/* Exits 2 when one of the files to be written would take the place of one that is read. */
static void refuse(const struct options *o, const char *input)
{
    if (o->scores)
        vnp_refuse_input(o->file.path, input);
    for (int t = 0; t < VNP_VERDICT_TABLES && o->verdicts.dir != NULL; t++) {
        char *table = xasprintf("%s/%s", o->verdicts.dir, vnp_verdict_tables[t]);
        vnp_refuse_input(table, input);
        free(table);
    }
}

static void check_paths(const struct options *o)
{
    const bool from_stdin = o->input == NULL || strcmp(o->input, "-") == 0;
    if (from_stdin && o->verdicts.chunks != NULL && strcmp(o->verdicts.chunks, "-") == 0)
        vnp_die(VNP_USAGE, "--chunks and the stream can't both come from stdin");
    refuse(o, o->input);
    if (o->verdicts.chunks != NULL)
        refuse(o, o->verdicts.chunks);
}

static struct options parse(int argc, char **argv)
{
    enum { MODEL = VNP_OPT_OWN, JSON, MAX_SCORES, MIN_VIRAL, GFF, CHUNKS, SCORES, THREADS };
    static const struct option table[] = {{"model", required_argument, NULL, MODEL},
                                          {"json", no_argument, NULL, JSON},
                                          {"max-scores", no_argument, NULL, MAX_SCORES},
                                          {"min-viral", required_argument, NULL, MIN_VIRAL},
                                          {"gff", no_argument, NULL, GFF},
                                          {"chunks", required_argument, NULL, CHUNKS},
                                          {"scores", no_argument, NULL, SCORES},
                                          VNP_ZSTD_OPTIONS,
                                          {"threads", required_argument, NULL, THREADS},
                                          VNP_COMMON_OPTIONS,
                                          {NULL, 0, NULL, 0}};
    struct options o = defaults();
    int c;
    while ((c = vnp_frames_option(argc, argv, "hqvo:", table)) != -1)
        switch (c) {
        case MODEL: o.model = optarg; break;
        case JSON: o.verdicts.json = true; break;
        case MAX_SCORES: o.verdicts.max_scores = true; break;
        case MIN_VIRAL: o.verdicts.min_viral = vnp_option_double("--min-viral", optarg, 0, 1); break;
        case GFF: o.gff = true; break;
        case CHUNKS: o.verdicts.chunks = optarg; break;
        case SCORES:
            o.scores = true;
            vnp_stage_init_frames("vnp-classify"); /* stdout is for frames after all */
            break;
        case THREADS:
            o.threads = vnp_option_threads(optarg);
            break;
        default:
            if (!vnp_writer_option(c, &o.file))
                vnp_common_option(c, usage);
        }
    if (argc - optind > 1)
        vnp_die(VNP_USAGE, "one stream at a time: %s, %s", argv[optind], argv[optind + 1]);
    o.input = argv[optind];
    check_options(&o);
    check_paths(&o);
    return o;
}

/* --- set-up ------------------------------------------------------------------------------------------------------- */

/* What has been opened must go with --model or without it. */
static enum vnp_status check_head(const struct work *w, struct vnp_err *err)
{
    const char *name = vnp_reader_name(w->in);
    const bool scores = vnp_scores_is(w->from);
    if (scores && w->classifier != NULL)
        return vnp_error(err, VNP_USAGE, "%s: holds scores, of %s: leave out --model", name, w->from->model);
    if (!scores && w->classifier == NULL)
        return vnp_error(err, VNP_USAGE,
                         "%s: holds embeddings, to be scored first: which classifier? give --model FILE", name);
    if (strcmp(w->from->pool, "none") == 0)
        return vnp_error(err, VNP_DATA, "%s: has a vector for each residue; one a sequence is wanted", name);
    if (scores)
        return vnp_scores_expect(w->in, err);
    if (w->from->width != w->classifier->width)
        return vnp_error(err, VNP_DATA,
                         "%s: has vectors of %d values (%s), but classifier %s takes %d: merge the embeddings that it "
                         "was trained on with vnp-merge",
                         name, w->from->width, w->from->model, w->opt.model, w->classifier->width);
    return VNP_OK;
}

static enum vnp_status open_input(struct work *w, struct vnp_err *err)
{
    enum vnp_status st = w->opt.model != NULL ? vnp_classifier_open(&w->classifier, w->opt.model, err) : VNP_OK;
    for (int i = 0; st == VNP_OK && w->classifier != NULL && i < w->classifier->files.n_weights; i++)
        refuse(&w->opt, w->classifier->files.weights[i]);
    if (st == VNP_OK)
        st = vnp_reader_open_embeddings(&w->in, w->opt.input, true, err);
    if (st != VNP_OK)
        return st;
    w->from = vnp_reader_head(w->in);
    st = check_head(w, err);
    if (st != VNP_OK || w->classifier == NULL)
        return st;
    w->threads = vnp_cpu_threads_new((int)w->opt.threads);
    if (w->threads == NULL)
        return vnp_error(err, VNP_OS, "the system gives no %" PRId64 " threads: try fewer with --threads",
                         w->opt.threads);
    w->x = xreallocarray(NULL, (size_t)BATCH * (size_t)w->from->width, sizeof *w->x);
    return VNP_OK;
}

static enum vnp_status begin_scores(struct work *w, struct vnp_err *err)
{
    enum vnp_status st = vnp_scores_head(&w->head, w->from, vnp_reader_name(w->in), w->classifier, err);
    vnp_cutter_to(&w->cutter, w->out, w->head.kind);
    return st == VNP_OK ? vnp_writer_head(w->out, &w->head, err) : st;
}

/* Everything that can be wrong is, before tables are made; a stream is opened first, so that the next stage learns of
 * it. */
static enum vnp_status set_up(struct work *w, struct vnp_err *err)
{
    enum vnp_status st = w->opt.scores ? vnp_writer_open(&w->out, &w->opt.file, err) : VNP_OK;
    if (st == VNP_OK)
        st = open_input(w, err);
    if (st != VNP_OK)
        return st;
    return w->out != NULL ? begin_scores(w, err) : vnp_verdicts_open(&w->verdicts, &w->opt.verdicts, err);
}

/* --- scores ------------------------------------------------------------------------------------------------------- */

static enum vnp_status draw_verdicts(struct work *w, const struct vnp_block *b, struct vnp_err *err)
{
    const float *scores = b->bulk;
    enum vnp_status st = VNP_OK;
    for (int64_t i = 0; i < b->n && st == VNP_OK; i++)
        st = vnp_verdicts_add(w->verdicts, b->id[i], scores + i * VNP_CLASSES, err);
    return st;
}

/* Rows with scores, [n, 2], go out or on to the verdicts. */
static enum vnp_status put_scores(struct work *w, const struct vnp_block *b, struct vnp_err *err)
{
    enum vnp_status st = w->out != NULL ? vnp_cutter_put_block(&w->cutter, &w->head, b, err) : draw_verdicts(w, b, err);
    w->n += (uint64_t)b->n;
    vnp_progress("%" PRIu64 " frames", w->n);
    return st;
}

static enum vnp_status score_batch(struct work *w, struct vnp_err *err)
{
    if (w->rows.n == 0)
        return VNP_OK;
    vnp_classifier_scores(w->classifier, w->threads, w->x, w->rows.n, (float *)w->rows.bulk.p);
    const struct vnp_block scores = vnp_rows_block(&w->rows);
    enum vnp_status st = put_scores(w, &scores, err);
    vnp_rows_clear(&w->rows);
    return st;
}

/* A block of embeddings joins those that wait. An infinity is refused as NaN is: its scores may well be finite, and
 * mean nothing. */
static enum vnp_status take_embeddings(struct work *w, const struct vnp_block *b, struct vnp_err *err)
{
    static const float no_scores[VNP_CLASSES];
    const size_t width = (size_t)w->from->width, bytes = width * vnp_dtype_bytes(w->from->dtype);
    enum vnp_status st = VNP_OK;
    for (int64_t i = 0; i < b->n && st == VNP_OK; i++) {
        float *x = w->x + (size_t)w->rows.n * width;
        const float *v = vnp_vectors_f32(w->from, b, i, 1, x);
        struct vnp_row row;
        if (v != x)
            memcpy(x, v, width * sizeof *x);
        st = vnp_row_of(b, i, (size_t)i * bytes, bytes, &row, err);
        if (st == VNP_OK && !vnp_all_finite(VNP_F32, x, (int64_t)width))
            st = vnp_error(err, VNP_DATA,
                           "%s: record %" PRIu64 " (%.*s): its embedding holds NaN or an infinity: run the "
                           "forward stage without --on-nonfinite=keep",
                           vnp_reader_name(w->in), row.ordinal, VNP_SHOWN(row.id));
        row.data = no_scores;
        row.bytes = sizeof no_scores;
        if (st == VNP_OK)
            st = vnp_rows_add(&w->rows, &row, err);
        if (st == VNP_OK && w->rows.n == BATCH)
            st = score_batch(w, err);
    }
    return st;
}

static enum vnp_status classify(struct work *w, struct vnp_err *err)
{
    struct vnp_block b;
    enum vnp_status st;
    while ((st = vnp_reader_next(w->in, &b, err)) == VNP_OK) {
        st = w->classifier != NULL ? take_embeddings(w, &b, err) : put_scores(w, &b, err);
        if (st != VNP_OK)
            return st;
    }
    if (st == VNP_END)
        st = score_batch(w, err);
    if (st == VNP_OK && w->out != NULL)
        st = vnp_cutter_flush(&w->cutter, err);
    if (st == VNP_OK && w->n != vnp_reader_totals(w->in)->sequences)
        st = vnp_error(err, VNP_SOFTWARE, "%s: %" PRIu64 " sequences came in, %" PRIu64 " were scored",
                       vnp_reader_name(w->in), vnp_reader_totals(w->in)->sequences, w->n);
    return st;
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static enum vnp_status finish_scores(struct work *w, struct vnp_err *err)
{
    enum vnp_status st = vnp_writer_finish(w->out, err);
    vnp_progress_end();
    if (st == VNP_OK)
        vnp_info("%" PRIu64 " row%s scored by %s", w->n, vnp_plural(w->n), w->classifier->name);
    return st;
}

static enum vnp_status finish_verdicts(struct work *w, struct vnp_err *err)
{
    struct vnp_verdict_counts n;
    enum vnp_status st = vnp_verdicts_finish(w->verdicts, &n, err);
    if (st == VNP_OK)
        st = vnp_stdout_close(err);
    vnp_progress_end();
    if (st == VNP_OK)
        vnp_info("%" PRIu64 " frame%s, %" PRIu64 " viral; %" PRIu64 " chunk%s, %" PRIu64 " viral; %" PRIu64
                 " contig%s, %" PRIu64 " viral",
                 n.frames, vnp_plural(n.frames), n.viral_frames, n.chunks, vnp_plural(n.chunks), n.viral_chunks,
                 n.contigs, vnp_plural(n.contigs), n.viral_contigs);
    return st;
}

int main(int argc, char **argv)
{
    struct work w = {0};
    struct vnp_err err = {0};
    vnp_stage_init("vnp-classify");
    w.opt = parse(argc, argv);

    enum vnp_status st = set_up(&w, &err);
    if (st == VNP_OK)
        st = classify(&w, &err);
    if (st != VNP_OK) {
        vnp_verdicts_discard(w.verdicts);
        vnp_stage_fail(w.out, &err);
    }
    if ((w.out != NULL ? finish_scores : finish_verdicts)(&w, &err) != VNP_OK)
        vnp_stage_fail(NULL, &err);

    vnp_cpu_threads_free(w.threads);
    vnp_classifier_close(w.classifier);
    vnp_reader_close(w.in);
    vnp_rows_free(&w.rows);
    vnp_cutter_free(&w.cutter);
    free(w.x);
    return VNP_OK;
}
