/* A model's files behind its roles: for vnp-model, which shows and checks them. Others need model.h alone. */
#ifndef VNP_MODEL_DETAIL_H
#define VNP_MODEL_DETAIL_H

#include "model.h"
#include "model_find.h"
#include "model_roles.h"
#include "stored.h"

/* All borrowed until the model is closed. */
const struct vnp_model_files *vnp_model_files(const struct vnp_model *m);
const struct vnp_stored_set *vnp_model_stored(const struct vnp_model *m);
const struct vnp_scheme *vnp_model_scheme(const struct vnp_model *m);
/* The path of the file that a role's tensor lies in. */
const char *vnp_model_file_of(const struct vnp_model *m, const struct vnp_tensor *t);

/* Tensors of the forward pass, in the order of vnp_role_index(), those that the architecture lacks as NULL. */
size_t vnp_model_tensors(const struct vnp_model *m);
const struct vnp_tensor *vnp_model_tensor_at(const struct vnp_model *m, size_t index);

#endif
