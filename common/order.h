/* Streams in input order: that what comes is every record once, one after the other. */
#ifndef VNP_ORDER_H
#define VNP_ORDER_H

#include "cover.h"

/* Where a stream is. Zero-initialised: at its start. Free with vnp_order_free(). */
struct vnp_order {
    bool begun;
    uint64_t ordinal; /* of the newest row */
    struct vnp_cover cover;
    uint64_t unique, slots; /* copies: unique records and shared ones so far */
};

/* Whether the stream that begins with this head promises input order: tokens and copies always, embeddings when the
 * head says so. */
bool vnp_head_ordered(const struct vnp_head *head);

/* The next block. Ordinals must count up by one from the head's first; tokens may come in windows, which must make up
 * their record; the others may not. Copies must number unique records, and the shared ones among them, as they first
 * come. VNP_DATA says which row breaks the order. */
VNP_MUST_CHECK enum vnp_status vnp_order_block(struct vnp_order *o, const struct vnp_head *head,
                                               const struct vnp_block *b, struct vnp_err *err);
/* At the end: the last record must have all its windows. */
VNP_MUST_CHECK enum vnp_status vnp_order_end(const struct vnp_order *o, struct vnp_err *err);

void vnp_order_free(struct vnp_order *o);

#endif
