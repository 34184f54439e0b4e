#include "model_roles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_LAYER_ROLES ((size_t)(VNP_N_ROLES - VNP_N_GLOBAL_ROLES))

struct family {
    enum vnp_arch arch;
    const char *prefixes[4];
    const char *layer;              /* in front of a layer's number */
    const char *names[VNP_N_ROLES]; /* behind the prefix, or behind the layer's number and a dot */
};

static const struct family families[] = {
    [VNP_NAMES_HF_ESM] = {.arch = VNP_ESM2,
                          .prefixes = {"", "esm."},
                          .layer = "encoder.layer.",
                          .names = {[VNP_EMB_WORD] = "embeddings.word_embeddings.weight",
                                    [VNP_FINAL_LN_W] = "encoder.emb_layer_norm_after.weight",
                                    [VNP_FINAL_LN_B] = "encoder.emb_layer_norm_after.bias",
                                    [VNP_LN1_W] = "attention.LayerNorm.weight",
                                    [VNP_LN1_B] = "attention.LayerNorm.bias",
                                    [VNP_Q_W] = "attention.self.query.weight",
                                    [VNP_Q_B] = "attention.self.query.bias",
                                    [VNP_K_W] = "attention.self.key.weight",
                                    [VNP_K_B] = "attention.self.key.bias",
                                    [VNP_V_W] = "attention.self.value.weight",
                                    [VNP_V_B] = "attention.self.value.bias",
                                    [VNP_OUT_W] = "attention.output.dense.weight",
                                    [VNP_OUT_B] = "attention.output.dense.bias",
                                    [VNP_LN2_W] = "LayerNorm.weight",
                                    [VNP_LN2_B] = "LayerNorm.bias",
                                    [VNP_FC1_W] = "intermediate.dense.weight",
                                    [VNP_FC1_B] = "intermediate.dense.bias",
                                    [VNP_FC2_W] = "output.dense.weight",
                                    [VNP_FC2_B] = "output.dense.bias"}},
    [VNP_NAMES_FAIR_ESM] = {.arch = VNP_ESM2,
                            .prefixes = {"", "encoder.sentence_encoder.", "encoder.",
                                         "model.encoder.sentence_encoder."},
                            .layer = "layers.",
                            .names = {[VNP_EMB_WORD] = "embed_tokens.weight",
                                      [VNP_FINAL_LN_W] = "emb_layer_norm_after.weight",
                                      [VNP_FINAL_LN_B] = "emb_layer_norm_after.bias",
                                      [VNP_LN1_W] = "self_attn_layer_norm.weight",
                                      [VNP_LN1_B] = "self_attn_layer_norm.bias",
                                      [VNP_Q_W] = "self_attn.q_proj.weight",
                                      [VNP_Q_B] = "self_attn.q_proj.bias",
                                      [VNP_K_W] = "self_attn.k_proj.weight",
                                      [VNP_K_B] = "self_attn.k_proj.bias",
                                      [VNP_V_W] = "self_attn.v_proj.weight",
                                      [VNP_V_B] = "self_attn.v_proj.bias",
                                      [VNP_OUT_W] = "self_attn.out_proj.weight",
                                      [VNP_OUT_B] = "self_attn.out_proj.bias",
                                      [VNP_LN2_W] = "final_layer_norm.weight",
                                      [VNP_LN2_B] = "final_layer_norm.bias",
                                      [VNP_FC1_W] = "fc1.weight",
                                      [VNP_FC1_B] = "fc1.bias",
                                      [VNP_FC2_W] = "fc2.weight",
                                      [VNP_FC2_B] = "fc2.bias"}},
    [VNP_NAMES_DNABERT_S] = {.arch = VNP_DNABERT_S,
                             .prefixes = {"", "bert."},
                             .layer = "encoder.layer.",
                             .names = {[VNP_EMB_WORD] = "embeddings.word_embeddings.weight",
                                       [VNP_EMB_LN_W] = "embeddings.LayerNorm.weight",
                                       [VNP_EMB_LN_B] = "embeddings.LayerNorm.bias",
                                       [VNP_EMB_TYPE] = "embeddings.token_type_embeddings.weight",
                                       [VNP_LN1_W] = "attention.output.LayerNorm.weight",
                                       [VNP_LN1_B] = "attention.output.LayerNorm.bias",
                                       [VNP_QKV_W] = "attention.self.Wqkv.weight",
                                       [VNP_QKV_B] = "attention.self.Wqkv.bias",
                                       [VNP_OUT_W] = "attention.output.dense.weight",
                                       [VNP_OUT_B] = "attention.output.dense.bias",
                                       [VNP_LN2_W] = "mlp.layernorm.weight",
                                       [VNP_LN2_B] = "mlp.layernorm.bias",
                                       [VNP_FC1_W] = "mlp.gated_layers.weight",
                                       [VNP_FC2_W] = "mlp.wo.weight",
                                       [VNP_FC2_B] = "mlp.wo.bias"}},
};
#define N_FAMILIES (sizeof families / sizeof *families)

