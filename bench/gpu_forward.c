/* The forward pass alone: batches that lie on the device, 10 warm-ups, then at least --seconds of work without a pause.
 * One JSON object a stratum: total seconds first, then tokens/s, sequences/s, TFLOP/s, the device's peak memory and,
 * measured apart, microseconds a layer of each kind of step. */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_check.h"
#include "device_gpu.h"
#include "log.h"
#include "net_cpu.h"
#include "net_gpu.h"
#include "stage.h"
#include "xmalloc.h"

#define BATCHES 6
#define WARM_UPS 10

struct options {
    const char *model;
    enum vnp_gemm_type type;
    int64_t budget;
    double seconds;
    const char *strata; /* comma-separated: residues, or mix */
};

static uint64_t seed = 1;
static double uniform(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(seed >> 33) * 0x1p-31;
}

/* Tokens of the next sequence: log-normal, median 150, 20 to 1022 residues, for the mix. */
static uint32_t next_length(const char *stratum)
{
    double z = -6;
    if (strcmp(stratum, "mix") != 0)
        return (uint32_t)atoi(stratum) + 2;
    for (int i = 0; i < 12; i++)
        z += uniform();
    return (uint32_t)fmin(1022, fmax(20, exp(log(150) + 0.7 * z))) + 2;
}

/* Random proteins up to the budget, or DNA in tokens of a few bases. */
static void fill(struct vnp_gpu_batch *b, const struct vnp_model_config *c, const char *stratum, int64_t budget)
{
    uint32_t *lengths = xcalloc((size_t)budget, sizeof *lengths);
    uint8_t *ids = xmalloc((size_t)budget);
    uint16_t *wide = xmalloc((size_t)budget * sizeof *wide);
    const bool dna = c->arch == VNP_DNABERT_S;
    int64_t n = 0, tokens = 0;
    for (uint32_t length; tokens + (length = next_length(stratum)) <= budget; n++) {
        lengths[n] = length;
        for (uint32_t t = 0; t < length; t++, tokens++) {
            if (dna)
                wide[tokens] = (uint16_t)(5 + (int)(uniform() * (c->vocab - 5)));
            else
                ids[tokens] = (uint8_t)(t == 0 ? 0 : t + 1 == length ? 2 : 4 + (int)(uniform() * 20));
        }
    }
    vnp_gpu_batch_fill(b, n, lengths, dna ? (const void *)wide : ids, dna ? 2 : 1, dna ? UINT32_MAX : 32);
    free(lengths), free(ids), free(wide);
}

struct totals {
    double seconds, tokens, sequences, flops;
};

/* Batches one after the other, some of them at a time, for at least `seconds`; never more than BATCHES ahead of the device. */
static struct totals sustained(struct vnp_gpu_net *m, const struct vnp_model_config *c, struct vnp_gpu_batch *b,
                               double seconds)
{
    struct totals t = {0, 0, 0, 0};
    for (int i = 0; i < WARM_UPS; i++)
        vnp_gpu_net_compute(m, &b[i % BATCHES]);
    CUDA_CHECK(cudaDeviceSynchronize());
    const double start = vnp_now();
    for (int64_t i = 0; vnp_now() - start < seconds || i < BATCHES; i++) {
        struct vnp_gpu_batch *at = &b[i % BATCHES];
        if (i >= BATCHES)
            CUDA_CHECK(cudaEventSynchronize(at->computed));
        vnp_gpu_net_compute(m, at);
        t.tokens += (double)at->tokens, t.sequences += (double)at->n;
        for (int64_t s = 0; s < at->n; s++)
            t.flops += vnp_cpu_net_flops(c, c->layers, at->cu[s + 1] - at->cu[s]);
    }
    CUDA_CHECK(cudaDeviceSynchronize());
    t.seconds = vnp_now() - start;
    return t;
}

