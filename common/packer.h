/* Packs rows into batches of at most `budget` tokens: best fit over a bounded window of rows. No I/O.
 *
 * Rows are numbered as they come. The window holds those numbered less than `lookahead` after the oldest that is still
 * waiting, so that a reader which puts rows back in order never holds more than `lookahead` of them. A batch is filled
 * in input order, the oldest row first, so that none starves, while the largest waiting row would still fit; then with
 * the two waiting rows (the oldest of equals) whose sum comes nearest to what is left, again and again until none fits.
 * A row larger than the budget is a batch of its own, at once. What comes out depends on the rows alone, never on how
 * they were cut into blocks.
 *
 * Largest first, the textbook's way, leaves a window of small rows that holds less than a batch: 90% where this reaches
 * the bound (bench/NOTES.md). Lengths that wait are bits in a tree of words (64 a node): a look-up is a few
 * words. */
#ifndef VNP_PACKER_H
#define VNP_PACKER_H

#include "rows.h"

struct vnp_packer;

struct vnp_packer_options {
    int64_t budget;       /* tokens a batch, 1 to 2^24 */
    int64_t lookahead;    /* rows in the window, 1 to 2^20; 1 packs nothing */
    uint64_t frame_bytes; /* a batch's rows take no more than this when encoded (unless one row does) */
};

#define VNP_PACKER_DEFAULT_BUDGET 8192 /* of vnp-pack, and what a stage after it counts on where nobody says */
#define VNP_PACKER_MAX_BUDGET ((int64_t)1 << 24)
#define VNP_PACKER_MAX_LOOKAHEAD ((int64_t)1 << 20)

/* What went through. Batches of one oversize row are counted apart: they say nothing about the packing. */
struct vnp_packer_stats {
    uint64_t rows, batches, tokens;          /* packed: efficiency is tokens / (batches x budget) */
    uint64_t oversize_rows, oversize_tokens; /* larger than the budget */
};

/* VNP_OS when there is no memory. The caller frees *out. */
VNP_MUST_CHECK enum vnp_status vnp_packer_new(struct vnp_packer **out, const struct vnp_packer_options *opt,
                                              struct vnp_err *err);

/* True while the next row must wait until a batch has been taken. */
bool vnp_packer_full(const struct vnp_packer *p);

/* Adds a copy of the row, whose cost is its tokens. Not while the packer is full. */
VNP_MUST_CHECK enum vnp_status vnp_packer_add(struct vnp_packer *p, const struct vnp_row *row, struct vnp_err *err);

/* Clears `out` and moves the next batch into it; VNP_END when nothing is waiting. Before the end of the input, call it
 * only when the packer is full: batches would come out smaller, or differ with the cut of the input. */
VNP_MUST_CHECK enum vnp_status vnp_packer_batch(struct vnp_packer *p, struct vnp_rows *out, struct vnp_err *err);

/* Of the batches taken so far; borrowed. */
const struct vnp_packer_stats *vnp_packer_stats(const struct vnp_packer *p);

/* NULL is allowed. */
void vnp_packer_free(struct vnp_packer *p);

#endif
