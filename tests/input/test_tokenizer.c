/* common/tokenizer.c: the ids of ESM-2, one by one, and what becomes of everything else. */
#include "helper.h"

#include "tokenizer.h"

/* fair-esm esm/constants.py, written out: what each letter must become. */
static const struct {
    char letter;
    uint8_t id;
} alphabet[] = {{'L', 4},  {'A', 5},  {'G', 6},  {'V', 7},  {'S', 8},  {'E', 9},  {'R', 10}, {'T', 11}, {'I', 12},
                {'D', 13}, {'P', 14}, {'K', 15}, {'Q', 16}, {'N', 17}, {'F', 18}, {'Y', 19}, {'M', 20}, {'H', 21},
                {'W', 22}, {'C', 23}, {'X', 24}, {'B', 25}, {'U', 26}, {'Z', 27}, {'O', 28}, {'.', 29}, {'-', 30}};

static void every_byte(void **state)
{
    (void)state;
    struct vnp_tokenizer *t = vnp_tokenizer_esm2();
    int known = 0;
    for (int c = 0; c < 256; c++) {
        struct vnp_unknown unknown = {0};
        char letter = (char)c;
        uint8_t got[3] = {99, 99, 99}, want = 3;
        for (size_t i = 0; i < sizeof alphabet / sizeof *alphabet; i++)
            if (alphabet[i].letter == c || (c >= 'a' && c <= 'z' && alphabet[i].letter == c - 32))
                want = alphabet[i].id;
        assert_int_equal(vnp_tokenize(t, &letter, 1, 0, got, &unknown), 3);
        assert_int_equal(got[0], 0);
        assert_int_equal(got[1], want);
        assert_int_equal(got[2], 2);
        assert_int_equal(unknown.n, want == 3);
        assert_int_equal(unknown.by_letter[c == 'j' ? 'J' : c], want == 3);
        known += want != 3;
    }
    assert_int_equal(known, 27 + 25); /* "." and "-" have no lower case */
    vnp_tokenizer_close(t);
    vnp_tokenizer_close(NULL);
}

static void head(void **state)
{
    (void)state;
    struct vnp_tokenizer *t = vnp_tokenizer_esm2();
    struct vnp_head h = {.kind = VNP_TOKENS};
    vnp_tokenizer_head(t, &h);
    assert_string_equal(h.vocab, "esm2");
    assert_int_equal(h.vocab_size, 33);
    assert_int_equal(h.prefix, 1);
    assert_int_equal(h.suffix, 1);
    assert_int_equal(h.token_bytes, 1);
    assert_int_equal(vnp_tokenizer_bound(t, 10), 12);
    vnp_tokenizer_close(t);
}

static void the_stop_at_the_end(void **state)
{
    (void)state;
    struct vnp_tokenizer *t = vnp_tokenizer_esm2();
    assert_int_equal(vnp_tokenizer_residues(t, "MK*", 3), 2);
    assert_int_equal(vnp_tokenizer_residues(t, "M*K", 3), 3);
    assert_int_equal(vnp_tokenizer_residues(t, "*", 1), 0);
    assert_int_equal(vnp_tokenizer_residues(t, "M**", 3), 2);
    assert_int_equal(vnp_tokenizer_residues(t, "", 0), 0);
    vnp_tokenizer_close(t);
}

static void lengths_and_neighbours(void **state)
{
    (void)state;
    struct vnp_tokenizer *t = vnp_tokenizer_esm2();
    char seq[200];
    uint8_t got[210];
    memset(seq, 'L', sizeof seq);
    for (size_t n = 0; n <= sizeof seq; n++) {
        struct vnp_unknown unknown = {0};
        memset(got, 77, sizeof got);
        if (n > 0)
            seq[n - 1] = '*';
        assert_int_equal(vnp_tokenize(t, seq, n, 0, got, &unknown), n + 2);
        if (n > 0) {
            assert_int_equal(got[n], 3);
            assert_int_equal(unknown.by_letter['*'], 1);
            seq[n - 1] = 'L';
        }
        assert_int_equal(got[n + 1], 2);
        assert_int_equal(got[n + 2], 77); /* nothing beyond */
        for (size_t i = 1; i + 1 <= n; i++)
            assert_int_equal(got[i], 4);
    }
    vnp_tokenizer_close(t);
}

static void unknown_letters_in_words(void **state)
{
    (void)state;
    struct vnp_unknown u = {0};
    char text[512], small[64];
    assert_string_equal(vnp_unknown_text(&u, text, sizeof text), "");
    u.by_letter['J'] = 2;
    u.by_letter['*'] = 10;
    u.by_letter[0xe9] = 1;
    u.n = 13;
    assert_string_equal(vnp_unknown_text(&u, text, sizeof text), "* (10), J (2), \\xe9 (1)");
    for (int c = 'a'; c <= 'z'; c++)
        u.by_letter[c] = 100;
    u.n += 2600;
    assert_non_null(strstr(vnp_unknown_text(&u, text, sizeof text), "h (100) and 1813 others"));
    assert_true(strlen(vnp_unknown_text(&u, small, sizeof small)) < sizeof small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte),
        cmocka_unit_test(head),
        cmocka_unit_test(the_stop_at_the_end),
        cmocka_unit_test(lengths_and_neighbours),
        cmocka_unit_test(unknown_letters_in_words),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
