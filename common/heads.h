/* Do two streams go together? */
#ifndef VNP_HEADS_H
#define VNP_HEADS_H

#include "block.h"

/* Whether two heads say the same of all but the first record: the same kind, vocabulary, model and vectors, made by the
 * same stages with the same options. VNP_DATA with the first thing in which they differ, by the names of the streams.
 */
VNP_MUST_CHECK enum vnp_status vnp_heads_alike(const struct vnp_head *a, const char *a_name, const struct vnp_head *b,
                                               const char *b_name, struct vnp_err *err);

#endif
