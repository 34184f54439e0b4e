/* vnp-cpu-forward: batches of tokens to hidden states or embeddings, in FP32 on the CPU. See man/vnp-cpu-forward.1. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cpu_blas.h"
#include "forward_options.h"
#include "net_cpu.h"
#include "parallel.h"
#include "stage.h"
#include "telemetry.h"
#include "xmalloc.h"

struct work {
    struct vnp_forward job;
    int64_t n_threads;
    bool keep_nonfinite;
    struct vnp_cpu_threads *threads;
    struct vnp_cpu_net *net;
    struct vnp_writer *out;
    /* Of the batch at hand, room for cap_rows: flags, first tokens, with --pool the embeddings [cap_rows, width]. */
    uint32_t *flags;
    int64_t *first;
    float *pooled;
    int64_t cap_rows;
    double begin, computing, flops; /* seconds; seconds; operations */
};

static void usage(FILE *to)
{
    fprintf(to,
            "usage: vnp-cpu-forward [options] [FILE]\n"
            "Hidden states of a language model, FP32, all cores, for batches from vnp-pack (FILE or stdin).\n"
            "\n"
            "  -m, --model PATH      model file, directory or name in the caches (default: $VNP_MODEL)\n"
            "      --layer N         0: the embedding, N: the output of layer N, -1: the last (default: the last)\n"
            "      --pool mean|cls|max\n"
            "                        one vector a sequence, as vnp-pool makes it (default: one a token)\n"
            "      --all-tokens      mean or max over the special tokens too\n"
            "      --threads N       threads (default: %d, the CPUs this process may use)\n"
            "      --on-nonfinite fail|keep\n"
            "                        a sequence with NaN or Inf: stop, or mark it and go on (default: fail)\n"
            VNP_HELP_OUTPUT VNP_HELP_COMMON
            "\n"
            "Example: vnp-fasta2tok in.fa | vnp-pack -b 8192 | vnp-cpu-forward --model DIR | vnp-pool > emb.zst\n",
            vnp_cpu_count());
}

static bool parse_nonfinite(const char *text)
{
    if (strcmp(text, "keep") != 0 && strcmp(text, "fail") != 0)
        vnp_die(VNP_USAGE, "--on-nonfinite: fail or keep, not %s (what comes out here is FP32 already)", text);
    return strcmp(text, "keep") == 0;
}

static void parse(struct work *w, int argc, char **argv)
{
    enum { THREADS = VNP_OPT_OWN, NONFINITE };
    static const struct option table[] = {VNP_FORWARD_OPTIONS,
                                          {"threads", required_argument, NULL, THREADS},
                                          {"on-nonfinite", required_argument, NULL, NONFINITE},
                                          VNP_COMMON_OPTIONS,
                                          {NULL, 0, NULL, 0}};
    int c;
    while ((c = vnp_frames_option(argc, argv, "m:hqvo:", table)) != -1)
        switch (c) {
        case THREADS:
            w->n_threads = vnp_option_threads(optarg);
            break;
        case NONFINITE:
            w->keep_nonfinite = parse_nonfinite(optarg);
            break;
        default:
            if (!vnp_forward_option(c, &w->job))
                vnp_common_option(c, usage);
        }
    vnp_forward_check_options(&w->job, argc - optind);
    vnp_refuse_input(w->job.output, argv[optind]);
}

static void open_model(struct work *w)
{
    struct vnp_err err;
    char device[128];
    if (vnp_forward_open_model(&w->job, &err) != VNP_OK)
        vnp_stage_fail(w->out, &err);
    w->threads = vnp_cpu_threads_new((int)w->n_threads);
    if (!w->threads) {
        vnp_error(&err, VNP_OS, "the system gives no %lld threads: try fewer with --threads",
                  (long long)w->n_threads);
        vnp_stage_fail(w->out, &err);
    }
    if (vnp_cpu_net_open(&w->net, w->job.model, w->threads, &err) != VNP_OK)
        vnp_stage_fail(w->out, &err);
    snprintf(device, sizeof device, "%s, %d threads", vnp_cpu_blas_core(), vnp_cpu_threads_n(w->threads));
    vnp_telemetry_device(device);
}

static void make_room(struct work *w, int64_t rows)
{
    if (rows <= w->cap_rows)
        return;
    w->flags = xreallocarray(w->flags, (size_t)rows, sizeof *w->flags);
    w->first = xreallocarray(w->first, (size_t)rows, sizeof *w->first);
    if (w->job.pool != VNP_POOL_NONE)
        w->pooled = xreallocarray(w->pooled, (size_t)rows, (size_t)w->job.config->width * sizeof *w->pooled);
    w->cap_rows = rows;
}

struct finish_step {
    struct work *w;
    const struct vnp_block *batch;
    const float *hidden;
};

