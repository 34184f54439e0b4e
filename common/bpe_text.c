#include "bpe_text.h"

#include <stdlib.h>
#include <string.h>

#define NONE VNP_BPE_NONE

/* Added tokens that are looked for together, by the first letter; the longest of those that begin alike is the one. */
struct added_set {
    uint32_t n;
    const struct vnp_added **token; /* sorted by length, the longest first */
    bool first[256];
    uint8_t as[256]; /* how the set sees each byte of the text, and its own tokens' */
};

struct vnp_bpe_text {
    struct vnp_tokenizer_json file;
    struct vnp_bpe *bpe;
    uint16_t letter[256];    /* the token of each byte, case seen to; NONE for the unknown */
    uint8_t as[256];         /* the byte that each stands for: upper-case, and then the normalizer */
    uint8_t kind[256];       /* bytes of two kinds are never in one word; nor are two of ALONE */
    struct added_set set[2]; /* those that are looked for before the normalizer, and after it */
    uint64_t longest;        /* text in the vocabulary */
    char *kept;              /* a word without its unknown letters, where those are left out */
    uint64_t cap_kept;
};

enum { LETTER, OTHER, ALONE };

/* ASCII, as the library has it; what lies outside counts as a letter. */
static int kind_of(const struct vnp_tokenizer_json *f, int c)
{
    const bool digit = c >= '0' && c <= '9', letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    const bool mark = c > ' ' && c < 127 && !digit && !letter;
    if (f->punctuation && mark)
        return ALONE;
    return f->word_runs && !digit && !letter && c != '_' && c < 128 ? OTHER : LETTER;
}

static void set_letters(struct vnp_bpe_text *t)
{
    for (int c = 0; c < 256; c++) {
        const int upper = c >= 'a' && c <= 'z' ? c - 32 : c;
        const char as = (char)(t->file.lowercase && upper >= 'A' && upper <= 'Z' ? upper + 32 : upper);
        t->as[c] = (uint8_t)as;
        t->kind[c] = (uint8_t)kind_of(&t->file, c);
        t->letter[c] = c < 128 ? vnp_tokenizer_json_find(&t->file, &as, 1) : NONE;
        t->set[0].as[c] = (uint8_t)upper;
        t->set[1].as[c] = (uint8_t)as;
    }
}

static int longest_first(const void *a, const void *b)
{
    const struct vnp_added *x = *(const struct vnp_added *const *)a, *y = *(const struct vnp_added *const *)b;
    return x->text.n != y->text.n ? (x->text.n < y->text.n ? 1 : -1) : memcmp(x->text.s, y->text.s, x->text.n);
}

/* Set 0 is made of the tokens that are looked for in the text as it is, set 1 of the normalized ones. */
static bool make_set(struct vnp_bpe_text *t, int which)
{
    struct added_set *set = &t->set[which];
    if ((set->token = calloc(t->file.n_added + 1, sizeof(struct vnp_added *))) == NULL)
        return false;
    for (uint32_t i = 0; i < t->file.n_added; i++)
        if (t->file.added[i].normalized == which)
            set->token[set->n++] = &t->file.added[i];
    qsort(set->token, set->n, sizeof(struct vnp_added *), longest_first);
    return true;
}

/* What a token's own letter is in the set: normalized tokens are themselves normalized, others are as they are. */
static uint8_t own(const struct vnp_bpe_text *t, int which, char c)
{
    const uint8_t byte = (uint8_t)c;
    return which == 1 && t->file.lowercase && byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 32) : byte;
}

static void mark_first(struct vnp_bpe_text *t, int which)
{
    struct added_set *set = &t->set[which];
    for (uint32_t i = 0; i < set->n; i++)
        for (int c = 0; c < 256; c++)
            if (set->as[c] == own(t, which, set->token[i]->text.s[0]))
                set->first[c] = true;
}

