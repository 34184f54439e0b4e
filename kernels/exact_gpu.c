#include "exact_gpu.h"

#include <stdlib.h>

#include "xmalloc.h"

#define FIRST_TOKENS 2048 /* room to begin with; longer sequences make more */

struct vnp_exact {
    const struct vnp_model *model;
    struct vnp_esm2_gpu_options options;
    struct vnp_esm2_gpu *net;
    struct vnp_gpu_batch batch;
};

struct vnp_exact *vnp_exact_new(const struct vnp_model *model, const struct vnp_esm2_gpu_options *like)
{
    struct vnp_exact *e = xcalloc(1, sizeof *e);
    e->model = model;
    e->options = *like;
    e->options.type = VNP_GEMM_F32;
    e->options.tokens = FIRST_TOKENS;
    return e;
}

static enum vnp_status make_room(struct vnp_exact *e, int64_t tokens, struct vnp_err *err)
{
    tokens = tokens < FIRST_TOKENS ? FIRST_TOKENS : tokens;
    if (!e->net && vnp_esm2_gpu_open(&e->net, e->model, &e->options, err) != VNP_OK)
        return err->status;
    if (vnp_esm2_gpu_reserve(e->net, tokens, err) != VNP_OK)
        return err->status;
    if (tokens <= e->batch.cap_tokens)
        return VNP_OK;
    vnp_gpu_batch_free(&e->batch);
    return vnp_gpu_batch_init(&e->batch, tokens, 1, vnp_model_config(e->model)->width, e->options.pool, err);
}

enum vnp_status vnp_exact_run(struct vnp_exact *e, const void *ids, int id_bytes, uint32_t tokens, const float **out,
                              bool *finite, struct vnp_err *err)
{
    if (make_room(e, tokens, err) != VNP_OK)
        return err->status;
    vnp_gpu_batch_fill(&e->batch, 1, &tokens, ids, id_bytes, (uint32_t)vnp_model_config(e->model)->mask_id);
    vnp_esm2_gpu_enqueue(e->net, &e->batch);
    vnp_gpu_batch_wait(&e->batch);
    *out = e->batch.out;
    *finite = !e->batch.nonfinite[0];
    return VNP_OK;
}

void vnp_exact_free(struct vnp_exact *e)
{
    if (!e)
        return;
    vnp_esm2_gpu_close(e->net);
    vnp_gpu_batch_free(&e->batch);
    free(e);
}
