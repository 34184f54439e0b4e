#include "classifier.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "half.h"
#include "mix64.h"
#include "model.h"
#include "safetensors.h"
#include "torchfile.h"
#include "xmalloc.h"

static const char *const names[VNP_CLASSIFIER_TENSORS] = {[VNP_HIDDEN_W] = "hidden_layer.weight",
                                                          [VNP_HIDDEN_B] = "hidden_layer.bias",
                                                          [VNP_BN_W] = "bn1.weight",
                                                          [VNP_BN_B] = "bn1.bias",
                                                          [VNP_BN_MEAN] = "bn1.running_mean",
                                                          [VNP_BN_VAR] = "bn1.running_var",
                                                          [VNP_OUTPUT_W] = "output_layer.weight",
                                                          [VNP_OUTPUT_B] = "output_layer.bias"};

const char *vnp_classifier_tensor_name(int tensor)
{
    return names[tensor];
}

int vnp_classifier_tensor_shape(int tensor, int width, int hidden, int64_t shape[2])
{
    const bool matrix = tensor == VNP_HIDDEN_W || tensor == VNP_OUTPUT_W;
    shape[0] = tensor == VNP_OUTPUT_W || tensor == VNP_OUTPUT_B ? VNP_CLASSES : hidden;
    shape[1] = tensor == VNP_HIDDEN_W ? width : tensor == VNP_OUTPUT_W ? hidden : 1;
    return matrix ? 2 : 1;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static enum vnp_status read_files(struct vnp_classifier *c, const char *path, struct vnp_err *err)
{
    struct vnp_hints ignored = VNP_NO_HINTS;
    enum vnp_status st = vnp_model_find(&c->files, path, err);
    for (int i = 0; st == VNP_OK && i < c->files.n_weights; i++)
        st = c->files.kind == VNP_WEIGHTS_TORCH ? vnp_torchfile_read(&c->stored, c->files.weights[i], &ignored, err)
                                                : vnp_safetensors_read(&c->stored, c->files.weights[i], err);
    return st == VNP_OK ? vnp_stored_sort(&c->stored, err) : st;
}

enum vnp_status vnp_classifier_is(bool *is, const char *path, struct vnp_err *err)
{
    struct vnp_classifier *c = xcalloc(1, sizeof *c);
    enum vnp_status st = read_files(c, path, err);
    *is = st == VNP_OK && (c->stored.modules != NULL || vnp_stored_find(&c->stored, names[VNP_HIDDEN_W]) != NULL);
    vnp_classifier_close(c);
    return st;
}

/* Of a whole module: the classes must be the ones whose computation this is. */
static enum vnp_status check_class(const struct vnp_classifier *c, const char *path, const char *want,
                                   struct vnp_err *err)
{
    const char *class = json_string_value(json_object_get(json_object_get(c->stored.modules, path), "class"));
    const char *last = class != NULL ? strrchr(class, '.') : NULL;
    if (last != NULL && strcmp(last + 1, want) == 0)
        return VNP_OK;
    if (path[0] == '\0')
        return vnp_error(err, VNP_DATA, "%s: holds a %.200s, not an %s", c->files.weights[0],
                         class != NULL ? class : "module", want);
    return vnp_error(err, VNP_DATA, "%s: %.*s of the classifier is %s%.200s, not a %s", c->files.weights[0],
                     (int)strlen(path) - 1, path, class != NULL ? "a " : "missing", class != NULL ? class : "", want);
}

static enum vnp_status check_modules(struct vnp_classifier *c, struct vnp_err *err)
{
    static const char *const parts[][2] = {
        {"", "MLPClassifier"}, {"hidden_layer.", "Linear"}, {"bn1.", "BatchNorm1d"}, {"output_layer.", "Linear"}};
    c->eps = 1e-5;
    for (size_t i = 0; c->stored.modules != NULL && i < sizeof parts / sizeof *parts; i++) {
        enum vnp_status st = check_class(c, parts[i][0], parts[i][1], err);
        if (st != VNP_OK)
            return st;
    }
    const json_t *eps = json_object_get(json_object_get(c->stored.modules, "bn1."), "eps");
    const char *text = json_string_value(json_object_get(c->stored.metadata, "bn1.eps"));
    if (eps != NULL || text != NULL)
        c->eps = eps != NULL ? json_number_value(eps) : strtod(text, NULL);
    return c->eps > 0 && c->eps < 1 ? VNP_OK
                                    : vnp_error(err, VNP_DATA, "%s: the eps of bn1 is %g", c->files.weights[0], c->eps);
}

/* A tensor of the right shape, as floats. */
static enum vnp_status load(struct vnp_classifier *c, int t, struct vnp_err *err)
{
    const struct vnp_stored *s = vnp_stored_find(&c->stored, names[t]);
    int64_t shape[2];
    const int ndim = vnp_classifier_tensor_shape(t, c->width, c->hidden, shape);
    const int64_t n = shape[0] * shape[1];
    char have[160], want[64];
    if (s == NULL)
        return vnp_error(err, VNP_DATA, "%s: tensor %s is missing: not VirNucPro's classifier", c->files.weights[0],
                         names[t]);
    if (s->ndim != ndim || s->shape[0] != shape[0] || (ndim == 2 && s->shape[1] != shape[1]))
        return vnp_error(err, VNP_DATA, "%s: tensor %s has shape %s, not %s", s->file, names[t],
                         vnp_shape_text(have, sizeof have, s->shape, s->ndim),
                         vnp_shape_text(want, sizeof want, shape, ndim));
    struct vnp_tensor view = {.data = s->data,
                              .dtype = strcmp(s->dtype, "F16") == 0    ? VNP_F16
                                       : strcmp(s->dtype, "BF16") == 0 ? VNP_BF16
                                                                       : VNP_F32};
    if (!s->contiguous || (view.dtype == VNP_F32 && strcmp(s->dtype, "F32") != 0))
        return vnp_error(err, VNP_DATA, "%s: tensor %s is %s%s; contiguous F32, F16 and BF16 are read", s->file,
                         names[t], s->contiguous ? "" : "a strided view of ", s->dtype);
    float *v = c->tensor[t] = xreallocarray(NULL, (size_t)n, sizeof *v);
    vnp_tensor_f32(&view, 0, n, v);
    c->parameters += n;
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(v[i]))
            return vnp_error(err, VNP_DATA, "%s: tensor %s: value %lld is NaN or infinite", s->file, names[t],
                             (long long)i);
    return VNP_OK;
}

