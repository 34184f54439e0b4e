#include "tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "xmalloc.h"

struct vnp_tokenizer {
    struct vnp_bpe_text *bpe; /* from a file; NULL: the alphabet of ESM-2 */
    char vocab[32], unknown[64], empty[256];
    int vocab_size;
    uint8_t first, last, unk; /* special tokens: before a sequence, after it, for a letter outside the alphabet */
    uint8_t id[256];          /* of a letter */
};

struct vnp_tokenizer *vnp_tokenizer_esm2(void)
{
    static const char letters[] = "LAGVSERTIDPKQNFYMHWCXBUZO.-"; /* ids from 4 */
    struct vnp_tokenizer *t = xcalloc(1, sizeof *t);
    strcpy(t->vocab, "esm2");
    strcpy(t->unknown, "became <unk>");
    strcpy(t->empty, "<cls><eos>");
    t->vocab_size = VNP_ESM2_VOCAB;
    t->first = VNP_ESM2_CLS;
    t->last = VNP_ESM2_EOS;
    t->unk = VNP_ESM2_UNK;
    memset(t->id, t->unk, sizeof t->id);
    for (int i = 0; letters[i] != 0; i++) {
        unsigned char c = (unsigned char)letters[i];
        t->id[c] = (uint8_t)(4 + i);
        if (c >= 'A' && c <= 'Z')
            t->id[c | 0x20] = (uint8_t)(4 + i);
    }
    return t;
}

/* The texts of special tokens, for a message. */
static void append_texts(char *text, size_t cap, const struct vnp_tokenizer_json *f, const uint16_t *id, int n)
{
    for (int i = 0; i < n; i++) {
        const size_t at = strlen(text);
        snprintf(text + at, cap - at, "%.*s", (int)f->text[id[i]].n, f->text[id[i]].s);
    }
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
}

static void describe(struct vnp_tokenizer *t)
{
    const struct vnp_tokenizer_json *f = vnp_bpe_text_file(t->bpe);
    t->vocab_size = (int)f->n_ids;
    snprintf(t->vocab, sizeof t->vocab, "bpe-%u-%08x", f->n_ids, f->crc);
    strcpy(t->unknown, f->unk == VNP_BPE_NONE ? "were left out" : "became ");
    append_texts(t->unknown, sizeof t->unknown, f, &f->unk, f->unk != VNP_BPE_NONE);
    append_texts(t->empty, sizeof t->empty, f, f->prefix, f->n_prefix);
    append_texts(t->empty, sizeof t->empty, f, f->suffix, f->n_suffix);
    if (t->empty[0] == '\0')
        strcpy(t->empty, "no tokens");
}

static enum vnp_status open_file(struct vnp_tokenizer **out, const char *path, struct vnp_err *err)
{
    struct vnp_bpe_text *bpe;
    const enum vnp_status st = vnp_bpe_text_open(&bpe, path, err);
    if (st != VNP_OK)
        return st;
    struct vnp_tokenizer *t = *out = xcalloc(1, sizeof *t);
    t->bpe = bpe;
    describe(t);
    return VNP_OK;
}

enum vnp_status vnp_tokenizer_open(struct vnp_tokenizer **out, const char *what, struct vnp_err *err)
{
    struct stat st;
    *out = NULL;
    if (strcmp(what, "esm2") == 0) {
        *out = vnp_tokenizer_esm2();
        return VNP_OK;
    }
    if (stat(what, &st) != 0 || !S_ISDIR(st.st_mode))
        return open_file(out, what, err);
    char *path = xasprintf("%s/tokenizer.json", what);
    enum vnp_status status = VNP_OK;
    if (stat(path, &st) != 0)
        status = vnp_error(err, VNP_NOINPUT, "%s: no tokenizer.json in it (ESM-2 needs none: --tokenizer esm2)", what);
    else
        status = open_file(out, path, err);
    free(path);
    return status;
}

void vnp_tokenizer_close(struct vnp_tokenizer *t)
{
    if (t != NULL)
        vnp_bpe_text_close(t->bpe);
    free(t);
}

const char *vnp_tokenizer_unknown(const struct vnp_tokenizer *t)
{
    return t->unknown;
}

const char *vnp_tokenizer_empty(const struct vnp_tokenizer *t)
{
    return t->empty;
}

void vnp_tokenizer_head(const struct vnp_tokenizer *t, struct vnp_head *head)
{
    snprintf(head->vocab, sizeof head->vocab, "%s", t->vocab);
    head->vocab_size = t->vocab_size;
    head->prefix = t->bpe != NULL ? vnp_bpe_text_file(t->bpe)->n_prefix : 1;
    head->suffix = t->bpe != NULL ? vnp_bpe_text_file(t->bpe)->n_suffix : 1;
    head->token_bytes = t->bpe != NULL ? 2 : 1;
}

uint64_t vnp_tokenizer_residues(const struct vnp_tokenizer *t, const char *seq, uint64_t n)
{
    return t->bpe == NULL && n > 0 && seq[n - 1] == '*' ? n - 1 : n;
}

uint64_t vnp_tokenizer_bound(const struct vnp_tokenizer *t, uint64_t n)
{
    return t->bpe != NULL ? n + 2 * VNP_SPECIAL_MAX : n + 2;
}

bool vnp_tokenizer_reserve(struct vnp_tokenizer *t, uint64_t n)
{
    return t->bpe == NULL || vnp_bpe_text_reserve(t->bpe, n);
}

static void count_unknown(const char *seq, uint64_t n, const uint8_t *id, uint8_t unk, struct vnp_unknown *unknown)
{
    for (uint64_t i = 0; i < n; i++)
        if (id[i] == unk) {
            unsigned char c = (unsigned char)seq[i];
            unknown->n++;
            unknown->by_letter[c >= 'a' && c <= 'z' ? c & 0xdf : c]++;
        }
}

/* Begins on a cache line: where the linker happens to put its loop across two, vnp-fasta2tok takes a seventh longer. */
__attribute__((aligned(64))) uint64_t vnp_tokenize(struct vnp_tokenizer *t, const char *seq, uint64_t n, uint64_t from,
                                                   void *dst, struct vnp_unknown *unknown)
{
    if (t->bpe != NULL)
        return vnp_bpe_text_encode(t->bpe, seq, n, from, dst, unknown);
    const uint8_t *restrict letters = (const uint8_t *)seq;
    uint8_t *restrict to = dst;
    *to++ = t->first;
    for (uint64_t i = 0; i < n; i++)
        to[i] = t->id[letters[i]];
    if (memchr(to + from, t->unk, n - from) != NULL)
        count_unknown(seq + from, n - from, to + from, t->unk, unknown);
    to[n] = t->last;
    return n + 2;
}

const char *vnp_unknown_text(const struct vnp_unknown *u, char *text, size_t cap)
{
    struct vnp_unknown left = *u;
    size_t at = 0;
    text[0] = 0;
    for (int k = 0; k < 8 && left.n > 0 && at + 48 < cap; k++) {
        int best = 0;
        for (int c = 1; c < 256; c++)
            if (left.by_letter[c] > left.by_letter[best])
                best = c;
        at += (size_t)snprintf(text + at, cap - at, best > ' ' && best < 127 ? "%s%c (%llu)" : "%s\\x%02x (%llu)",
                               k > 0 ? ", " : "", best, (unsigned long long)left.by_letter[best]);
        left.n -= left.by_letter[best];
        left.by_letter[best] = 0;
    }
    if (left.n > 0)
        snprintf(text + at, cap - at, " and %llu others", (unsigned long long)left.n);
    return text;
}
