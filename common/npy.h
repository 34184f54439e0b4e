/* A NumPy array file (.npy, format 1.0) of float32 [rows, width] in C order, written row by row. */
#ifndef VNP_NPY_H
#define VNP_NPY_H

#include <stdint.h>

#include "status.h"

struct vnp_npy;

/* Opens `path` for writing; it appears under that name when vnp_npy_finish() returns VNP_OK. It must be a regular file:
 * the header, which comes first, needs the number of rows, which comes last. */
VNP_MUST_CHECK enum vnp_status vnp_npy_open(struct vnp_npy **out, const char *path, int width, struct vnp_err *err);
/* Appends `rows` rows of `width` floats. */
VNP_MUST_CHECK enum vnp_status vnp_npy_add(struct vnp_npy *a, const float *values, int64_t rows, struct vnp_err *err);
/* The array is gone whatever the outcome. */
VNP_MUST_CHECK enum vnp_status vnp_npy_finish(struct vnp_npy *a, struct vnp_err *err);
/* Removes the unfinished file. NULL is allowed. */
void vnp_npy_discard(struct vnp_npy *a);

#endif
