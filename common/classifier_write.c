#include "classifier_write.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "synth.h"
#include "tempdir.h"
#include "xmalloc.h"

/* --- made up ------------------------------------------------------------------------------------------------------ */

enum vnp_status vnp_classifier_shape(bool *is, int *width, int *hidden, const char *shape, struct vnp_err *err)
{
    static const char name[] = "classifier";
    const size_t n = sizeof name - 1;
    int end = 0;
    *width = 3328;
    *hidden = 512;
    *is = strncmp(shape, name, n) == 0 && (shape[n] == '\0' || shape[n] == ':');
    if (!*is || shape[n] == '\0')
        return VNP_OK;
    const bool both = sscanf(shape + n + 1, "%5dx%5d%n", width, hidden, &end) == 2;
    if (!both)
        (void)sscanf(shape + n + 1, "%5d%n", width, &end);
    if (end > 0 && shape[n + 1 + (size_t)end] == '\0' && *width > 0 && *width <= VNP_CLASSIFIER_LIMIT && *hidden > 0 &&
        *hidden <= VNP_CLASSIFIER_LIMIT)
        return VNP_OK;
    return vnp_error(err, VNP_USAGE,
                     "%.60s: not classifier, classifier:WIDTH or classifier:WIDTHxHIDDEN of at most %d each", shape,
                     VNP_CLASSIFIER_LIMIT);
}

static void fill(int tensor, int width, int hidden, uint64_t seed, float *dst)
{
    int64_t shape[2];
    vnp_classifier_tensor_shape(tensor, width, hidden, shape);
    const int64_t n = shape[0] * shape[1];
    const float mean = tensor == VNP_BN_W || tensor == VNP_BN_VAR ? 1 : 0;
    const double std = tensor == VNP_HIDDEN_W ? 1 / sqrt(width) : tensor == VNP_OUTPUT_W ? 2 / sqrt(hidden) : 0.1;
    vnp_synth_normal(seed, vnp_classifier_tensor_name(tensor), 0, n, mean, std, dst);
}

/* --- safetensors -------------------------------------------------------------------------------------------------- */

static uint64_t put_header(struct vnp_text *h, int width, int hidden, double eps)
{
    uint64_t at = 0;
    vnp_text_add(h, "\0\0\0\0\0\0\0\0", 8);
    vnp_text_printf(h, "{\"__metadata__\":{\"format\":\"pt\",\"bn1.eps\":\"%.17g\"}", eps);
    for (int t = 0; t < VNP_CLASSIFIER_TENSORS; t++) {
        int64_t shape[2];
        char text[64];
        const int ndim = vnp_classifier_tensor_shape(t, width, hidden, shape);
        const uint64_t end = at + (uint64_t)(shape[0] * shape[1]) * sizeof(float);
        vnp_text_printf(h, ",\"%s\":{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}",
                        vnp_classifier_tensor_name(t), vnp_shape_text(text, sizeof text, shape, ndim), at, end);
        at = end;
    }
    vnp_text_str(h, "}");
    while (h->n % 64 != 0)
        vnp_text_str(h, " ");
    const uint64_t length = h->n - 8;
    for (int i = 0; i < 8; i++)
        h->p[i] = (char)(length >> (8 * i));
    return h->n + at;
}

/* The values are made by fill() when `c` is NULL. */
static enum vnp_status write_file(const char *path, const struct vnp_classifier *c, int width, int hidden,
                                  uint64_t seed, uint64_t *bytes, struct vnp_err *err)
{
    struct vnp_text header = {0};
    struct vnp_output *out;
    *bytes = put_header(&header, width, hidden, c != NULL ? c->eps : 1e-5);
    enum vnp_status st = vnp_output_open(&out, path, 0, err);
    if (st == VNP_OK) {
        float *made =
            c == NULL ? xreallocarray(NULL, (size_t)width * (size_t)hidden + 2 * (size_t)hidden, sizeof *made) : NULL;
        struct iovec part = {header.p, header.n};
        st = vnp_output_write(out, &part, 1, err);
        for (int t = 0; t < VNP_CLASSIFIER_TENSORS && st == VNP_OK; t++) {
            int64_t shape[2];
            vnp_classifier_tensor_shape(t, width, hidden, shape);
            if (c == NULL)
                fill(t, width, hidden, seed, made);
            part = (struct iovec){c != NULL ? c->tensor[t] : made, (size_t)(shape[0] * shape[1]) * sizeof *made};
            st = vnp_output_write(out, &part, 1, err);
        }
        free(made);
        if (st == VNP_OK)
            st = vnp_output_commit(out, err);
        else
            vnp_output_discard(out);
    }
    free(header.p);
    return st;
}

