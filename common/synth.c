#include "synth.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mix64.h"
#include "model_config.h"

#define GOLDEN 0x9e3779b97f4a7c15u
#define TAMED 0.05f /* a LayerNorm's weight on a massive channel */

/* They sum to zero: LayerNorm would subtract their mean from all other channels. */
static const float amplitude[VNP_SYNTH_CHANNELS] = {620, -410, -380, 170};

/* --- shapes ------------------------------------------------------------------------------------------------------ */

static bool parse_sizes(struct vnp_model_config *c, const char *text)
{
    int *const fields[] = {&c->layers, &c->heads, &c->width};
    for (int i = 0; i < 3; i++) {
        char *end;
        const long n = strtol(text, &end, 10);
        if (end == text || *text < '0' || *text > '9' || n < 1 || n > 65536 || *end != "xx"[i])
            return false;
        *fields[i] = (int)n;
        text = end + 1;
    }
    return true;
}

static enum vnp_status parse_shape(struct vnp_model_config *c, const char *shape, struct vnp_err *err)
{
    static const char dna[] = "dnabert-s";
    const size_t n_dna = sizeof dna - 1;
    const struct vnp_published *p = vnp_published_find(shape);
    if (p != NULL) {
        c->layers = p->layers;
        c->heads = p->heads;
        c->width = p->width;
    } else if (strcmp(shape, dna) == 0) {
        c->arch = VNP_DNABERT_S;
        c->layers = c->heads = 12;
        c->width = 768;
    } else {
        if (strncmp(shape, dna, n_dna) == 0 && shape[n_dna] == ':') {
            c->arch = VNP_DNABERT_S;
            shape += n_dna + 1;
        }
        if (!parse_sizes(c, shape))
            return vnp_error(err, VNP_USAGE, "%.60s: not 8M, 35M, 150M, 650M, 3B, 15B, dnabert-s or LAYERSxHEADSxWIDTH",
                             shape);
    }
    c->head_dim = c->width / c->heads;
    if (c->width % c->heads != 0 || c->head_dim % 2 != 0 || c->head_dim > 256 || c->layers > 1000 || c->width < 8)
        return vnp_error(
            err, VNP_USAGE,
            "%dx%dx%d: the width must be the heads times an even number up to 256, and the layers at most 1000",
            c->layers, c->heads, c->width);
    return VNP_OK;
}

static void choose_channels(struct vnp_synth *s)
{
    for (int i = 0; i < VNP_SYNTH_CHANNELS; i++) {
        int c = (int)(vnp_mix64(vnp_mix64(s->seed) + (uint64_t)i) % (uint64_t)s->config.width);
        for (int k = 0; k < i; k++)
            if (s->channel[k] == c) {
                c = (c + 1) % s->config.width;
                k = -1;
            }
        s->channel[i] = c;
    }
}

enum vnp_status vnp_synth_init(struct vnp_synth *s, const char *shape, uint64_t seed, bool outliers,
                               struct vnp_err *err)
{
    *s = (struct vnp_synth){.seed = seed, .outliers = outliers};
    struct vnp_model_config *c = &s->config;
    enum vnp_status st = parse_shape(c, shape, err);
    if (st != VNP_OK)
        return st;
    const bool esm = c->arch == VNP_ESM2;
    c->ffn = 4 * c->width;
    c->vocab = esm ? 33 : 4096;
    c->ln_eps = esm ? 1e-5f : 1e-12f;
    c->token_dropout = esm;
    c->mask_id = esm ? 32 : -1;
    c->pad_id = esm ? 1 : -1;
    snprintf(c->name, sizeof c->name, "%.100s", shape);
    for (size_t i = 0; i < vnp_role_count(c->layers); i++) {
        int layer;
        int64_t dims[2];
        if (vnp_role_shape(c, vnp_role_at(i, &layer), dims) > 0)
            c->parameters += dims[0] * dims[1];
    }
    choose_channels(s);
    return VNP_OK;
}

/* --- numbers ----------------------------------------------------------------------------------------------------- */

static uint64_t key_of_name(uint64_t seed, const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (const char *p = name; *p != '\0'; p++)
        h = (h ^ (uint8_t)*p) * 0x100000001b3u;
    return vnp_mix64(vnp_mix64(seed) ^ h);
}

static uint64_t key_of(const struct vnp_synth *s, enum vnp_role role, int layer)
{
    const struct vnp_scheme scheme = {s->config.arch == VNP_ESM2 ? VNP_NAMES_HF_ESM : VNP_NAMES_DNABERT_S, ""};
    char name[256];
    vnp_role_name(&scheme, role, layer, name, sizeof name);
    return key_of_name(s->seed, name);
}

static void fill_normal(uint64_t key, int64_t first, int64_t count, float mean, double std, float *dst)
{
    /* variance of the sum: four times that of the integers 0..65535 */
    const float scale = (float)(std / sqrt(4 * (65536.0 * 65536.0 - 1) / 12));
    for (int64_t i = 0; i < count; i++) {
        const uint64_t u = vnp_mix64(key + (uint64_t)(first + i + 1) * GOLDEN);
        const int32_t sum = (int32_t)(u & 0xffff) + (int32_t)(u >> 16 & 0xffff) + (int32_t)(u >> 32 & 0xffff) +
                            (int32_t)(u >> 48) - 131070;
        const float x = scale * (float)sum;
        dst[i] = mean + x;
    }
}

