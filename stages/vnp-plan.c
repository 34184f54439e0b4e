/* vnp-plan: what a run over a stream of batches will take, without running it. See man/vnp-plan.1. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "census.h"
#include "cpu_blas.h"
#include "forward_options.h"
#include "gpu_memory.h"
#include "gpu_speed.h"
#include "net_cpu.h"
#include "output.h"
#include "parallel.h"
#include "plan_show.h"
#include "stage.h"
#include "xmalloc.h"

#define TRIAL_SECONDS 0.3
#define TRIAL_FLOPS 5e9    /* of a trial's batch, for each thread: a twentieth of a second or so */
#define ZSTD_LEAVES 0.92   /* of float32 at level 1: bench/NOTES.md */
#define ROW_BYTES 32       /* of the output beside vectors and id: the columns of vnp-frames(5) */
#define PROGRAM_BYTES 10e6 /* of vnp-cpu-forward beside weights and batch, and for each thread OpenBLAS's buffer */
#define THREAD_BYTES 0.5e6

enum { ON_CPU = 1, ON_GPU = 2 };

struct options {
    int devices; /* ON_CPU, ON_GPU, or both */
    enum vnp_gemm_type type;
    bool typed;            /* type was given */
    const char *nonfinite; /* --on-nonfinite, or NULL */
    int64_t threads, gpus;
    double gpu_memory, tflops; /* GiB, TFLOP/s; 0: not given */
    enum vnp_pool pool;
    enum vnp_dtype dtype;
    bool plain, json;
};

struct work {
    struct options opt;
    struct vnp_forward job; /* its output NULL: don't look at the disk */
    struct vnp_census census;
    struct vnp_plan plan;
};

static struct options defaults(void)
{
    return (struct options){.devices = ON_CPU | ON_GPU,
                            .type = VNP_GEMM_F16,
                            .threads = vnp_cpu_count(),
                            .gpus = 1,
                            .pool = VNP_POOL_MEAN,
                            .dtype = VNP_F32};
}

static void usage(FILE *to)
{
    fprintf(to,
            "usage: vnp-plan [options] [FILE]\n"
            "What a run over batches from vnp-pack (FILE or stdin) will take: tokens, memory, disk, time.\n"
            "\n"
            "  -m, --model PATH      model file, directory or name in the caches (default: $VNP_MODEL)\n"
            "  -d, --device cpu|gpu  for this one alone (default: both)\n"
            "      --gpus N          share the work among N GPUs (default: 1)\n"
            "      --gpu-memory GIB  say whether the batches fit\n"
            "      --tflops X        the time on a device that sustains X TFLOP/s: a GPU, with --device cpu the CPU\n"
            "  -o, --output FILE     where the run will write: say whether there is room (-: it writes to a pipe)\n"
            "      --json            as JSON\n"
            "Of the run, as the forward stages and vnp-pool have them:\n"
            "      --fp16 | --bf16 | --tf32 | --fp32\n"
            "      --layer N\n"
            "      --threads N       (default: %lld)\n"
            "      --on-nonfinite HOW, --all-tokens, --level N\n"
            "                        taken, and of no weight here\n"
            "      --mean | --cls | --max | --none\n"
            "      --f32, --f16, --plain\n" VNP_HELP_COMMON,
            (long long)defaults().threads);
}

enum {
    GPUS = VNP_OPT_OWN,
    GPU_MEMORY,
    TFLOPS,
    JSON,
    THREADS,
    F32,
    F16,
    PLAIN,
    NONFINITE,
    IGNORED,
    POOL /* and an enum vnp_pool */
};

static int device_named(const char *name)
{
    if (strcmp(name, "cpu") != 0 && strcmp(name, "gpu") != 0)
        vnp_die(VNP_USAGE, "--device: cpu or gpu, not %s", name);
    return name[0] == 'c' ? ON_CPU : ON_GPU;
}

static void set_option(struct options *o, struct vnp_forward *job, int c)
{
    switch (c) {
    case 'd':
        o->devices = device_named(optarg);
        break;
    case GPUS:
        o->gpus = vnp_option_int("--gpus", optarg, 1, 1000000);
        break;
    case GPU_MEMORY:
        o->gpu_memory = vnp_option_double("--gpu-memory", optarg, 0.001, 1e6);
        break;
    case TFLOPS:
        o->tflops = vnp_option_double("--tflops", optarg, 1e-6, 1e9);
        break;
    case JSON:
        o->json = true;
        break;
    case THREADS:
        o->threads = vnp_option_threads(optarg);
        break;
    case F32:
        o->dtype = VNP_F32;
        break;
    case F16:
        o->dtype = VNP_F16;
        break;
    case PLAIN:
        o->plain = true;
        break;
    case NONFINITE:
        o->nonfinite = optarg;
        break;
    case IGNORED:
        break;
    default:
        if (vnp_type_option(c, &o->type))
            o->typed = true;
        else if (c >= POOL && c <= POOL + VNP_POOL_NONE)
            o->pool = (enum vnp_pool)(c - POOL);
        else if (!vnp_forward_option(c, job))
            vnp_common_option(c, usage);
    }
}

