#include "forward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "rows.h"
#include "tokenizer.h"

enum vnp_status vnp_forward_layer(const struct vnp_model_config *c, int64_t wanted, int *layer, struct vnp_err *err)
{
    int64_t n = wanted == VNP_LAYER_LAST ? c->layers : wanted;
    if (n < 0)
        n += c->layers + 1;
    if (n < 0 || n > c->layers)
        return vnp_error(err, VNP_USAGE, "--layer: %s has layers 0 to %d (or %d to -1), not %lld", c->name, c->layers,
                         -c->layers - 1, (long long)wanted);
    *layer = (int)n;
    return VNP_OK;
}

/* Are they tokens of the tokenizer.json beside the model or, without one, of a vocabulary that may be its? */
static enum vnp_status check_bpe(const struct vnp_model *m, const struct vnp_head *head, bool *ours,
                                 struct vnp_err *err)
{
    const char *file = vnp_model_tokenizer(m);
    struct vnp_tokenizer *t;
    struct vnp_head own;
    *ours = strncmp(head->vocab, "bpe-", 4) == 0 && head->vocab_size == vnp_model_config(m)->vocab;
    if (!file)
        return VNP_OK;
    if (vnp_tokenizer_open(&t, file, err) != VNP_OK)
        return err->status;
    vnp_tokenizer_head(t, &own);
    vnp_tokenizer_close(t);
    *ours = strcmp(head->vocab, own.vocab) == 0 && head->vocab_size <= vnp_model_config(m)->vocab;
    return VNP_OK;
}

enum vnp_status vnp_forward_check(const struct vnp_model *m, const struct vnp_head *head, const char *name,
                                  struct vnp_err *err)
{
    const struct vnp_model_config *c = vnp_model_config(m);
    const bool esm = c->arch == VNP_ESM2;
    const char *file = vnp_model_tokenizer(m) ? vnp_model_tokenizer(m) : "and the tokenizer.json published with it";
    bool ours = strcmp(head->vocab, "esm2") == 0 && head->vocab_size <= c->vocab;
    if (!esm && check_bpe(m, head, &ours, err) != VNP_OK)
        return err->status;
    if (ours)
        return VNP_OK;
    return vnp_error(err, VNP_DATA,
                     "%s: tokens of vocabulary %s (%d ids), but %s is %s with %d ids: its tokens come from "
                     "vnp-fasta2tok%s%s",
                     name, head->vocab, head->vocab_size, c->name, esm ? "an ESM-2" : "a DNABERT-S", c->vocab,
                     esm ? "" : " --tokenizer ", esm ? "" : file);
}

int64_t vnp_forward_budget_said(const struct vnp_head *head, int64_t otherwise)
{
    const int64_t said = vnp_head_budget(head);
    return said > 0 ? said : otherwise;
}

int64_t vnp_forward_budget(const struct vnp_head *head, int64_t otherwise)
{
    const int64_t budget = vnp_forward_budget_said(head, otherwise);
    return budget < 64 ? 64 : budget > 1 << 30 ? 1 << 30 : budget;
}

enum vnp_status vnp_forward_head(struct vnp_head *head, const struct vnp_model_config *c, int layer, enum vnp_pool pool,
                                 bool all_tokens, const char *numbers, const char *name, struct vnp_err *err)
{
    struct vnp_producer *self = vnp_head_add_stage(head, vnp_log_stage());
    if (!self)
        return vnp_error(err, VNP_DATA, "%s: has come through too many stages", name);
    vnp_producer_param(self, "layer", "%d", layer);
    if (numbers)
        vnp_producer_param(self, "numbers", "%s", numbers);
    head->kind = VNP_HIDDEN;
    if (pool != VNP_POOL_NONE) {
        head->kind = VNP_EMBEDDINGS;
        snprintf(head->pool, sizeof head->pool, "%s", vnp_pool_name(pool));
        vnp_producer_param(self, "pool", "%s", head->pool);
        if (all_tokens)
            vnp_producer_param(self, "tokens", "all");
    }
    snprintf(head->model, sizeof head->model, "%s", c->name);
    snprintf(head->fingerprint, sizeof head->fingerprint, "%s", c->fingerprint);
    head->layer = layer;
    head->dtype = VNP_F32;
    head->width = c->width;
    return VNP_OK;
}

/* Rows [first, first + n) of a block, with their part of the bulk. */
static struct vnp_block part_of(const struct vnp_block *b, int64_t first, int64_t n, const void *bulk, int64_t bytes)
{
    return (struct vnp_block){
        .n = n,
        .ordinal = b->ordinal + first,
        .id = b->id + first,
        .residues = b->residues + first,
        .total = b->total + first,
        .flags = b->flags + first,
        .tokens = b->tokens + first,
        .window = b->window ? b->window + first : NULL,
        .windows = b->windows ? b->windows + first : NULL,
        .start = b->start ? b->start + first : NULL,
        .bulk = bulk,
        .bulk_bytes = bytes,
    };
}

enum vnp_status vnp_forward_write(struct vnp_writer *out, const struct vnp_block *batch, int width, enum vnp_pool pool,
                                  struct vnp_err *err)
{
    const uint64_t limit = VNP_FRAME_LIMIT - 4096, vector = (uint64_t)width * sizeof(float);
    const char *bulk = batch->bulk;
    for (int64_t first = 0, next; first < batch->n; first = next) {
        uint64_t frame = 0, bytes = 0;
        for (next = first; next < batch->n; next++) {
            const uint64_t row = (pool == VNP_POOL_NONE ? batch->tokens[next] : 1) * vector;
            frame += vnp_row_frame_bytes(&(struct vnp_row){.id = batch->id[next], .bytes = row});
            if (frame > limit && next > first)
                break;
            bytes += row;
        }
        const struct vnp_block part = part_of(batch, first, next - first, bulk, (int64_t)bytes);
        if (vnp_writer_block(out, &part, err) != VNP_OK)
            return err->status;
        bulk += bytes;
    }
    return VNP_OK;
}
