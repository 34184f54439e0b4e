#include "model_show.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "model_detail.h"
#include "xmalloc.h"

struct summary {
    uint64_t bytes;    /* of all tensors in the files */
    int used, ignored; /* tensors */
    int of_dtype[3];   /* used ones, by enum vnp_dtype */
    bool *is_used;     /* of each stored tensor */
};

static struct summary summarise(const struct vnp_model *m)
{
    const struct vnp_stored_set *s = vnp_model_stored(m);
    struct summary sum = {.is_used = xcalloc(s->n + 1, sizeof(bool))};
    for (size_t i = 0; i < vnp_model_tensors(m); i++) {
        const struct vnp_tensor *t = vnp_model_tensor_at(m, i);
        if (t == NULL)
            continue;
        sum.is_used[vnp_stored_find(s, t->name) - s->v] = true;
        sum.of_dtype[t->dtype]++;
        sum.used++;
    }
    for (size_t i = 0; i < s->n; i++)
        sum.bytes += s->v[i].bytes;
    sum.ignored = (int)s->n - sum.used;
    return sum;
}

static const char *container(const struct vnp_model *m)
{
    return vnp_model_files(m)->kind == VNP_WEIGHTS_TORCH ? "torch" : "safetensors";
}

static const char *names_of(const struct vnp_model *m)
{
    static const char *const names[] = {
        [VNP_NAMES_HF_ESM] = "Hugging Face", [VNP_NAMES_FAIR_ESM] = "fair-esm", [VNP_NAMES_DNABERT_S] = "DNABERT-S"};
    return names[vnp_model_scheme(m)->naming];
}

static void plain(struct vnp_text *out, const char *s)
{
    vnp_text_plain(out, s, strlen(s));
}

static void show_list(struct vnp_text *out, const struct vnp_stored_set *s, const struct summary *sum)
{
    char shape[200];
    for (size_t i = 0; i < s->n; i++) {
        plain(out, s->v[i].name);
        vnp_text_printf(out, "\t%s\t%s\t%" PRIu64 "\t%s\n", s->v[i].dtype,
                        vnp_shape_text(shape, sizeof shape, s->v[i].shape, s->v[i].ndim), s->v[i].bytes,
                        sum->is_used[i] ? "used" : "ignored");
    }
}

void vnp_model_show(struct vnp_text *out, const struct vnp_model *m, bool list)
{
    const struct vnp_model_config *c = vnp_model_config(m);
    const struct vnp_model_files *f = vnp_model_files(m);
    const struct summary sum = summarise(m);
    vnp_text_str(out, "model          ");
    plain(out, c->name);
    vnp_text_printf(out,
                    "\nfingerprint    %s\narchitecture   %s\nlayers         %d\nheads          %d of %d\n"
                    "width          %d\nfeed-forward   %d\nvocabulary     %d\nparameters     %" PRId64 "\n",
                    c->fingerprint, c->arch == VNP_ESM2 ? "ESM-2" : "DNABERT-S", c->layers, c->heads, c->head_dim,
                    c->width, c->ffn, c->vocab, c->parameters);
    vnp_text_str(out, "LayerNorm eps  ");
    vnp_text_float(out, c->ln_eps, NULL);
    if (c->arch == VNP_ESM2)
        vnp_text_printf(out, "\ntoken dropout  %s", c->token_dropout ? "yes" : "no");
    vnp_text_str(out, "\ntensors        ");
    for (int d = VNP_F32; d <= VNP_BF16; d++)
        if (sum.of_dtype[d] > 0)
            vnp_text_printf(out, "%d in %s, ", sum.of_dtype[d], vnp_dtype_name((enum vnp_dtype)d));
    vnp_text_printf(out, "%d ignored, %.1f MB\nkind           %s, %s names\n", sum.ignored, (double)sum.bytes / 1e6,
                    container(m), names_of(m));
    for (int i = 0; i < f->n_weights; i++) {
        vnp_text_str(out, "file           ");
        plain(out, f->weights[i]);
        vnp_text_str(out, "\n");
    }
    if (list)
        show_list(out, vnp_model_stored(m), &sum);
    free(sum.is_used);
}

static void json_string_of(struct vnp_text *out, const char *s)
{
    vnp_text_json(out, s, strlen(s));
}

static void list_json(struct vnp_text *out, const struct vnp_stored_set *s, const struct summary *sum)
{
    char shape[200];
    vnp_text_str(out, ",\"tensors\":[");
    for (size_t i = 0; i < s->n; i++) {
        vnp_text_str(out, i ? ",{\"name\":" : "{\"name\":");
        json_string_of(out, s->v[i].name);
        vnp_text_printf(out,
                        ",\"dtype\":\"%s\",\"shape\":%s,\"bytes\":%" PRIu64 ",\"used\":%s,\"file\":", s->v[i].dtype,
                        vnp_shape_text(shape, sizeof shape, s->v[i].shape, s->v[i].ndim), s->v[i].bytes,
                        sum->is_used[i] ? "true" : "false");
        json_string_of(out, s->v[i].file);
        vnp_text_str(out, "}");
    }
    vnp_text_str(out, "]");
}

void vnp_model_show_json(struct vnp_text *out, const struct vnp_model *m, bool list)
{
    const struct vnp_model_config *c = vnp_model_config(m);
    const struct vnp_model_files *f = vnp_model_files(m);
    const struct summary sum = summarise(m);
    vnp_text_str(out, "{\"name\":");
    json_string_of(out, c->name);
    vnp_text_printf(out,
                    ",\"fingerprint\":\"%s\",\"architecture\":\"%s\",\"layers\":%d,\"heads\":%d,\"head_dim\":%d,"
                    "\"width\":%d,\"ffn\":%d,\"vocab\":%d,\"parameters\":%" PRId64 ",\"token_dropout\":%s,"
                    "\"layer_norm_eps\":",
                    c->fingerprint, c->arch == VNP_ESM2 ? "esm2" : "dnabert-s", c->layers, c->heads, c->head_dim,
                    c->width, c->ffn, c->vocab, c->parameters, c->token_dropout ? "true" : "false");
    vnp_text_float(out, c->ln_eps, "null");
    vnp_text_printf(
        out,
        ",\"container\":\"%s\",\"names\":\"%s\",\"tensors_used\":%d,\"tensors_ignored\":%d,\"bytes\":%" PRIu64
        ",\"dtypes\":{\"f32\":%d,\"f16\":%d,\"bf16\":%d},\"files\":[",
        container(m), names_of(m), sum.used, sum.ignored, sum.bytes, sum.of_dtype[VNP_F32], sum.of_dtype[VNP_F16],
        sum.of_dtype[VNP_BF16]);
    const char *file;
    for (int i = 0; (file = vnp_model_file(f, i)) != NULL; i++) {
        vnp_text_str(out, i ? "," : "");
        json_string_of(out, file);
    }
    vnp_text_str(out, "]");
    if (list)
        list_json(out, vnp_model_stored(m), &sum);
    vnp_text_str(out, "}\n");
    free(sum.is_used);
}
