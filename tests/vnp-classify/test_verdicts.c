/* Verdicts and tables: byte for byte what Python writes for the same scores, the rules at their edges, ids that do not
 * fit, stretches and where they lie. */
#include "../lib.h"

#include <sys/stat.h>

#include "frame_id.h"
#include "verdicts.h"

#define GOLDEN "tests/golden/classifier/"

static char *folder;

static char *read_file(const char *path, size_t *n)
{
    char *p = t_slurp(path, n);
    if (p == NULL)
        fail_msg("%s is not there", path);
    return p;
}

static void same_files(const char *a, const char *b)
{
    size_t n, m;
    char *p = read_file(a, &n), *q = read_file(b, &m);
    if (n != m || memcmp(p, q, n) != 0)
        fail_msg("%s and %s differ:\n%s\n%s", a, b, p, q);
    free(p);
    free(q);
}

/* The text of a table in the scratch folder's out/. */
static char *table(const char *name)
{
    size_t n;
    char path[300];
    snprintf(path, sizeof path, "%s/out/prediction_results%s", folder, name);
    return read_file(path, &n);
}

static void expect_table(const char *name, const char *want)
{
    char *have = table(name);
    assert_string_equal(have, want);
    free(have);
}

static struct vnp_str str(const char *s)
{
    return (struct vnp_str){s, (uint32_t)strlen(s)};
}

struct frame {
    const char *id;
    float others, virus;
};

/* Runs all frames through; VNP_OK or what failed, with its message. */
static enum vnp_status run(struct vnp_verdict_options opt, const struct frame *v, size_t n,
                           struct vnp_verdict_counts *counts, struct vnp_err *err)
{
    struct vnp_verdicts *w;
    char dir[300];
    snprintf(dir, sizeof dir, "%s/out", folder);
    opt.dir = dir;
    enum vnp_status st = vnp_verdicts_open(&w, &opt, err);
    assert_int_equal(st, VNP_OK);
    for (size_t i = 0; i < n && st == VNP_OK; i++)
        st = vnp_verdicts_add(w, str(v[i].id), (float[2]){v[i].others, v[i].virus}, err);
    if (st == VNP_OK)
        return vnp_verdicts_finish(w, counts, err);
    vnp_verdicts_discard(w);
    return st;
}

static void golden_tables(const char *name, bool max_scores)
{
    char path[300], dir[300], *line = NULL;
    size_t cap = 0;
    float scores[2];
    struct vnp_verdicts *v;
    struct vnp_verdict_counts counts;
    struct vnp_err err;
    snprintf(dir, sizeof dir, "%s/golden-%s-%d", folder, name, max_scores);
    const struct vnp_verdict_options opt = {.dir = dir, .min_viral = 0.5, .max_scores = max_scores};
    assert_int_equal(vnp_verdicts_open(&v, &opt, &err), VNP_OK);
    snprintf(path, sizeof path, GOLDEN "%s.ids", name);
    FILE *ids = fopen(path, "r");
    snprintf(path, sizeof path, GOLDEN "%s%s.scores", name, strcmp(name, "small") == 0 ? "-f32" : "");
    FILE *f = fopen(path, "rb");
    assert_true(ids != NULL && f != NULL);
    for (ssize_t n; (n = getline(&line, &cap, ids)) > 0;) {
        assert_int_equal(fread(scores, sizeof scores, 1, f), 1);
        assert_int_equal(vnp_verdicts_add(v, (struct vnp_str){line, (uint32_t)n - 1}, scores, &err), VNP_OK);
    }
    fclose(ids);
    fclose(f);
    free(line);
    assert_int_equal(vnp_verdicts_finish(v, &counts, &err), VNP_OK);
    char have[400], want[400];
    snprintf(have, sizeof have, "%s/prediction_results.txt", dir);
    snprintf(want, sizeof want, GOLDEN "%s.txt", name);
    same_files(have, want);
    snprintf(have, sizeof have, "%s/prediction_results_highestscore.csv", dir);
    snprintf(want, sizeof want, GOLDEN "%s-highest%s.csv", name, max_scores ? "-scores" : "");
    same_files(have, want);
}

