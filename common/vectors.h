/* The vectors of a block as floats, whatever their dtype. */
#ifndef VNP_VECTORS_H
#define VNP_VECTORS_H

#include "block.h"

/* Vectors that row i of a block has: its tokens (hidden), its residues (embeddings with pool "none"), else 1. The rows'
 * vectors lie one after the other. Only for streams of hidden states or embeddings. */
int64_t vnp_row_vectors(const struct vnp_head *head, const struct vnp_block *block, int64_t i);

/* Vectors [first, first + count) of the bulk as float32, exactly: borrowed from the block when it holds floats, else
 * converted into `scratch` of count * head->width. */
const float *vnp_vectors_f32(const struct vnp_head *head, const struct vnp_block *block, int64_t first, int64_t count,
                             float *scratch);

#endif
