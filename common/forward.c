#include "forward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "classifier.h"
#include "log.h"
#include "model_detail.h"
#include "packer.h"
#include "rows.h"
#include "stage.h"
#include "tokenizer.h"

static enum vnp_status find_layer(struct vnp_forward *f, struct vnp_err *err)
{
    const struct vnp_model_config *c = f->config;
    int64_t n = f->wanted == VNP_LAYER_LAST ? c->layers : f->wanted;
    if (n < 0)
        n += c->layers + 1;
    if (n < 0 || n > c->layers)
        return vnp_error(err, VNP_USAGE, "--layer: %s has layers 0 to %d (or %d to -1), not %lld", c->name, c->layers,
                         -c->layers - 1, (long long)f->wanted);
    f->layer = (int)n;
    return VNP_OK;
}

/* What failed to open as a model: perhaps it is VirNucPro's other kind of one. */
static enum vnp_status name_classifier(const char *path, enum vnp_status st, struct vnp_err *err)
{
    struct vnp_err unread;
    struct vnp_classifier *c;
    if (path == NULL)
        path = getenv("VNP_MODEL"); /* as vnp_model_find() has it */
    if (st != VNP_DATA || vnp_classifier_open(&c, path, &unread) != VNP_OK)
        return st;
    vnp_classifier_close(c);
    return vnp_error(err, st, "%s: is a classifier, as vnp-predict and vnp-classify take it, and no ESM-2 or DNABERT-S",
                     path);
}

enum vnp_status vnp_forward_open_model(struct vnp_forward *f, struct vnp_err *err)
{
    enum vnp_status st = vnp_model_open(&f->model, f->path, err);
    if (st != VNP_OK)
        return name_classifier(f->path, st, err);
    f->config = vnp_model_config(f->model);
    const char *file;
    for (int i = 0; (file = vnp_model_file(vnp_model_files(f->model), i)) != NULL; i++)
        vnp_refuse_input(f->output, file);
    return find_layer(f, err);
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

static enum vnp_status check_tokens(const struct vnp_model *m, const struct vnp_head *head, const char *name,
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

enum vnp_status vnp_forward_open_input(struct vnp_forward *f, const char *path, struct vnp_err *err)
{
    enum vnp_status st = vnp_reader_open(&f->in, path, err);
    if (st == VNP_OK)
        st = vnp_reader_expect(f->in, VNP_BATCHES, err);
    if (st != VNP_OK)
        return st;
    const struct vnp_head *head = vnp_reader_head(f->in);
    if (f->pool == VNP_POOL_CLS && head->prefix == 0)
        return vnp_error(err, VNP_DATA, "%s: --pool cls wants a first special token, and vocabulary %s has none",
                         vnp_reader_name(f->in), head->vocab);
    return check_tokens(f->model, head, vnp_reader_name(f->in), err);
}

void vnp_forward_close(struct vnp_forward *f)
{
    vnp_reader_close(f->in);
    vnp_model_close(f->model);
}

int64_t vnp_forward_budget_said(const struct vnp_head *head)
{
    const int64_t said = vnp_head_budget(head);
    return said > 0 ? said : VNP_PACKER_DEFAULT_BUDGET;
}

int64_t vnp_forward_budget(const struct vnp_head *head)
{
    const int64_t budget = vnp_forward_budget_said(head);
    return budget < 64 ? 64 : budget > 1 << 30 ? 1 << 30 : budget;
}

enum vnp_status vnp_forward_write_head(const struct vnp_forward *f, struct vnp_writer *out, const char *numbers,
                                       struct vnp_err *err)
{
    struct vnp_head head = *vnp_reader_head(f->in);
    struct vnp_producer *self = vnp_head_add_stage(&head, vnp_log_stage());
    if (!self)
        return vnp_head_full(&head, vnp_reader_name(f->in), err);
    vnp_producer_param(self, "layer", "%d", f->layer);
    if (numbers)
        vnp_producer_param(self, "numbers", "%s", numbers);
    head.kind = VNP_HIDDEN;
    if (f->pool != VNP_POOL_NONE) {
        head.kind = VNP_EMBEDDINGS;
        snprintf(head.pool, sizeof head.pool, "%s", vnp_pool_name(f->pool));
        vnp_producer_param(self, "pool", "%s", head.pool);
        if (f->all_tokens)
            vnp_producer_param(self, "tokens", "all");
    }
    snprintf(head.model, sizeof head.model, "%s", f->config->name);
    snprintf(head.fingerprint, sizeof head.fingerprint, "%s", f->config->fingerprint);
    head.layer = f->layer;
    head.dtype = VNP_F32;
    head.width = f->config->width;
    return vnp_writer_head(out, &head, err);
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

enum vnp_status vnp_forward_write(const struct vnp_forward *f, struct vnp_writer *out, const struct vnp_block *batch,
                                  struct vnp_err *err)
{
    const uint64_t limit = VNP_FRAME_LIMIT - 4096, vector = (uint64_t)f->config->width * sizeof(float);
    const char *bulk = batch->bulk;
    for (int64_t first = 0, next; first < batch->n; first = next) {
        uint64_t frame = 0, bytes = 0;
        for (next = first; next < batch->n; next++) {
            const uint64_t row = (f->pool == VNP_POOL_NONE ? batch->tokens[next] : 1) * vector;
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

void vnp_forward_progress(const struct vnp_writer *out, double begin)
{
    const struct vnp_totals *n = vnp_writer_totals(out);
    vnp_progress("%llu sequences, %llu tokens, %.0f tokens/s", (unsigned long long)n->sequences,
                 (unsigned long long)n->tokens, (double)n->tokens / (vnp_now() - begin));
}

void vnp_forward_nonfinite(const struct vnp_forward *f, uint64_t ordinal, struct vnp_str id, const char *numbers,
                           struct vnp_err *err)
{
    vnp_error(err, VNP_DATA,
              "%s: record %llu (%.*s): NaN or Inf from layer %d of %s, in %s: look at the model with vnp-model verify; "
              "with --on-nonfinite=keep this stage and vnp-embed mark such records and go on",
              vnp_reader_name(f->in), (unsigned long long)ordinal, VNP_SHOWN(id), f->layer, f->config->name, numbers);
}

void vnp_forward_warn_kept(const struct vnp_writer *out)
{
    const uint64_t n = vnp_writer_totals(out)->nonfinite;
    if (n > 0)
        vnp_warn("%llu sequence%s with NaN or Inf marked (--on-nonfinite=keep)", (unsigned long long)n, vnp_plural(n));
}

enum vnp_status vnp_forward_complete(const struct vnp_forward *f, const struct vnp_writer *out, struct vnp_err *err)
{
    const struct vnp_totals *in = vnp_reader_totals(f->in), *went = vnp_writer_totals(out);
    return vnp_totals_match(in, went) ? VNP_OK : vnp_totals_differ(vnp_reader_name(f->in), in, went, err);
}
