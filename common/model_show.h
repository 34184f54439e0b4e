/* What vnp-model inspect prints. */
#ifndef VNP_MODEL_SHOW_H
#define VNP_MODEL_SHOW_H

#include <stdbool.h>

#include "jsonout.h"
#include "model.h"

/* A table for people, and with `list` a line for each tensor of the files: name, dtype, shape, bytes, "used" or
 * "ignored", separated by tabs. */
void vnp_model_show(struct vnp_text *out, const struct vnp_model *m, bool list);

/* The same as one line of JSON. */
void vnp_model_show_json(struct vnp_text *out, const struct vnp_model *m, bool list);

#endif
