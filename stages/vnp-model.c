/* vnp-model: look into model files, check them, make them, convert them, fetch them. See vnp-model(1). */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "classifier_write.h"
#include "fetch.h"
#include "log.h"
#include "model.h"
#include "model_detail.h"
#include "model_show.h"
#include "model_verify.h"
#include "model_write.h"
#include "output.h"
#include "stage.h"
#include "synth.h"
#include "xmalloc.h"

enum { OPT_JSON = VNP_OPT_OWN, OPT_SEED, OPT_OUTLIERS, OPT_DTYPE, OPT_FORCE, OPT_DIR, OPT_LIST_FILE };

/* Defaults here are the ones that --help prints. */
struct options {
    bool list, json, outliers, force;
    int64_t seed;
    const char *dtype;        /* f32, f16, bf16 */
    const char *output;       /* directory */
    const char *dir, *models; /* fetch: where to, and the list */
};
static const struct options defaults = {.seed = 1, .dtype = "f32"};

static void usage(FILE *f)
{
    fprintf(f,
            "usage: vnp-model inspect [-l] [--json] [MODEL]\n"
            "       vnp-model verify [MODEL]\n"
            "       vnp-model synth SHAPE -o DIR [--seed N] [--outliers] [--dtype TYPE]\n"
            "       vnp-model convert MODEL -o DIR [--dtype TYPE] [--force]\n"
            "       vnp-model fetch NAME [--dir DIR] [--models FILE]\n"
            "MODEL is a Hugging Face directory, a .safetensors or torch file, or a name in their caches; without it,\n"
            "$VNP_MODEL. SHAPE is 8M, 35M, 150M, 650M, 3B, 15B or LAYERSxHEADSxWIDTH; dnabert-s[:LAYERSxHEADSxWIDTH];\n"
            "classifier[:WIDTH[xHIDDEN]].\n"
            "  -l, --list            list every tensor\n"
            "      --json            as JSON\n"
            "  -o, --output DIR      where to write: a directory that does not exist yet, or is empty\n"
            "      --seed N          of the numbers (default: %" PRId64 ")\n"
            "      --outliers        with a few massive channels, as large trained models have\n"
            "      --dtype TYPE      f32, f16 or bf16 (default: %s)\n"
            "      --force           put the largest value in the place of those that TYPE can't hold\n"
            "      --dir DIR         where to put what is fetched (default: the cache of Hugging Face)\n"
            "      --models FILE     a list of files and their SHA-256 instead of the built-in one\n"
            VNP_HELP_COMMON,
            defaults.seed, defaults.dtype);
}

static struct options parse(int argc, char **argv)
{
    static const struct option table[] = {{"list", no_argument, NULL, 'l'},
                                          {"json", no_argument, NULL, OPT_JSON},
                                          {"seed", required_argument, NULL, OPT_SEED},
                                          {"outliers", no_argument, NULL, OPT_OUTLIERS},
                                          {"dtype", required_argument, NULL, OPT_DTYPE},
                                          {"force", no_argument, NULL, OPT_FORCE},
                                          {"dir", required_argument, NULL, OPT_DIR},
                                          {"models", required_argument, NULL, OPT_LIST_FILE},
                                          VNP_COMMON_OPTIONS,
                                          {0}};
    struct options opt = defaults;
    for (int c; (c = getopt_long(argc, argv, "lhqvo:", table, NULL)) != -1;)
        switch (c) {
        case 'l':
            opt.list = true;
            break;
        case OPT_JSON:
            opt.json = true;
            break;
        case OPT_SEED:
            opt.seed = vnp_option_int("--seed", optarg, 0, INT64_MAX);
            break;
        case OPT_OUTLIERS:
            opt.outliers = true;
            break;
        case OPT_DTYPE:
            opt.dtype = optarg;
            break;
        case OPT_FORCE:
            opt.force = true;
            break;
        case OPT_DIR:
            opt.dir = optarg;
            break;
        case OPT_LIST_FILE:
            opt.models = optarg;
            break;
        case 'o':
            opt.output = optarg;
            break;
        default:
            vnp_common_option(c, usage);
        }
    vnp_refuse_stdout(opt.output);
    return opt;
}

static enum vnp_dtype dtype_named(const char *name)
{
    for (int d = VNP_F32; d <= VNP_BF16; d++)
        if (strcmp(name, vnp_dtype_name((enum vnp_dtype)d)) == 0)
            return (enum vnp_dtype)d;
    vnp_die(VNP_USAGE, "--dtype: not f32, f16 or bf16: %s", name);
}

