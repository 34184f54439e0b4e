#include "block.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stage.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "streams are little-endian and columns are used in place: this host would need conversions"
#endif

const char *const vnp_kind_names[VNP_KINDS] = {"tokens", "batches", "hidden", "embeddings", "copies"};
const char *const vnp_frame_names[VNP_KINDS] = {"tokens", "batch", "hidden", "embeddings", "copies"};
const char *const vnp_dtype_names[VNP_DTYPES] = {"f32", "f16", "bf16"};

size_t vnp_dtype_bytes(enum vnp_dtype dtype)
{
    return dtype == VNP_F32 ? 4 : 2;
}

const char *vnp_dtype_name(enum vnp_dtype dtype)
{
    return vnp_dtype_names[dtype];
}

const char *vnp_kind_name(enum vnp_kind kind)
{
    return vnp_kind_names[kind];
}

const char *vnp_kind_noun(enum vnp_kind kind)
{
    return kind == VNP_HIDDEN ? "hidden states" : vnp_kind_names[kind];
}

const char *vnp_bulk_key(enum vnp_kind kind)
{
    return vnp_kind_tokens(kind) ? "tok" : vnp_kind_vectors(kind) ? "data" : "copy";
}

uint64_t vnp_sum(const uint32_t *v, int64_t n)
{
    uint64_t sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += v[i];
    return sum;
}

struct vnp_producer *vnp_head_add_stage(struct vnp_head *head, const char *stage)
{
    if (head->n_by == (int)(sizeof head->by / sizeof head->by[0]))
        return NULL;
    struct vnp_producer *p = &head->by[head->n_by++];
    memset(p, 0, sizeof *p);
    snprintf(p->stage, sizeof p->stage, "%s", stage);
    snprintf(p->version, sizeof p->version, "%s", vnp_version);
    return p;
}

enum vnp_status vnp_head_full(const struct vnp_head *head, const char *name, struct vnp_err *err)
{
    return vnp_error(err, VNP_DATA, "%s: came through %d stages, more than a head can name", name, head->n_by);
}

int64_t vnp_head_budget(const struct vnp_head *head)
{
    int64_t budget = 0;
    for (int i = 0; i < head->n_by; i++)
        for (int j = 0; j < head->by[i].n_params; j++)
            if (strcmp(head->by[i].params[j].key, "budget") == 0)
                budget = strtoll(head->by[i].params[j].value, NULL, 10);
    return budget > 0 ? budget : 0;
}

void vnp_producer_param(struct vnp_producer *p, const char *key, const char *fmt, ...)
{
    if (p->n_params == (int)(sizeof p->params / sizeof p->params[0]))
        abort(); /* a stage with more parameters than the head can hold: a bug, seen in its first test */
    struct vnp_param *param = &p->params[p->n_params++];
    snprintf(param->key, sizeof param->key, "%s", key);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(param->value, sizeof param->value, fmt, ap);
    va_end(ap);
}

void vnp_totals_add(struct vnp_totals *t, const struct vnp_block *b)
{
    t->rows += (uint64_t)b->n;
    t->tokens += vnp_sum(b->tokens, b->n);
    for (int64_t i = 0; i < b->n; i++) {
        t->sequences += b->window == NULL || b->window[i] == 0;
        t->truncated += (b->flags[i] & VNP_TRUNCATED) != 0;
        t->redone += (b->flags[i] & VNP_REDONE) != 0;
        t->nonfinite += (b->flags[i] & VNP_NONFINITE) != 0;
    }
}

bool vnp_totals_match(const struct vnp_totals *a, const struct vnp_totals *b)
{
    return a->sequences == b->sequences && a->rows == b->rows && a->tokens == b->tokens;
}

enum vnp_status vnp_totals_differ(const char *name, const struct vnp_totals *in, const struct vnp_totals *out,
                                  struct vnp_err *err)
{
    return vnp_error(err, VNP_SOFTWARE, "%s: %llu sequences and %llu tokens came in, %llu and %llu went out", name,
                     (unsigned long long)in->sequences, (unsigned long long)in->tokens,
                     (unsigned long long)out->sequences, (unsigned long long)out->tokens);
}

bool vnp_buf_reserve(struct vnp_buf *b, size_t cap)
{
    if (cap <= b->cap)
        return true;
    void *p;
    if (cap > SIZE_MAX / 2 || posix_memalign(&p, 64, cap) != 0)
        return false;
    if (b->n > 0)
        memcpy(p, b->p, b->n);
    free(b->p);
    b->p = p;
    b->cap = cap;
    return true;
}

void vnp_buf_free(struct vnp_buf *b)
{
    free(b->p);
    memset(b, 0, sizeof *b);
}
