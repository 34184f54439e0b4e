/* The ids that vnp-orf gives to reading frames: CONTIG_chunk_K and a frame, F1 F2 F3 R1 R2 R3, as in c7_chunk_12R2. */
#ifndef VNP_FRAME_ID_H
#define VNP_FRAME_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "block.h"

struct vnp_frame_id {
    struct vnp_str contig, chunk; /* beginnings of the id: c7, c7_chunk_12 */
    uint64_t number;              /* of the chunk, from 1 */
    int frame;                    /* 0..5 */
};

/* False when the id is none of these. */
bool vnp_frame_id(struct vnp_frame_id *f, struct vnp_str id);

/* The same for the id of a chunk, which has no frame. */
bool vnp_chunk_id(struct vnp_frame_id *f, struct vnp_str id);

#endif
