/* common/bpe.c against the definition, done the slow way: as long as there is one, do the merge of lowest rank, of
 * equals the leftmost. Merges of all kinds: as training leaves them, in random order, doubled, out of reach. */
#include "../lib.h"

#include "bpe.h"

#define MAX_TOKENS 400
#define MAX_MERGES 1200

struct vocabulary {
    char text[MAX_TOKENS][40];
    struct vnp_str str[MAX_TOKENS];
    struct vnp_merge merge[MAX_MERGES];
    uint16_t letter[256];
    uint32_t n, n_merges;
};

static uint16_t find(const struct vocabulary *v, const char *text)
{
    for (uint32_t i = 0; i < v->n; i++)
        if (strcmp(v->text[i], text) == 0)
            return (uint16_t)i;
    return VNP_BPE_NONE;
}

static uint16_t add(struct vocabulary *v, const char *text)
{
    strcpy(v->text[v->n], text);
    v->str[v->n] = (struct vnp_str){v->text[v->n], (uint32_t)strlen(text)};
    return (uint16_t)v->n++;
}

static void add_merge(struct vocabulary *v, uint16_t left, uint16_t right, bool only_new)
{
    char text[80];
    snprintf(text, sizeof text, "%s%s", v->text[left], v->text[right]);
    if (strlen(text) > 36 || v->n == MAX_TOKENS || v->n_merges == MAX_MERGES)
        return;
    uint16_t result = find(v, text);
    if (result != VNP_BPE_NONE && only_new)
        return;
    if (result == VNP_BPE_NONE)
        result = add(v, text);
    v->merge[v->n_merges++] = (struct vnp_merge){left, right, result};
}

static void swap_merges(struct vocabulary *v, uint32_t i, uint32_t j)
{
    const struct vnp_merge m = v->merge[i];
    v->merge[i] = v->merge[j];
    v->merge[j] = m;
}

/* `disorder` of 100 merges change places. With TRAINED no two merges make the same text. */
#define TRAINED (-1)

static struct vocabulary *random_vocabulary(uint64_t *rng, int letters, int merges, int disorder)
{
    struct vocabulary *v = calloc(1, sizeof *v);
    memset(v->letter, 0xff, sizeof v->letter);
    for (int c = 'a'; c < 'a' + letters; c++)
        v->letter[c] = add(v, (char[]){(char)c, '\0'});
    for (int i = 0; i < merges; i++) /* of short tokens above all, as in real ones */
        add_merge(v, (uint16_t)t_between(rng, 0, t_between(rng, 0, v->n - 1)),
                  (uint16_t)t_between(rng, 0, t_between(rng, 0, v->n - 1)), disorder == TRAINED);
    for (uint32_t i = 0; i < v->n_merges; i++)
        if (t_between(rng, 0, 99) < disorder)
            swap_merges(v, i, (uint32_t)t_between(rng, 0, v->n_merges - 1));
    return v;
}

static uint64_t by_definition(const struct vocabulary *v, const char *word, uint64_t n, uint16_t *out)
{
    for (uint64_t i = 0; i < n; i++)
        out[i] = v->letter[(unsigned char)word[i]];
    for (;;) {
        uint32_t best = UINT32_MAX;
        uint64_t at = 0;
        for (uint64_t i = 0; i + 1 < n; i++) {
            uint32_t rank = UINT32_MAX;
            for (uint32_t m = 0; m < v->n_merges; m++) /* of equal pairs the last one counts */
                if (v->merge[m].left == out[i] && v->merge[m].right == out[i + 1])
                    rank = m;
            if (rank < best) {
                best = rank;
                at = i;
            }
        }
        if (best == UINT32_MAX)
            return n;
        out[at] = v->merge[best].result;
        memmove(out + at + 1, out + at + 2, (n - at - 2) * sizeof *out);
        n--;
    }
}

#define MANY 9000 /* ids, most of them unused: too many for a table of neighbours */

static struct vnp_bpe *open_bpe(const struct vocabulary *v, uint32_t n_ids)
{
    static struct vnp_str text[MANY];
    struct vnp_bpe *b;
    struct vnp_err err;
    memset(text, 0, sizeof text);
    memcpy(text, v->str, v->n * sizeof *text);
    const struct vnp_bpe_spec spec = {v->merge, v->n_merges, text, n_ids, v->letter};
    if (vnp_bpe_open(&b, &spec, &err) != VNP_OK)
        fail_msg("%s", err.msg);
    return b;
}

