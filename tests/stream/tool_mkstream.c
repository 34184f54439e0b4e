/* tool_mkstream: writes the stream that stdin describes to stdout. Lines:
 *   head KIND WIDTH DTYPE POOL LAYER FINGERPRINT [unordered]   first; "-" for what the kind has not
 *   row ORDINAL ID RESIDUES FLAGS NUMBER...         token ids, the numbers of all the row's vectors, or "of" and "slot"
 *   window ORDINAL ID RESIDUES FLAGS WINDOW WINDOWS START TOTAL NUMBER...
 *   block                                           ends a block
 *   zstd LEVEL                                      before the head
 *   first ORDINAL                                   before the head; of the first record (default: 0)
 *   by STAGE                                        before the head; a stage that it came through
 *   unique DIGEST                                   before the head
 *   vocab NAME SIZE BYTES                           before the head; bytes a token, 1 or 2 (default: esm2 33 1)
 *   fail STATUS MESSAGE                             an err frame in the place of the end
 * In an ID, %XX is a byte; an ID that is - is empty. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "half.h"
#include "log.h"
#include "rows.h"
#include "stream.h"
#include "xmalloc.h"

struct maker {
    struct vnp_writer *w;
    struct vnp_writer_options opt;
    struct vnp_head head;
    struct vnp_rows rows;
};

static void ok(enum vnp_status st, const struct vnp_err *err)
{
    if (st != VNP_OK)
        vnp_die(st, "%s", err->msg);
}

static const char *word(char **rest)
{
    const char *w = strtok_r(NULL, " \t\n", rest);
    return w != NULL ? w : "";
}

static int one_of(const char *text, const char *const *names, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(text, names[i]) == 0)
            return i;
    vnp_die(VNP_USAGE, "what is %s?", text);
}

static void head_line(struct maker *m, char **rest)
{
    static const char *const kinds[] = {"tokens", "batches", "hidden", "embeddings", "copies"};
    static const char *const dtypes[] = {"f32", "f16", "bf16", "-"};
    struct vnp_head *h = &m->head;
    struct vnp_err err;
    h->kind = (enum vnp_kind)one_of(word(rest), kinds, 5);
    h->width = atoi(word(rest));
    h->dtype = (enum vnp_dtype)(one_of(word(rest), dtypes, 4) % 3);
    snprintf(h->pool, sizeof h->pool, "%s", word(rest));
    h->layer = atoi(word(rest));
    snprintf(h->model, sizeof h->model, "model-%s", word(rest));
    snprintf(h->fingerprint, sizeof h->fingerprint, "%s", h->model + 6);
    h->ordered = h->kind == VNP_EMBEDDINGS && strcmp(word(rest), "unordered") != 0;
    vnp_producer_param(vnp_head_add_stage(h, "mkstream"), "seed", "1");
    ok(vnp_writer_open(&m->w, &m->opt, &err), &err);
    ok(vnp_writer_head(m->w, h, &err), &err);
}

static void vocab_line(struct vnp_head *h, char **rest)
{
    snprintf(h->vocab, sizeof h->vocab, "%s", word(rest));
    h->vocab_size = atoi(word(rest));
    h->token_bytes = atoi(word(rest));
}

static void put_numbers(struct maker *m, struct vnp_buf *b, char **rest)
{
    for (const char *w; *(w = word(rest)) != '\0';) {
        float x = strtof(w, NULL);
        uint16_t half = m->head.dtype == VNP_F16 ? vnp_f32_f16(x) : vnp_f32_bf16(x);
        uint16_t token = (uint16_t)x; /* the first byte is all of one that takes one */
        const uint64_t count = strtoull(w, NULL, 10);
        const bool tokens = vnp_kind_tokens(m->head.kind), copies = m->head.kind == VNP_COPIES;
        size_t n = copies ? sizeof count : tokens ? (size_t)m->head.token_bytes : m->head.dtype == VNP_F32 ? 4 : 2;
        if (b->n + n > b->cap && !vnp_buf_reserve(b, 2 * b->cap + 64))
            vnp_die(VNP_OS, "out of memory");
        const void *from = copies ? (const void *)&count : tokens ? (const void *)&token : n == 4 ? (const void *)&x : &half;
        memcpy(b->p + b->n, from, n);
        b->n += n;
    }
}