/* As the forward stages do, of which that on the CPU has nothing to redo in FP32. */
static void check_nonfinite(const struct options *o)
{
    const char *how = o->nonfinite;
    const bool cpu = o->devices == ON_CPU;
    if (how != NULL && strcmp(how, "fail") != 0 && strcmp(how, "keep") != 0 && (cpu || strcmp(how, "fp32") != 0))
        vnp_die(VNP_USAGE, "--on-nonfinite: %sfail or keep, not %s", cpu ? "" : "fp32, ", how);
}

static struct options parse(struct vnp_forward *job, int argc, char **argv)
{
    static const struct option table[] = {VNP_MODEL_OPTIONS,
                                          {"device", required_argument, NULL, 'd'},
                                          {"gpus", required_argument, NULL, GPUS},
                                          {"gpu-memory", required_argument, NULL, GPU_MEMORY},
                                          {"tflops", required_argument, NULL, TFLOPS},
                                          {"json", no_argument, NULL, JSON},
                                          VNP_TYPE_OPTIONS,
                                          {"threads", required_argument, NULL, THREADS},
                                          {"on-nonfinite", required_argument, NULL, NONFINITE},
                                          {"all-tokens", no_argument, NULL, IGNORED},
                                          {"level", required_argument, NULL, IGNORED},
                                          {"mean", no_argument, NULL, POOL + VNP_POOL_MEAN},
                                          {"cls", no_argument, NULL, POOL + VNP_POOL_CLS},
                                          {"max", no_argument, NULL, POOL + VNP_POOL_MAX},
                                          {"none", no_argument, NULL, POOL + VNP_POOL_NONE},
                                          {"f32", no_argument, NULL, F32},
                                          {"f16", no_argument, NULL, F16},
                                          {"plain", no_argument, NULL, PLAIN},
                                          VNP_COMMON_OPTIONS,
                                          {NULL, 0, NULL, 0}};
    struct options o = defaults();
    int c;
    while ((c = getopt_long(argc, argv, "m:d:hqvo:", table, NULL)) != -1)
        set_option(&o, job, c);
    vnp_forward_check_options(job, argc - optind);
    if (o.devices == ON_CPU && o.typed && o.type != VNP_GEMM_F32)
        vnp_die(VNP_USAGE, "--%s needs a GPU: the CPU computes in FP32", vnp_gpu_type_name(o.type));
    check_nonfinite(&o);
    o.type = vnp_type_allowed(o.type);
    return o;
}

/* --- the output, the stream and the model ------------------------------------------------------------------------- */

/* Bytes free in the file system where the run will write `path`; what can't be a file there is told now. */
static int64_t room(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct statvfs fs;
    struct stat there;
    if (path[0] == '\0')
        vnp_die(VNP_CANTCREAT, "the output's name is empty");
    char *folder = xasprintf("%.*s.", slash != NULL ? (int)(slash + 1 - path) : 0, path);
    const bool is_folder = stat(path, &there) == 0 && S_ISDIR(there.st_mode);
    if (is_folder || (statvfs(path, &fs) != 0 && statvfs(folder, &fs) != 0))
        vnp_die(VNP_CANTCREAT, "%s: can't be created: %s", path, strerror(is_folder ? EISDIR : errno));
    free(folder);
    return (int64_t)(fs.f_bavail * fs.f_frsize);
}

static void look_at_output(struct vnp_plan *p, const char *path)
{
    p->on_disk = path == NULL || strcmp(path, "-") != 0;
    p->free_bytes = path != NULL && p->on_disk ? room(path) : -1;
}

static void open_all(struct work *w, const char *path)
{
    struct vnp_err err;
    if (vnp_forward_open_model(&w->job, &err) != VNP_OK || vnp_forward_open_input(&w->job, path, &err) != VNP_OK)
        vnp_stage_fail(NULL, &err);
    struct vnp_plan *p = &w->plan;
    p->model = w->job.config;
    p->layer = w->job.layer;
    p->census = &w->census;
    p->budget = (uint64_t)vnp_forward_budget_said(vnp_reader_head(w->job.in));
}

