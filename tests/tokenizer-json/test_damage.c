/* Damaged tokenizer.json files: refused in one line, or read as what they then say; never a crash. */
#include "../lib.h"

#include "tokenizer.h"

#define FOLDER "tests/golden/tokenizers"

static char *folder, *path;

static int set_up(void **state)
{
    (void)state;
    folder = t_folder();
    path = t_path(folder, "tokenizer.json");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(path);
    t_remove(folder);
    return 0;
}

/* Loads the bytes; a tokenizer that comes of it must work. True when it does. */
static bool try(const char *bytes, size_t n)
{
    static const char seq[] = "ACGTNNRYacgtMKVLWWWWAAAAACCCCC[X][GAP]A-C.\xc3\xa9GATTACA";
    struct vnp_tokenizer *t;
    struct vnp_head head = {.kind = VNP_TOKENS};
    struct vnp_unknown unknown = {0};
    struct vnp_err err;
    uint16_t out[sizeof seq + 64];
    t_write(path, bytes, n);
    const enum vnp_status st = vnp_tokenizer_open(&t, folder, &err);
    if (st != VNP_OK) {
        assert_int_equal(st, VNP_DATA);
        assert_int_equal(strncmp(err.msg, path, strlen(path)), 0);
        assert_null(strchr(err.msg, '\n'));
        assert_null(t);
        return false;
    }
    vnp_tokenizer_head(t, &head);
    assert_true(vnp_tokenizer_bound(t, sizeof seq) <= sizeof out / sizeof *out);
    assert_true(vnp_tokenizer_reserve(t, sizeof seq));
    const uint64_t k = vnp_tokenize(t, seq, sizeof seq - 1, 0, out, &unknown);
    assert_true(k <= vnp_tokenizer_bound(t, sizeof seq - 1));
    for (uint64_t i = 0; i < k; i++)
        assert_true(out[i] < head.vocab_size);
    vnp_tokenizer_close(t);
    return true;
}

static char *read_golden(const char *name, size_t *n)
{
    char *from = t_path(FOLDER, name), *bytes = t_slurp(from, n);
    assert_non_null(bytes);
    free(from);
    return bytes;
}

static void cut_anywhere(void **state)
{
    (void)state;
    size_t n;
    char *bytes = read_golden("odd4.json", &n);
    assert_true(try(bytes, n));
    for (size_t cut = 1; cut < n - 1; cut++) /* the last byte is a line end */
        assert_false(try(bytes, cut));
    free(bytes);
}

static void any_byte_changed(void **state)
{
    (void)state;
    static const char *const names[] = {"odd0.json", "odd4.json", "dna300.json", "protein800.json"};
    static const char likely[] = "\"{}[],:0129-.eE truefalsn\\u\0\xff";
    uint64_t rng = 99;
    for (size_t f = 0; f < sizeof names / sizeof *names; f++) {
        size_t n;
        char *bytes = read_golden(names[f], &n);
        int read = 0;
        for (int i = 0; i < 700; i++) {
            size_t at[3];
            char was[3];
            const int changes = (int)t_between(&rng, 1, 3);
            for (int k = 0; k < changes; k++) {
                at[k] = (size_t)t_between(&rng, 0, i % 2 ? (int64_t)n - 1 : n < 1500 ? (int64_t)n - 1 : 1500);
                was[k] = bytes[at[k]];
                bytes[at[k]] =
                    t_between(&rng, 0, 3) == 0 ? (char)t_random(&rng) : likely[t_between(&rng, 0, sizeof likely - 2)];
            }
            read += try(bytes, n);
            for (int k = changes - 1; k >= 0; k--)
                bytes[at[k]] = was[k];
        }
        assert_true(read > 0 && read < 700); /* both ways were tried */
        free(bytes);
    }
}

/* Replaces one value of the file by another JSON value. */
static void any_value_replaced(void **state)
{
    (void)state;
    static const char *const values[] = {"null",           "{}",       "[]",   "\"\"", "0",      "-1",    "65535",
                                         "1e300",          "true",     "[[]]", "[{}]", "[1, 2]", "\"A\"", "70000",
                                         "[\"A\", \"C\"]", "\"A B C\""};
    size_t n;
    uint64_t rng = 5;
    char *bytes = read_golden("protein800.json", &n), *changed = malloc(n + 64);
    int read = 0, tries = 0;
    for (size_t at = 0; at < n; at++) {
        if (bytes[at] != ':' || (at > 3000 && t_between(&rng, 0, 9) > 0))
            continue;
        size_t end = at + 1 + strcspn(bytes + at + 1, ",}");
        const char *value = values[t_between(&rng, 0, sizeof values / sizeof *values - 1)];
        const size_t m = (size_t)snprintf(changed, n + 64, "%.*s%s", (int)at + 1, bytes, value);
        if (m + n - end < n + 64) {
            memcpy(changed + m, bytes + end, n - end);
            read += try(changed, m + n - end);
            tries++;
        }
    }
    assert_true(tries > 100 && read > 0 && read < tries);
    free(bytes);
    free(changed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(any_byte_changed),
        cmocka_unit_test(any_value_replaced),
    };
    return cmocka_run_group_tests_name("damaged tokenizers", tests, set_up, tear_down);
}