static struct vnp_model *open_or_die(const char *path)
{
    struct vnp_err err;
    struct vnp_model *m;
    if (vnp_model_open(&m, path, &err) != VNP_OK)
        vnp_stage_fail(NULL, &err);
    return m;
}

static void print_or_die(const struct vnp_text *t)
{
    struct vnp_err err;
    if (vnp_stdout_write(t->p, t->n, &err) != VNP_OK)
        vnp_die(err.status, "%s", err.msg);
}

/* NULL when the model is no classifier. */
static struct vnp_classifier *open_classifier(const char *path)
{
    struct vnp_classifier *c = NULL;
    struct vnp_err err;
    bool is;
    enum vnp_status st = vnp_classifier_is(&is, path, &err);
    if (st == VNP_OK && is)
        st = vnp_classifier_open(&c, path, &err);
    if (st != VNP_OK)
        vnp_stage_fail(NULL, &err);
    return c;
}

static int run_inspect(const struct options *opt, const char *path)
{
    struct vnp_classifier *c = open_classifier(path);
    if (c != NULL) {
        struct vnp_text t = {0};
        vnp_classifier_show(&t, c, opt->list, opt->json);
        print_or_die(&t);
        free(t.p);
        vnp_classifier_close(c);
        return VNP_OK;
    }
    struct vnp_model *m = open_or_die(path);
    struct vnp_text t = {0};
    (opt->json ? vnp_model_show_json : vnp_model_show)(&t, m, opt->list);
    print_or_die(&t);
    free(t.p);
    vnp_model_close(m);
    return VNP_OK;
}

static int run_verify(const struct options *opt, const char *path)
{
    (void)opt;
    struct vnp_classifier *classifier = open_classifier(path);
    if (classifier != NULL) {
        struct vnp_text t = {0};
        vnp_text_plain(&t, classifier->name, strlen(classifier->name));
        vnp_text_printf(&t, ": a classifier, %d tensors, %" PRId64 " values, all finite, fingerprint %s\n",
                        VNP_CLASSIFIER_TENSORS, classifier->parameters, classifier->fingerprint);
        print_or_die(&t);
        free(t.p);
        vnp_classifier_close(classifier);
        return VNP_OK;
    }
    struct vnp_model *m = open_or_die(path);
    const struct vnp_model_config *c = vnp_model_config(m);
    struct vnp_verified *results = xcalloc(vnp_model_tensors(m), sizeof *results);
    const uint32_t crc = vnp_model_verify(m, results);
    int tensors = 0, bad = 0;
    for (size_t i = 0; i < vnp_model_tensors(m); i++) {
        const struct vnp_verified *r = &results[i];
        tensors += r->tensor != NULL;
        if (r->bad == 0)
            continue;
        bad++;
        vnp_log(VNP_LOG_ERROR, "%s: tensor %.200s: %" PRId64 " values are NaN or infinite, the first at index %" PRId64,
                vnp_model_file_of(m, r->tensor), r->tensor->name, r->bad, r->first_bad);
    }
    if (bad == 0) {
        struct vnp_text t = {0};
        vnp_text_plain(&t, c->name, strlen(c->name));
        vnp_text_printf(&t, ": %d tensors, %" PRId64 " values, all finite, crc32 %08" PRIx32 ", fingerprint %s\n",
                        tensors, c->parameters, crc, c->fingerprint);
        print_or_die(&t);
        free(t.p);
    }
    free(results);
    vnp_model_close(m);
    return bad ? VNP_DATA : VNP_OK;
}

static void write_or_die(const struct vnp_model_write *w)
{
    struct vnp_model_written done;
    struct vnp_err err;
    const double start = vnp_now();
    if (vnp_model_write(w, &done, &err) != VNP_OK)
        vnp_stage_fail(NULL, &err);
    if (done.overflowed > 0)
        vnp_warn("%" PRIu64 " values were too large for %s; its largest stands in their place", done.overflowed,
                 vnp_dtype_name(w->dtype));
    vnp_info("%s: %" PRId64 " parameters, %.1f MB in %.1f s", w->dir, w->config->parameters, (double)done.bytes / 1e6,
             vnp_now() - start);
}

/* Classifiers are small, and float32 alone. */
static int classifier_written(const struct options *opt, enum vnp_status st, uint64_t bytes, const struct vnp_err *err)
{
    if (st != VNP_OK)
        vnp_stage_fail(NULL, err);
    vnp_info("%s: a classifier, %.1f MB", opt->output, (double)bytes / 1e6);
    return VNP_OK;
}