static void count(struct work *w)
{
    struct vnp_block b;
    struct vnp_err err;
    enum vnp_status st;
    while ((st = vnp_reader_next(w->job.in, &b, &err)) == VNP_OK) {
        vnp_census_add(&w->census, &b, w->plan.budget);
        for (int64_t i = 0; i < b.n; i++)
            w->plan.flops += vnp_cpu_net_flops(w->plan.model, w->plan.layer, b.tokens[i]);
    }
    if (st != VNP_END)
        vnp_stage_fail(NULL, &err);
}

/* --- estimates ---------------------------------------------------------------------------------------------------- */

static void warn(struct vnp_plan *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void warn(struct vnp_plan *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (p->n_warnings < VNP_PLAN_WARNINGS)
        vsnprintf(p->warning[p->n_warnings++], sizeof *p->warning, fmt, ap);
    va_end(ap);
}

static void plan_gpu(struct work *w)
{
    struct vnp_plan *p = &w->plan;
    const double there = w->opt.gpu_memory * 1073741824;
    const int64_t largest = (int64_t)w->census.largest_batch;
    struct vnp_plan_device *g = &p->gpu;
    const int64_t budget = vnp_forward_budget(vnp_reader_head(w->job.in));
    p->gpu_tokens = largest > budget ? largest : budget;
    struct vnp_gpu_net_options o = {.type = w->opt.type,
                                    .layer = p->layer,
                                    .pool = VNP_POOL_NONE,
                                    .workspaces = VNP_WORKSPACES,
                                    .tokens = p->gpu_tokens};
    const struct vnp_gpu_memory m =
        vnp_gpu_memory_fit(p->model, &o, VNP_SLOTS, false, there > 0 ? (int64_t)there : INT64_MAX);
    g->weights = m.weights;
    g->batches = m.per_token * p->gpu_tokens;
    g->other = m.margin;
    const bool measured = w->opt.type == VNP_GEMM_F16 || w->opt.type == VNP_GEMM_BF16;
    g->tflops = measured ? vnp_gpu_h200_tflops(p->model, (int64_t)p->budget) : -1;
    g->seconds = g->tflops > 0 ? p->flops * 1e-12 / g->tflops / p->gpus : -1;
    if (g->given_tflops > 0)
        g->given_seconds = p->flops * 1e-12 / g->given_tflops / p->gpus;
    if (there <= 0 || (double)(g->weights + g->batches + g->other) <= there)
        return;
    const int64_t fits = vnp_gpu_memory_tokens(&m, (int64_t)there);
    if (fits < 1024)
        warn(p, "the model in %s takes %.1f GB of the GPU's memory before any batch, and there are %.1f GB", p->numbers,
             (double)(m.weights + m.margin) * 1e-9, there * 1e-9);
    else if (p->gpu_tokens > (int64_t)p->budget && fits >= (int64_t)p->budget)
        warn(p, "a record of %lld tokens does not fit %.1f GB of the GPU's memory: cut it, or take it in windows",
             (long long)p->gpu_tokens, there * 1e-9);
    else
        warn(p, "batches of %lld tokens do not fit %.1f GB of the GPU's memory: vnp-pack -b %lld does",
             (long long)p->gpu_tokens, there * 1e-9, (long long)fits);
}

/* Runs a layer over rows as long as the stream's, and as many as there are in a batch, or fewer where that takes long.
 */
static void try_cpu(struct work *w)
{
    struct vnp_plan *p = &w->plan;
    const struct vnp_census *c = &w->census;
    struct vnp_cpu_threads *threads = vnp_cpu_threads_new((int)w->opt.threads);
    uint32_t *rows = NULL;
    struct vnp_err err;
    double flops = 0, flops_s = 0;
    uint64_t tokens = 0;
    int64_t n = 0;
    if (threads == NULL)
        vnp_die(VNP_OS, "the system gives no %lld threads: try fewer with --threads", (long long)w->opt.threads);
    do {
        const uint32_t row = vnp_census_sampled(c, n);
        rows = xreallocarray(rows, (size_t)n + 1, sizeof *rows);
        rows[n++] = row;
        tokens += row;
        flops += vnp_cpu_net_flops(p->model, 1, row);
    } while (flops < TRIAL_FLOPS * (double)w->opt.threads && tokens < c->largest_batch);
    if (vnp_cpu_net_trial(p->model, threads, rows, n, TRIAL_SECONDS, &flops_s, &err) != VNP_OK)
        vnp_stage_fail(NULL, &err);
    p->cpu.tflops = flops_s * 1e-12;
    vnp_cpu_threads_free(threads);
    free(rows);
}

static void plan_cpu(struct work *w)
{
    struct vnp_plan *p = &w->plan;
    struct vnp_plan_device *d = &p->cpu;
    d->weights = vnp_cpu_net_weights_bytes(w->job.model);
    d->batches =
        vnp_cpu_net_batch_bytes(p->model, (int64_t)w->census.largest_batch, (int64_t)w->census.longest_row, p->threads);
    d->other = (int64_t)(PROGRAM_BYTES + THREAD_BYTES * p->threads);
    if (d->given_tflops > 0) {
        d->given_seconds = p->flops * 1e-12 / d->given_tflops;
        return;
    }
    d->seconds = 0;
    if (p->flops <= 0)
        return;
    try_cpu(w);
    d->seconds = p->flops * 1e-12 / d->tflops;
}

static void plan_disk(struct work *w)
{
    const struct vnp_census *c = &w->census;
    struct vnp_plan *p = &w->plan;
    const double vectors = (double)(w->opt.pool == VNP_POOL_NONE ? c->kept : c->records);
    const double bulk = vectors * p->model->width * (double)vnp_dtype_bytes(p->dtype);
    const double beside = (double)c->records * ROW_BYTES + (double)c->id_bytes;
    p->output_bytes = bulk * (p->zstd && p->dtype == VNP_F32 ? ZSTD_LEAVES : 1) + beside;
    p->token_bytes = (double)c->tokens * vnp_reader_head(w->job.in)->token_bytes + beside;
    p->block_bytes = p->output_bytes;
    if (p->free_bytes < 0)
        return;
    const double all = p->output_bytes + p->token_bytes + p->block_bytes;
    char need[VNP_PLAN_TEXT], have[VNP_PLAN_TEXT];
    vnp_plan_bytes(have, (double)p->free_bytes);
    if (p->output_bytes > (double)p->free_bytes)
        warn(p, "the output takes about %s, and %s are free where it goes", vnp_plan_bytes(need, p->output_bytes),
             have);
    else if (all > (double)p->free_bytes)
        warn(p, "a resumable run takes about %s while it is at work, and %s are free where the output goes",
             vnp_plan_bytes(need, all), have);
}

static void make_plan(struct work *w)
{
    struct vnp_plan *p = &w->plan;
    const struct vnp_plan_device unknown = {.tflops = -1, .seconds = -1, .given_tflops = -1, .given_seconds = -1};
    p->gpu = p->cpu = unknown;
    p->gpu.shown = w->opt.devices & ON_GPU;
    p->cpu.shown = w->opt.devices & ON_CPU;
    if (w->opt.tflops > 0)
        *(p->gpu.shown ? &p->gpu.given_tflops : &p->cpu.given_tflops) = w->opt.tflops;
    p->numbers = vnp_gpu_type_name(w->opt.type);
    p->gpus = (int)w->opt.gpus;
    p->threads = (int)w->opt.threads;
    p->pool = w->opt.pool;
    p->dtype = w->opt.dtype;
    p->zstd = !w->opt.plain;
    if (p->gpu.shown)
        plan_gpu(w);
    if (p->cpu.shown)
        plan_cpu(w);
    plan_disk(w);
    if (w->census.untrained > 0 && p->model->arch == VNP_ESM2)
        warn(p, "%llu sequence%s longer than the %d residues that ESM-2 was trained on: think of --window",
             (unsigned long long)w->census.untrained, w->census.untrained == 1 ? " is" : "s are", VNP_ESM2_TRAINED);
}

int main(int argc, char **argv)
{
    vnp_cpu_blas_restart(argv);
    vnp_stage_init("vnp-plan");
    struct work w = {.job = VNP_FORWARD_DEFAULT};
    w.opt = parse(&w.job, argc, argv);
    struct vnp_text text = {0};
    struct vnp_err err;
    look_at_output(&w.plan, w.job.output);
    open_all(&w, argv[optind]);
    count(&w);
    make_plan(&w);
    (w.opt.json ? vnp_plan_show_json : vnp_plan_show)(&text, &w.plan);
    if (vnp_stdout_write(text.p, text.n, &err) != VNP_OK || vnp_stdout_close(&err) != VNP_OK)
        vnp_stage_fail(NULL, &err);
    free(text.p);
    vnp_forward_close(&w.job);
    return VNP_OK;
}