static void test_golden(void **state)
{
    (void)state;
    golden_tables("small", false);
    golden_tables("small", true);
    golden_tables("awkward", false);
    golden_tables("awkward", true);
}

/* The example that the original publishes. */
static void test_published(void **state)
{
    (void)state;
    static const struct frame v[] = {{"synthetic_seq_1_chunk_1R1", 0.12100612f, 0.8789939f},
                                     {"synthetic_seq_1_chunk_1R2", 0.0011595711f, 0.9988405f},
                                     {"synthetic_seq_2_chunk_1R1", 0.5501341f, 0.4498659f},
                                     {"synthetic_seq_2_chunk_1R2", 0.06045397f, 0.93954605f}};
    struct vnp_verdict_counts n;
    struct vnp_err err;
    assert_int_equal(run((struct vnp_verdict_options){.min_viral = 0.5}, v, 4, &n, &err), VNP_OK);
    expect_table(".txt", "Sequence_ID\tPrediction\tscore1\tscore2\n"
                         "synthetic_seq_1_chunk_1R1\tvirus\t0.12100612\t0.8789939\n"
                         "synthetic_seq_1_chunk_1R2\tvirus\t0.0011595711\t0.9988405\n"
                         "synthetic_seq_2_chunk_1R1\tothers\t0.5501341\t0.4498659\n"
                         "synthetic_seq_2_chunk_1R2\tvirus\t0.06045397\t0.93954605\n");
    expect_table("_highestscore.csv",
                 "Modified_ID\tIs_Virus\nsynthetic_seq_1_chunk_1\tTrue\nsynthetic_seq_2_chunk_1\tTrue\n");
    assert_int_equal(n.frames, 4);
    assert_int_equal(n.viral_frames, 3);
    assert_int_equal(n.contigs, 2);
}

/* A tie of scores is others for a frame and virus for its chunk; half the chunks make a contig a virus. */
static void test_ties(void **state)
{
    (void)state;
    static const struct frame v[] = {{"b_chunk_1F1", 0.5f, 0.5f},   {"b_chunk_2F1", 0.9f, 0.1f},
                                     {"b_chunk_2F2", 0.2f, 0.8f},   {"a_chunk_1R3", 0.75f, 0.25f},
                                     {"a_chunk_2R3", 0.25f, 0.75f}, {"a_chunk_4R3", 0.625f, 0.375f}};
    struct vnp_verdict_counts n;
    struct vnp_err err;
    assert_int_equal(run((struct vnp_verdict_options){.min_viral = 0.5}, v, 6, &n, &err), VNP_OK);
    char *frames = table(".txt");
    assert_non_null(strstr(frames, "b_chunk_1F1\tothers\t0.5\t0.5\n"));
    free(frames);
    expect_table("_highestscore.csv", "Modified_ID\tIs_Virus\na_chunk_1\tFalse\na_chunk_2\tTrue\na_chunk_4\tFalse\n"
                                      "b_chunk_1\tTrue\nb_chunk_2\tFalse\n");
    expect_table("_contigs.tsv", "contig\tchunks\tviral_chunks\tmean_score\tmax_score\tverdict\n"
                                 "a\t3\t1\t0.45833334\t0.75\tothers\nb\t2\t1\t0.65\t0.8\tvirus\n");
    assert_int_equal(run((struct vnp_verdict_options){.min_viral = 0.3}, v, 6, &n, &err), VNP_OK);
    char *contigs = table("_contigs.tsv");
    assert_non_null(strstr(contigs, "\na\t3\t1\t0.45833334\t0.75\tvirus\n"));
    free(contigs);
}

/* 55 of 100 chunks are the 0.55 that was asked for; 0.55 * 100 would be more than 55. */
static void test_share(void **state)
{
    (void)state;
    static char id[100][24];
    struct frame v[100];
    for (int i = 0; i < 100; i++) {
        snprintf(id[i], sizeof id[i], "c_chunk_%dF1", i + 1);
        v[i] = (struct frame){id[i], i < 55 ? 0.25f : 0.75f, i < 55 ? 0.75f : 0.25f};
    }
    for (int viral = 55; viral > 53; viral--) {
        struct vnp_verdict_counts n;
        struct vnp_err err;
        assert_int_equal(run((struct vnp_verdict_options){.min_viral = 0.55}, v, 100, &n, &err), VNP_OK);
        char *contigs = table("_contigs.tsv");
        assert_non_null(strstr(contigs, viral == 55 ? "\tvirus\n" : "\tothers\n"));
        free(contigs);
        v[0] = (struct frame){id[0], 0.75f, 0.25f};
    }
}

