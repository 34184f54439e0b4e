/* The packer: every row comes out once and whole, the budget holds, nothing waits too long, and batches are full. */
#include "../lib.h"
#include "packer.h"

struct trial {
    int64_t budget, lookahead, rows;
    const uint32_t *tokens;
    int token_bytes;
    uint64_t frame_bytes;
};

static uint8_t token_at(int64_t row, int64_t i)
{
    return (uint8_t)(row * 131 + i * 7 + 3);
}

static struct vnp_row make_row(const struct trial *t, int64_t i, uint8_t *data, char *id)
{
    size_t bytes = (size_t)t->tokens[i] * (size_t)t->token_bytes;
    for (size_t k = 0; k < bytes; k++)
        data[k] = token_at(i, (int64_t)k);
    int n = snprintf(id, 32, "%.*s%lld", (int)(i % 11), "abcdefghijk", (long long)i);
    return (struct vnp_row){.ordinal = (uint64_t)i,
                            .total = (uint64_t)i * 3 + t->tokens[i],
                            .start = (uint64_t)(i % 3 == 1 ? i : 0),
                            .residues = t->tokens[i] / 2,
                            .flags = (uint32_t)i % 16,
                            .tokens = t->tokens[i],
                            .window = i % 3 == 1,
                            .windows = i % 3 == 1 ? 2 : 1,
                            .id = {id, (uint32_t)n},
                            .data = data,
                            .bytes = bytes};
}

/* What the test knows of rows that are in and not out again. */
struct model {
    bool *waiting;
    int64_t in, oldest, batches, packed, packed_tokens;
};

static void check_row(const struct trial *t, const struct vnp_block *b, int64_t k, size_t at)
{
    static uint8_t data[1 << 16];
    char id[32];
    struct vnp_err err;
    struct vnp_row got, want = make_row(t, (int64_t)b->ordinal[k], data, id);
    assert_int_equal(vnp_row_of(b, k, at, want.bytes, &got, &err), VNP_OK);
    assert_int_equal(got.total, want.total);
    assert_int_equal(got.residues, want.residues);
    assert_int_equal(got.flags, want.flags);
    assert_int_equal(got.tokens, want.tokens);
    assert_int_equal(got.window, want.window);
    assert_int_equal(got.windows, want.windows);
    assert_int_equal(got.start, want.start);
    assert_int_equal(got.id.n, want.id.n);
    assert_memory_equal(got.id.s, want.id.s, want.id.n);
    if (want.bytes > 0)
        assert_memory_equal(got.data, want.data, want.bytes);
}

static void check_batch(const struct trial *t, struct model *m, struct vnp_rows *rows)
{
    struct vnp_block b = vnp_rows_block(rows);
    int64_t sum = 0, left, smallest = INT64_MAX;
    size_t at = 0;
    assert_true(b.n > 0);
    assert_int_equal((uintptr_t)b.bulk % 64, 0);
    for (int64_t k = 0; k < b.n; k++) {
        int64_t i = (int64_t)b.ordinal[k];
        assert_true(i < m->in && m->waiting[i]);
        assert_true(i < m->oldest + t->lookahead);
        for (int64_t older = m->oldest; older < i; older++) /* of equals the oldest */
            assert_false(m->waiting[older] && t->tokens[older] == t->tokens[i]);
        check_row(t, &b, k, at);
        at += (size_t)t->tokens[i] * (size_t)t->token_bytes;
        m->waiting[i] = false;
        sum += t->tokens[i];
    }
    assert_int_equal(b.bulk_bytes, at);
    assert_true(b.n == 1 || at <= t->frame_bytes);
    if (sum > t->budget) {
        assert_int_equal(b.n, 1);
    } else {
        assert_int_equal(b.ordinal[0], m->oldest);
        m->packed += b.n;
        m->packed_tokens += sum;
        m->batches++;
    }
    while (m->oldest < m->in && !m->waiting[m->oldest])
        m->oldest++;
    left = t->budget - sum;
    for (int64_t i = m->oldest; i < m->in; i++)
        if (m->waiting[i] && t->tokens[i] < smallest)
            smallest = t->tokens[i];
    if (sum <= t->budget && t->frame_bytes == UINT64_MAX)
        assert_true(smallest > left); /* nothing that waits would still fit */
}

