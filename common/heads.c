#include "heads.h"

#include <stdio.h>
#include <string.h>

/* Two heads that are compared, and the names of their streams. */
struct pair {
    const struct vnp_head *head[2];
    const char *name[2];
    struct vnp_err *err;
};

static enum vnp_status same_text(const struct pair *p, const char *what, const char *a, const char *b)
{
    if (strcmp(a, b) == 0)
        return VNP_OK;
    return vnp_error(p->err, VNP_DATA, "%s: has %s %s, but %s has %s", p->name[0], what, a, p->name[1], b);
}

static enum vnp_status same_number(const struct pair *p, const char *what, int a, int b)
{
    char text[2][16];
    snprintf(text[0], sizeof text[0], "%d", a);
    snprintf(text[1], sizeof text[1], "%d", b);
    return same_text(p, what, text[0], text[1]);
}

/* What is in the streams. */
static enum vnp_status same_content(const struct pair *p)
{
    const struct vnp_head *a = p->head[0], *b = p->head[1];
    if (a->kind != b->kind)
        return vnp_error(p->err, VNP_DATA, "%s: holds %s, but %s %s", p->name[0], vnp_kind_noun(a->kind), p->name[1],
                         vnp_kind_noun(b->kind));
    const struct {
        const char *what, *a, *b;
    } texts[] = {{"vocabulary", a->vocab, b->vocab},
                 {"model", a->model, b->model},
                 {"fingerprint", a->fingerprint, b->fingerprint},
                 {"numbers of type", vnp_dtype_name(a->dtype), vnp_dtype_name(b->dtype)},
                 {"pool", a->pool, b->pool},
                 {"unique records of", a->unique[0] != '\0' ? a->unique : "nothing",
                  b->unique[0] != '\0' ? b->unique : "nothing"},
                 {"ordered", a->ordered ? "yes" : "no", b->ordered ? "yes" : "no"}};
    const struct {
        const char *what;
        int a, b;
    } numbers[] = {{"vocabulary size", a->vocab_size, b->vocab_size},
                   {"special tokens before a row:", a->prefix, b->prefix},
                   {"special tokens after a row:", a->suffix, b->suffix},
                   {"bytes a token:", a->token_bytes, b->token_bytes},
                   {"layer", a->layer, b->layer},
                   {"width", a->width, b->width}};
    enum vnp_status st = VNP_OK;
    for (size_t i = 0; i < sizeof texts / sizeof *texts && st == VNP_OK; i++)
        st = same_text(p, texts[i].what, texts[i].a, texts[i].b);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && st == VNP_OK; i++)
        st = same_number(p, numbers[i].what, numbers[i].a, numbers[i].b);
    return st;
}

/* "budget=4096", or "no budget" where the parameter is not among the stage's. */
static void describe(char *text, size_t cap, const struct vnp_producer *by, const char *key)
{
    snprintf(text, cap, "no %s", key);
    for (int i = 0; i < by->n_params; i++)
        if (strcmp(by->params[i].key, key) == 0)
            snprintf(text, cap, "%s=%s", key, by->params[i].value);
}

/* That the parameters of stage `s` on side k are the other side's too. */
static enum vnp_status same_params(const struct pair *p, int s, int k)
{
    char text[2][160];
    const struct vnp_producer *by = &p->head[k]->by[s];
    for (int i = 0; i < by->n_params; i++) {
        for (int side = 0; side < 2; side++)
            describe(text[side], sizeof text[side], &p->head[side]->by[s], by->params[i].key);
        if (strcmp(text[0], text[1]) != 0)
            return vnp_error(p->err, VNP_DATA, "%s: was made with %s, but %s with %s (%s)", p->name[0], text[0],
                             p->name[1], text[1], by->stage);
    }
    return VNP_OK;
}

/* The stages by which a stream came: "vnp-fasta2tok, vnp-pack". */
static void list_stages(char *text, size_t cap, const struct vnp_head *h)
{
    size_t n = 0;
    text[0] = '\0';
    for (int i = 0; i < h->n_by && n < cap; i++)
        n += (size_t)snprintf(text + n, cap - n, "%s%s", i > 0 ? ", " : "", h->by[i].stage);
}

/* How the streams came about. */
static enum vnp_status same_stages(const struct pair *p)
{
    char text[2][256];
    for (int k = 0; k < 2; k++)
        list_stages(text[k], sizeof text[k], p->head[k]);
    if (strcmp(text[0], text[1]) != 0)
        return vnp_error(p->err, VNP_DATA, "%s: was made by %s, but %s by %s", p->name[0], text[0], p->name[1],
                         text[1]);
    for (int s = 0; s < p->head[0]->n_by; s++) {
        const struct vnp_producer *a = &p->head[0]->by[s], *b = &p->head[1]->by[s];
        if (strcmp(a->version, b->version) != 0)
            return vnp_error(p->err, VNP_DATA, "%s: was made by %s %s, but %s by %s", p->name[0], a->stage, a->version,
                             p->name[1], b->version);
        for (int k = 0; k < 2; k++) {
            enum vnp_status st = same_params(p, s, k);
            if (st != VNP_OK)
                return st;
        }
    }
    return VNP_OK;
}

enum vnp_status vnp_heads_alike(const struct vnp_head *a, const char *a_name, const struct vnp_head *b,
                                const char *b_name, struct vnp_err *err)
{
    const struct pair p = {{a, b}, {a_name, b_name}, err};
    enum vnp_status st = same_content(&p);
    return st == VNP_OK ? same_stages(&p) : st;
}
