/* Batches in flight: a ring of slots that three threads pass on, each in its turn: one fills them, one starts them on
 * the device, one takes the results out. Order is kept, memory is bounded, and each waits only for the one before it.
 */
#ifndef VNP_RING_GPU_H
#define VNP_RING_GPU_H

#include <pthread.h>
#include <stdbool.h>

#include "batch_gpu.h"
#include "gpu_memory.h"
#include "rows.h"

enum vnp_slot_state { VNP_SLOT_EMPTY, VNP_SLOT_FILLED, VNP_SLOT_STARTED };

struct vnp_slot {
    struct vnp_gpu_batch batch;
    struct vnp_rows rows; /* what is known of each sequence; no bulk */
    bool last;            /* no batch in here, and none will follow */
    enum vnp_slot_state state;
};

struct vnp_ring {
    struct vnp_slot slot[VNP_SLOTS];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    double waited[3]; /* seconds for a slot in each state: empty, filled, started */
};

/* Rows [first, first + n) of the block into a slot that is the caller's; `ids`: their tokens. Makes room when a single
 * record is longer than a batch: VNP_OS when there is no memory for that. */
VNP_MUST_CHECK enum vnp_status vnp_slot_fill(struct vnp_slot *s, const struct vnp_block *b, int64_t first, int64_t n,
                                             const void *ids, int id_bytes, uint32_t mask_id, struct vnp_err *err);

/* Slots for batches of *tokens. When the memory that was free a moment ago is gone, half of that, and *tokens says so:
 * larger batches are split, which changes no byte of the result. VNP_OS when there is none for 512. */
VNP_MUST_CHECK enum vnp_status vnp_ring_init(struct vnp_ring *r, int64_t *tokens, int width, enum vnp_pool pool,
                                             struct vnp_err *err);
/* Waits until slot `turn` (counted on and on) is in `state`, and returns it: it is then the caller's. */
struct vnp_slot *vnp_ring_take(struct vnp_ring *r, int64_t turn, enum vnp_slot_state state);
/* Passes it on. */
void vnp_ring_pass(struct vnp_ring *r, struct vnp_slot *s, enum vnp_slot_state state);
void vnp_ring_free(struct vnp_ring *r);

#endif
