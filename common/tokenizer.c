#include "tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

struct vnp_tokenizer {
    const char *vocab;
    int vocab_size;
    uint8_t first, last, unk; /* special tokens: before a sequence, after it, for a letter outside the alphabet */
    uint8_t id[256];          /* of a letter */
};

struct vnp_tokenizer *vnp_tokenizer_esm2(void)
{
    static const char letters[] = "LAGVSERTIDPKQNFYMHWCXBUZO.-"; /* ids from 4 */
    struct vnp_tokenizer *t = xcalloc(1, sizeof *t);
    t->vocab = "esm2";
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

void vnp_tokenizer_close(struct vnp_tokenizer *t)
{
    free(t);
}

void vnp_tokenizer_head(const struct vnp_tokenizer *t, struct vnp_head *head)
{
    snprintf(head->vocab, sizeof head->vocab, "%s", t->vocab);
    head->vocab_size = t->vocab_size;
    head->prefix = head->suffix = 1;
    head->token_bytes = 1;
}

uint64_t vnp_tokenizer_residues(const struct vnp_tokenizer *t, const char *seq, uint64_t n)
{
    (void)t;
    return n > 0 && seq[n - 1] == '*' ? n - 1 : n;
}

uint64_t vnp_tokenizer_bound(const struct vnp_tokenizer *t, uint64_t n)
{
    (void)t;
    return n + 2;
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

uint64_t vnp_tokenize(const struct vnp_tokenizer *t, const char *seq, uint64_t n, void *dst,
                      struct vnp_unknown *unknown)
{
    const uint8_t *restrict from = (const uint8_t *)seq;
    uint8_t *restrict to = dst;
    *to++ = t->first;
    for (uint64_t i = 0; i < n; i++)
        to[i] = t->id[from[i]];
    if (memchr(to, t->unk, n) != NULL)
        count_unknown(seq, n, to, t->unk, unknown);
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