static void row_line(struct maker *m, bool window, char **rest)
{
    struct vnp_err err;
    struct vnp_buf bulk = {0};
    char id[256];
    uint32_t n = 0;
    struct vnp_row row = {.windows = 1, .ordinal = strtoull(word(rest), NULL, 10)};
    for (const char *c = word(rest); *c != '\0' && n < sizeof id; c++) {
        unsigned byte = (unsigned char)*c;
        if (*c == '%' && sscanf(c + 1, "%2x", &byte) == 1)
            c += 2;
        id[n++] = (char)byte;
    }
    row.id = (struct vnp_str){id, n == 1 && id[0] == '-' ? 0 : n};
    row.residues = (uint32_t)strtoul(word(rest), NULL, 10);
    row.total = row.residues;
    row.tokens = row.residues + 2;
    row.flags = (uint32_t)strtoul(word(rest), NULL, 10);
    if (window) {
        row.window = (uint32_t)strtoul(word(rest), NULL, 10);
        row.windows = (uint32_t)strtoul(word(rest), NULL, 10);
        row.start = strtoull(word(rest), NULL, 10);
        row.total = strtoull(word(rest), NULL, 10);
    }
    put_numbers(m, &bulk, rest);
    row.data = bulk.p;
    row.bytes = bulk.n;
    ok(vnp_rows_add(&m->rows, &row, &err), &err);
    vnp_buf_free(&bulk);
}

static void end_block(struct maker *m)
{
    struct vnp_err err;
    struct vnp_block b = vnp_rows_block(&m->rows);
    if (b.n > 0)
        ok(vnp_writer_block(m->w, &b, &err), &err);
    vnp_rows_clear(&m->rows);
}

int main(void)
{
    struct maker m = {.head = {.vocab = "esm2", .vocab_size = 33, .prefix = 1, .suffix = 1, .token_bytes = 1}};
    struct vnp_err err = {0};
    char *line = NULL, *rest;
    size_t cap = 0;
    vnp_log_init("mkstream");
    while (getline(&line, &cap, stdin) > 0) {
        const char *what = strtok_r(line, " \t\n", &rest);
        if (what == NULL)
            continue;
        if (strcmp(what, "head") == 0)
            head_line(&m, &rest);
        else if (strcmp(what, "row") == 0 || strcmp(what, "window") == 0)
            row_line(&m, *what == 'w', &rest);
        else if (strcmp(what, "block") == 0)
            end_block(&m);
        else if (strcmp(what, "by") == 0)
            (void)vnp_head_add_stage(&m.head, word(&rest));
        else if (strcmp(what, "vocab") == 0)
            vocab_line(&m.head, &rest);
        else if (strcmp(what, "zstd") == 0)
            m.opt.zstd_level = atoi(word(&rest));
        else if (strcmp(what, "first") == 0)
            m.head.first = strtoull(word(&rest), NULL, 10);
        else if (strcmp(what, "unique") == 0)
            snprintf(m.head.unique, sizeof m.head.unique, "%s", word(&rest));
        else if (strcmp(what, "fail") == 0) {
            enum vnp_status failure = (enum vnp_status)atoi(word(&rest));
            vnp_error(&err, failure, "%s", rest);
            err.msg[strcspn(err.msg, "\n")] = '\0';
        } else
            vnp_die(VNP_USAGE, "what is %s?", what);
    }
    free(line);
    end_block(&m);
    if (err.msg[0] != '\0')
        vnp_writer_abort(m.w, &err);
    else
        ok(vnp_writer_finish(m.w, &err), &err);
    vnp_rows_free(&m.rows);
    return 0;
}
