#include "ring_gpu.h"

#include <string.h>

#include "log.h"

void vnp_ring_init(struct vnp_ring *r)
{
    memset(r, 0, sizeof *r);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
}

struct vnp_slot *vnp_ring_take(struct vnp_ring *r, int64_t turn, enum vnp_slot_state state)
{
    struct vnp_slot *s = &r->slot[turn % VNP_SLOTS];
    pthread_mutex_lock(&r->lock);
    if (s->state != state) {
        const double before = vnp_now();
        while (s->state != state)
            pthread_cond_wait(&r->changed, &r->lock);
        r->waited[state] += vnp_now() - before;
    }
    pthread_mutex_unlock(&r->lock);
    return s;
}

void vnp_ring_pass(struct vnp_ring *r, struct vnp_slot *s, enum vnp_slot_state state)
{
    pthread_mutex_lock(&r->lock);
    s->state = state;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

void vnp_ring_free(struct vnp_ring *r)
{
    for (int i = 0; i < VNP_SLOTS; i++) {
        vnp_gpu_batch_free(&r->slot[i].batch);
        vnp_rows_free(&r->slot[i].rows);
    }
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
}