static enum vnp_status write_dir(const char *dir, const struct vnp_classifier *c, int width, int hidden, uint64_t seed,
                                 uint64_t *bytes, struct vnp_err *err)
{
    struct vnp_tempdir *temp;
    enum vnp_status st = vnp_tempdir_open(&temp, dir, err);
    if (st != VNP_OK)
        return st;
    char *path = xasprintf("%s/model.safetensors", vnp_tempdir_path(temp));
    st = write_file(path, c, width, hidden, seed, bytes, err);
    free(path);
    if (st == VNP_OK)
        return vnp_tempdir_commit(temp, err);
    vnp_tempdir_discard(temp);
    return st;
}

enum vnp_status vnp_classifier_synth(const char *dir, int width, int hidden, uint64_t seed, uint64_t *bytes,
                                     struct vnp_err *err)
{
    return write_dir(dir, NULL, width, hidden, seed, bytes, err);
}

enum vnp_status vnp_classifier_write(const char *dir, const struct vnp_classifier *c, uint64_t *bytes,
                                     struct vnp_err *err)
{
    return write_dir(dir, c, c->width, c->hidden, 0, bytes, err);
}

/* --- shown -------------------------------------------------------------------------------------------------------- */

static bool is_used(const struct vnp_stored *s)
{
    for (int t = 0; t < VNP_CLASSIFIER_TENSORS; t++)
        if (strcmp(s->name, vnp_classifier_tensor_name(t)) == 0)
            return true;
    return false;
}

static const char *kind(const struct vnp_classifier *c)
{
    return c->files.kind != VNP_WEIGHTS_TORCH ? "safetensors" : c->stored.modules != NULL ? "torch module" : "torch";
}

static void show_text(struct vnp_text *out, const struct vnp_classifier *c, bool list)
{
    char shape[200];
    vnp_text_str(out, "model          ");
    vnp_text_plain(out, c->name, strlen(c->name));
    vnp_text_printf(out,
                    "\nfingerprint    %s\narchitecture   classifier of VirNucPro\nwidth          %d\n"
                    "hidden         %d\nclasses        %d\nparameters     %" PRId64 "\nbn1 eps        %g\n"
                    "kind           %s\nfile           ",
                    c->fingerprint, c->width, c->hidden, VNP_CLASSES, c->parameters, c->eps, kind(c));
    vnp_text_plain(out, c->files.weights[0], strlen(c->files.weights[0]));
    vnp_text_str(out, "\n");
    for (size_t i = 0; list && i < c->stored.n; i++) {
        const struct vnp_stored *s = &c->stored.v[i];
        vnp_text_plain(out, s->name, strlen(s->name));
        vnp_text_printf(out, "\t%s\t%s\t%" PRIu64 "\t%s\n", s->dtype,
                        vnp_shape_text(shape, sizeof shape, s->shape, s->ndim), s->bytes,
                        is_used(s) ? "used" : "ignored");
    }
}

static void show_json(struct vnp_text *out, const struct vnp_classifier *c, bool list)
{
    char shape[200];
    vnp_text_str(out, "{\"name\":");
    vnp_text_json(out, c->name, strlen(c->name));
    vnp_text_printf(out,
                    ",\"fingerprint\":\"%s\",\"architecture\":\"classifier\",\"width\":%d,\"hidden\":%d,\"classes\":%d,"
                    "\"parameters\":%" PRId64 ",\"bn1_eps\":%.17g,\"container\":\"%s\",\"files\":[",
                    c->fingerprint, c->width, c->hidden, VNP_CLASSES, c->parameters, c->eps, kind(c));
    vnp_text_json(out, c->files.weights[0], strlen(c->files.weights[0]));
    vnp_text_str(out, list ? "],\"tensors\":[" : "]");
    for (size_t i = 0; list && i < c->stored.n; i++) {
        const struct vnp_stored *s = &c->stored.v[i];
        vnp_text_str(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        vnp_text_json(out, s->name, strlen(s->name));
        vnp_text_printf(out, ",\"dtype\":\"%s\",\"shape\":%s,\"bytes\":%" PRIu64 ",\"used\":%s}", s->dtype,
                        vnp_shape_text(shape, sizeof shape, s->shape, s->ndim), s->bytes,
                        is_used(s) ? "true" : "false");
    }
    vnp_text_str(out, list ? "]}\n" : "}\n");
}

void vnp_classifier_show(struct vnp_text *out, const struct vnp_classifier *c, bool list, bool json)
{
    (json ? show_json : show_text)(out, c, list);
}