/* Packs all rows, checks everything, returns the share of the budget used (oversize rows apart). */
static double run(const struct trial *t)
{
    static uint8_t data[1 << 16];
    struct vnp_err err = {0};
    struct vnp_packer *p;
    const struct vnp_packer_options opt = {t->budget, t->lookahead, t->frame_bytes};
    struct model m = {.waiting = calloc((size_t)t->rows + 1, sizeof(bool))};
    struct vnp_rows batch = {0};
    char id[32];
    enum vnp_status st;
    assert_int_equal(vnp_packer_new(&p, &opt, &err), VNP_OK);
    for (int64_t i = 0; i < t->rows; i++) {
        while (vnp_packer_full(p)) {
            assert_int_equal(vnp_packer_batch(p, &batch, &err), VNP_OK);
            check_batch(t, &m, &batch);
        }
        struct vnp_row row = make_row(t, i, data, id);
        m.waiting[i] = true;
        m.in = i + 1;
        assert_int_equal(vnp_packer_add(p, &row, &err), VNP_OK);
    }
    while ((st = vnp_packer_batch(p, &batch, &err)) == VNP_OK)
        check_batch(t, &m, &batch);
    assert_int_equal(st, VNP_END);
    assert_int_equal(m.oldest, t->rows);
    const struct vnp_packer_stats *s = vnp_packer_stats(p);
    assert_int_equal(s->batches, m.batches);
    assert_int_equal(s->rows, m.packed);
    assert_int_equal(s->tokens, m.packed_tokens);
    assert_int_equal(s->rows + s->oversize_rows, t->rows);
    double used = s->batches ? (double)s->tokens / ((double)s->batches * (double)t->budget) : 1;
    vnp_packer_free(p);
    vnp_rows_free(&batch);
    free(m.waiting);
    return used;
}

static void test_every_row_once(void **state)
{
    (void)state;
    static const int64_t budgets[] = {1, 3, 63, 64, 65, 500, 4096, 4097, 300000};
    static const int64_t lookaheads[] = {1, 2, 7, 64, 333};
    uint32_t tokens[600];
    uint64_t seed = 42;
    for (size_t b = 0; b < sizeof budgets / sizeof budgets[0]; b++)
        for (size_t l = 0; l < sizeof lookaheads / sizeof lookaheads[0]; l++)
            for (int shape = 0; shape < 4; shape++) {
                for (int i = 0; i < 600; i++)
                    tokens[i] = shape == 0   ? (uint32_t)t_between(&seed, 0, 9)
                                : shape == 1 ? t_length(&seed, 150, 1, 0, 2000)
                                : shape == 2 ? 168
                                             : (uint32_t)t_between(&seed, 1, 5) * 100;
                struct trial t = {budgets[b], lookaheads[l], shape == 3 ? 10 : 600, tokens, 1 + shape % 2, UINT64_MAX};
                run(&t);
            }
}

static void test_by_hand(void **state)
{
    (void)state;
    static const uint32_t tokens[] = {60, 45, 101, 30, 25, 15, 10, 100};
    static const uint64_t want[][3] = {{2}, {0, 3, 6}, {1, 4, 5}, {7}};
    static const int64_t sizes[] = {1, 3, 3, 1};
    struct trial t = {100, 8, 8, tokens, 1, UINT64_MAX};
    static uint8_t data[128];
    struct vnp_err err = {0};
    struct vnp_packer *p;
    struct vnp_packer_options opt = {100, 8, UINT64_MAX};
    struct vnp_rows batch = {0};
    char id[32];
    int n = 0;
    assert_int_equal(vnp_packer_new(&p, &opt, &err), VNP_OK);
    for (int64_t i = 0; i < 8 || n < 4;) {
        if (i == 8 || vnp_packer_full(p)) {
            assert_int_equal(vnp_packer_batch(p, &batch, &err), VNP_OK);
            assert_int_equal(batch.n, sizes[n]);
            assert_memory_equal(batch.ordinal, want[n], (size_t)batch.n * 8);
            n++;
            continue;
        }
        struct vnp_row row = make_row(&t, i++, data, id);
        assert_int_equal(vnp_packer_add(p, &row, &err), VNP_OK);
    }
    assert_int_equal(vnp_packer_batch(p, &batch, &err), VNP_END);
    vnp_packer_free(p);
    vnp_rows_free(&batch);
}

