/* How a batch is cut into tasks. Each piece lies within one sequence and its size follows from that sequence's length
 * alone, so that every BLAS call has a shape that the neighbours can't change: the root of batch invariance on the CPU
 * (a BLAS may sum in another order for another number of rows). */
#ifndef VNP_CPU_TILES_H
#define VNP_CPU_TILES_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Rows [row, row + rows) of the batch; the first of them is token `pos` of a sequence of `length` tokens. */
struct vnp_cpu_tile {
    int64_t row, rows, pos, length;
};

/* Pieces of at most `limit`, as even as multiples of `unit` allow: piece i of split(n, limit, unit) is [i * part,
 * min(n, (i + 1) * part)). Returns the number of pieces, `part` their size. */
int64_t vnp_cpu_split(int64_t n, int64_t limit, int64_t unit, int64_t *part);

/* Rows of a tile of matrix products, at most; of queries in attention, at most (fewer for very long sequences: scores
 * are queries x length). */
#define VNP_CPU_ROWS 256
#define VNP_CPU_QUERIES 128
int64_t vnp_cpu_queries(int64_t length);

/* Tiles of sequences of tokens[0 .. n) tokens, in batch order. limit 0 means
 * vnp_cpu_queries(length). Fills tiles when it is not NULL; returns their number. */
int64_t vnp_cpu_tiles(struct vnp_cpu_tile *tiles, const uint32_t *tokens, int64_t n, int64_t limit);

#ifdef __cplusplus
}
#endif
#endif
