/* Where chunks begin: as published, as in tests/golden/orf, and as a rule for all lengths. */
#include "../lib.h"
#include "chunk.h"

/* What the published behaviour is known by. */
static void published_starts(void **state)
{
    (void)state;
    static const struct {
        uint64_t letters, n, starts[5], last;
    } known[] = {{501, 2, {0, 250}, 251},         {750, 2, {0, 374}, 376},
                 {999, 2, {0, 499}, 500},         {1001, 3, {0, 333, 666}, 335},
                 {1501, 4, {0, 375, 750, 1125}, 376}, {2250, 5, {0, 449, 898, 1347, 1796}, 454}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const struct vnp_chunks c = vnp_chunks(known[i].letters, 500);
        assert_int_equal(c.n, known[i].n);
        for (uint64_t k = 0; k < c.n; k++)
            assert_int_equal(vnp_chunk_start(&c, k), known[i].starts[k]);
        assert_int_equal(vnp_chunk_letters(&c, c.n - 1), known[i].last);
    }
}

static void golden_starts(void **state)
{
    (void)state;
    FILE *f = fopen("tests/golden/orf/starts.txt", "r");
    assert_non_null(f);
    unsigned long long letters, size, start;
    int lines = 0;
    for (; fscanf(f, "%llu %llu", &letters, &size) == 2; lines++) {
        const struct vnp_chunks c = vnp_chunks(letters, size);
        for (uint64_t k = 0; k < c.n; k++) {
            assert_int_equal(fscanf(f, "%llu", &start), 1);
            assert_int_equal(vnp_chunk_start(&c, k), start);
        }
        assert_int_equal(fgetc(f), '\n');
    }
    fclose(f);
    assert_true(lines > 200);
}

/* Chunks cover the contig, each begins within the one before or right behind it, and none but the last is short. */
static void cover_all(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {3, 4, 5, 7, 300, 500, 1000000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (uint64_t letters = 1; letters < 6000; letters++) {
            const struct vnp_chunks c = vnp_chunks(letters, sizes[s]);
            uint64_t end = 0;
            for (uint64_t k = 0; k < c.n; k++) {
                const uint64_t start = vnp_chunk_start(&c, k), n = vnp_chunk_letters(&c, k);
                assert_true(k == 0 ? start == 0 : start <= end && start + sizes[s] > end);
                assert_true(n == sizes[s] || (k == c.n - 1 && n > 0 && n < sizes[s]));
                end = start + n;
            }
            assert_int_equal(end, letters);
        }
    assert_int_equal(vnp_chunks(0, 500).n, 0);
}

static void large(void **state)
{
    (void)state;
    const uint64_t letters = (1ull << 60) + 1;
    const struct vnp_chunks c = vnp_chunks(letters, 500);
    assert_int_equal(c.n, letters / 500 + 1);
    assert_true(vnp_chunk_start(&c, c.n - 1) < letters);
    assert_int_equal(vnp_chunk_start(&c, c.n - 1) + vnp_chunk_letters(&c, c.n - 1), letters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_starts),
        cmocka_unit_test(golden_starts),
        cmocka_unit_test(cover_all),
        cmocka_unit_test(large),
    };
    return cmocka_run_group_tests_name("vnp-orf chunks", tests, NULL, NULL);
}
