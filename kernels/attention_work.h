/* How attention on the GPU is cut into work. Apart from attention.h, because this can be read without CUDA. */
#ifndef VNP_ATTENTION_WORK_H
#define VNP_ATTENTION_WORK_H

#include <stdint.h>

#define VNP_ATTENTION_ROWS 64 /* query rows of a tile */

/* One tile of work: up to VNP_ATTENTION_ROWS query rows of one sequence, which attend to all its tokens. */
struct vnp_attention_tile {
    int32_t first;  /* the sequence's first token in the batch */
    int32_t length; /* its tokens */
    int32_t query;  /* the tile's first query row within the sequence */
    int32_t unused; /* 16 bytes: one load */
};

/* Sequences of as many tiles. */
struct vnp_attention_whole {
    int64_t n, at;   /* and the first tile of the first: all are next to each other */
    int32_t longest; /* tokens */
};

/* The tiles of a batch. */
struct vnp_attention_work {
    int64_t tiles;                       /* all */
    struct vnp_attention_whole whole[4]; /* [2] and [3]: sequences of two tiles and of three */
};

#endif
