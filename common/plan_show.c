#include "plan_show.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

const char *vnp_plan_bytes(char text[VNP_PLAN_TEXT], double bytes)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    int i = 0;
    for (; i < 4 && bytes >= 999.5; i++)
        bytes /= 1000;
    snprintf(text, VNP_PLAN_TEXT, "%.*f %s", i == 0 || bytes >= 99.95 ? 0 : bytes >= 9.995 ? 1 : 2, bytes, units[i]);
    return text;
}

const char *vnp_plan_time(char text[VNP_PLAN_TEXT], double seconds)
{
    const double whole = floor(seconds + 0.5);
    if (seconds < 9.95)
        snprintf(text, VNP_PLAN_TEXT, seconds < 0.0995 ? "%.2g s" : "%.1f s", seconds);
    else if (whole < 100)
        snprintf(text, VNP_PLAN_TEXT, "%.0f s", seconds);
    else if (whole < 3600)
        snprintf(text, VNP_PLAN_TEXT, "%.0f min %.0f s", floor(whole / 60), fmod(whole, 60));
    else if (whole < 86400)
        snprintf(text, VNP_PLAN_TEXT, "%.0f h %.0f min", floor(whole / 3600), floor(fmod(whole, 3600) / 60));
    else
        snprintf(text, VNP_PLAN_TEXT, "%.0f d %.0f h", floor(whole / 86400), floor(fmod(whole, 86400) / 3600));
    return text;
}

static const char *architecture(const struct vnp_model_config *m)
{
    return m->arch == VNP_ESM2 ? "ESM-2" : "DNABERT-S";
}

static double mean(uint64_t sum, uint64_t n)
{
    return n ? (double)sum / (double)n : 0;
}

/* --- for people --------------------------------------------------------------------------------------------------- */

static void show_input(struct vnp_text *out, const struct vnp_plan *p)
{
    const struct vnp_census *c = p->census;
    vnp_text_printf(out,
                    "input       %" PRIu64 " sequence%s, %" PRIu64 " %s; %" PRIu64 " to %" PRIu64 ", %.1f on average\n",
                    c->records, vnp_plural(c->records), c->residues, p->model->arch == VNP_ESM2 ? "residues" : "bases",
                    c->shortest, c->longest, mean(c->residues, c->records));
    if (c->windowed > 0)
        vnp_text_printf(out, "            %" PRIu64 " in windows, %" PRIu64 " of them\n", c->windowed,
                        c->rows - (c->records - c->windowed));
    vnp_text_printf(out, "            %" PRIu64 " truncated, %" PRIu64 " empty\n", c->truncated, c->empty);
    vnp_text_printf(out, "batches     %" PRIu64 " tokens in %" PRIu64 "; %.1f%% of the budget of %" PRIu64 " used",
                    c->tokens, c->batches + c->oversize, 100 * vnp_census_used(c, p->budget), p->budget);
    if (c->oversize > 0)
        vnp_text_printf(out, "; %" PRIu64 " over the budget alone, up to %" PRIu64, c->oversize, c->longest_row);
    vnp_text_str(out, "\n");
}

static void show_model(struct vnp_text *out, const struct vnp_plan *p)
{
    const struct vnp_model_config *m = p->model;
    vnp_text_str(out, "model       ");
    vnp_text_plain(out, m->name, strlen(m->name));
    vnp_text_printf(out, ": %s, %d layers of %d, %.3g million parameters\n",
                    architecture(m), m->layers, m->width, (double)m->parameters * 1e-6);
    vnp_text_printf(out, "compute     %.3g TFLOP to layer %d\n", p->flops * 1e-12, p->layer);
}

static void show_memory(struct vnp_text *out, const char *label, const struct vnp_plan_device *d, const char *batches)
{
    char a[VNP_PLAN_TEXT], b[VNP_PLAN_TEXT], c[VNP_PLAN_TEXT], e[VNP_PLAN_TEXT];
    vnp_text_printf(out, "%s  %s: weights %s, %s %s, other %s\n", label,
                    vnp_plan_bytes(a, (double)(d->weights + d->batches + d->other)),
                    vnp_plan_bytes(b, (double)d->weights), batches, vnp_plan_bytes(c, (double)d->batches),
                    vnp_plan_bytes(e, (double)d->other));
}

static void show_gpu(struct vnp_text *out, const struct vnp_plan *p)
{
    const struct vnp_plan_device *g = &p->gpu;
    char text[VNP_PLAN_TEXT], batches[64];
    snprintf(batches, sizeof batches, "batches of %" PRId64 " tokens in %s", p->gpu_tokens, p->numbers);
    show_memory(out, "GPU memory", g, batches);
    vnp_text_str(out, "GPU time    ");
    if (g->seconds >= 0 && p->gpus == 1)
        vnp_text_printf(out, "about %s on one NVIDIA H200 (%.0f TFLOP/s)", vnp_plan_time(text, g->seconds), g->tflops);
    else if (g->seconds >= 0)
        vnp_text_printf(out, "about %s on %d NVIDIA H200 (%.0f TFLOP/s each)", vnp_plan_time(text, g->seconds), p->gpus,
                        g->tflops);
    else if (g->given_seconds < 0)
        vnp_text_printf(out, "not known: no %s was measured in %s; give --tflops", architecture(p->model), p->numbers);
    if (g->given_seconds >= 0)
        vnp_text_printf(out, "%sabout %s at %.4g TFLOP/s%s", g->seconds >= 0 ? "; " : "",
                        vnp_plan_time(text, g->given_seconds), g->given_tflops, p->gpus > 1 ? " each" : "");
    vnp_text_str(out, "\n");
}

