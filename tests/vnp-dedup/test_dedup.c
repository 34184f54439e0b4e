/* Which records are equal, against a comparison of all with all: at random, with windows, when all hashes are equal,
 * and in so little memory that everything goes through temporary files. */
#include "../lib.h"

#include "dedup.h"

enum { RECORDS = 600, WINDOWS = 3, TOKENS = 6, ROWS = RECORDS * WINDOWS };

struct input {
    int n, n_rows;
    int begin[RECORDS + 1]; /* first row of each record */
    struct vnp_row rows[ROWS];
    uint16_t tokens[ROWS][TOKENS];
    char ids[RECORDS][8];
};

/* Few letters and short records, so that many are equal; ids, totals and flags are no part of that. */
static void make_input(struct input *in, int n, unsigned letters, bool windows, uint64_t seed)
{
    memset(in, 0, sizeof *in);
    in->n = n;
    for (int i = 0; i < n; i++) {
        in->begin[i] = in->n_rows;
        const uint32_t k = windows ? (uint32_t)t_between(&seed, 1, WINDOWS) : 1;
        snprintf(in->ids[i], sizeof in->ids[i], "r%d", (int)t_between(&seed, 0, 50));
        const uint64_t more = t_between(&seed, 0, 2), step = t_between(&seed, 1, 2);
        for (uint32_t w = 0; w < k; w++) {
            struct vnp_row *r = &in->rows[in->n_rows];
            *r = (struct vnp_row){.ordinal = (uint64_t)i,
                                  .window = w,
                                  .windows = k,
                                  .start = w * step,
                                  .id = {in->ids[i], (uint32_t)strlen(in->ids[i])}};
            r->tokens = (uint32_t)t_between(&seed, windows ? 3 : 2, windows ? 4 : TOKENS);
            r->residues = r->tokens - 2 - (windows && t_between(&seed, 0, 3) == 0);
            r->total = 10 + more;
            r->flags = w == 1 && more == 1 ? VNP_TRUNCATED : 0;
            for (uint32_t t = 0; t < r->tokens; t++)
                in->tokens[in->n_rows][t] = (uint16_t)(300 + t_random(&seed) % letters);
            r->data = in->tokens[in->n_rows];
            r->bytes = 2 * (size_t)r->tokens;
            in->n_rows++;
        }
    }
    in->begin[n] = in->n_rows;
}

static bool equal(const struct input *in, int a, int b)
{
    const int rows = in->begin[a + 1] - in->begin[a];
    if (in->begin[b + 1] - in->begin[b] != rows)
        return false;
    for (int k = 0; k < rows; k++) {
        const struct vnp_row *x = &in->rows[in->begin[a] + k], *y = &in->rows[in->begin[b] + k];
        if (x->start != y->start || x->residues != y->residues || x->bytes != y->bytes ||
            memcmp(x->data, y->data, x->bytes) != 0)
            return false;
    }
    return true;
}

/* What must come out, by comparing all with all; returns how many are unique. */
static uint64_t expect(const struct input *in, struct vnp_copy *want)
{
    uint64_t unique = 0, slots = 0;
    for (int i = 0; i < in->n; i++) {
        int first = 0;
        bool shared = false;
        while (!equal(in, first, i))
            first++;
        for (int k = 0; k < in->n; k++)
            shared |= k != i && equal(in, i, k);
        want[i] = first < i ? want[first] : (struct vnp_copy){unique, shared ? slots + 1 : 0};
        unique += first == i;
        slots += first == i && shared;
    }
    return unique;
}

static void check_copies(struct vnp_dedup *d, const struct input *in, const struct vnp_copy *want)
{
    struct vnp_row row;
    struct vnp_err err = {0};
    for (int i = 0; i < in->n; i++) {
        const struct vnp_row *last = &in->rows[in->begin[i + 1] - 1];
        uint32_t flags = 0, tokens = 0;
        for (int k = in->begin[i]; k < in->begin[i + 1]; k++) {
            flags |= in->rows[k].flags;
            tokens += in->rows[k].tokens;
        }
        if (vnp_dedup_next_copy(d, &row, &err) != VNP_OK)
            fail_msg("%s", err.msg);
        assert_int_equal(row.ordinal, i);
        assert_true(row.id.n == last->id.n && memcmp(row.id.s, last->id.s, row.id.n) == 0);
        assert_int_equal(row.total, last->total);
        assert_int_equal(row.residues, last->start + last->residues);
        assert_int_equal(row.flags, flags);
        assert_int_equal(row.tokens, tokens);
        assert_true(row.window == 0 && row.windows == 1 && row.start == 0);
        assert_int_equal(row.bytes, sizeof want[i]);
        assert_memory_equal(row.data, &want[i], sizeof want[i]);
    }
    assert_int_equal(vnp_dedup_next_copy(d, &row, &err), VNP_END);
}