static enum vnp_status prepare(struct vnp_bpe_text *t, struct vnp_err *err)
{
    if (!make_set(t, 0) || !make_set(t, 1))
        return vnp_error(err, VNP_OS, "out of memory for its tokens");
    set_letters(t);
    mark_first(t, 0);
    mark_first(t, 1);
    for (uint32_t i = 0; i < t->file.n_by_text; i++)
        t->longest = t->file.text[t->file.by_text[i]].n > t->longest ? t->file.text[t->file.by_text[i]].n : t->longest;
    return vnp_bpe_open(&t->bpe,
                        &(struct vnp_bpe_spec){.merges = t->file.merges,
                                               .n_merges = t->file.n_merges,
                                               .text = t->file.text,
                                               .n_ids = t->file.n_ids,
                                               .letter = t->letter},
                        err);
}

enum vnp_status vnp_bpe_text_open(struct vnp_bpe_text **out, const char *path, struct vnp_err *err)
{
    struct vnp_bpe_text *t = *out = calloc(1, sizeof *t);
    if (t == NULL)
        return vnp_error(err, VNP_OS, "%s: out of memory", path);
    enum vnp_status st = vnp_tokenizer_json_load(&t->file, path, err);
    if (st == VNP_OK && (st = prepare(t, err)) != VNP_OK)
        vnp_error_in(err, "%s", path);
    if (st != VNP_OK) {
        vnp_bpe_text_close(t);
        *out = NULL;
    }
    return st;
}

void vnp_bpe_text_close(struct vnp_bpe_text *t)
{
    if (t == NULL)
        return;
    vnp_bpe_close(t->bpe);
    free(t->set[0].token);
    free(t->set[1].token);
    free(t->kept);
    vnp_tokenizer_json_free(&t->file);
    free(t);
}

const struct vnp_tokenizer_json *vnp_bpe_text_file(const struct vnp_bpe_text *t)
{
    return &t->file;
}

bool vnp_bpe_text_reserve(struct vnp_bpe_text *t, uint64_t n)
{
    if (t->file.unk == NONE && n > t->cap_kept) {
        char *p = realloc(t->kept, n);
        if (p == NULL)
            return false;
        t->kept = p;
        t->cap_kept = n;
    }
    return vnp_bpe_reserve(t->bpe, n);
}

/* One text on its way: where its ids go, and its unknown letters, those from `from` on. */
struct run {
    struct vnp_bpe_text *t;
    uint16_t *out;
    const char *from;
    struct vnp_unknown *unknown;
};

/* Bytes of the character that s begins with: UTF-8, or one byte of what is not. */
static uint64_t character(const char *s, uint64_t n)
{
    const unsigned char c = (unsigned char)s[0];
    const uint64_t want = c >= 0xf0 && c < 0xf5 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xc2 && c < 0xe0 ? 2 : 1;
    for (uint64_t i = 1; i < want; i++)
        if (i == n || ((unsigned char)s[i] & 0xc0) != 0x80)
            return 1;
    return want;
}

static void count_unknown(struct run *r, const char *letter)
{
    const unsigned char c = (unsigned char)*letter;
    if (letter < r->from)
        return;
    r->unknown->n++;
    r->unknown->by_letter[c >= 'a' && c <= 'z' ? c - 32 : c]++;
}

/* The id of a word that is in the vocabulary as a whole, or NONE. */
static uint16_t whole_word(const struct vnp_bpe_text *t, const char *s, uint64_t n)
{
    for (uint32_t lo = 0, hi = t->file.n_by_text; n <= t->longest && lo < hi;) {
        const uint32_t mid = lo + (hi - lo) / 2;
        const struct vnp_str text = t->file.text[t->file.by_text[mid]];
        int c = 0;
        for (uint64_t i = 0; c == 0 && i < n && i < text.n; i++)
            c = (unsigned char)text.s[i] - t->as[(unsigned char)s[i]];
        if (c == 0 && text.n == n)
            return t->file.by_text[mid];
        if (c < 0 || (c == 0 && text.n < n))
            lo = mid + 1;
        else
            hi = mid;
    }
    return NONE;
}

