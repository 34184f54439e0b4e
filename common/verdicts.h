/* From the scores of reading frames to what people read: a verdict for each frame, chunk and contig, as VirNucPro's
 * files, as tables and as JSON. See vnp-classify(1) for the rules and the files. */
#ifndef VNP_VERDICTS_H
#define VNP_VERDICTS_H

#include <stdbool.h>
#include <stdint.h>

#include "block.h"
#include "jsonout.h"

/* The files in `dir` that are written or, the last one without `chunks`, removed. */
#define VNP_VERDICT_TABLES 4
extern const char *const vnp_verdict_tables[VNP_VERDICT_TABLES];

struct vnp_verdict_options {
    const char *dir;    /* where the tables go; NULL: none */
    const char *chunks; /* the table of chunks of vnp-orf; NULL: no GFF */
    bool json;          /* to stdout */
    bool max_scores;    /* two more columns in the table of chunks */
    double min_viral;   /* share of a contig's chunks that makes it a virus */
};

struct vnp_verdict_counts {
    uint64_t frames, viral_frames, chunks, viral_chunks, contigs, viral_contigs, runs;
};

struct vnp_verdicts;

/* VNP_CANTCREAT when a table or a temporary file can't be made. End with vnp_verdicts_finish() or _discard(). */
VNP_MUST_CHECK enum vnp_status vnp_verdicts_open(struct vnp_verdicts **out, const struct vnp_verdict_options *opt,
                                                 struct vnp_err *err);

/* The next frame in input order: P(others), P(virus). VNP_DATA for an id that vnp-orf did not make, or that does not
 * fit behind those before it, and for scores that are not from 0 to 1. */
VNP_MUST_CHECK enum vnp_status vnp_verdicts_add(struct vnp_verdicts *v, struct vnp_str id, const float scores[2],
                                                struct vnp_err *err);

/* Sorts, writes all that is left and names the files. *v is gone either way; on failure no file is
 * there, unless one could be given its name and the next could not. */
VNP_MUST_CHECK enum vnp_status vnp_verdicts_finish(struct vnp_verdicts *v, struct vnp_verdict_counts *counts,
                                                   struct vnp_err *err);

/* Leaves no file behind. NULL is allowed. */
void vnp_verdicts_discard(struct vnp_verdicts *v);

/* A score as NumPy prints a float32: vnp_float_text(), but in the one float where they differ: 1e-04. */
void vnp_score_text(struct vnp_text *t, float x);

#endif
