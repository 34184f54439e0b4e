/* What the tensors of a model are called in each family of files, and which shape each must have. */
#ifndef VNP_MODEL_ROLES_H
#define VNP_MODEL_ROLES_H

#include <stdbool.h>
#include <stddef.h>

#include "model.h"
#include "stored.h"

enum vnp_naming {
    VNP_NAMES_HF_ESM,   /* Hugging Face EsmModel */
    VNP_NAMES_FAIR_ESM, /* fair-esm */
    VNP_NAMES_DNABERT_S /* MAGICS-LAB/DNABERT_S bert_layers.py */
};

/* A family of names and what stands in front of all of them in the file at hand. */
struct vnp_scheme {
    enum vnp_naming naming;
    const char *prefix; /* "esm.", "encoder.sentence_encoder.", "", ... Static. */
};

enum vnp_arch vnp_scheme_arch(enum vnp_naming naming);

/* Finds the family that most names of the set belong to. VNP_DATA when there is none, or for ESM-1b and its like. */
VNP_MUST_CHECK enum vnp_status vnp_scheme_detect(const struct vnp_stored_set *s, struct vnp_scheme *scheme,
                                                 struct vnp_err *err);

/* Layers that the names speak of: the highest number and one more; at most the number of tensors. */
VNP_MUST_CHECK enum vnp_status vnp_scheme_layers(const struct vnp_stored_set *s, const struct vnp_scheme *scheme,
                                                 int *layers, struct vnp_err *err);

/* The tensor's name in a file into buf; false for a role that the architecture does not have. */
bool vnp_role_name(const struct vnp_scheme *scheme, enum vnp_role role, int layer, char *buf, size_t cap);

/* A role's tensor, and the name it should have into `name`; NULL when it is not there. Old BERT files, and those that
 * save_pretrained() of transformers 5 writes, call a LayerNorm's weight and bias gamma and beta. */
const struct vnp_stored *vnp_role_find(const struct vnp_stored_set *s, const struct vnp_scheme *scheme,
                                       enum vnp_role role, int layer, char *name, size_t cap);

/* The dimensions of a role's tensor (1 or 2) and its shape; 0 for a role that the architecture does not have. */
int vnp_role_shape(const struct vnp_model_config *c, enum vnp_role role, int64_t shape[2]);

/* Index of a tensor in a table of all: global roles, then those of each layer; and the size of that table. */
size_t vnp_role_index(enum vnp_role role, int layer);
size_t vnp_role_count(int layers);
/* The other way round. */
enum vnp_role vnp_role_at(size_t index, int *layer);

#endif
