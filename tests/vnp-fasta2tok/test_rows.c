/* What vnp-fasta2tok writes, row by row, against streams worked out by hand. Ids of ESM-2: <cls> 0, <eos> 2, <unk> 3,
 * L 4, A 5, G 6, V 7, S 8, K 15, M 20. */
#include "../input/helper.h"

#include "stream.h"

struct result {
    int status;
    char rows[8192], head[512], err[4096];
    int64_t blocks;
    struct vnp_totals totals;
};

/* "ordinal id residues/total flags window/windows@start: tokens;" */
static void describe_rows(const struct vnp_block *b, struct result *r)
{
    const uint8_t *tok = b->bulk;
    size_t n = strlen(r->rows);
    for (int64_t i = 0; i < b->n; i++) {
        n += (size_t)snprintf(r->rows + n, sizeof r->rows - n,
                              "%llu %.*s %u/%llu %u %u/%u@%llu:", (unsigned long long)b->ordinal[i], (int)b->id[i].n,
                              b->id[i].s, b->residues[i], (unsigned long long)b->total[i], b->flags[i],
                              b->window ? b->window[i] : 0, b->window ? b->windows[i] : 1,
                              b->window ? (unsigned long long)b->start[i] : 0);
        for (uint32_t k = 0; k < b->tokens[i]; k++)
            n += (size_t)snprintf(r->rows + n, sizeof r->rows - n, " %u", *tok++);
        n += (size_t)snprintf(r->rows + n, sizeof r->rows - n, ";\n");
        assert_true(n < sizeof r->rows);
    }
    assert_int_equal(tok - (const uint8_t *)b->bulk, b->bulk_bytes);
}

static void read_stream(const char *path, struct result *r)
{
    struct vnp_reader *in;
    struct vnp_block b;
    struct vnp_err err;
    enum vnp_status st = vnp_reader_open(&in, path, &err);
    if (st == VNP_OK) {
        const struct vnp_head *h = vnp_reader_head(in);
        size_t n = (size_t)snprintf(r->head, sizeof r->head, "%s %s %d %d %d %d:", vnp_kind_name(h->kind), h->vocab,
                                    h->vocab_size, h->prefix, h->suffix, h->token_bytes);
        assert_int_equal(h->n_by, 1);
        assert_string_equal(h->by[0].stage, "vnp-fasta2tok");
        for (int i = 0; i < h->by[0].n_params; i++)
            n += (size_t)snprintf(r->head + n, sizeof r->head - n, " %s=%s", h->by[0].params[i].key,
                                  h->by[0].params[i].value);
    }
    for (; st == VNP_OK && (st = vnp_reader_next(in, &b, &err)) == VNP_OK; r->blocks++)
        describe_rows(&b, r);
    if (st == VNP_END)
        r->totals = *vnp_reader_totals(in);
    else
        snprintf(r->rows, sizeof r->rows, "%s: %s", err.stage, err.msg);
    vnp_reader_close(in);
}

/* Runs the stage on `text` as its stdin. */
static struct result run(const char *options, const char *text)
{
    struct result r = {0};
    char cmd[1024], out[64] = "/tmp/vnp-rows.XXXXXX", log[80];
    const char *build = getenv("VNP_BUILD");
    close(mkstemp(out));
    char *in = file_of(text, strlen(text));
    snprintf(log, sizeof log, "%s.err", out);
    snprintf(cmd, sizeof cmd, "'%s'/bin/vnp-fasta2tok %s <%s >%s 2>%s", build ? build : "build", options, in, out, log);
    int rc = system(cmd);
    r.status = WIFEXITED(rc) ? WEXITSTATUS(rc) : -1;
    FILE *f = fopen(log, "r");
    assert_non_null(f);
    r.err[fread(r.err, 1, sizeof r.err - 1, f)] = '\0';
    fclose(f);
    read_stream(out, &r);
    unlink(in);
    unlink(out);
    unlink(log);
    return r;
}

static void assert_rows(const char *options, const char *text, const char *want)
{
    struct result r = run(options, text);
    if (r.status != 0)
        fail_msg("exit %d: %s", r.status, r.err);
    assert_string_equal(r.rows, want);
}

static void whole_records(void **state)
{
    (void)state;
    assert_rows("", ">a words\nLAGV\nsk\n>b\nM*\n>b\nL*A-\n",
                "0 a 6/6 0 0/1@0: 0 4 5 6 7 8 15 2;\n"
                "1 b 1/1 0 0/1@0: 0 20 2;\n"
                "2 b 4/4 0 0/1@0: 0 4 3 5 30 2;\n");
    assert_rows("", "@a\nLA\n+\n@@\n", "0 a 2/2 0 0/1@0: 0 4 5 2;\n");
    assert_rows("", ">a\n>b\n*\n>\nM", "0 a 0/0 2 0/1@0: 0 2;\n1 b 0/0 2 0/1@0: 0 2;\n2  1/1 0 0/1@0: 0 20 2;\n");
}