#define HEAD "chunk_id\tcontig\tstart\tend\n"

/* Runs end at a chunk that is not viral, that is missing, or at the contig's end. */
static void test_gff(void **state)
{
    (void)state;
    static const struct frame v[] = {{"c d_chunk_1F1", 0.25f, 0.75f},
                                     {"c d_chunk_2F1", 0.5f, 0.5f},
                                     {"c d_chunk_4F1", 0.25f, 0.75f},
                                     {"c d_chunk_5F1", 0.75f, 0.25f},
                                     {"e_chunk_1R1", 0.0f, 1.0f}};
    char path[300];
    struct vnp_verdict_counts n;
    struct vnp_err err;
    snprintf(path, sizeof path, "%s/chunks.tsv", folder);
    const struct vnp_verdict_options opt = {.min_viral = 0.5, .chunks = path};
    static const char text[] =
        HEAD "z_chunk_1\tz\t0\t99\nc d_chunk_1\tc d\t0\t500\nc d_chunk_2\tc d\t450\t950\n"
             "c d_chunk_3\tc d\t900\t1400\nc d_chunk_4\tc d\t1350\t1850\nc d_chunk_5\tc d\t1800\t2222\n"
             "e_chunk_1\te\t0\t77\n";
    t_write(path, text, sizeof text - 1);
    assert_int_equal(run(opt, v, 5, &n, &err), VNP_OK);
    expect_table(
        "_viral.gff",
        "##gff-version 3\n"
        "c%20d\tvnp\tviral_sequence\t1\t950\t0.625\t.\t.\tID=viral_1;chunks=2;first_chunk=1;max_score=0.75\n"
        "c%20d\tvnp\tviral_sequence\t1351\t1850\t0.75\t.\t.\tID=viral_2;chunks=1;first_chunk=4;max_score=0.75\n"
        "e\tvnp\tviral_sequence\t1\t77\t1.0\t.\t.\tID=viral_3;chunks=1;first_chunk=1;max_score=1.0\n");
    assert_int_equal(n.runs, 3);
}

static void test_bad_chunks(void **state)
{
    (void)state;
    static const struct frame v[] = {{"c_chunk_1F1", 0.25f, 0.75f}, {"e_chunk_1R1", 0.0f, 1.0f}};
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", ":1: does not begin"},
        {"chunk_id\tcontig\tstart\n", ":1: does not begin"},
        {HEAD "c_chunk_1\tc\t0\t500\n", "has no chunk e_chunk_1"},
        {HEAD "e_chunk_1\te\t0\t500\nc_chunk_1\tc\t0\t500\n", "has no chunk e_chunk_1"},
        {HEAD "c_chunk_1\tc\t0\n", ":2: not a chunk's id"},
        {HEAD "c_chunk_1\tc\t0\t5\t6\n", ":2: not a chunk's id"},
        {HEAD "c_chunk_1\td\t0\t500\n", ":2: not a chunk's id"},
        {HEAD "c_chunk_1\tc\t-1\t500\n", ":2: not a chunk's id"},
        {HEAD "c_chunk_1\tc\t500\t500\n", ":2: not a chunk's id"},
        {HEAD "c_chunk_1\tc\t0\t99999999999999999999\n", ":2: not a chunk's id"},
        {HEAD "c_chunk_1F1\tc\t0\t500\n", ":2: not a chunk's id"},
        {HEAD "c_chunk_1\tc\t0\t500\ne_chunk_1\te\t0\t7", ":3: the last line has no end"},
    };
    char path[300], out[300];
    struct vnp_verdict_counts n;
    struct vnp_err err;
    struct stat st;
    snprintf(path, sizeof path, "%s/bad.tsv", folder);
    snprintf(out, sizeof out, "%s/out", folder);
    t_run("rm -rf '%s'", out);
    const struct vnp_verdict_options opt = {.min_viral = 0.5, .chunks = path};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        t_write(path, cases[i].text, strlen(cases[i].text));
        assert_int_equal(run(opt, v, 2, &n, &err), VNP_DATA);
        if (strstr(err.msg, cases[i].why) == NULL)
            fail_msg("case %zu: %s", i, err.msg);
        assert_int_not_equal(stat(out, &st), 0); /* no tables, and no folder for them */
    }
    remove(path);
    assert_int_equal(run(opt, v, 2, &n, &err), VNP_NOINPUT);
}

