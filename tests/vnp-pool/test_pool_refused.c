/* vnp-pool as people run it, on streams with something wrong: records that are missing or come twice, tokens that don't
 * fit, numbers that are none, files that were cut. */
#include <zstd.h>

#include "pool.h"
#include "streams.h"

/* Runs vnp-pool on `in`: status 65, a message that holds `what`, no end for the next stage, no file. */
static void refused(const char *options, const char *what)
{
    assert_int_equal(t_run("vnp-pool %s '%s' > '%s' 2> '%s'", options, in, out, err_text), VNP_DATA);
    assert_int_equal(t_run("grep -q -e '%s' '%s' || { cat '%s' >&2; false; }", what, err_text, err_text), 0);
    assert_int_equal(t_run("[ $(wc -l < '%s') = 1 ]", err_text), 0);
    assert_int_equal(t_run("vnp-cat --check '%s' >/dev/null 2>&1", out), VNP_DATA);
    assert_int_equal(t_run("vnp-pool -q %s -o '%s.file' '%s' 2>/dev/null", options, out, in), VNP_DATA);
    assert_int_equal(t_run("ls '%s' | grep -q 'out[.]file'", folder), 1);
}

static void write_ordinals(const uint64_t *ordinals, int n)
{
    struct stream s;
    char id[32];
    stream_open(&s, VNP_HIDDEN, VNP_F32, 4, "");
    for (int i = 0; i < n; i++)
        add(&s, whole(ordinals[i], 3, id));
    stream_close(&s);
}

static void test_missing_and_doubled(void **state)
{
    (void)state;
    write_ordinals((const uint64_t[]){0, 1, 3, 4}, 4);
    refused("", "vnp-pool: .*in: record 2 never came");
    write_ordinals((const uint64_t[]){1, 2}, 2);
    refused("", "record 0 never came");
    write_ordinals((const uint64_t[]){0, 1, 1, 2}, 4);
    refused("", "record 1 (name1) came twice");
    write_ordinals((const uint64_t[]){2, 2, 0, 1}, 4);
    refused("", "record 2 (name2) came twice");
    write_ordinals((const uint64_t[]){0, UINT64_MAX}, 2);
    refused("", "record 1 never came");
    struct stream s;
    char id[32];
    stream_open(&s, VNP_HIDDEN, VNP_F32, 4, "");
    struct vnp_row row = whole(0, 10, id);
    row.residues = 5;
    row.tokens = 7;
    row.windows = 2;
    add(&s, row);
    stream_close(&s);
    refused("--none", "record 0, window 1 never came");
}

static void test_bad_streams(void **state)
{
    (void)state;
    struct stream s;
    char id[32];
    stream_open(&s, VNP_TOKENS, VNP_F32, 0, ""); /* no rows */
    stream_close(&s);
    refused("", "holds tokens, but hidden states are wanted here");

    stream_open(&s, VNP_HIDDEN, VNP_F32, 4, "");
    struct vnp_row row = whole(0, 10, id); /* as from a tokenizer of longer words */
    row.tokens = 5;
    add(&s, row);
    stream_close(&s);
    refused("--none", "record 0 (name0): its tokens are not one a residue");
    assert_int_equal(t_run("vnp-pool -q '%s' | vnp-cat --check >/dev/null", in), 0);

    stream_open(&s, VNP_HIDDEN, VNP_F32, 4, "");
    for (uint64_t i = 1; i <= 300; i++)
        add(&s, whole(i, 1000, id)); /* 300 x 16 KB wait for record 0 */
    stream_close(&s);
    refused("--none --max-pending 4", "wait for record 0, over the limit of 4 MiB");
}

static void test_not_finite(void **state)
{
    (void)state;
    struct vnp_err err = {0};
    char id[32];
    for (int big = 0; big < 2; big++) {
        struct stream s;
        stream_open(&s, VNP_HIDDEN, VNP_F32, 2, "");
        for (uint64_t i = 0; i < 3; i++) {
            float v[8] = {1, 2, 3, 4, 5, 6, 7, 8};
            struct vnp_row row = whole(i, 2, id);
            if (i == 1)
                v[2] = big ? 1e6f : NAN;
            row.data = v;
            row.bytes = sizeof v;
            assert_int_equal(vnp_rows_add(&s.rows, &row, &err), VNP_OK);
        }
        stream_close(&s);
        if (big) {
            refused("--f16", "record 1 (name1): value 0 is too large for FP16 (65504 at most): write --f32");
            assert_int_equal(t_run("vnp-pool -q '%s' | vnp-cat --summary | grep -q ' 0 not finite'", in), 0);
            continue;
        }
        for (int pool = VNP_POOL_MEAN; pool <= VNP_POOL_NONE; pool++) {
            const char *name = vnp_pool_name((enum vnp_pool)pool);
            assert_int_equal(t_run("vnp-pool --%s --f16 '%s' 2> '%s' | vnp-cat --summary | grep -q ' %d not finite'",
                                   name, in, err_text, pool != VNP_POOL_CLS),
                             0);
            assert_int_equal(t_run("grep -q 'warning: 1 of them holds NaN or Inf' '%s'", err_text),
                             pool == VNP_POOL_CLS);
        }
    }
}

/* The compressed file, cut at every frame boundary and once in every frame, is never taken for a whole one. */
static void test_cut_files(void **state)
{
    (void)state;
    size_t n, at = 0;
    int frames = 0;
    char *cut = t_path(folder, "cut");
    write_shuffled(VNP_HIDDEN, VNP_F32, 24, "", 10, 1);
    assert_int_equal(t_run("vnp-pool -q '%s' > '%s'", in, out), 0);
    char *bytes = t_slurp(out, &n);
    while (at < n) {
        size_t size = ZSTD_findFrameCompressedSize(bytes + at, n - at);
        assert_false(ZSTD_isError(size));
        for (int middle = 0; middle < 2; middle++) {
            t_write(cut, bytes, at + (middle ? size / 2 : 0));
            assert_int_equal(t_run("vnp-pool -q '%s' > /dev/null 2>&1", cut), VNP_DATA);
            assert_int_equal(t_run("vnp-cat --check '%s' > /dev/null 2>&1", cut), VNP_DATA);
            assert_int_equal(t_run("vnp-cmp '%s' '%s' > /dev/null 2>&1", cut, out), VNP_DATA);
        }
        at += size;
        frames++;
    }
    assert_int_equal(frames, 2 + (RECORDS + 255) / 256);
    free(bytes);
    free(cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing_and_doubled),
        cmocka_unit_test(test_bad_streams),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_cut_files),
    };
    return cmocka_run_group_tests_name("vnp-pool", tests, make_folder, remove_folder);
}
