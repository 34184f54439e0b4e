/* Classifiers made up, converted, and shown: for vnp-model. */
#ifndef VNP_CLASSIFIER_WRITE_H
#define VNP_CLASSIFIER_WRITE_H

#include "classifier.h"
#include "jsonout.h"

/* Whether a shape that `vnp-model synth` is given is one of a classifier: "classifier", "classifier:WIDTH" or
 * "classifier:WIDTHxHIDDEN"; 3328 and 512 where it does not say. VNP_USAGE for one with sizes that are wrong or
 * beyond VNP_CLASSIFIER_LIMIT. */
VNP_MUST_CHECK enum vnp_status vnp_classifier_shape(bool *is, int *width, int *hidden, const char *shape,
                                                    struct vnp_err *err);

/* Writes dir/model.safetensors, float32, with numbers as in synth.h: the scores of inputs of order one spread over the
 * whole range. `dir` must not exist or be empty; *bytes gets the file's size. */
VNP_MUST_CHECK enum vnp_status vnp_classifier_synth(const char *dir, int width, int hidden, uint64_t seed,
                                                    uint64_t *bytes, struct vnp_err *err);

/* Writes an open classifier in the same way. */
VNP_MUST_CHECK enum vnp_status vnp_classifier_write(const char *dir, const struct vnp_classifier *c, uint64_t *bytes,
                                                    struct vnp_err *err);

/* What vnp-model inspect prints: for people, or a line of JSON; with `list` every tensor of the files. */
void vnp_classifier_show(struct vnp_text *out, const struct vnp_classifier *c, bool list, bool json);

#endif