static void test_full_is_refused(void **state)
{
    (void)state;
    static const uint32_t tokens[] = {5, 5, 5};
    struct trial t = {100, 2, 3, tokens, 1, UINT64_MAX};
    uint8_t data[16];
    char id[32];
    struct vnp_err err = {0};
    struct vnp_packer *p;
    struct vnp_packer_options opt = {100, 2, UINT64_MAX};
    assert_int_equal(vnp_packer_new(&p, &opt, &err), VNP_OK);
    for (int64_t i = 0; i < 2; i++) {
        struct vnp_row row = make_row(&t, i, data, id);
        assert_int_equal(vnp_packer_add(p, &row, &err), VNP_OK);
    }
    struct vnp_row row = make_row(&t, 2, data, id);
    assert_true(vnp_packer_full(p));
    assert_int_equal(vnp_packer_add(p, &row, &err), VNP_SOFTWARE);
    vnp_packer_free(p);
}

static void test_lookahead_1_packs_nothing(void **state)
{
    (void)state;
    uint32_t tokens[50];
    for (int i = 0; i < 50; i++)
        tokens[i] = 10;
    struct trial t = {1000, 1, 50, tokens, 1, UINT64_MAX};
    assert_true(fabs(run(&t) - 0.01) < 1e-9);
}

/* Batches stay under the frame's limit even where the budget would allow more. */
static void test_frame_limit(void **state)
{
    (void)state;
    uint32_t tokens[100];
    uint64_t seed = 3;
    for (int i = 0; i < 100; i++)
        tokens[i] = (uint32_t)t_between(&seed, 100, 300);
    struct trial t = {100000, 100, 100, tokens, 2, 2000};
    double used = run(&t);
    assert_true(used > 0.005 && used < 0.02);
}

/* Mixed proteins and short ones: at least 98%, or all that the last, partly filled batch allows. */
static void test_efficiency(void **state)
{
    (void)state;
    enum { ROWS = 20000 };
    static const struct {
        const char *name;
        double median, sigma, lo, hi;
    } shapes[] = {{"mixed", 150, 0.7, 20, 1022},
                  {"wide", 150, 1.0, 20, 1022},
                  {"narrow", 150, 0.4, 20, 1022},
                  {"short", 51, 0.4, 5, 166}};
    static const int64_t budgets[] = {1024, 2048, 4096, 8192, 16384, 65536};
    uint32_t *tokens = malloc(ROWS * sizeof *tokens);
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        uint64_t seed = 7 + s;
        double sum = 0;
        for (int i = 0; i < ROWS; i++)
            sum += tokens[i] = 2 + t_length(&seed, shapes[s].median, shapes[s].sigma, shapes[s].lo, shapes[s].hi);
        for (size_t b = 0; b < sizeof budgets / sizeof budgets[0]; b++) {
            int64_t lookahead = budgets[b] / 16 > 1024 ? budgets[b] / 16 : 1024;
            struct trial t = {budgets[b], lookahead, ROWS, tokens, 1, UINT64_MAX};
            double used = run(&t), bound = sum / (ceil(sum / (double)budgets[b]) * (double)budgets[b]);
            print_message("# %s lengths, budget %lld: %.3f%% used, %.3f%% possible\n", shapes[s].name,
                          (long long)budgets[b], 100 * used, 100 * bound);
            assert_true(used >= 0.98 || used >= bound - 1e-9); /* as few batches as there can be */
            assert_true(used >= bound - 0.005);
        }
    }
    free(tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_once),  cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_full_is_refused), cmocka_unit_test(test_lookahead_1_packs_nothing),
        cmocka_unit_test(test_frame_limit),     cmocka_unit_test(test_efficiency),
    };
    return cmocka_run_group_tests_name("packer", tests, NULL, NULL);
}
