#include <stdlib.h>

#include "log.h"
#include "model_roles.h"
#include "net_cpu_steps.h"
#include "xmalloc.h"

/* All of the layer's weights are this one block, as large as the largest of them: the time that a product takes depends
 * on how much it reads, and not on what. */
static enum vnp_status add_weights(struct vnp_cpu_net *m, struct vnp_err *err)
{
    int64_t most = 0, shape[2];
    for (int r = 0; r < VNP_N_ROLES; r++)
        if (r != VNP_EMB_WORD && vnp_role_shape(m->config, r, shape) > 0 && shape[0] * shape[1] > most)
            most = shape[0] * shape[1];
    struct vnp_cpu_area block = {0};
    if (vnp_cpu_area_grow(&block, most, err) != VNP_OK)
        return err->status;
    for (int64_t i = 0; i < most; i++)
        block.p[i] = (float)(i * 7 % 31 - 15) / 256; /* small, so that nothing overflows */
    m->owned = xcalloc(1, sizeof *m->owned);
    m->owned[m->n_owned++] = block.p;
    m->layers = xcalloc(1, sizeof *m->layers);
    for (int r = 0; r < VNP_N_ROLES; r++)
        if (vnp_role_shape(m->config, r, shape) > 0)
            *(r < VNP_N_GLOBAL_ROLES ? &m->globals.role[r] : &m->layers[0].role[r]) = block.p;
    return VNP_OK;
}

enum vnp_status vnp_cpu_net_trial(const struct vnp_model_config *c, struct vnp_cpu_threads *threads,
                                  const uint32_t *tokens, int64_t n, double seconds, double *flops_s,
                                  struct vnp_err *err)
{
    struct vnp_model_config config = *c;
    struct vnp_cpu_net *m;
    const float *hidden;
    double flops = 0, begin = 0, now = 0;
    int runs = -1;     /* the first one finds nothing in the caches */
    config.layers = 2; /* the first of which is run */
    if (vnp_cpu_net_new(&m, &config, threads, err) != VNP_OK)
        return err->status;
    void *ids = xcalloc((size_t)vnp_sum(tokens, n) + 1, 1); /* all of them token 0: the rest of the table isn't there */
    const struct vnp_cpu_batch batch = {n, tokens, ids, 1};
    enum vnp_status st = add_weights(m, err);
    while (st == VNP_OK && (runs < 1 || now - begin < seconds)) {
        st = vnp_cpu_net_forward(m, &batch, 1, &hidden, err);
        now = vnp_now();
        if (runs++ < 0)
            begin = now;
    }
    for (int64_t i = 0; i < n; i++)
        flops += vnp_cpu_net_flops(c, 1, tokens[i]);
    if (st == VNP_OK)
        *flops_s = flops * runs / (now - begin);
    vnp_cpu_net_close(m);
    free(ids);
    return st;
}