/* Flags the row if it is not finite, and pools it. */
static void finish_row(void *ctx, int64_t i, int worker)
{
    (void)worker;
    const struct finish_step *s = ctx;
    struct work *w = s->w;
    const int64_t width = w->job.config->width, tokens = s->batch->tokens[i];
    const float *x = s->hidden + w->first[i] * width;
    w->flags[i] = s->batch->flags[i] | (vnp_all_finite(VNP_F32, x, tokens * width) ? 0 : VNP_NONFINITE);
    if (w->job.pool == VNP_POOL_NONE)
        return;
    int64_t first, count;
    vnp_pool_span(vnp_reader_head(w->job.in), w->job.pool, w->job.all_tokens, (uint32_t)tokens, &first, &count);
    vnp_pool_vectors(w->job.pool, VNP_F32, x + first * width, count, width, w->pooled + i * width);
}

static void refuse_nonfinite(struct work *w, const struct vnp_block *b)
{
    struct vnp_err err;
    for (int64_t i = 0; i < b->n; i++)
        if (w->flags[i] & VNP_NONFINITE) {
            vnp_forward_nonfinite(&w->job, b->ordinal[i], b->id[i], "FP32", &err);
            vnp_stage_fail(w->out, &err);
        }
}

/* `tokens`: of the whole batch. */
static void write_batch(struct work *w, const struct vnp_block *b, const float *vectors, int64_t tokens)
{
    struct vnp_err err;
    struct vnp_block out = *b;
    out.flags = w->flags;
    out.bulk = vectors;
    out.bulk_bytes = (w->job.pool == VNP_POOL_NONE ? tokens : b->n) * w->job.config->width * (int64_t)sizeof *vectors;
    if (vnp_forward_write(&w->job, w->out, &out, &err) != VNP_OK)
        vnp_stage_fail(w->out, &err);
}

static void run_batch(struct work *w, const struct vnp_block *b)
{
    struct vnp_err err;
    const float *hidden;
    const struct vnp_cpu_batch batch = {b->n, b->tokens, b->bulk, vnp_reader_head(w->job.in)->token_bytes};
    const double before = vnp_now();
    make_room(w, b->n);
    if (vnp_cpu_net_forward(w->net, &batch, w->job.layer, &hidden, &err) != VNP_OK)
        vnp_stage_fail(w->out, &err);
    int64_t tokens = 0;
    for (int64_t i = 0; i < b->n; i++) {
        w->first[i] = tokens;
        tokens += b->tokens[i];
        w->flops += vnp_cpu_net_flops(w->job.config, w->job.layer, b->tokens[i]);
    }
    vnp_cpu_threads_run(w->threads, b->n, finish_row, &(struct finish_step){w, b, hidden});
    w->computing += vnp_now() - before;
    if (!w->keep_nonfinite)
        refuse_nonfinite(w, b);
    write_batch(w, b, w->job.pool == VNP_POOL_NONE ? hidden : w->pooled, tokens);
    vnp_forward_progress(w->out, w->begin);
}

static void summarise(const struct work *w)
{
    const struct vnp_totals *n = vnp_writer_totals(w->out);
    const double seconds = vnp_now() - w->begin, computing = w->computing > 0 ? w->computing : 1e-9;
    vnp_forward_warn_kept(w->out);
    vnp_info("%llu sequence%s, %llu tokens in %.1f s: %.0f tokens/s, %.1f GFLOP/s while computing (%d threads, %s)",
             (unsigned long long)n->sequences, vnp_plural(n->sequences), (unsigned long long)n->tokens, seconds,
             (double)n->tokens / seconds, w->flops * 1e-9 / computing, vnp_cpu_threads_n(w->threads),
             vnp_cpu_blas_core());
}

int main(int argc, char **argv)
{
    vnp_cpu_blas_restart(argv);
    vnp_stage_init_frames("vnp-cpu-forward");
    struct work w = {.job = VNP_FORWARD_DEFAULT, .n_threads = vnp_cpu_count(), .begin = vnp_now()};
    parse(&w, argc, argv);
    struct vnp_block batch;
    struct vnp_err err;
    enum vnp_status st;

    if (vnp_writer_open(&w.out, &(struct vnp_writer_options){.path = w.job.output}, &err) != VNP_OK)
        vnp_stage_fail(NULL, &err);
    open_model(&w);
    if (vnp_forward_open_input(&w.job, argv[optind], &err) != VNP_OK ||
        vnp_forward_write_head(&w.job, w.out, NULL, &err) != VNP_OK)
        vnp_stage_fail(w.out, &err);
    while ((st = vnp_reader_next(w.job.in, &batch, &err)) == VNP_OK)
        run_batch(&w, &batch);
    if (st != VNP_END || vnp_forward_complete(&w.job, w.out, &err) != VNP_OK)
        vnp_stage_fail(w.out, &err);
    vnp_progress_end();
    summarise(&w);
    if (vnp_writer_finish(w.out, &err) != VNP_OK)
        vnp_stage_fail(NULL, &err);

    vnp_cpu_net_close(w.net);
    vnp_cpu_threads_free(w.threads);
    vnp_forward_close(&w.job);
    free(w.flags);
    free(w.first);
    free(w.pooled);
    return VNP_OK;
}
