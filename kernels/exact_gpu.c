#include "exact_gpu.h"

#include <stdlib.h>

#include "xmalloc.h"

#define FIRST_TOKENS 2048 /* room to begin with; longer sequences make more */

struct vnp_exact {
    const struct vnp_model *model;
    struct vnp_gpu_net_options options;
    struct vnp_gpu_net *net;
    struct vnp_gpu_batch batch;
};

struct vnp_exact *vnp_exact_new(const struct vnp_model *model, const struct vnp_gpu_net_options *like)
{
    struct vnp_exact *e = xcalloc(1, sizeof *e);
    e->model = model;
    e->options = *like;
    e->options.type = VNP_GEMM_F32;
    e->options.workspaces = 1;
    e->options.tokens = FIRST_TOKENS;
    return e;
}

static enum vnp_status make_room(struct vnp_exact *e, int64_t tokens, struct vnp_err *err)
{
    tokens = tokens < FIRST_TOKENS ? FIRST_TOKENS : tokens;
    if (!e->net && vnp_gpu_net_open(&e->net, e->model, &e->options, err) != VNP_OK)
        return err->status;
    if (vnp_gpu_net_reserve(e->net, tokens, err) != VNP_OK)
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
    vnp_gpu_net_enqueue(e->net, &e->batch);
    vnp_gpu_batch_wait(&e->batch);
    *out = e->batch.out;
    *finite = !e->batch.nonfinite[0];
    return VNP_OK;
}

void vnp_exact_compare(const struct vnp_head *head, enum vnp_pool pool, uint32_t tokens, int width, const float *a,
                       const float *b, struct vnp_agreement *g, struct vnp_pair *pair)
{
    float *means = NULL;
    if (pool == VNP_POOL_NONE) {
        const bool all_tokens = (int64_t)tokens == head->prefix + head->suffix;
        int64_t first, count;
        vnp_pool_span(head, VNP_POOL_MEAN, all_tokens, tokens, &first, &count);
        means = xmalloc((size_t)width * 2 * sizeof *means);
        vnp_pool_vectors(VNP_POOL_MEAN, VNP_F32, a + first * width, count, width, means);
        vnp_pool_vectors(VNP_POOL_MEAN, VNP_F32, b + first * width, count, width, means + width);
        a = means, b = means + width;
    }
    vnp_agreement_add(g, a, b, width, pair);
    free(means);
}

void vnp_exact_free(struct vnp_exact *e)
{
    if (!e)
        return;
    vnp_gpu_net_close(e->net);
    vnp_gpu_batch_free(&e->batch);
    free(e);
}
