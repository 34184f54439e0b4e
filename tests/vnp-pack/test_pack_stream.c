/* vnp-pack as people run it, on streams made here: what comes out depends on the rows, not on the cut of the input. */
#include "../lib.h"
#include "stream.h"

enum { ROWS = 3000 };

static char *folder;

static int make_folder(void **state)
{
    (void)state;
    folder = t_folder();
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    t_remove(folder);
    return 0;
}

static uint32_t tokens[ROWS];

static struct vnp_head token_head(int token_bytes)
{
    return (struct vnp_head){.kind = VNP_TOKENS,
                             .n_by = 1,
                             .by = {{.stage = "test", .version = "1"}},
                             .vocab = "esm2",
                             .vocab_size = 33,
                             .prefix = 1,
                             .suffix = 1,
                             .token_bytes = token_bytes};
}

/* Writes ROWS rows in blocks of `per_block` (0: of random sizes); every fifth row begins a record in two windows,
 * every seventh of the others is cut by 5 residues. */
static void write_tokens(const char *path, int64_t per_block, int token_bytes)
{
    struct vnp_err err = {0};
    struct vnp_writer *w;
    struct vnp_head head = token_head(token_bytes);
    struct vnp_writer_options opt = {.path = path};
    uint64_t seed = 99, cuts = 5;
    static uint64_t ordinal[ROWS], total[ROWS], start[ROWS];
    static uint32_t residues[ROWS], flags[ROWS], window[ROWS], windows[ROWS];
    static struct vnp_str id[ROWS];
    static char name[ROWS][16];
    uint64_t next = 0;
    for (int64_t i = 0; i < ROWS; i++) {
        tokens[i] = 2 + t_length(&seed, 150, 0.7, i % 5 == 2 || i % 5 == 3, 3000);
        window[i] = i > 0 && windows[i - 1] == 2 && window[i - 1] == 0;
        windows[i] = window[i] || i % 5 == 2 ? 2 : 1;
        ordinal[i] = window[i] ? next - 1 : next++;
        residues[i] = tokens[i] - 2;
        start[i] = window[i] ? residues[i - 1] : 0;
        flags[i] = windows[i] == 2 ? 0 : i % 7 == 0 ? VNP_TRUNCATED : residues[i] == 0 ? VNP_EMPTY : 0;
        total[i] = start[i] + residues[i] + (flags[i] == VNP_TRUNCATED ? 5 : 0);
        if (window[i])
            total[i - 1] = total[i];
        id[i] = (struct vnp_str){name[i], (uint32_t)snprintf(name[i], 16, "s%llu", (unsigned long long)ordinal[i])};
    }
    assert_int_equal(vnp_writer_open(&w, &opt, &err), VNP_OK);
    assert_int_equal(vnp_writer_head(w, &head, &err), VNP_OK);
    for (int64_t i = 0; i < ROWS;) {
        int64_t n = per_block > 0 ? per_block : t_between(&cuts, 1, 200);
        n = n < ROWS - i ? n : ROWS - i;
        size_t bytes = (size_t)vnp_sum(tokens + i, n) * (size_t)token_bytes;
        uint8_t *bulk = calloc(bytes + 1, 1);
        for (size_t k = 0, at = 0; k < (size_t)n; k++)
            for (uint32_t j = 0; j < tokens[(size_t)i + k]; j++, at += (size_t)token_bytes)
                bulk[at] = (uint8_t)((ordinal[(size_t)i + k] * 31 + j) % 33);
        struct vnp_block b = {.n = n,
                              .ordinal = ordinal + i,
                              .id = id + i,
                              .residues = residues + i,
                              .total = total + i,
                              .flags = flags + i,
                              .tokens = tokens + i,
                              .window = window + i,
                              .windows = windows + i,
                              .start = start + i,
                              .bulk = bulk,
                              .bulk_bytes = (int64_t)bytes};
        assert_int_equal(vnp_writer_block(w, &b, &err), VNP_OK);
        free(bulk);
        i += n;
    }
    assert_int_equal(vnp_writer_finish(w, &err), VNP_OK);
}

static void test_any_cut_same_bytes(void **state)
{
    (void)state;
    static const int64_t cuts[] = {ROWS, 1, 64, 0};
    char *in = t_path(folder, "in"), *out = t_path(folder, "out");
    size_t n[4];
    char *bytes[4];
    for (int i = 0; i < 4; i++) {
        write_tokens(in, cuts[i], 1);
        assert_int_equal(t_run("vnp-pack -q -b 2048 -o '%s' '%s'", out, in), 0);
        bytes[i] = t_slurp(out, &n[i]);
        assert_int_equal(n[i], n[0]);
        assert_memory_equal(bytes[i], bytes[0], n[0]);
    }
    for (int i = 0; i < 4; i++)
        free(bytes[i]);
    free(in);
    free(out);
}