enum vnp_arch vnp_scheme_arch(enum vnp_naming naming)
{
    return families[naming].arch;
}

bool vnp_role_name(const struct vnp_scheme *scheme, enum vnp_role role, int layer, char *buf, size_t cap)
{
    const struct family *f = &families[scheme->naming];
    if (f->names[role] == NULL)
        return false;
    if (role < VNP_N_GLOBAL_ROLES)
        snprintf(buf, cap, "%s%s", scheme->prefix, f->names[role]);
    else
        snprintf(buf, cap, "%s%s%d.%s", scheme->prefix, f->layer, layer, f->names[role]);
    return true;
}

const struct vnp_stored *vnp_role_find(const struct vnp_stored_set *s, const struct vnp_scheme *scheme,
                                       enum vnp_role role, int layer, char *name, size_t cap)
{
    static const char *const spellings[][2] = {{"LayerNorm.weight", "LayerNorm.gamma"},
                                               {"LayerNorm.bias", "LayerNorm.beta"}};
    if (!vnp_role_name(scheme, role, layer, name, cap))
        return NULL;
    const struct vnp_stored *t = vnp_stored_find(s, name);
    for (int i = 0; i < 2 && t == NULL; i++) {
        const size_t n = strlen(name), k = strlen(spellings[i][0]);
        if (n < k || strcmp(name + n - k, spellings[i][0]) != 0)
            continue;
        char other[256];
        snprintf(other, sizeof other, "%.*s%s", (int)(n - k), name, spellings[i][1]);
        t = vnp_stored_find(s, other);
    }
    return t;
}

/* Names of the scheme's global tensors and of its first layer that the set holds. */
static int score(const struct vnp_stored_set *s, const struct vnp_scheme *scheme)
{
    char name[256];
    int n = 0;
    for (int r = 0; r < VNP_N_ROLES; r++)
        n += vnp_role_find(s, scheme, r, 0, name, sizeof name) != NULL;
    return n;
}

enum vnp_status vnp_scheme_detect(const struct vnp_stored_set *s, struct vnp_scheme *scheme, struct vnp_err *err)
{
    int best = 0;
    for (size_t f = 0; f < N_FAMILIES; f++)
        for (size_t p = 0; p < 4 && families[f].prefixes[p] != NULL; p++) {
            const struct vnp_scheme here = {(enum vnp_naming)f, families[f].prefixes[p]};
            const int n = score(s, &here);
            if (n > best) {
                best = n;
                *scheme = here;
            }
        }
    const char *file = s->n_maps ? s->paths[0] : "model";
    if (best < 4) /* BERT's word and type embeddings alone make no model */
        return vnp_error(err, VNP_DATA, "%s: none of its %zu tensors has a name of ESM-2 or DNABERT-S", file, s->n);
    char name[256];
    snprintf(name, sizeof name, "%s%s", scheme->prefix,
             scheme->naming == VNP_NAMES_HF_ESM ? "embeddings.layer_norm.weight" : "emb_layer_norm_before.weight");
    if (families[scheme->naming].arch == VNP_ESM2 && vnp_stored_find(s, name) != NULL)
        return vnp_error(err, VNP_DATA, "%s: tensor %s belongs to ESM-1b or ESM-1v; only ESM-2 is supported", file,
                         name);
    return VNP_OK;
}