static void check_unique(struct vnp_dedup *d, const struct input *in, const struct vnp_copy *want)
{
    struct vnp_row row;
    struct vnp_err err = {0};
    uint64_t unique = 0;
    for (int i = 0; i < in->n; i++) {
        if (want[i].of != unique)
            continue;
        for (int k = in->begin[i]; k < in->begin[i + 1]; k++) {
            const struct vnp_row *r = &in->rows[k];
            if (vnp_dedup_next_unique(d, &row, &err) != VNP_OK)
                fail_msg("%s", err.msg);
            assert_int_equal(row.ordinal, unique);
            assert_true(row.id.n == r->id.n && memcmp(row.id.s, r->id.s, row.id.n) == 0);
            assert_true(row.total == r->total && row.start == r->start && row.residues == r->residues &&
                        row.flags == r->flags && row.tokens == r->tokens && row.window == r->window &&
                        row.windows == r->windows);
            assert_int_equal(row.bytes, r->bytes);
            assert_memory_equal(row.data, r->data, row.bytes);
        }
        unique++;
    }
    assert_int_equal(vnp_dedup_next_unique(d, &row, &err), VNP_END);
}

static void dedup(const struct input *in, const struct vnp_copy *want, unsigned hash_bits, size_t memory,
                  char digest[VNP_DEDUP_DIGEST])
{
    const struct vnp_dedup_options opt = {.token_bytes = 2, .memory = memory, .hash_bits = hash_bits};
    struct vnp_dedup *d;
    struct vnp_err err = {0};
    assert_int_equal(vnp_dedup_new(&d, &opt, &err), VNP_OK);
    for (int k = 0; k < in->n_rows; k++)
        assert_int_equal(vnp_dedup_add(d, &in->rows[k], &err), VNP_OK);
    if (vnp_dedup_find(d, digest, &err) != VNP_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(strlen(digest), VNP_DEDUP_DIGEST - 1);
    check_copies(d, in, want);
    check_unique(d, in, want);
    vnp_dedup_free(d);
}

static void as_by_comparing_all_with_all(void **state)
{
    (void)state;
    static struct input in;
    static struct vnp_copy want[RECORDS];
    static const unsigned bits[] = {64, 3, 1};
    static const unsigned letters[] = {1, 2, 4, 60000};
    for (size_t l = 0; l < 4; l++)
        for (int windows = 0; windows < 2; windows++) {
            char digest[6][VNP_DEDUP_DIGEST];
            make_input(&in, RECORDS, letters[l], windows, 11 + l);
            const uint64_t unique = expect(&in, want);
            assert_true(letters[l] > 100 ? unique > RECORDS * 9 / 10 : letters[l] > 2 || unique < RECORDS * 9 / 10);
            for (int b = 0; b < 3; b++) {
                dedup(&in, want, bits[b], (size_t)1 << 20, digest[2 * b]);
                dedup(&in, want, bits[b], 0, digest[2 * b + 1]); /* arrays in files */
            }
            for (int k = 1; k < 6; k++)
                assert_string_equal(digest[k], digest[0]);
        }
}

static void few_records(void **state)
{
    (void)state;
    static struct input in;
    struct vnp_copy want[4];
    char digest[4][VNP_DEDUP_DIGEST];
    for (int n = 0; n < 4; n++) {
        make_input(&in, n, 1, false, 1);
        expect(&in, want);
        dedup(&in, want, 64, 0, digest[n]);
        for (int k = 0; k < n; k++)
            assert_string_not_equal(digest[k], digest[n]);
    }
}

/* Records longer than what is compared at a time, which differ in one token, wherever it is. */
static void long_records(void **state)
{
    (void)state;
    enum { N = 100000 };
    uint8_t *tokens = calloc(1, N);
    const struct vnp_dedup_options opt = {.token_bytes = 1, .memory = 1 << 20, .hash_bits = 1};
    static const size_t changed[] = {N - 1, N, 0, N, 65519, 65520, N}; /* N: none */
    static const uint64_t want[] = {0, 1, 2, 1, 3, 4, 1};
    struct vnp_dedup *d;
    struct vnp_row row;
    struct vnp_err err;
    char digest[VNP_DEDUP_DIGEST];
    assert_int_equal(vnp_dedup_new(&d, &opt, &err), VNP_OK);
    for (uint64_t i = 0; i < 7; i++) {
        const struct vnp_row r = {.ordinal = i,
                                  .total = N - 2,
                                  .residues = N - 2,
                                  .tokens = N,
                                  .windows = 1,
                                  .id = {"", 0},
                                  .data = tokens,
                                  .bytes = N};
        if (changed[i] < N)
            tokens[changed[i]] = 1;
        assert_int_equal(vnp_dedup_add(d, &r, &err), VNP_OK);
        if (changed[i] < N)
            tokens[changed[i]] = 0;
    }
    assert_int_equal(vnp_dedup_find(d, digest, &err), VNP_OK);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(vnp_dedup_next_copy(d, &row, &err), VNP_OK);
        assert_int_equal(((const struct vnp_copy *)row.data)->of, want[i]);
        assert_int_equal(((const struct vnp_copy *)row.data)->slot, want[i] == 1);
    }
    assert_int_equal(vnp_dedup_next_copy(d, &row, &err), VNP_END);
    vnp_dedup_free(d);
    free(tokens);
}

