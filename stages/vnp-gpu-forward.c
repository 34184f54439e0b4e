/* vnp-gpu-forward: batches of tokens to hidden states or embeddings, on a CUDA device. See man/vnp-gpu-forward.1. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cpu_blas.h"
#include "cuda_check.h"
#include "device_gpu.h"
#include "exact_gpu.h"
#include "forward_options.h"
#include "net_cpu.h"
#include "net_gpu.h"
#include "ring_gpu.h"
#include "self_check.h"
#include "stage.h"
#include "stats.h"
#include "telemetry.h"
#include "xmalloc.h"

enum on_nonfinite { REDO, FAIL, KEEP };

struct options {
    int64_t device, compare;
    double min_cosine;
    enum vnp_gemm_type type;
    enum on_nonfinite on_nonfinite;
    bool report, probe;
};

struct work {
    struct options opt;
    struct vnp_forward job;
    struct vnp_device device;
    struct vnp_gpu_net *net;
    struct vnp_exact *exact;
    int64_t budget; /* tokens of a batch */
    struct vnp_writer *out;
    struct vnp_ring ring;
    struct vnp_agreement agreement;
    struct vnp_self_check check; /* DNABERT-S */
    double begin, flops;
};

/* Two threads may fail at once: the first tells why, and is the only one to write the stream's end. Recursive, because
 * a CUDA error can end the thread that is writing. */
static pthread_mutex_t output_lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static struct vnp_writer *output;

static void __attribute__((noreturn)) fail(const struct vnp_err *err)
{
    pthread_mutex_lock(&output_lock);
    vnp_stage_fail(output, err);
}

static const struct options defaults = {.type = VNP_GEMM_F16, .min_cosine = 0.999};

static void usage(FILE *to)
{
    const struct options *o = &defaults;
    fprintf(
        to,
        "usage: vnp-gpu-forward [options] [FILE]\n"
        "Runs a language model on batches of tokens (FILE or stdin; from vnp-pack) on a CUDA device: hidden states.\n\n"
        "  -m, --model PATH      model file, directory or name in the caches (default: $VNP_MODEL)\n"
        "      --fp16 | --bf16 | --tf32 | --fp32\n"
        "                        numbers (default: --fp16, with sums, softmax and norms in FP32; --fp32 is true FP32)\n"
        "      --layer N         0: the embedding, N: the output of layer N, -1: the last (default: the last)\n"
        "      --pool mean|cls|max   one vector a sequence, as vnp-pool makes it (default: one a token)\n"
        "      --all-tokens      mean or max over the special tokens too\n"
        "      --on-nonfinite fp32|fail|keep\n"
        "                        a sequence with NaN or Inf: redo it in FP32, stop, or mark it (default: fp32)\n"
        "      --compare-fp32 N  run every Nth sequence in FP32 too, and fail under --min-cosine (default: none)\n"
        "      --min-cosine X  (default: %g)\n"
        "      --device N        which GPU (default: %lld)\n"
        "      --probe           only say whether there is a GPU that will do: exit 0 or 69\n"
        "      --report          name the device and the kernels that run\n" VNP_HELP_OUTPUT VNP_HELP_COMMON
        "\nExample: vnp-fasta2tok in.fa | vnp-pack -b 8192 | vnp-gpu-forward --model DIR | vnp-pool > emb.zst\n",
        o->min_cosine, (long long)o->device);
}

static enum on_nonfinite parse_nonfinite(const char *text)
{
    static const char *const names[] = {[REDO] = "fp32", [FAIL] = "fail", [KEEP] = "keep"};
    for (int i = 0; i < 3; i++)
        if (strcmp(text, names[i]) == 0)
            return (enum on_nonfinite)i;
    vnp_die(VNP_USAGE, "--on-nonfinite: fp32, fail or keep, not %s", text);
}