static enum vnp_status read_sizes(struct vnp_classifier *c, struct vnp_err *err)
{
    const struct vnp_stored *s = vnp_stored_find(&c->stored, names[VNP_HIDDEN_W]);
    if (s == NULL)
        return vnp_error(err, VNP_DATA, "%s: tensor %s is missing: not VirNucPro's classifier", c->files.weights[0],
                         names[VNP_HIDDEN_W]);
    if (s->ndim != 2 || s->shape[0] < 1 || s->shape[0] > VNP_CLASSIFIER_LIMIT || s->shape[1] < 1 ||
        s->shape[1] > VNP_CLASSIFIER_LIMIT)
        return vnp_error(err, VNP_DATA, "%s: tensor %s is no matrix of 1 to %d x 1 to %d", s->file, names[VNP_HIDDEN_W],
                         VNP_CLASSIFIER_LIMIT, VNP_CLASSIFIER_LIMIT);
    c->hidden = (int)s->shape[0];
    c->width = (int)s->shape[1];
    return VNP_OK;
}

/* --- folding ------------------------------------------------------------------------------------------------------ */

static enum vnp_status fold(struct vnp_classifier *c, struct vnp_err *err)
{
    float *const *v = c->tensor;
    c->scale = xreallocarray(NULL, (size_t)c->hidden, sizeof *c->scale);
    c->shift = xreallocarray(NULL, (size_t)c->hidden, sizeof *c->shift);
    c->out = xreallocarray(NULL, (size_t)c->hidden * VNP_CLASSES, sizeof *c->out);
    for (int j = 0; j < c->hidden; j++) {
        if (v[VNP_BN_VAR][j] < 0)
            return vnp_error(err, VNP_DATA, "%s: tensor %s: value %d is negative", c->files.weights[0],
                             names[VNP_BN_VAR], j);
        c->scale[j] = v[VNP_BN_W][j] / sqrt(v[VNP_BN_VAR][j] + c->eps);
        c->shift[j] = c->scale[j] * ((double)v[VNP_HIDDEN_B][j] - v[VNP_BN_MEAN][j]) + v[VNP_BN_B][j];
    }
    for (int i = 0; i < VNP_CLASSES * c->hidden; i++)
        c->out[i] = v[VNP_OUTPUT_W][i];
    for (int k = 0; k < VNP_CLASSES; k++)
        c->out_bias[k] = v[VNP_OUTPUT_B][k];
    return VNP_OK;
}

