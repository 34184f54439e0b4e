/* What vnp-cat --summary says of a stream that has been read to its end. */
#ifndef VNP_STREAM_SHOW_H
#define VNP_STREAM_SHOW_H

#include "jsonout.h"
#include "stream.h"

/* Residues of the rows. */
struct vnp_lengths {
    uint64_t sum;
    uint32_t min, max;
};

/* A few lines for people, without control characters. */
void vnp_stream_show(struct vnp_text *t, const struct vnp_reader *r, const struct vnp_lengths *len);

/* The same as one line of JSON. */
void vnp_stream_show_json(struct vnp_text *t, const struct vnp_reader *r, const struct vnp_lengths *len);

/* ", ordered: yes" or "no" of embeddings; empty for kinds that have no choice. */
const char *vnp_stream_order(const struct vnp_reader *r);

#endif