static void show_cpu(struct vnp_text *out, const struct vnp_plan *p)
{
    const struct vnp_plan_device *d = &p->cpu;
    char text[VNP_PLAN_TEXT];
    show_memory(out, "CPU memory", d, "a batch");
    if (d->given_seconds >= 0)
        vnp_text_printf(out, "CPU time    about %s at %.4g TFLOP/s\n", vnp_plan_time(text, d->given_seconds),
                        d->given_tflops);
    else {
        vnp_text_printf(out, "CPU time    about %s with %d thread%s", vnp_plan_time(text, d->seconds), p->threads,
                        vnp_plural((uint64_t)p->threads));
        if (d->tflops > 0) /* where there is anything to compute */
            vnp_text_printf(out, " (%.0f GFLOP/s, tried just now)", d->tflops * 1e3);
        vnp_text_str(out, "\n");
    }
}

static void show_disk(struct vnp_text *out, const struct vnp_plan *p)
{
    char a[VNP_PLAN_TEXT];
    vnp_text_printf(out, "output      about %s: %s, %s%s", vnp_plan_bytes(a, p->output_bytes), vnp_pool_name(p->pool),
                    vnp_dtype_name(p->dtype), p->zstd ? ", zstd" : "");
    if (p->free_bytes >= 0)
        vnp_text_printf(out, "; %s free there", vnp_plan_bytes(a, (double)p->free_bytes));
    vnp_text_printf(out, "\n            %s more while a resumable run is at work\n",
                    vnp_plan_bytes(a, p->token_bytes + p->block_bytes));
}

void vnp_plan_show(struct vnp_text *out, const struct vnp_plan *p)
{
    show_input(out, p);
    show_model(out, p);
    if (p->gpu.shown)
        show_gpu(out, p);
    if (p->cpu.shown)
        show_cpu(out, p);
    if (p->on_disk)
        show_disk(out, p);
    for (int i = 0; i < p->n_warnings; i++) {
        vnp_text_str(out, "warning     ");
        vnp_text_plain(out, p->warning[i], strlen(p->warning[i]));
        vnp_text_str(out, "\n");
    }
}

/* --- for machines ------------------------------------------------------------------------------------------------- */

/* ,"key":x or null when it is negative: not known */
static void number(struct vnp_text *out, const char *key, double x)
{
    if (x < 0)
        vnp_text_printf(out, ",\"%s\":null", key);
    else
        vnp_text_printf(out, x == floor(x) && x < 1e15 ? ",\"%s\":%.0f" : ",\"%s\":%.10g", key, x);
}

static void device_json(struct vnp_text *out, const char *name, const struct vnp_plan_device *d)
{
    vnp_text_printf(out, ",\"%s\":", name);
    if (!d->shown) {
        vnp_text_str(out, "null");
        return;
    }
    vnp_text_printf(out,
                    "{\"memory_bytes\":%" PRId64 ",\"weights_bytes\":%" PRId64 ",\"batches_bytes\":%" PRId64
                    ",\"other_bytes\":%" PRId64,
                    d->weights + d->batches + d->other, d->weights, d->batches, d->other);
    number(out, "tflops", d->tflops);
    number(out, "seconds", d->seconds);
    number(out, "given_tflops", d->given_tflops);
    number(out, "given_seconds", d->given_seconds);
    vnp_text_str(out, "}");
}

static void input_json(struct vnp_text *out, const struct vnp_plan *p)
{
    const struct vnp_census *c = p->census;
    const struct {
        const char *key;
        uint64_t value;
    } counts[] = {{"sequences", c->records},
                  {"tokens", c->tokens},
                  {"residues", c->residues},
                  {"shortest", c->shortest},
                  {"longest", c->longest},
                  {"truncated", c->truncated},
                  {"empty", c->empty},
                  {"rows", c->rows},
                  {"windowed", c->windowed},
                  {"batches", c->batches + c->oversize},
                  {"budget", p->budget},
                  {"over_budget", c->oversize},
                  {"longest_tokens", c->longest_row},
                  {"over_trained_length", c->untrained}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        vnp_text_printf(out, "%s\"%s\":%" PRIu64, i ? "," : "{", counts[i].key, counts[i].value);
    number(out, "mean", mean(c->residues, c->records));
    number(out, "efficiency", vnp_census_used(c, p->budget));
}

void vnp_plan_show_json(struct vnp_text *out, const struct vnp_plan *p)
{
    input_json(out, p);
    vnp_text_str(out, ",\"model\":");
    vnp_text_json(out, p->model->name, strlen(p->model->name));
    vnp_text_printf(out, ",\"layer\":%d", p->layer);
    number(out, "flop", p->flops);
    device_json(out, "gpu", &p->gpu);
    vnp_text_printf(out, ",\"numbers\":\"%s\",\"gpus\":%d", p->numbers, p->gpus);
    device_json(out, "cpu", &p->cpu);
    vnp_text_printf(out, ",\"threads\":%d,\"pool\":\"%s\",\"dtype\":\"%s\"", p->threads, vnp_pool_name(p->pool),
                    vnp_dtype_name(p->dtype));
    number(out, "output_bytes", floor(p->output_bytes));
    number(out, "resumable_bytes", floor(p->token_bytes + p->block_bytes));
    number(out, "free_bytes", (double)p->free_bytes);
    vnp_text_str(out, ",\"warnings\":[");
    for (int i = 0; i < p->n_warnings; i++) {
        vnp_text_str(out, i ? "," : "");
        vnp_text_json(out, p->warning[i], strlen(p->warning[i]));
    }
    vnp_text_str(out, "]}\n");
}