static void parse(struct options *opt, struct vnp_forward *job, int argc, char **argv)
{
    enum { NONFINITE = VNP_OPT_OWN, COMPARE, MIN_COSINE, DEVICE, PROBE, REPORT };
    static const struct option table[] = {VNP_FORWARD_OPTIONS,
                                          VNP_TYPE_OPTIONS,
                                          {"on-nonfinite", required_argument, NULL, NONFINITE},
                                          {"compare-fp32", required_argument, NULL, COMPARE},
                                          {"min-cosine", required_argument, NULL, MIN_COSINE},
                                          {"device", required_argument, NULL, DEVICE},
                                          {"probe", no_argument, NULL, PROBE},
                                          {"report", no_argument, NULL, REPORT},
                                          VNP_COMMON_OPTIONS,
                                          {NULL, 0, NULL, 0}};
    int c;
    while ((c = vnp_frames_option(argc, argv, "m:hqvo:", table)) != -1)
        switch (c) {
        case NONFINITE: opt->on_nonfinite = parse_nonfinite(optarg); break;
        case COMPARE: opt->compare = vnp_option_int("--compare-fp32", optarg, 1, INT64_MAX); break;
        case MIN_COSINE: opt->min_cosine = vnp_option_double("--min-cosine", optarg, -1, 1); break;
        case DEVICE: opt->device = vnp_option_int("--device", optarg, 0, 1023); break;
        case PROBE: opt->probe = true; break;
        case REPORT: opt->report = true; break;
        default:
            if (!vnp_forward_option(c, job) && !vnp_type_option(c, &opt->type))
                vnp_common_option(c, usage);
        }
    vnp_forward_check_options(job, argc - optind);
    vnp_refuse_input(job->output, argv[optind]);
    const enum vnp_gemm_type wanted = opt->type;
    opt->type = vnp_type_allowed(wanted);
    if (opt->type != wanted)
        vnp_warn("VIRNUCPRO_DISABLE_FP16 is set: FP32 instead of %s", vnp_gpu_type_name(wanted));
}

/* --- setting up --------------------------------------------------------------------------------------------------- */

static void open_device(struct work *w)
{
    struct vnp_err err;
    if (vnp_device_open(&w->device, (int)w->opt.device, &err) != VNP_OK)
        vnp_die(err.status, "%s", err.msg);
    vnp_cuda_on_error = fail;
    vnp_telemetry_device(w->device.name);
    if (!w->opt.probe)
        return;
    vnp_info("GPU %d: %s, compute capability %d.%d, %.0f GB", w->device.index, w->device.name, w->device.major,
             w->device.minor, (double)w->device.total_bytes * 1e-9);
    exit(VNP_OK);
}

static struct vnp_gpu_net_options net_options(const struct work *w)
{
    const struct vnp_head *head = vnp_reader_head(w->job.in);
    return (struct vnp_gpu_net_options){.type = w->opt.type,
                                        .layer = w->job.layer,
                                        .pool = w->job.pool,
                                        .prefix = w->job.all_tokens ? 0 : head->prefix,
                                        .suffix = w->job.all_tokens ? 0 : head->suffix,
                                        .workspaces = VNP_WORKSPACES,
                                        .tokens = w->budget};
}