/* Reads batches and finds every row of the input once, whole, under the budget. */
static void check_batches(const char *path, int64_t budget, int token_bytes, int64_t max_rows)
{
    struct vnp_err err = {0};
    struct vnp_reader *r;
    struct vnp_block b;
    enum vnp_status st;
    int64_t rows = 0;
    static uint8_t seen[ROWS][2];
    memset(seen, 0, sizeof seen);
    assert_int_equal(vnp_reader_open(&r, path, &err), VNP_OK);
    assert_int_equal(vnp_reader_expect(r, VNP_BATCHES, &err), VNP_OK);
    const struct vnp_head *h = vnp_reader_head(r);
    assert_int_equal(h->n_by, 2);
    assert_string_equal(h->by[1].stage, "vnp-pack");
    assert_int_equal(h->token_bytes, token_bytes);
    while ((st = vnp_reader_next(r, &b, &err)) == VNP_OK) {
        assert_true(b.n == 1 || (int64_t)vnp_sum(b.tokens, b.n) <= budget);
        assert_true(b.n <= max_rows);
        for (int64_t i = 0, at = 0; i < b.n; i++) {
            uint32_t w = b.window != NULL ? b.window[i] : 0;
            char name[16];
            assert_int_equal(seen[b.ordinal[i]][w]++, 0);
            assert_int_equal(b.residues[i] + 2, b.tokens[i]);
            if (w == 1)
                assert_int_equal(b.total[i], b.start[i] + b.residues[i]);
            else if (b.window == NULL || b.windows[i] == 1)
                assert_int_equal(b.total[i], b.residues[i] + (b.flags[i] & VNP_TRUNCATED ? 5 : 0));
            snprintf(name, sizeof name, "s%llu", (unsigned long long)b.ordinal[i]);
            assert_int_equal(b.id[i].n, strlen(name));
            assert_memory_equal(b.id[i].s, name, strlen(name));
            for (uint32_t j = 0; j < b.tokens[i]; j++, at++)
                assert_int_equal(vnp_token(b.bulk, token_bytes, at), (b.ordinal[i] * 31 + j) % 33);
        }
        rows += b.n;
    }
    assert_int_equal(st, VNP_END);
    assert_int_equal(rows, ROWS);
    vnp_reader_close(r);
}

static void test_contents_survive(void **state)
{
    (void)state;
    char *in = t_path(folder, "in"), *out = t_path(folder, "out");
    for (int token_bytes = 1; token_bytes <= 2; token_bytes++) {
        write_tokens(in, 100, token_bytes);
        for (int64_t budget = 3; budget <= 30000; budget *= 10) {
            assert_int_equal(t_run("vnp-pack -q -b %lld '%s' > '%s'", (long long)budget, in, out), 0);
            check_batches(out, budget, token_bytes, INT64_MAX);
        }
        assert_int_equal(t_run("vnp-pack -q --no-packing < '%s' > '%s'", in, out), 0);
        check_batches(out, 8192, token_bytes, 1);
    }
    free(in);
    free(out);
}

/* Cut at any frame boundary or in the middle of one: no end frame comes out, and the status is not 0. */
static void test_cut_input(void **state)
{
    (void)state;
    char *in = t_path(folder, "in"), *out = t_path(folder, "out");
    size_t n, at = 0;
    write_tokens(in, 500, 1);
    char *bytes = t_slurp(in, &n);
    while (at < n) {
        uint32_t length;
        for (int middle = 0; middle < 2; middle++) {
            t_write(in, bytes, at + (middle ? 3 : 0));
            assert_int_equal(t_run("vnp-pack -q '%s' > '%s' 2>/dev/null", in, out), VNP_DATA);
            assert_int_equal(t_run("vnp-cat --check '%s' >/dev/null 2>&1", out), VNP_DATA);
            assert_int_equal(t_run("vnp-pack -q -o '%s.file' '%s' 2>/dev/null", out, in), VNP_DATA);
            assert_int_equal(t_run("test -e '%s.file'", out), 1);
        }
        memcpy(&length, bytes + at, 4);
        at += 4 + length;
    }
    assert_int_equal(at, n);
    free(bytes);
    free(in);
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_cut_same_bytes),
        cmocka_unit_test(test_contents_survive),
        cmocka_unit_test(test_cut_input),
    };
    return cmocka_run_group_tests_name("vnp-pack", tests, make_folder, remove_folder);
}
