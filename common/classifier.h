/* VirNucPro's classifier: softmax(output_layer(relu(bn1(hidden_layer(x))))) in evaluation mode, class 0 = others, 1 =
 * virus. Read from the whole pickled module that users have, from a dictionary of its tensors, or from safetensors. */
#ifndef VNP_CLASSIFIER_H
#define VNP_CLASSIFIER_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu_threads.h"
#include "model_find.h"
#include "status.h"
#include "stored.h"

#define VNP_CLASSES 2
#define VNP_PANEL 8                    /* hidden units that are computed together */
#define VNP_CLASSIFIER_LIMIT (1 << 16) /* input values; hidden units */

/* Its tensors, as vnp_classifier_tensor_name() has them. */
enum vnp_classifier_tensor {
    VNP_HIDDEN_W,
    VNP_HIDDEN_B, /* [hidden, width], [hidden] */
    VNP_BN_W,
    VNP_BN_B, /* [hidden] */
    VNP_BN_MEAN,
    VNP_BN_VAR, /* [hidden] */
    VNP_OUTPUT_W,
    VNP_OUTPUT_B, /* [2, hidden], [2] */
    VNP_CLASSIFIER_TENSORS
};

struct vnp_classifier {
    char name[128];       /* last part of the path, without its extension */
    char fingerprint[32]; /* of all values and eps, whatever file and dtype they came in */
    int width, hidden;
    double eps; /* of bn1: the module's own, bn1.eps of a safetensors file's metadata, else 1e-5 */
    int64_t parameters;
    struct vnp_model_files files;
    struct vnp_stored_set stored;          /* all tensors of the files */
    float *tensor[VNP_CLASSIFIER_TENSORS]; /* all values, as above */
    float *panels;                         /* hidden_layer.weight as [hidden / VNP_PANEL, width, VNP_PANEL] */
    /* Batch norm and the hidden bias, folded: h = relu(scale (W x) + shift), scale = bn.weight / sqrt(var + eps),
     * shift = scale (bias - mean) + bn.bias; [hidden] each. */
    double *scale, *shift;
    double *out, out_bias[VNP_CLASSES]; /* [2, hidden] */
};

/* The name of a tensor, "hidden_layer.weight", and its shape for those sizes; returns the number of dimensions. */
const char *vnp_classifier_tensor_name(int tensor);
int vnp_classifier_tensor_shape(int tensor, int width, int hidden, int64_t shape[2]);

/* Whether the model at `path` is a classifier, by the names of its tensors. Fails when its files can't be read. */
VNP_MUST_CHECK enum vnp_status vnp_classifier_is(bool *is, const char *path, struct vnp_err *err);

/* Opens `path`: a file or a directory, as vnp_model_open(). All values are read and finite when this returns VNP_OK.
 * VNP_DATA for anything that is not this classifier. */
VNP_MUST_CHECK enum vnp_status vnp_classifier_open(struct vnp_classifier **out, const char *path, struct vnp_err *err);

/* Scores of n rows, x [n, width], into scores [n, 2]: P(others), P(virus). All sums are double, each in the order of
 * its index, and a score is rounded to float32 once: the same bytes in any company and on any machine whose exp() is
 * the same. NaN in, NaN out. */
void vnp_classifier_scores(const struct vnp_classifier *c, struct vnp_cpu_threads *threads, const float *x, int64_t n,
                           float *scores);

/* NULL is allowed. */
void vnp_classifier_close(struct vnp_classifier *c);

#endif
