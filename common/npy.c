#include "npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "xmalloc.h"

#define HEADER_BYTES 128 /* a multiple of 64, as NumPy aligns the values; the longest shape needs about 100 */

struct vnp_npy {
    struct vnp_output *output;
    int64_t rows;
    int width;
};

/* https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
static void make_header(const struct vnp_npy *a, char header[HEADER_BYTES])
{
    static const char magic[] = "\x93NUMPY\x01\x00";
    memset(header, ' ', HEADER_BYTES);
    memcpy(header, magic, 8);
    header[8] = HEADER_BYTES - 10;
    header[9] = 0;
    int n = snprintf(header + 10, HEADER_BYTES - 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (%lld, %d), }",
                     (long long)a->rows, a->width);
    header[10 + n] = ' ';
    header[HEADER_BYTES - 1] = '\n';
}

enum vnp_status vnp_npy_open(struct vnp_npy **out, const char *path, int width, struct vnp_err *err)
{
    struct vnp_npy *a = xcalloc(1, sizeof *a);
    char header[HEADER_BYTES];
    *out = NULL;
    a->width = width;
    enum vnp_status st = vnp_output_open(&a->output, path, 0, err);
    if (st == VNP_OK && vnp_output_is_stream(a->output))
        st = vnp_error(err, VNP_CANTCREAT, "%s: an array needs a regular file: its header is written last", path);
    if (st == VNP_OK) {
        make_header(a, header);
        struct iovec part = {header, sizeof header};
        st = vnp_output_write(a->output, &part, 1, err);
    }
    if (st != VNP_OK) {
        vnp_npy_discard(a);
        return st;
    }
    *out = a;
    return VNP_OK;
}

enum vnp_status vnp_npy_add(struct vnp_npy *a, const float *values, int64_t rows, struct vnp_err *err)
{
    struct iovec part = {(void *)(uintptr_t)values, (size_t)rows * (size_t)a->width * sizeof *values};
    a->rows += rows;
    return vnp_output_write(a->output, &part, 1, err);
}

enum vnp_status vnp_npy_finish(struct vnp_npy *a, struct vnp_err *err)
{
    char header[HEADER_BYTES];
    make_header(a, header);
    enum vnp_status st = vnp_output_patch(a->output, 0, header, sizeof header, err);
    if (st == VNP_OK) {
        st = vnp_output_commit(a->output, err);
        a->output = NULL;
    }
    vnp_npy_discard(a);
    return st;
}

void vnp_npy_discard(struct vnp_npy *a)
{
    if (a == NULL)
        return;
    if (a->output != NULL)
        vnp_output_discard(a->output);
    free(a);
}
