/* Runs of viral chunks, and where they lie: collected while the chunks come, written when the table of chunks is there.
 */
#ifndef VNP_VIRAL_GFF_H
#define VNP_VIRAL_GFF_H

#include <stdbool.h>

#include "frame_id.h"
#include "tables.h"

struct vnp_viral_gff;

/* VNP_CANTCREAT when a temporary file can't be made. The caller frees *out. */
VNP_MUST_CHECK enum vnp_status vnp_viral_gff_new(struct vnp_viral_gff **out, struct vnp_err *err);

/* The next chunk with a score, in input order. VNP_IO when the temporary file can't be written. */
VNP_MUST_CHECK enum vnp_status vnp_viral_gff_add(struct vnp_viral_gff *g, const struct vnp_frame_id *chunk, bool viral,
                                                 float score, struct vnp_err *err);

/* Reads the table of chunks (vnp-orf --chunks: "chunk_id contig start end", tabs, in input order, 0-based half-open)
 * and writes GFF3 into `file` of the tables; *runs gets their number. */
VNP_MUST_CHECK enum vnp_status vnp_viral_gff_write(struct vnp_viral_gff *g, const char *chunks, struct vnp_tables *t,
                                                   int file, uint64_t *runs, struct vnp_err *err);

/* NULL is allowed. */
void vnp_viral_gff_free(struct vnp_viral_gff *g);

#endif