static void test_bad_rows(void **state)
{
    (void)state;
    static const struct {
        struct frame v[3];
        const char *why;
    } cases[] = {
        {{{"c_chunk_1F1", 1, 0}, {"c_chunk_1F1", 1, 0}}, "c_chunk_1F1 comes twice"},
        {{{"c_chunk_1F1", 1, 0}, {"c_chunk_1F2", 1, 0}, {"c_chunk_1F1", 1, 0}}, "c_chunk_1F1 comes twice"},
        {{{"c_chunk_2F1", 1, 0}, {"c_chunk_1F1", 1, 0}}, "c_chunk_1F1 comes after chunk 2 of its contig"},
        {{{"c_chunk_1F1", 1, 0}, {"d_chunk_1F1", 1, 0}, {"c_chunk_1F1", 1, 0}}, "c_chunk_1 comes twice"},
        {{{"c_chunk_1F1", 1, 0}, {"d_chunk_1F1", 1, 0}, {"c_chunk_2F1", 1, 0}}, "c comes twice"},
        {{{"c_chunk_1F1", NAN, 0}}, "c_chunk_1F1: its scores are nan and 0, no probabilities"},
        {{{"c_chunk_1F1", 1, INFINITY}}, "its scores are 1 and inf, no probabilities"},
        {{{"c_chunk_1F1", -0.5, 0.5}}, "its scores are -0.5 and 0.5, no probabilities"},
    };
    static const char *const ids[] = {"",
                                      "F1",
                                      "c",
                                      "_chunk_1F1",
                                      "c_chunk_F1",
                                      "c_chunk_1",
                                      "c_chunk_1F4",
                                      "c_chunk_1F0",
                                      "c_chunk_1X1",
                                      "c_chunk_01F1",
                                      "c_chunk_0F1",
                                      "c-chunk_1F1",
                                      "c_chunk_1 F1",
                                      "c_chunk_1234567890123456789F1"};
    struct vnp_verdict_counts n;
    struct vnp_err err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t rows = 0;
        while (rows < 3 && cases[i].v[rows].id != NULL)
            rows++;
        assert_int_equal(run((struct vnp_verdict_options){.min_viral = 0.5}, cases[i].v, rows, &n, &err), VNP_DATA);
        if (strstr(err.msg, cases[i].why) == NULL)
            fail_msg("case %zu: %s", i, err.msg);
    }
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        const struct frame one = {ids[i], 1, 0};
        assert_int_equal(run((struct vnp_verdict_options){.min_viral = 0.5}, &one, 1, &n, &err), VNP_DATA);
        assert_non_null(strstr(err.msg, "is no id of vnp-orf"));
    }
    struct vnp_frame_id f;
    assert_true(vnp_frame_id(&f, str("x_chunk_7_chunk_123456789012345678R2")));
    assert_true(f.contig.n == 9 && f.number == 123456789012345678 && f.frame == 4);
}

static void test_nothing(void **state)
{
    (void)state;
    struct vnp_verdict_counts n;
    struct vnp_err err;
    assert_int_equal(run((struct vnp_verdict_options){.min_viral = 0.5}, NULL, 0, &n, &err), VNP_OK);
    expect_table(".txt", "Sequence_ID\tPrediction\tscore1\tscore2\n");
    expect_table("_highestscore.csv", "Modified_ID\tIs_Virus\n");
}

static int set_up(void **state)
{
    (void)state;
    folder = t_folder();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    t_remove(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden),   cmocka_unit_test(test_published),
                                       cmocka_unit_test(test_ties),     cmocka_unit_test(test_share),
                                       cmocka_unit_test(test_gff),      cmocka_unit_test(test_bad_chunks),
                                       cmocka_unit_test(test_bad_rows), cmocka_unit_test(test_nothing)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