static void want_f32(const struct options *opt)
{
    if (dtype_named(opt->dtype) != VNP_F32)
        vnp_die(VNP_USAGE, "--dtype %s: a classifier is written as f32", opt->dtype);
}

static int synth_classifier(const struct options *opt, int width, int hidden)
{
    struct vnp_err err;
    uint64_t bytes;
    want_f32(opt);
    const enum vnp_status st = vnp_classifier_synth(opt->output, width, hidden, (uint64_t)opt->seed, &bytes, &err);
    return classifier_written(opt, st, bytes, &err);
}

static int run_synth(const struct options *opt, const char *shape)
{
    struct vnp_synth synth;
    struct vnp_err err;
    bool is_classifier;
    int width, hidden;
    if (vnp_classifier_shape(&is_classifier, &width, &hidden, shape, &err) != VNP_OK)
        vnp_stage_fail(NULL, &err);
    if (is_classifier)
        return synth_classifier(opt, width, hidden);
    if (vnp_synth_init(&synth, shape, (uint64_t)opt->seed, opt->outliers, &err) != VNP_OK)
        vnp_stage_fail(NULL, &err);
    write_or_die(&(struct vnp_model_write){.dir = opt->output,
                                           .config = &synth.config,
                                           .dtype = dtype_named(opt->dtype),
                                           .saturate = opt->force,
                                           .fill = vnp_synth_fill,
                                           .ctx = &synth});
    return VNP_OK;
}

static void copy_values(void *model, enum vnp_role role, int layer, int64_t first, int64_t count, float *dst)
{
    vnp_tensor_f32(vnp_model_tensor(model, role, layer), first, count, dst);
}

static int run_convert(const struct options *opt, const char *path)
{
    struct vnp_classifier *c = open_classifier(path);
    if (c != NULL) {
        struct vnp_err err;
        uint64_t bytes;
        want_f32(opt);
        const enum vnp_status st = vnp_classifier_write(opt->output, c, &bytes, &err);
        vnp_classifier_close(c);
        return classifier_written(opt, st, bytes, &err);
    }
    struct vnp_model *m = open_or_die(path);
    write_or_die(&(struct vnp_model_write){.dir = opt->output,
                                           .config = vnp_model_config(m),
                                           .tokenizer = vnp_model_tokenizer(m),
                                           .dtype = dtype_named(opt->dtype),
                                           .saturate = opt->force,
                                           .fill = copy_values,
                                           .ctx = m});
    vnp_model_close(m);
    return VNP_OK;
}

static int run_fetch(const struct options *opt, const char *name)
{
    const char *base = getenv("VNP_FETCH_BASE");
    struct vnp_err err;
    char *path;
    const struct vnp_fetch fetch = {.model = name,
                                    .list = opt->models,
                                    .base = base != NULL && base[0] != '\0' ? base : "https://huggingface.co",
                                    .dir = opt->dir};
    if (vnp_fetch_model(&fetch, &path, &err) != VNP_OK)
        vnp_stage_fail(NULL, &err);
    vnp_info("%s is in %s", name, path);
    free(path);
    return VNP_OK;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(const struct options *, const char *operand);
        bool needs_operand, needs_output;
    } commands[] = {{"inspect", run_inspect, false, false},
                    {"verify", run_verify, false, false},
                    {"synth", run_synth, true, true},
                    {"convert", run_convert, true, true},
                    {"fetch", run_fetch, true, false}};
    vnp_stage_init("vnp-model");
    const struct options opt = parse(argc, argv);
    const int operands = argc - optind - 1;
    if (operands < 0)
        vnp_die(VNP_USAGE, "say what to do: inspect, verify, synth, convert or fetch; see --help");
    const char *const command = argv[optind];
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(command, commands[i].name) != 0)
            continue;
        if (operands > 1 || (operands == 0 && commands[i].needs_operand))
            vnp_die(VNP_USAGE, "%s: takes one model or shape, not %d; see --help", command, operands);
        if (commands[i].needs_output && opt.output == NULL)
            vnp_die(VNP_USAGE, "%s: say where to with -o DIR", command);
        return commands[i].run(&opt, operands ? argv[optind + 1] : NULL);
    }
    vnp_die(VNP_USAGE, "%s: no such command: there are inspect, verify, synth, convert and fetch; see --help", command);
}
