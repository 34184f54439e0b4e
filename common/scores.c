#include "scores.h"

#include <stdio.h>
#include <string.h>

#include "fingerprint.h"

#define STAGE "vnp-classify"

bool vnp_scores_is(const struct vnp_head *head)
{
    for (int i = 0; i < head->n_by; i++)
        if (strcmp(head->by[i].stage, STAGE) == 0)
            return true;
    return false;
}

enum vnp_status vnp_scores_expect(const struct vnp_reader *r, struct vnp_err *err)
{
    const struct vnp_head *h = vnp_reader_head(r);
    if (h->width != VNP_CLASSES || h->dtype != VNP_F32)
        return vnp_error(err, VNP_DATA,
                         "%s: has scores of %d values (%s), not the %d of type f32 that " STAGE " --scores writes",
                         vnp_reader_name(r), h->width, vnp_dtype_name(h->dtype), VNP_CLASSES);
    return VNP_OK;
}

enum vnp_status vnp_scores_head(struct vnp_head *head, const struct vnp_head *from, const char *name,
                                const struct vnp_classifier *c, struct vnp_err *err)
{
    *head = *from;
    struct vnp_producer *by = vnp_head_add_stage(head, STAGE);
    if (by == NULL)
        return vnp_head_full(head, name, err);
    vnp_producer_param(by, "model", "%s", c->name);
    vnp_producer_param(by, "fingerprint", "%s", c->fingerprint);
    vnp_producer_param(by, "scored.model", "%s", from->model);
    vnp_producer_param(by, "scored.fingerprint", "%s", from->fingerprint);
    vnp_producer_param(by, "scored.width", "%d", from->width);
    head->dtype = VNP_F32;
    head->width = VNP_CLASSES;
    snprintf(head->model, sizeof head->model, "%.60s(%.64s)", c->name, from->model);
    vnp_fingerprint_join(head->fingerprint, sizeof head->fingerprint, c->fingerprint, from->fingerprint);
    return VNP_OK;
}