static void check_word(const struct vocabulary *v, struct vnp_bpe *b, const char *word, uint64_t n)
{
    uint16_t want[256], got[256];
    assert_true(vnp_bpe_reserve(b, n));
    const uint64_t k = by_definition(v, word, n, want), have = vnp_bpe_encode(b, word, n, got);
    if (have != k || memcmp(want, got, k * sizeof *got) != 0) {
        for (uint32_t m = 0; m < v->n_merges; m++)
            print_message("# merge %u: %s %s\n", m, v->text[v->merge[m].left], v->text[v->merge[m].right]);
        fail_msg("%.*s: %llu tokens, not %llu; or others", (int)n, word, (unsigned long long)have,
                 (unsigned long long)k);
    }
}

static void random_words(int vocabularies, int letters, int merges, int disorder)
{
    uint64_t rng = 1 + (uint64_t)(letters * 1000003 + merges * 101 + disorder);
    char word[120];
    for (int i = 0; i < vocabularies; i++) {
        struct vocabulary *v = random_vocabulary(&rng, letters, merges, disorder);
        struct vnp_bpe *b = open_bpe(v, i % 4 == 0 ? MANY : v->n);
        for (int w = 0; w < 60; w++) {
            const int64_t n = t_between(&rng, 0, w % 4 == 0 ? sizeof word : 24), skew = t_between(&rng, 0, letters - 1);
            for (int64_t k = 0; k < n; k++)
                word[k] = (char)('a' + t_between(&rng, 0, w % 3 == 0 ? skew : letters - 1));
            check_word(v, b, word, (uint64_t)n);
        }
        vnp_bpe_close(b);
        free(v);
    }
}

static void as_trained(void **state)
{
    (void)state;
    random_words(60, 4, 100, TRAINED);
    random_words(30, 4, 390, TRAINED);
    random_words(30, 2, 60, TRAINED);
    random_words(20, 20, 100, TRAINED);
    random_words(10, 1, 12, TRAINED);
}

static void in_order(void **state)
{
    (void)state;
    random_words(60, 4, 60, 0);
    random_words(30, 2, 30, 0);
    random_words(20, 20, 100, 0);
}

static void in_disorder(void **state)
{
    (void)state;
    random_words(60, 4, 60, 100);
    random_words(60, 2, 30, 100);
    random_words(60, 1, 12, 100);
    random_words(60, 3, 50, 10);
}

/* A search that tried positions again, or compared words anew, would take for ever here. */
static void long_words_of_one_letter(void **state)
{
    (void)state;
    enum { LETTERS = 4000000 };
    static const struct {
        const char *left, *right;
    } merges[] = {{"a", "a"}, {"aa", "a"}, {"aaa", "aa"}, {"aa", "aa"}, {"aaaa", "aaa"}, {"aaa", "b"}, {"a", "b"}};
    struct vocabulary v = {.n = 0};
    uint16_t *out = malloc(LETTERS * sizeof *out);
    char *word = malloc(LETTERS);
    memset(v.letter, 0xff, sizeof v.letter);
    v.letter['a'] = add(&v, "a");
    v.letter['b'] = add(&v, "b");
    for (size_t i = 0; i < sizeof merges / sizeof *merges; i++)
        add_merge(&v, find(&v, merges[i].left), find(&v, merges[i].right), false);
    struct vnp_bpe *b = open_bpe(&v, v.n);
    assert_true(vnp_bpe_reserve(b, LETTERS));
    memset(word, 'a', LETTERS);
    for (int odd = 0; odd < 2; odd++) { /* aa aa ... then what is left over */
        uint64_t letters = 0;
        const uint64_t n = vnp_bpe_encode(b, word, LETTERS - odd, out);
        for (uint64_t i = 0; i < n; i++)
            letters += v.str[out[i]].n;
        assert_int_equal(letters, LETTERS - odd);
    }
    word[LETTERS - 1] = 'b';
    assert_true(vnp_bpe_encode(b, word, LETTERS, out) > 0);
    vnp_bpe_close(b);
    free(out);
    free(word);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_trained),
        cmocka_unit_test(in_order),
        cmocka_unit_test(in_disorder),
        cmocka_unit_test(long_words_of_one_letter),
    };
    return cmocka_run_group_tests_name("byte-pair encoding", tests, NULL, NULL);
}