enum vnp_status vnp_scheme_layers(const struct vnp_stored_set *s, const struct vnp_scheme *scheme, int *layers,
                                  struct vnp_err *err)
{
    char stem[256];
    const size_t n_stem = (size_t)snprintf(stem, sizeof stem, "%s%s", scheme->prefix, families[scheme->naming].layer);
    *layers = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (strncmp(s->v[i].name, stem, n_stem) != 0)
            continue;
        const char *const number = s->v[i].name + n_stem;
        char *end;
        if (*number < '0' || *number > '9') /* transformers 5 writes a buffer for layer "*" */
            continue;
        const unsigned long n = strtoul(number, &end, 10);
        if (*end != '.' || n >= s->n)
            return vnp_error(err, VNP_DATA, "%s: tensor %.200s: no sensible layer number", s->v[i].file, s->v[i].name);
        if ((int)n >= *layers)
            *layers = (int)n + 1;
    }
    return VNP_OK;
}

static int vector(int64_t shape[2], int64_t n)
{
    shape[0] = n;
    shape[1] = 1;
    return 1;
}

static int matrix(int64_t shape[2], int64_t rows, int64_t cols)
{
    shape[0] = rows;
    shape[1] = cols;
    return 2;
}

int vnp_role_shape(const struct vnp_model_config *c, enum vnp_role role, int64_t shape[2])
{
    const bool dna = c->arch == VNP_DNABERT_S;
    const enum vnp_naming naming = dna ? VNP_NAMES_DNABERT_S : VNP_NAMES_HF_ESM;
    if (families[naming].names[role] == NULL)
        return 0;
    switch (role) {
    case VNP_EMB_WORD:
        return matrix(shape, c->vocab, c->width);
    case VNP_EMB_TYPE:
        return matrix(shape, 2, c->width);
    case VNP_Q_W:
    case VNP_K_W:
    case VNP_V_W:
    case VNP_OUT_W:
        return matrix(shape, c->width, c->width);
    case VNP_QKV_W:
        return matrix(shape, 3 * (int64_t)c->width, c->width);
    case VNP_QKV_B:
        return vector(shape, 3 * (int64_t)c->width);
    case VNP_FC1_W:
        return matrix(shape, (dna ? 2 : 1) * (int64_t)c->ffn, c->width);
    case VNP_FC1_B:
        return vector(shape, c->ffn);
    case VNP_FC2_W:
        return matrix(shape, c->width, c->ffn);
    default:
        return vector(shape, c->width);
    }
}

size_t vnp_role_index(enum vnp_role role, int layer)
{
    if (role < VNP_N_GLOBAL_ROLES)
        return role;
    return VNP_N_GLOBAL_ROLES + (size_t)layer * N_LAYER_ROLES + (size_t)(role - VNP_N_GLOBAL_ROLES);
}

size_t vnp_role_count(int layers)
{
    return VNP_N_GLOBAL_ROLES + (size_t)layers * N_LAYER_ROLES;
}

enum vnp_role vnp_role_at(size_t index, int *layer)
{
    *layer = 0;
    if (index < VNP_N_GLOBAL_ROLES)
        return (enum vnp_role)index;
    index -= VNP_N_GLOBAL_ROLES;
    *layer = (int)(index / N_LAYER_ROLES);
    return (enum vnp_role)(VNP_N_GLOBAL_ROLES + index % N_LAYER_ROLES);
}
