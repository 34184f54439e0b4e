#include "self_check.h"

#include <math.h>
#include <stdlib.h>

#include "cpu_threads.h"
#include "log.h"
#include "net_cpu.h"
#include "parallel.h"
#include "stats.h"
#include "xmalloc.h"

/* The sequence to look at among those with `redone` (VNP_REDONE or 0) in their flags; -1: there is none. */
static int64_t pick(const struct vnp_block *b, uint32_t redone)
{
    int64_t best = -1;
    for (int64_t i = 0; i < b->n; i++) {
        const uint32_t tokens = b->tokens[i], others = best < 0 ? 0 : b->tokens[best];
        const bool fits = tokens <= VNP_SELF_CHECK_TOKENS, best_fits = others <= VNP_SELF_CHECK_TOKENS;
        if ((b->flags[i] & (VNP_REDONE | VNP_NONFINITE)) != redone)
            continue;
        if (best < 0 || (fits && (!best_fits || tokens > others)) || (!best_fits && tokens < others))
            best = i;
    }
    return best;
}

/* What the CPU has is compared as it lies there or, pooled, as the device pools. */
static double compare(const struct vnp_self_check *c, const float *hidden, uint32_t tokens, const float *vectors)
{
    const int64_t width = vnp_model_config(c->model)->width;
    struct vnp_pair pair;
    if (c->pool == VNP_POOL_NONE) {
        vnp_pair_compare(&pair, hidden, vectors, tokens * width);
        return pair.cosine;
    }
    int64_t first, count;
    float *pooled = xmalloc((size_t)width * sizeof *pooled);
    vnp_pool_span(c->head, c->pool, c->all_tokens, tokens, &first, &count);
    vnp_pool_vectors(c->pool, VNP_F32, hidden + first * width, count, width, pooled);
    vnp_pair_compare(&pair, pooled, vectors, width);
    free(pooled);
    return pair.cosine;
}

/* One sequence on the CPU. The weights are loaded for it and let go of: it happens once or twice a run. */
static enum vnp_status run(const struct vnp_self_check *c, const void *ids, uint32_t tokens, const float *vectors,
                           double *cosine, struct vnp_err *err)
{
    const struct vnp_cpu_batch batch = {1, &tokens, ids, c->head->token_bytes};
    struct vnp_cpu_threads *threads = vnp_cpu_threads_new(vnp_cpu_count());
    struct vnp_cpu_net *net = NULL;
    const float *hidden;
    if (!threads)
        return vnp_error(err, VNP_OS, "the system gives no threads");
    enum vnp_status st = vnp_cpu_net_open(&net, c->model, threads, err);
    if (st == VNP_OK)
        st = vnp_cpu_net_forward(net, &batch, c->layer, &hidden, err);
    if (st == VNP_OK)
        *cosine = compare(c, hidden, tokens, vectors);
    vnp_cpu_net_close(net);
    vnp_cpu_threads_free(threads);
    return st;
}

static enum vnp_status check(const struct vnp_self_check *c, const struct vnp_block *b, int64_t i, const void *ids,
                             double least, struct vnp_err *err)
{
    const int64_t width = vnp_model_config(c->model)->width, first = (int64_t)vnp_sum(b->tokens, i);
    const float *vectors = (const float *)b->bulk + (c->pool == VNP_POOL_NONE ? first : i) * width;
    double cosine = NAN;
    if (run(c, (const char *)ids + first * c->head->token_bytes, b->tokens[i], vectors, &cosine, err) != VNP_OK)
        return err->status;
    vnp_log(VNP_LOG_DEBUG, "record %llu: cosine %.7f to the CPU", (unsigned long long)b->ordinal[i], cosine);
    if (cosine >= least)
        return VNP_OK;
    return vnp_error(err, VNP_SOFTWARE,
                     "%s: record %llu: cosine %.7f between this GPU and the CPU, under %g: what the GPU computes is "
                     "wrong; vnp-cpu-forward takes the same input",
                     c->name, (unsigned long long)b->ordinal[i], cosine, least);
}

enum vnp_status vnp_self_check(struct vnp_self_check *c, const struct vnp_block *batch, const void *ids,
                               struct vnp_err *err)
{
    for (int redone = 0; redone < 2; redone++) {
        const int64_t i = c->proven[redone] ? -1 : pick(batch, redone ? VNP_REDONE : 0);
        if (i < 0)
            continue;
        if (check(c, batch, i, ids, redone ? VNP_SELF_CHECK_LEAST : c->least, err) != VNP_OK)
            return err->status;
        c->proven[redone] =
            batch->residues[i] > 0; /* the vectors of an empty record may be zeros, which prove nothing */
    }
    return VNP_OK;
}