/* Weights in the order in which they are used; what is past the last unit is zero. */
static void pack(struct vnp_classifier *c)
{
    const int64_t width = c->width, panels = (c->hidden + VNP_PANEL - 1) / VNP_PANEL;
    c->panels = xcalloc((size_t)(panels * width), VNP_PANEL * sizeof *c->panels);
    for (int64_t j = 0; j < c->hidden; j++)
        for (int64_t k = 0; k < width; k++)
            c->panels[(j / VNP_PANEL * width + k) * VNP_PANEL + j % VNP_PANEL] = c->tensor[VNP_HIDDEN_W][j * width + k];
}

static uint64_t add_word(uint64_t h, uint64_t word)
{
    return vnp_mix64(h + 0x9e3779b97f4a7c15u + word);
}

static void set_fingerprint(struct vnp_classifier *c)
{
    uint64_t h = add_word(add_word(0, (uint64_t)c->width), vnp_f32_bits((float)c->eps));
    for (int t = 0; t < VNP_CLASSIFIER_TENSORS; t++) {
        int64_t shape[2];
        vnp_classifier_tensor_shape(t, c->width, c->hidden, shape);
        for (int64_t i = 0; i < shape[0] * shape[1]; i++)
            h = add_word(h, vnp_f32_bits(c->tensor[t][i]));
    }
    snprintf(c->fingerprint, sizeof c->fingerprint, "%016" PRIx64, h);
}

static enum vnp_status open_classifier(struct vnp_classifier *c, const char *path, struct vnp_err *err)
{
    enum vnp_status st = read_files(c, path, err);
    if (st == VNP_OK)
        st = check_modules(c, err);
    if (st == VNP_OK)
        st = read_sizes(c, err);
    for (int t = 0; st == VNP_OK && t < VNP_CLASSIFIER_TENSORS; t++)
        st = load(c, t, err);
    if (st == VNP_OK)
        st = fold(c, err);
    if (st == VNP_OK) {
        snprintf(c->name, sizeof c->name, "%s", c->files.name);
        set_fingerprint(c);
        pack(c);
    }
    return st;
}

enum vnp_status vnp_classifier_open(struct vnp_classifier **out, const char *path, struct vnp_err *err)
{
    struct vnp_classifier *c = xcalloc(1, sizeof *c);
    enum vnp_status st = open_classifier(c, path, err);
    if (st != VNP_OK) {
        vnp_classifier_close(c);
        c = NULL;
    }
    *out = c;
    return st;
}

void vnp_classifier_close(struct vnp_classifier *c)
{
    if (c == NULL)
        return;
    vnp_model_files_free(&c->files);
    vnp_stored_free(&c->stored);
    for (int t = 0; t < VNP_CLASSIFIER_TENSORS; t++)
        free(c->tensor[t]);
    free(c->panels);
    free(c->scale);
    free(c->shift);
    free(c->out);
    free(c);
}