static void open_net(struct work *w)
{
    const double before = vnp_now();
    struct vnp_gpu_net_options o = net_options(w);
    struct vnp_err err;
    if (vnp_gpu_net_fits(w->job.config, &o, VNP_SLOTS, w->opt.compare > 0, &err) != VNP_OK ||
        vnp_ring_init(&w->ring, &w->budget, w->job.config->width, w->job.pool, &err) != VNP_OK)
        fail(&err);
    o.tokens = w->budget;
    if (vnp_gpu_net_open(&w->net, w->job.model, &o, &err) != VNP_OK)
        fail(&err);
    w->exact = vnp_exact_new(w->job.model, &o);
    w->check = (struct vnp_self_check){.model = w->job.model,
                                       .head = vnp_reader_head(w->job.in),
                                       .name = vnp_reader_name(w->job.in),
                                       .layer = w->job.layer,
                                       .pool = w->job.pool,
                                       .all_tokens = w->job.all_tokens,
                                       .least = w->opt.type == VNP_GEMM_BF16 ? 0.99 : VNP_SELF_CHECK_LEAST};
    vnp_log(VNP_LOG_DEBUG, "%s ready in %.2f s", w->job.config->name, vnp_now() - before);
    if (w->opt.report)
        vnp_info("GPU %d: %s, compute capability %d.%d, CUDA %d.%d\n%s", w->device.index, w->device.name,
                 w->device.major, w->device.minor, w->device.runtime / 1000, w->device.runtime % 1000 / 10,
                 vnp_gpu_net_report(w->net));
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* Thread: blocks of the stream into slots, split where they are larger than a slot. */
static void *read_all(void *ctx)
{
    struct work *w = ctx;
    const int id_bytes = vnp_reader_head(w->job.in)->token_bytes;
    struct vnp_block b;
    struct vnp_err err;
    enum vnp_status st;
    int64_t turn = 0;
    CUDA_CHECK(cudaSetDevice(w->device.index));
    while ((st = vnp_reader_next(w->job.in, &b, &err)) == VNP_OK) {
        const char *ids = b.bulk;
        int64_t at = 0, tokens;
        for (int64_t first = 0, next; first < b.n; first = next, at += tokens) {
            struct vnp_slot *s = vnp_ring_take(&w->ring, turn++, VNP_SLOT_EMPTY);
            const int64_t end = b.n - first < s->batch.cap_sequences ? b.n : first + s->batch.cap_sequences;
            tokens = b.tokens[first];
            for (next = first + 1; next < end && tokens + b.tokens[next] <= w->budget; next++)
                tokens += b.tokens[next];
            if (vnp_slot_fill(s, &b, first, next - first, ids + at * id_bytes, id_bytes,
                              (uint32_t)w->job.config->mask_id, &err) != VNP_OK)
                fail(&err);
            vnp_ring_pass(&w->ring, s, VNP_SLOT_FILLED);
        }
    }
    if (st != VNP_END)
        fail(&err);
    struct vnp_slot *s = vnp_ring_take(&w->ring, turn, VNP_SLOT_EMPTY);
    s->last = true;
    vnp_ring_pass(&w->ring, s, VNP_SLOT_FILLED);
    return NULL;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

/* Vectors that sequence i has in the output, and where they begin. */
static int64_t vectors_of(const struct work *w, const struct vnp_slot *s, int64_t i)
{
    return w->job.pool == VNP_POOL_NONE ? s->batch.cu[i + 1] - s->batch.cu[i] : 1;
}
static float *vectors_at(const struct work *w, const struct vnp_slot *s, int64_t i)
{
    return s->batch.out + (w->job.pool == VNP_POOL_NONE ? s->batch.cu[i] : i) * w->job.config->width;
}

static const float *run_exact(struct work *w, const struct vnp_slot *s, int64_t i, bool *finite)
{
    const char *ids = (const char *)s->batch.ids + (int64_t)s->batch.cu[i] * s->batch.id_bytes;
    const float *out;
    struct vnp_err err;
    if (vnp_exact_run(w->exact, ids, s->batch.id_bytes, s->rows.tokens[i], &out, finite, &err) != VNP_OK)
        fail(&err);
    return out;
}

/* Sequence i of no tokens, which the device has nothing to do with. */
static void clear(struct work *w, struct vnp_slot *s, int64_t i)
{
    memset(vectors_at(w, s, i), 0, (size_t)(vectors_of(w, s, i) * w->job.config->width) * sizeof(float));
}

/* Sequence i holds NaN or Inf: as the user wants it. */
static void handle_nonfinite(struct work *w, struct vnp_slot *s, int64_t i)
{
    struct vnp_err err;
    bool finite = false;
    const char *numbers = vnp_gpu_type_name(w->opt.type);
    if (w->opt.on_nonfinite == REDO && w->opt.type != VNP_GEMM_F32) {
        const float *exact = run_exact(w, s, i, &finite);
        memcpy(vectors_at(w, s, i), exact, (size_t)(vectors_of(w, s, i) * w->job.config->width) * sizeof *exact);
        s->rows.flags[i] |= VNP_REDONE;
        numbers = "fp32";
    }
    if (finite)
        return;
    s->rows.flags[i] |= VNP_NONFINITE;
    if (w->opt.on_nonfinite == KEEP)
        return;
    vnp_forward_nonfinite(&w->job, s->rows.ordinal[i], vnp_rows_block(&s->rows).id[i], numbers, &err);
    fail(&err);
}

/* Sequence i in FP32 too. */
static void compare(struct work *w, const struct vnp_slot *s, int64_t i)
{
    struct vnp_pair pair;
    struct vnp_err err;
    bool finite;
    const float *exact = run_exact(w, s, i, &finite);
    vnp_exact_compare(vnp_reader_head(w->job.in), w->job.pool, s->rows.tokens[i], w->job.config->width,
                      vectors_at(w, s, i), exact, &w->agreement, &pair);
    if (pair.cosine >= w->opt.min_cosine || (w->opt.on_nonfinite == KEEP && !pair.finite))
        return;
    vnp_error(&err, VNP_FAIL, "%s: record %llu: cosine %.7f between %s and FP32, under --min-cosine %g",
              vnp_reader_name(w->job.in), (unsigned long long)s->rows.ordinal[i], pair.cosine,
              vnp_gpu_type_name(w->opt.type), w->opt.min_cosine);
    fail(&err);
}

/* A DNABERT-S's first batch on the CPU too. */
static void prove(struct work *w, struct vnp_slot *s)
{
    struct vnp_err err;
    struct vnp_block b = vnp_rows_block(&s->rows);
    b.bulk = s->batch.out;
    if (w->job.config->arch == VNP_DNABERT_S && vnp_self_check(&w->check, &b, s->batch.ids, &err) != VNP_OK)
        fail(&err);
}

static void write_slot(struct work *w, struct vnp_slot *s)
{
    struct vnp_err err;
    struct vnp_block b = vnp_rows_block(&s->rows);
    const int64_t vectors = w->job.pool == VNP_POOL_NONE ? s->batch.tokens : b.n;
    b.bulk = s->batch.out;
    b.bulk_bytes = vectors * w->job.config->width * (int64_t)sizeof(float);
    pthread_mutex_lock(&output_lock);
    if (vnp_forward_write(&w->job, w->out, &b, &err) != VNP_OK)
        fail(&err);
    pthread_mutex_unlock(&output_lock);
}

/* Thread: results out of slots, in the order in which they went in. */
static void *write_all(void *ctx)
{
    struct work *w = ctx;
    CUDA_CHECK(cudaSetDevice(w->device.index));
    for (int64_t turn = 0;; turn++) {
        struct vnp_slot *s = vnp_ring_take(&w->ring, turn, VNP_SLOT_STARTED);
        if (s->last)
            return NULL;
        vnp_telemetry_work(+1);
        vnp_gpu_batch_wait(&s->batch);
        for (int64_t i = 0; i < s->batch.n; i++) {
            if (s->rows.tokens[i] == 0) {
                clear(w, s, i);
                continue;
            }
            if (s->batch.nonfinite[i])
                handle_nonfinite(w, s, i);
            if (w->opt.compare > 0 && s->rows.ordinal[i] % (uint64_t)w->opt.compare == 0)
                compare(w, s, i);
            w->flops += vnp_cpu_net_flops(w->job.config, w->job.layer, s->rows.tokens[i]);
        }
        if (s->batch.tokens > 0)
            prove(w, s);
        vnp_telemetry_work(-1);
        write_slot(w, s);
        vnp_ring_pass(&w->ring, s, VNP_SLOT_EMPTY);
        vnp_forward_progress(w->out, w->begin);
    }
}

/* --- computing ---------------------------------------------------------------------------------------------------- */

/* Starts every batch as it comes; the device is never waited for here. */
static void compute_all(struct work *w)
{
    struct vnp_err err;
    for (int64_t turn = 0;; turn++) {
        struct vnp_slot *s = vnp_ring_take(&w->ring, turn, VNP_SLOT_FILLED);
        const bool last = s->last;
        if (!last && s->batch.tokens > 0) {
            if (vnp_gpu_net_reserve(w->net, s->batch.tokens, &err) != VNP_OK)
                fail(&err);
            vnp_gpu_net_enqueue(w->net, &s->batch);
        }
        vnp_ring_pass(&w->ring, s, VNP_SLOT_STARTED);
        if (last)
            return;
    }
}

static void run(struct work *w)
{
    pthread_t reader, writer;
    struct vnp_err err;
    w->begin = vnp_now();
    if (pthread_create(&reader, NULL, read_all, w) != 0 || pthread_create(&writer, NULL, write_all, w) != 0) {
        vnp_error(&err, VNP_OS, "the system gives no threads");
        fail(&err);
    }
    compute_all(w);
    pthread_join(reader, NULL);
    pthread_join(writer, NULL);
}

static void summarise(const struct work *w)
{
    const struct vnp_totals *n = vnp_writer_totals(w->out);
    const double seconds = vnp_now() - w->begin;
    if (n->redone > 0)
        vnp_warn("%llu sequence%s did not fit %s: redone in FP32", (unsigned long long)n->redone, vnp_plural(n->redone),
                 vnp_gpu_type_name(w->opt.type));
    vnp_forward_warn_kept(w->out);
    if (w->opt.compare > 0)
        vnp_info("%lld sequence%s against FP32: cosine %.7f on average, %.7f at least; largest difference %.3g",
                 (long long)w->agreement.vectors, vnp_plural((uint64_t)w->agreement.vectors),
                 vnp_agreement_mean_cosine(&w->agreement), w->agreement.min_cosine, w->agreement.max_diff);
    vnp_log(VNP_LOG_DEBUG, "waited %.2f s for input and %.2f s for a free slot", w->ring.waited[VNP_SLOT_FILLED],
            w->ring.waited[VNP_SLOT_EMPTY]);
    vnp_info("%llu sequence%s, %llu tokens in %.1f s: %.0f tokens/s, %.1f TFLOP/s (%s, %s)",
             (unsigned long long)n->sequences, vnp_plural(n->sequences), (unsigned long long)n->tokens, seconds,
             (double)n->tokens / seconds, w->flops * 1e-12 / seconds, vnp_gpu_type_name(w->opt.type), w->device.name);
}

int main(int argc, char **argv)
{
    vnp_cpu_blas_restart(argv);
    vnp_stage_init_frames("vnp-gpu-forward");
    struct work w = {.opt = defaults, .job = VNP_FORWARD_DEFAULT};
    struct vnp_err err;
    parse(&w.opt, &w.job, argc, argv);

    open_device(&w);
    if (vnp_writer_open(&w.out, &(struct vnp_writer_options){.path = w.job.output}, &err) != VNP_OK)
        fail(&err);
    output = w.out;
    if (vnp_forward_open_model(&w.job, &err) != VNP_OK ||
        vnp_forward_open_input(&w.job, argv[optind], &err) != VNP_OK)
        fail(&err);
    w.budget = vnp_forward_budget(vnp_reader_head(w.job.in));
    open_net(&w);
    if (vnp_forward_write_head(&w.job, w.out, vnp_gpu_type_name(w.opt.type), &err) != VNP_OK)
        fail(&err);
    vnp_agreement_init(&w.agreement);
    run(&w);
    if (vnp_forward_complete(&w.job, w.out, &err) != VNP_OK)
        fail(&err);
    vnp_progress_end();
    summarise(&w);
    output = NULL;
    if (vnp_writer_finish(w.out, &err) != VNP_OK)
        fail(&err);

    vnp_agreement_free(&w.agreement);
    vnp_exact_free(w.exact);
    vnp_gpu_net_close(w.net);
    vnp_ring_free(&w.ring);
    vnp_forward_close(&w.job);
    return VNP_OK;
}