/* Every column and every token is in the digest, and the order of the records. */
static void the_digest_is_of_everything(void **state)
{
    (void)state;
    static struct input in, changed;
    static struct vnp_copy want[RECORDS];
    char digest[VNP_DEDUP_DIGEST], other[VNP_DEDUP_DIGEST];
    make_input(&in, 20, 3, true, 4);
    expect(&in, want);
    dedup(&in, want, 64, 0, digest);
    for (int what = 0; what < 6; what++) {
        changed = in;
        for (int k = 0; k < in.n_rows; k++) { /* its own texts and tokens */
            changed.rows[k].data = changed.tokens[k];
            changed.rows[k].id.s = changed.ids[changed.rows[k].ordinal];
        }
        switch (what) {
        case 0:
            changed.rows[7].total++;
            break;
        case 1:
            changed.rows[7].flags ^= VNP_TRUNCATED;
            break;
        case 2:
            changed.rows[7].residues--;
            break;
        case 3:
            changed.ids[9][0] = 's';
            break;
        case 4:
            changed.tokens[7][0]++;
            break;
        default:
            changed.tokens[changed.n_rows - 1][2]++;
            break;
        }
        expect(&changed, want);
        dedup(&changed, want, 64, 0, other);
        assert_string_not_equal(other, digest);
    }
}

static void windows_that_add_up_to_too_much(void **state)
{
    (void)state;
    const struct vnp_dedup_options opt = {.token_bytes = 1, .memory = 0, .hash_bits = 64};
    struct vnp_dedup *d;
    struct vnp_row row = {
        .total = 5000000000, .residues = 1, .tokens = 3, .windows = 2, .id = {"long", 4}, .data = "\1\2\3", .bytes = 3};
    struct vnp_err err;
    char digest[VNP_DEDUP_DIGEST];
    assert_int_equal(vnp_dedup_new(&d, &opt, &err), VNP_OK);
    assert_int_equal(vnp_dedup_add(d, &row, &err), VNP_OK);
    row.window = 1;
    row.start = UINT32_MAX;
    assert_int_equal(vnp_dedup_add(d, &row, &err), VNP_OK);
    assert_int_equal(vnp_dedup_find(d, digest, &err), VNP_OK);
    assert_int_equal(vnp_dedup_next_copy(d, &row, &err), VNP_DATA);
    assert_non_null(strstr(err.msg, "record 0 (long)"));
    vnp_dedup_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_by_comparing_all_with_all),
        cmocka_unit_test(few_records),
        cmocka_unit_test(long_records),
        cmocka_unit_test(the_digest_is_of_everything),
        cmocka_unit_test(windows_that_add_up_to_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