static void bench(struct vnp_gpu_net *m, const struct vnp_model_config *c, const struct options *o, const char *stratum,
                  struct vnp_gpu_batch *b, int64_t idle_free)
{
    double steps[VNP_STEPS] = {0};
    for (int i = 0; i < BATCHES; i++) {
        fill(&b[i], c, stratum, o->budget);
        vnp_gpu_net_upload(m, &b[i]);
    }
    CUDA_CHECK(cudaDeviceSynchronize());
    const struct totals t = sustained(m, c, b, o->seconds);
    for (int i = 0; i < BATCHES; i++)
        vnp_gpu_net_profile(m, &b[i], steps);
    printf(
        "{\"what\":\"forward\",\"model\":\"%s\",\"numbers\":\"%s\",\"stratum\":\"%s\",\"budget\":%lld,\"seconds\":%.3f,"
        "\"tokens_s\":%.0f,\"sequences_s\":%.0f,\"tflop_s\":%.1f,\"memory_gb\":%.2f,\"us_per_batch\":{",
        c->name, vnp_gpu_type_name(o->type), stratum, (long long)o->budget, t.seconds, t.tokens / t.seconds,
        t.sequences / t.seconds, t.flops / t.seconds * 1e-12, (double)(idle_free - vnp_device_free()) * 1e-9);
    const char *separator = "";
    for (int i = 0; i < VNP_STEPS; i++) {
        const char *name = vnp_gpu_net_step_name(m, (enum vnp_gpu_step)i);
        if (name)
            printf("%s\"%s\":%.1f", separator, name, steps[i] * 1e6 / BATCHES), separator = ",";
    }
    printf("}}\n");
    fflush(stdout);
}

static struct options parse(int argc, char **argv)
{
    struct options o = {.type = VNP_GEMM_F16, .budget = 16384, .seconds = 20, .strata = "50,150,300,mix"};
    int c;
    while ((c = getopt(argc, argv, "m:n:b:s:S:")) != -1)
        switch (c) {
        case 'm':
            o.model = optarg;
            break;
        case 'n':
            for (enum vnp_gemm_type t = VNP_GEMM_F16; t <= VNP_GEMM_TF32; t++)
                if (strcmp(optarg, vnp_gpu_type_name(t)) == 0)
                    o.type = t;
            break;
        case 'b':
            o.budget = vnp_option_int("-b", optarg, 2048, 1 << 20);
            break;
        case 's':
            o.seconds = vnp_option_double("-s", optarg, 0, 3600);
            break;
        case 'S':
            o.strata = optarg;
            break;
        default:
            fprintf(
                stderr,
                "usage: gpu_forward -m MODEL [-n fp16|bf16|tf32|fp32] [-b TOKENS] [-s SECONDS] [-S 50,150,300,mix]\n");
            exit(VNP_USAGE);
        }
    return o;
}

int main(int argc, char **argv)
{
    vnp_log_init("gpu_forward");
    const struct options o = parse(argc, argv);
    struct vnp_device device;
    struct vnp_model *model;
    struct vnp_gpu_net *m;
    struct vnp_gpu_batch b[BATCHES];
    struct vnp_err err;
    if (vnp_device_open(&device, 0, &err) != VNP_OK || vnp_model_open(&model, o.model, &err) != VNP_OK)
        vnp_die(err.status, "%s", err.msg);
    const struct vnp_model_config *c = vnp_model_config(model);
    const int64_t idle_free = vnp_device_free();
    const int special = c->arch == VNP_ESM2; /* at either end; DNABERT-S is pooled over all tokens */
    const struct vnp_gpu_net_options net = {.type = o.type,
                                            .layer = c->layers,
                                            .pool = VNP_POOL_MEAN,
                                            .prefix = special,
                                            .suffix = special,
                                            .workspaces = VNP_WORKSPACES,
                                            .tokens = o.budget};
    const double before = vnp_now();
    if (vnp_gpu_net_open(&m, model, &net, &err) != VNP_OK)
        vnp_die(err.status, "%s", err.msg);
    printf("{\"what\":\"load\",\"model\":\"%s\",\"numbers\":\"%s\",\"seconds\":%.2f}\n", c->name,
           vnp_gpu_type_name(o.type), vnp_now() - before);
    for (int i = 0; i < BATCHES; i++)
        if (vnp_gpu_batch_init(&b[i], o.budget, o.budget / 2 + 1, c->width, VNP_POOL_MEAN, &err) != VNP_OK)
            vnp_die(err.status, "%s", err.msg);
    char *strata = xstrdup(o.strata);
    for (char *save, *s = strtok_r(strata, ",", &save); s; s = strtok_r(NULL, ",", &save))
        bench(m, c, &o, s, b, idle_free);
    free(strata);
    for (int i = 0; i < BATCHES; i++)
        vnp_gpu_batch_free(&b[i]);
    vnp_gpu_net_close(m);
    vnp_model_close(model);
    return 0;
}