static void head_and_totals(void **state)
{
    (void)state;
    struct result r = run("", ">a\nLAGV\n>b\nM\n");
    assert_string_equal(r.head, "tokens esm2 33 1 1 1:");
    assert_int_equal(r.blocks, 1);
    assert_int_equal(r.totals.sequences, 2);
    assert_int_equal(r.totals.rows, 2);
    assert_int_equal(r.totals.tokens, 9);
    assert_int_equal(r.totals.truncated, 0);
    assert_string_equal(run("--max-len 3", ">a\nLAGV\n").head, "tokens esm2 33 1 1 1: max-len=3");
    assert_string_equal(run("--window 3", ">a\nLAGV\n").head, "tokens esm2 33 1 1 1: window=3 overlap=0");
    assert_string_equal(run("--window 3 --overlap 2", ">a\nLAGV\n").head, "tokens esm2 33 1 1 1: window=3 overlap=2");
}

static void truncation(void **state)
{
    (void)state;
    const char *in = ">a\nLAGV\n>b\nLAG*\n>c\nLA\n>d\nLAG\n";
    assert_rows("--max-len 3", in,
                "0 a 3/4 1 0/1@0: 0 4 5 6 2;\n"
                "1 b 3/3 0 0/1@0: 0 4 5 6 2;\n"
                "2 c 2/2 0 0/1@0: 0 4 5 2;\n"
                "3 d 3/3 0 0/1@0: 0 4 5 6 2;\n");
    struct result r = run("--max-len 2", in);
    assert_int_equal(r.totals.truncated, 3);
    assert_non_null(strstr(r.err, "warning: 3 records cut after 2 residues (--max-len)"));
    assert_null(strstr(run("--max-len 4", in).err, "cut"));
}

static void windows(void **state)
{
    (void)state;
    assert_rows("--window 3", ">a\nLAGVSKM\n>b\nLAG\n>c\nLAGVSK*\n",
                "0 a 3/7 0 0/3@0: 0 4 5 6 2;\n0 a 3/7 0 1/3@3: 0 7 8 15 2;\n0 a 1/7 0 2/3@6: 0 20 2;\n"
                "1 b 3/3 0 0/1@0: 0 4 5 6 2;\n"
                "2 c 3/6 0 0/2@0: 0 4 5 6 2;\n2 c 3/6 0 1/2@3: 0 7 8 15 2;\n");
    assert_rows("--window 4 --overlap 2", ">a\nLAGVSKM\n",
                "0 a 4/7 0 0/3@0: 0 4 5 6 7 2;\n0 a 4/7 0 1/3@2: 0 6 7 8 15 2;\n0 a 3/7 0 2/3@4: 0 8 15 20 2;\n");
    assert_rows("--window 4 --overlap 2", ">a\nLAGVSK\n", /* no third window wholly inside the second */
                "0 a 4/6 0 0/2@0: 0 4 5 6 7 2;\n0 a 4/6 0 1/2@2: 0 6 7 8 15 2;\n");
    assert_rows("--window 3 --overlap 2", ">a\nLAGVS\n",
                "0 a 3/5 0 0/3@0: 0 4 5 6 2;\n0 a 3/5 0 1/3@1: 0 5 6 7 2;\n0 a 3/5 0 2/3@2: 0 6 7 8 2;\n");
    assert_rows("--window 1", ">a\nLA\n>b\n",
                "0 a 1/2 0 0/2@0: 0 4 2;\n0 a 1/2 0 1/2@1: 0 5 2;\n1 b 0/0 2 0/1@0: 0 2;\n");
    struct result r = run("--window 3", ">a\nLAGVSKM\n>b\nM\n");
    assert_int_equal(r.totals.sequences, 2);
    assert_int_equal(r.totals.rows, 4);
    assert_non_null(strstr(r.err, "1 record split into windows of 3 residues"));
}

