#include "ring_gpu.h"

#include <string.h>

#include "log.h"

static enum vnp_status make_room(struct vnp_gpu_batch *b, int64_t tokens, uint64_t ordinal, struct vnp_err *err)
{
    const int width = b->width;
    const enum vnp_pool pool = b->pool;
    if (tokens <= b->cap_tokens)
        return VNP_OK;
    vnp_gpu_batch_free(b);
    if (vnp_gpu_batch_init(b, tokens, tokens / 2 + 1, width, pool, err) == VNP_OK)
        return VNP_OK;
    return vnp_error(
        err, VNP_OS,
        "record %llu has %lld tokens, and there is no memory for it: cut it with vnp-fasta2tok --max-len or --window",
        (unsigned long long)ordinal, (long long)tokens);
}

enum vnp_status vnp_slot_fill(struct vnp_slot *s, const struct vnp_block *b, int64_t first, int64_t n, const void *ids,
                              int id_bytes, uint32_t mask_id, struct vnp_err *err)
{
    if (make_room(&s->batch, (int64_t)vnp_sum(b->tokens + first, n), b->ordinal[first], err) != VNP_OK)
        return err->status;
    vnp_gpu_batch_fill(&s->batch, n, b->tokens + first, ids, id_bytes, mask_id);
    vnp_rows_clear(&s->rows);
    for (int64_t i = first; i < first + n; i++) {
        const struct vnp_row row = {.ordinal = b->ordinal[i],
                                    .total = b->total[i],
                                    .start = b->start ? b->start[i] : 0,
                                    .residues = b->residues[i],
                                    .flags = b->flags[i],
                                    .tokens = b->tokens[i],
                                    .window = b->window ? b->window[i] : 0,
                                    .windows = b->windows ? b->windows[i] : 1,
                                    .id = b->id[i]};
        if (vnp_rows_add(&s->rows, &row, err) != VNP_OK)
            return err->status;
    }
    return VNP_OK;
}

enum vnp_status vnp_ring_init(struct vnp_ring *r, int64_t *tokens, int width, enum vnp_pool pool, struct vnp_err *err)
{
    memset(r, 0, sizeof *r);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    for (int i = 0; i < VNP_SLOTS; i++)
        while (vnp_gpu_batch_init(&r->slot[i].batch, *tokens, *tokens / 2 + 1, width, pool, err) != VNP_OK) {
            if (*tokens < 1024)
                return err->status;
            *tokens /= 2;
            vnp_warn("%s: going on with %lld", err->msg, (long long)*tokens);
        }
    return VNP_OK;
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