/* A word whose unknown letters are left out: its other letters come to stand side by side. */
static void encode_kept(struct run *r, const char *s, uint64_t n)
{
    struct vnp_bpe_text *t = r->t;
    uint64_t kept = 0;
    for (uint64_t i = 0, step; i < n; i += step) {
        step = character(s + i, n - i);
        if (t->letter[(unsigned char)s[i]] != NONE)
            t->kept[kept++] = s[i];
        else
            count_unknown(r, s + i);
    }
    r->out += vnp_bpe_encode(t->bpe, t->kept, kept, r->out);
}

static void encode_word(struct run *r, const char *s, uint64_t n)
{
    const struct vnp_bpe_text *t = r->t;
    const uint16_t whole = t->file.ignore_merges ? whole_word(t, s, n) : NONE;
    if (whole != NONE) {
        *r->out++ = whole;
        return;
    }
    if (t->file.unk == NONE) {
        encode_kept(r, s, n);
        return;
    }
    for (uint64_t i = 0; i < n;) {
        const uint64_t begin = i;
        while (i < n && t->letter[(unsigned char)s[i]] != NONE)
            i++;
        r->out += vnp_bpe_encode(t->bpe, s + begin, i - begin, r->out);
        for (bool again = false; i < n && t->letter[(unsigned char)s[i]] == NONE; again = true) {
            count_unknown(r, s + i);
            i += character(s + i, n - i);
            if (!again || !t->file.fuse_unk)
                *r->out++ = t->file.unk;
        }
    }
}

static void encode_words(struct run *r, const char *s, uint64_t n)
{
    const uint8_t *kind = r->t->kind;
    for (uint64_t begin = 0, i = 1; begin < n; begin = i++) {
        const uint8_t k = kind[(unsigned char)s[begin]];
        while (i < n && k != ALONE && kind[(unsigned char)s[i]] == k)
            i++;
        encode_word(r, s + begin, i - begin);
    }
}

static const struct vnp_added *match(const struct vnp_bpe_text *t, int which, const char *s, uint64_t n)
{
    const struct added_set *set = &t->set[which];
    for (uint32_t k = 0; k < set->n; k++) {
        const struct vnp_str text = set->token[k]->text;
        uint32_t i = 0;
        while (i < text.n && text.n <= n && set->as[(unsigned char)s[i]] == own(t, which, text.s[i]))
            i++;
        if (i == text.n)
            return set->token[k];
    }
    return NULL;
}

/* The library looks for one set in the whole text, and for the other in what is left between. */
static void encode_around(struct run *r, int which, const char *s, uint64_t n)
{
    uint64_t begin = 0;
    if (which == 2) {
        encode_words(r, s, n);
        return;
    }
    for (uint64_t i = 0; r->t->set[which].n > 0 && i < n; i++) {
        const struct vnp_added *found =
            r->t->set[which].first[(unsigned char)s[i]] ? match(r->t, which, s + i, n - i) : NULL;
        if (found == NULL)
            continue;
        encode_around(r, which + 1, s + begin, i - begin);
        *r->out++ = found->id;
        begin = i + found->text.n;
        i = begin - 1;
    }
    encode_around(r, which + 1, s + begin, n - begin);
}

uint64_t vnp_bpe_text_encode(struct vnp_bpe_text *t, const char *seq, uint64_t n, uint64_t from, uint16_t *out,
                             struct vnp_unknown *unknown)
{
    struct run r = {t, out, seq + from, unknown};
    memcpy(r.out, t->file.prefix, (size_t)t->file.n_prefix * sizeof *out);
    r.out += t->file.n_prefix;
    encode_around(&r, 0, seq, n);
    memcpy(r.out, t->file.suffix, (size_t)t->file.n_suffix * sizeof *out);
    return (uint64_t)(r.out + t->file.n_suffix - out);
}