/* Every residue is in a window; windows begin at multiples of the step and each reaches further than the one before. */
static void windows_cover_the_record(void **state)
{
    (void)state;
    for (int size = 1; size <= 5; size++)
        for (int overlap = 0; overlap < size; overlap++) {
            char options[64], text[64], *at = text;
            for (int n = 1; n <= 8; n++) {
                at = text;
                at += sprintf(at, ">r\n%.*s\n", n, "LAGVSKML");
                sprintf(options, "--window %d --overlap %d", size, overlap);
                struct result r = run(options, text);
                assert_int_equal(r.status, 0);
                int end = 0, k = 0;
                for (char *row = strtok(r.rows, "\n"); row != NULL; row = strtok(NULL, "\n"), k++) {
                    int residues, total, window, of, start;
                    assert_int_equal(sscanf(row, "0 r %d/%d 0 %d/%d@%d", &residues, &total, &window, &of, &start), 5);
                    assert_int_equal(total, n);
                    assert_int_equal(window, k);
                    assert_int_equal(start, k * (size - overlap));
                    assert_true(start <= end && start + residues > end && residues > 0 && residues <= size);
                    end = start + residues;
                    assert_true((end == n) == (window == of - 1));
                }
                assert_int_equal(end, n);
            }
        }
}

static void warnings(void **state)
{
    (void)state;
    struct result r = run("", ">a\nLJ1A\n>b\nj?\n>c\n>\nM\n");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.err,
                           "vnp-fasta2tok: warning: 4 letters outside the alphabet became <unk>: J (2), 1 (1), ? (1); "
                           "the first in stdin:1: record 1 (a)\n"));
    assert_non_null(strstr(r.err, "warning: 1 empty record became <cls><eos>; the first: stdin:5: record 3 (c)\n"));
    assert_non_null(strstr(r.err, "warning: 1 record without an id; the first: stdin:6: record 4 ()\n"));
    assert_non_null(strstr(r.err, "vnp-fasta2tok: 4 records, 7 residues, 15 tokens\n"));
    r = run("--window 8 --overlap 6", ">a\nMKVLAAJGGGMKV\n>b\njMKVLAAGGGMKJ\n"); /* most are in several windows */
    assert_non_null(strstr(r.err, "warning: 3 letters outside the alphabet became <unk>: J (3); the first in"));
    r = run("-q", ">a\nLJ1A\n>\n");
    assert_int_equal(r.status, 0);
    assert_string_equal(r.err, "");
}

static void a_failure_is_told_downstream(void **state)
{
    (void)state;
    struct result r = run("", ">a\nLA\n>b\nL\n@");
    assert_int_equal(r.status, 65);
    const char *why = "stdin:5: record 2 (b): a line begins with '@': FASTQ inside FASTA (give the files one by one)";
    char want[300];
    snprintf(want, sizeof want, "vnp-fasta2tok: %s", why);
    assert_string_equal(r.rows, want);
    assert_non_null(strstr(r.err, want));
}

static void blocks_are_of_bounded_size(void **state)
{
    (void)state;
    char *text = malloc(4 << 20), *at = text, *path;
    for (int i = 0; i < 9000; i++)
        at += sprintf(at, ">%d\nL\n", i);
    for (int i = 0; i < 3; i++) {
        at += sprintf(at, ">long%d\n", i);
        memset(at, 'A', 700000);
        at[700000] = '\n';
        at += 700001;
    }
    path = strdup(file_of(text, (size_t)(at - text)));
    char cmd[1024], out[64] = "/tmp/vnp-rows.XXXXXX";
    const char *build = getenv("VNP_BUILD");
    close(mkstemp(out));
    snprintf(cmd, sizeof cmd, "'%s'/bin/vnp-fasta2tok -q %s >%s", build ? build : "build", path, out);
    assert_int_equal(system(cmd), 0);
    static const int64_t rows[] = {4096, 4096, 809, 1, 1};
    struct vnp_reader *in;
    struct vnp_block b;
    struct vnp_err err;
    assert_int_equal(vnp_reader_open(&in, out, &err), VNP_OK);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(vnp_reader_next(in, &b, &err), VNP_OK);
        assert_int_equal(b.n, rows[i]);
        assert_null(b.window);
    }
    assert_int_equal(vnp_reader_next(in, &b, &err), VNP_END);
    assert_int_equal(vnp_reader_totals(in)->sequences, 9003);
    vnp_reader_close(in);
    unlink(path);
    unlink(out);
    free(path);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_records),
        cmocka_unit_test(head_and_totals),
        cmocka_unit_test(truncation),
        cmocka_unit_test(windows),
        cmocka_unit_test(windows_cover_the_record),
        cmocka_unit_test(warnings),
        cmocka_unit_test(a_failure_is_told_downstream),
        cmocka_unit_test(blocks_are_of_bounded_size),
    };
    return cmocka_run_group_tests_name("vnp-fasta2tok", tests, NULL, NULL);
}