void vnp_synth_normal(uint64_t seed, const char *name, int64_t first, int64_t count, float mean, double std,
                      float *dst)
{
    fill_normal(key_of_name(seed, name), first, count, mean, std, dst);
}

static void distribution(const struct vnp_model_config *c, enum vnp_role role, float *mean, double *std)
{
    *mean = 0;
    switch (role) {
    case VNP_EMB_WORD:
        *std = 1;
        return;
    case VNP_EMB_LN_W:
    case VNP_FINAL_LN_W:
    case VNP_LN1_W:
    case VNP_LN2_W:
        *mean = 1;
        *std = 0.1;
        return;
    case VNP_Q_W:
    case VNP_K_W: /* scores with a standard deviation of 1.3 x 1.3 */
        *std = 1.3 / sqrt(c->width);
        return;
    case VNP_V_W:
    case VNP_QKV_W:
    case VNP_OUT_W:
    case VNP_FC1_W:
        *std = 1 / sqrt(c->width);
        return;
    case VNP_FC2_W:
        *std = 1 / sqrt(c->ffn);
        return;
    default:
        *std = 0.05;
    }
}

/* --- massive channels -------------------------------------------------------------------------------------------- */

/* Multiplies elements whose row (or column) is a massive channel by `factor`, or by 1 / amplitude where it is 0. */
static void scale_channels(const struct vnp_synth *s, bool rows, int64_t cols, int64_t first, int64_t count,
                           float factor, float *dst)
{
    for (int k = 0; k < VNP_SYNTH_CHANNELS; k++) {
        const int64_t begin = rows ? s->channel[k] * cols : s->channel[k];
        const float f = factor != 0 ? factor : 1 / fabsf(amplitude[k]);
        for (int64_t i = 0; i < count; i++)
            if (rows ? (first + i >= begin && first + i < begin + cols) : (first + i) % cols == begin)
                dst[i] *= f;
    }
}

/* The weights of a LayerNorm whose input has massive channels, and a variance of `variance` elsewhere: what it would
 * have put out without them, and little of them. */
static void tame_layer_norm(const struct vnp_synth *s, double variance, int64_t first, int64_t count, float *dst)
{
    double power = variance;
    for (int k = 0; k < VNP_SYNTH_CHANNELS; k++)
        power += (double)amplitude[k] * amplitude[k] / s->config.width;
    const float gain = (float)sqrt(power / variance);
    for (int64_t i = 0; i < count; i++)
        dst[i] *= gain;
    scale_channels(s, true, 1, first, count, TAMED / gain, dst);
}

static void raise_bias(const struct vnp_synth *s, int64_t first, int64_t count, float *dst)
{
    for (int k = 0; k < VNP_SYNTH_CHANNELS; k++)
        if (s->channel[k] >= first && s->channel[k] < first + count)
            dst[s->channel[k] - first] += amplitude[k];
}

/* Pre-LN: the bias of one feed-forward puts the channels into the residual stream, where they stay. Its variance grows
 * by about 0.8 a layer: 0.425 is the mean square of GELU, the rest is attention. */
static void outliers_esm2(const struct vnp_synth *s, enum vnp_role role, int layer, int64_t first, int64_t count,
                          float *dst)
{
    const int source = s->config.layers > 1 ? 1 : 0;
    const int depth = role == VNP_FINAL_LN_W ? s->config.layers : layer;
    if (role == VNP_FC2_B && layer == source)
        raise_bias(s, first, count, dst);
    else if (role == VNP_FC2_W && layer == source)
        scale_channels(s, true, s->config.ffn, first, count, 20, dst);
    else if ((role == VNP_LN1_W || role == VNP_LN2_W || role == VNP_FINAL_LN_W) && depth > source)
        tame_layer_norm(s, 0.77 + 0.8 * depth, first, count, dst);
}

/* Post-LN: every LayerNorm makes the stream anew, so the channels live from the end of one layer into the next. */
static void outliers_dnabert_s(const struct vnp_synth *s, enum vnp_role role, int layer, int64_t first, int64_t count,
                               float *dst)
{
    const int source = s->config.layers > 1 ? 1 : 0;
    if (role == VNP_LN2_B && layer == source)
        raise_bias(s, first, count, dst);
    else if (role == VNP_QKV_W && layer == source + 1)
        scale_channels(s, false, s->config.width, first, count, 0, dst);
    else if (role == VNP_LN1_W && layer == source + 1)
        tame_layer_norm(s, 1.2, first, count, dst);
}

void vnp_synth_fill(void *synth, enum vnp_role role, int layer, int64_t first, int64_t count, float *dst)
{
    const struct vnp_synth *s = synth;
    float mean;
    double std;
    distribution(&s->config, role, &mean, &std);
    fill_normal(key_of(s, role, layer), first, count, mean, std, dst);
    if (s->outliers && s->config.arch == VNP_ESM2)
        outliers_esm2(s, role, layer, first, count, dst);
    else if (s->outliers)
        outliers_dnabert_s(s, role, layer, first, count, dst);
}
