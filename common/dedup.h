/* Which records of an input are equal, in bounded memory: rows in, then which unique record each record equals, then
 * the rows of the unique records. No I/O but temporary files.
 *
 * Records are equal when they have as many windows, with the same starts, residues and tokens: the model then gives
 * each the same vector, byte for byte. Ids, totals and flags may differ. Records whose contents have equal hashes come
 * together in an external sort (sorter.h), and only then are their contents compared: a hash alone decides nothing.
 *
 * Memory: what it is given, and a row. Temporary files hold the tokens, the ids and about 60 bytes a row, and what of
 * the sort and of 8 bytes a record and 16 a group of equal ones does not fit into memory. */
#ifndef VNP_DEDUP_H
#define VNP_DEDUP_H

#include "rows.h"

struct vnp_dedup;

struct vnp_dedup_options {
    int token_bytes;    /* of a token id: 1 or 2 */
    size_t memory;      /* bytes, about; more than that goes through temporary files */
    unsigned hash_bits; /* 1 to 64; fewer than 64 only to make hashes collide, in tests */
};

#define VNP_DEDUP_DIGEST 17 /* bytes of a digest as text: 16 hexadecimal digits and a NUL */

/* VNP_CANTCREAT when a temporary file can't be made. The caller frees *out. */
VNP_MUST_CHECK enum vnp_status vnp_dedup_new(struct vnp_dedup **out, const struct vnp_dedup_options *opt,
                                             struct vnp_err *err);

/* Takes a copy of the next row. Rows come as a reader of tokens gives them: records one after the other, each with all
 * its windows. VNP_IO, as everywhere below, when a temporary file fails. */
VNP_MUST_CHECK enum vnp_status vnp_dedup_add(struct vnp_dedup *d, const struct vnp_row *row, struct vnp_err *err);

/* After the last row: finds what is equal. `digest` becomes one of all records, ids, flags and lengths included. */
VNP_MUST_CHECK enum vnp_status vnp_dedup_find(struct vnp_dedup *d, char digest[VNP_DEDUP_DIGEST], struct vnp_err *err);

/* The next record, as its embedding will be: whole, its tokens those of all windows, its data a struct vnp_copy.
 * VNP_END after the last; VNP_DATA when windows add up to 2^32 tokens or residues. Borrowed until the next call. */
VNP_MUST_CHECK enum vnp_status vnp_dedup_next_copy(struct vnp_dedup *d, struct vnp_row *row, struct vnp_err *err);

/* After the last of those: the next row of the unique records, renumbered from 0; VNP_END after the last. Borrowed
 * until the next call. */
VNP_MUST_CHECK enum vnp_status vnp_dedup_next_unique(struct vnp_dedup *d, struct vnp_row *row, struct vnp_err *err);

/* NULL is allowed. */
void vnp_dedup_free(struct vnp_dedup *d);

#endif
