/* A stream of scores: what the classifier made of each row, between the two halves of vnp-classify. It is a stream of
 * embeddings of two float32, P(others) and P(virus), that came through vnp-classify. */
#ifndef VNP_SCORES_H
#define VNP_SCORES_H

#include "classifier.h"
#include "stream.h"

/* Whether the stream with this head holds scores, by the stages that it came through. */
bool vnp_scores_is(const struct vnp_head *head);

/* Refuses scores that are not as vnp-classify writes them: VNP_DATA. */
VNP_MUST_CHECK enum vnp_status vnp_scores_expect(const struct vnp_reader *r, struct vnp_err *err);

/* The head of the scores that `c` gives to the stream with the head `from`. VNP_DATA when that came through more stages
 * than a head can name; `name` is the stream's. */
VNP_MUST_CHECK enum vnp_status vnp_scores_head(struct vnp_head *head, const struct vnp_head *from, const char *name,
                                               const struct vnp_classifier *c, struct vnp_err *err);

#endif
