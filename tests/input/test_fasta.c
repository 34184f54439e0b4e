/* common/fasta.c and guess.c: records as a slow and simple reader sees them, whatever carries them, and every
 * complaint. */
#include "helper.h"

#include <signal.h>
#include <sys/stat.h>

#include "fasta.h"
#include "guess.h"

static int ignore_sigpipe(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    return 0;
}

/* "id/SEQUENCE;" for each record, or the error without the path in front of it. */
static void describe(const char *path, char *text, size_t room, struct vnp_err *err)
{
    struct vnp_fasta *f;
    struct vnp_record rec;
    char *const paths[] = {(char *)(uintptr_t)path};
    enum vnp_status st = vnp_fasta_open(&f, paths, 1, err);
    size_t n = 0;
    while (st == VNP_OK && (st = vnp_fasta_next(f, &rec, err)) == VNP_OK)
        n += (size_t)snprintf(text + n, n < room ? room - n : 0, "%.*s/%.*s;", (int)rec.id.n, rec.id.s, (int)rec.n,
                              rec.seq);
    if (st != VNP_END) {
        assert_int_equal(st, err->status);
        size_t at = strncmp(err->msg, path, strlen(path)) == 0 ? strlen(path) : 0;
        snprintf(text, room, "%s", err->msg + at);
    }
    vnp_fasta_close(f);
}

/* As a file, through a pipe byte by byte, and as gzip: the same. */
static void assert_records_n(const char *in, size_t n, const char *want)
{
    char text[4096];
    struct vnp_err err;
    int fd;
    pid_t child;
    char *path = file_of(in, n);
    describe(path, text, sizeof text, &err);
    unlink(path);
    assert_string_equal(text, want);
    path = pipe_of(in, n, 1, &fd, &child);
    describe(path, text, sizeof text, &err);
    pipe_done(fd, child);
    assert_string_equal(text, want);
    struct bytes gz = gzip_member(in, n, 0);
    path = file_of(gz.p, gz.n);
    describe(path, text, sizeof text, &err);
    unlink(path);
    free(gz.p);
    assert_string_equal(text, want);
}

static void assert_records(const char *in, const char *want)
{
    assert_records_n(in, strlen(in), want);
}

static void fasta(void **state)
{
    (void)state;
    assert_records(">a\nMKV\n", "a/MKV;");
    assert_records(">a\nMKV", "a/MKV;");
    assert_records(">a some words\nMKV\nLL\n>b\tmore\nW\n", "a/MKVLL;b/W;");
    assert_records(">a\r\nMKV\r\nLL\r\n>b\r\nW\r\n", "a/MKVLL;b/W;");
    assert_records(">a x\r\r\nMKV\r\r\n", "a/MKV;");
    assert_records("\n\n >a\n\nMK\n\n\nV\n\n>b\n\nW\n\n\n", "a/MKV;b/W;");
    assert_records(">a\nM K\tV \n  LL\n", "a/MKVLL;");
    assert_records(">a\nmkv*\n>a\nMKVLLAGVSERTIDPKQNFYMHWC\n", "a/mkv*;a/MKVLLAGVSERTIDPKQNFYMHWC;");
    assert_records(">a\n>b\nW\n>c", "a/;b/W;c/;");
    assert_records(">\nM\n> \nK\n>  id here\nV\n", "/M;/K;id/V;");
    assert_records("; a comment\n;\n>a\nM\n;another\nK\n", "a/MK;");
    assert_records("\xef\xbb\xbf>a\nM\n", "a/M;");
    assert_records(">sp|P1|\xc3\xa9_x \xff\nM\xe9K\n", "sp|P1|\xc3\xa9_x/M\xe9K;");
    assert_records(">a >b\nM\n", "a/M;");
    assert_records(">a\nABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG HIJKL\n", "a/ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKL;");
}

static void fastq(void **state)
{
    (void)state;
    assert_records("@a x\nACGT\n+\nIIII\n@b\nAC\n+b\n@>\n", "a/ACGT;b/AC;");
    assert_records("@a\r\nACGT\r\n+\r\nIIII\r\n\r\n\n@b\r\nAC\r\n+\r\n+@", "a/ACGT;b/AC;");
    assert_records("@a\nACGT\nAC\n+\nIIII\n@I\n@b\nA\nC\n+\n@@\n", "a/ACGTAC;b/AC;");
    assert_records("@a\n\n+\n\n@b\nA\n+\nI\n", "a/;b/A;");
    assert_records("@a\n+\n@b\nA\n+\nI\n", "a/;b/A;");
    assert_records("\n@a\nA\n\n+\nI\n\n\n", "a/A;");
}

static void complaints(void **state)
{
    (void)state;
    assert_records("", ": no records: the file is empty");
    assert_records("\n \r\n", ": no records: blank lines only");
    assert_records("; only\n;comments\n", ": no records: comments only");
    assert_records("\nMKV\n", ":2: a sequence without a header: a FASTA file begins with '>'");
    assert_records("; c\n123\n", ":2: neither FASTA nor FASTQ: a file begins with '>' or '@'");
    assert_records(">a\nM\n@b\nM\n+\nI\n",
                   ":3: record 1 (a): a line begins with '@': FASTQ inside FASTA (give the files one by one)");
    assert_records(">a\nMK\nV>b\nM\n",
                   ":3: record 1 (a): '>' inside a line of sequence (were files joined without a line end?)");
    assert_records(">a\rMKV\r>b\rM\r",
                   ":1: record 1 (a): line ends are bare carriage returns (tr '\\r' '\\n' <FILE |)");
    assert_records("@a\nACGT\n+\nII\n@b\nA\n+\nI\n", ":4: record 1 (a): the quality is short: 2 values for 4 letters");
    assert_records("@b\nA\n+\nI\n@a\nACGT\n+\nIII", ":8: record 2 (a): the quality is short: 3 values for 4 letters");
    assert_records("@a\nAC\nGT\n+\nII\nI", ":6: record 1 (a): the quality is short: 3 values for 4 letters");
    assert_records("@a\nAC\nGT\n+\nII\nI\n@b\nA\n+\nI\n",
                   ":7: record 1 (a): the quality is long: 5 values for 4 letters");
    assert_records("@a\nACGT\n+\n", ":4: record 1 (a): the quality is short: 0 values for 4 letters");
    assert_records("@a\nACGT\n+\n\n@b\n", ":4: record 1 (a): the quality is short: 0 values for 4 letters");
    assert_records("@a\nACGT\n+\nIIIII\n", ":4: record 1 (a): the quality is long: 5 values for 4 letters");
    assert_records("@a\nACGT", ":2: record 1 (a): the file ends before the record's '+' line and quality");
    assert_records("@a\nACGT\n", ":3: record 1 (a): the file ends before the record's '+' line and quality");
    assert_records("@a\nAC\n@b\nA\n+\nI\n", ":3: record 1 (a): the next record begins before a '+' line");
    assert_records("@HD\tVN:1.6\n@SQ\tSN:x\n",
                   ":2: record 1 (HD): the next record begins before a '+' line (a SAM file? samtools fasta FILE |)");
    assert_records("@a\nA\n+\nI\nACGT\n", ":5: after record 1: a FASTQ record begins with '@', but this line does not");
    assert_records("@a\nA\n+\nI\n>b\nA\n",
                   ":5: after record 1: a FASTQ record begins with '@', but this line does not");
    assert_records("@a\nAC@b\n",
                   ":2: record 1 (a): '@' inside a line of sequence (were files joined without a line end?)");
    assert_records(">\x1b[31mred\nM\x01>\n",
                   ":2: record 1 (?[31mred): '>' inside a line of sequence (were files joined without a line end?)");
}

static void nul_bytes(void **state)
{
    (void)state;
    const char *body = ": record 1 (a): NUL byte: damaged, or no text file";
    char want[200];
    snprintf(want, sizeof want, ":3%s", body);
    assert_records_n(">a\nMKV\nM\0K\n", 11, want);
    assert_records_n(">a\nMKV\nMKVLLAGVSERTIDPK\0K\n", 26, want);
    assert_records_n(">a b\0c\nM\n", 9, ":1: record 1 (a): NUL byte in the header: looks like binary data");
    assert_records_n(">a\nM\n>b\0\nM\n", 11, ":3: record 2 (b?): NUL byte in the header: damaged, or no text file");
    snprintf(want, sizeof want, ":4%s", body);
    assert_records_n("@a\nAC\n+\nI\0\n", 11, want);
    snprintf(want, sizeof want, ":2%s", body);
    assert_records_n("@a\n\0C\n+\nII\n", 11, want);
}

static void other_formats_are_named(void **state)
{
    (void)state;
    static const struct {
        char text[16]; /* padded with NULs */
        const char *name;
    } files[] = {
        {"BZh91AY&SY", "bzip2"},
        {"\3757zXZ\0\0\4", "xz"},
        {"PK\3\4\24\0\0\0", "zip"},
        {"\x04\x22\x4d\x18@@", "lz4"},
        {"\xff\xfe>\0a\0\n\0", "UTF-16"},
        {"LOCUS   X", "GenBank"},
        {"ID   X", "EMBL"},
        {"<!DOCTYPE html>", "HTML"},
        {"{\"a\":1}", "JSON"},
        {"\177ELF\2\1\1", "program"},
        {"CRAM\3", "CRAM"},
        {"\1\2\3 \xc0", "binary"},
        {"\x40\1\0\0\x85\xa1t", "frames"},
        {"# STOCKHOLM 1.0", "Stockholm"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char text[512];
        struct vnp_err err;
        char *path = file_of(files[i].text, sizeof files[i].text);
        describe(path, text, sizeof text, &err);
        unlink(path);
        assert_int_equal(err.status, VNP_DATA);
        assert_non_null(strstr(text, "looks like"));
        if (strstr(text, files[i].name) == NULL)
            fail_msg("%s: %s", files[i].name, text);
    }
    assert_null(vnp_guess_format("ACGT\n", 5));
    assert_null(vnp_guess_format("", 0));
    struct bytes once = gzip_member(">a\nM\n", 5, 0), twice = gzip_member(once.p, once.n, 0);
    char text[512];
    struct vnp_err err;
    char *path = file_of(twice.p, twice.n);
    describe(path, text, sizeof text, &err);
    unlink(path);
    assert_string_equal(text,
                        ":1: neither FASTA nor FASTQ: looks like gzip inside compressed data (zcat FILE | zcat |)");
    free(once.p);
    free(twice.p);
}

static void truncated_gzip_names_the_record(void **state)
{
    (void)state;
    char in[3000], text[4096];
    struct vnp_err err;
    size_t n = 0;
    uint32_t x = 7;
    for (int r = 0; r < 4; r++) {
        n += (size_t)sprintf(in + n, ">rec%d\n", r);
        for (int i = 0; i < 600; i++)
            in[n++] = (x = x * 1664525 + 1013904223, i % 60 == 59 ? '\n' : "ACDEFGHIKLMNPQRSTVWY"[(x >> 16) % 20]);
    }
    struct bytes gz = gzip_member(in, n, 0);
    char *path = file_of(gz.p, gz.n / 2);
    describe(path, text, sizeof text, &err);
    unlink(path);
    assert_int_equal(err.status, VNP_DATA);
    int line, record;
    char id[20], rest[20];
    assert_int_equal(sscanf(text, ":%d: record %d (%19[^)]): %9s", &line, &record, id, rest), 4);
    assert_string_equal(rest, "truncated");
    assert_true(record == 2 || record == 3);
    assert_int_equal(id[3] - '0', record - 1);
    assert_int_equal((line - 1) / 11, record - 1);
    path = file_of(gz.p, gz.n - 1);
    describe(path, text, sizeof text, &err);
    unlink(path);
    assert_non_null(strstr(text, ":45: record 4 (rec3): truncated"));
    free(gz.p);
}

/* Records of 0 to 700,000 letters with lines of every kind, against what went into them. */
static void records_across_every_buffer_edge(void **state)
{
    (void)state;
    enum { RECORDS = 120, ROOM = 24 << 20 };
    char *in = malloc(ROOM), *want = malloc(ROOM);
    size_t n = 0, from[RECORDS + 1] = {0}, k = 0;
    uint32_t x = 3;
#define RANDOM(m) ((x = x * 1664525 + 1013904223), (x >> 8) % (m))
    for (int r = 0; r < RECORDS; r++) {
        size_t letters = r % 10 == 0 ? RANDOM(700000) : r % 3 == 0 ? 1 : RANDOM(3000), column = 0;
        size_t width = r % 10 == 0 && r % 20 ? 1 << 30 : 1 + RANDOM(100);
        const char *end = r % 4 == 1 ? "\r\n" : "\n";
        n += (size_t)sprintf(in + n, ">r%d and more%s", r, end);
        for (size_t i = 0; i < letters; i++) {
            in[n++] = want[k++] = (char)('A' + RANDOM(26));
            if (RANDOM(5000) == 0)
                in[n++] = ' ';
            if (++column == width || i + 1 == letters) {
                n += (size_t)sprintf(in + n, "%s%s", end, RANDOM(50) == 0 ? end : "");
                column = 0;
            }
        }
        from[r + 1] = k;
    }
    static const size_t pieces[] = {0, 4096, 65536, 65521};
    for (size_t p = 0; p < 4; p++) {
        int fd = -1;
        pid_t child = 0;
        char *path = p == 0 ? file_of(in, n) : pipe_of(in, n, pieces[p], &fd, &child);
        struct vnp_fasta *f;
        struct vnp_record rec;
        struct vnp_err err;
        assert_int_equal(vnp_fasta_open(&f, &path, 1, &err), VNP_OK);
        for (int r = 0; r < RECORDS; r++) {
            char id[20];
            assert_int_equal(vnp_fasta_next(f, &rec, &err), VNP_OK);
            assert_int_equal(rec.id.n, sprintf(id, "r%d", r));
            assert_memory_equal(rec.id.s, id, rec.id.n);
            assert_int_equal(rec.number, r + 1);
            assert_int_equal(rec.n, from[r + 1] - from[r]);
            assert_memory_equal(rec.seq, want + from[r], rec.n);
        }
        assert_int_equal(vnp_fasta_next(f, &rec, &err), VNP_END);
        assert_int_equal(vnp_fasta_bytes(f), n);
        vnp_fasta_close(f);
        if (p == 0)
            unlink(path);
        else
            pipe_done(fd, child);
    }
    free(in);
    free(want);
}

static void several_files_and_lines_of_each(void **state)
{
    (void)state;
    char *paths[2] = {strdup(file_of(">a\nM\n\n>b\nK", 10)), strdup(file_of("@c\nA\n+\nI\n>", 10))};
    struct vnp_fasta *f;
    struct vnp_record rec;
    struct vnp_err err;
    assert_int_equal(vnp_fasta_open(&f, paths, 2, &err), VNP_OK);
    static const struct {
        char id;
        int line, number, file;
    } want[] = {{'a', 1, 1, 0}, {'b', 4, 2, 0}, {'c', 1, 1, 1}};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(vnp_fasta_next(f, &rec, &err), VNP_OK);
        assert_int_equal(rec.id.s[0], want[i].id);
        assert_int_equal(rec.line, want[i].line);
        assert_int_equal(rec.number, want[i].number);
        assert_string_equal(vnp_fasta_name(f), paths[want[i].file]);
    }
    char text[300];
    char place[300];
    snprintf(text, sizeof text, "%s:1: record 1 (c)", paths[1]);
    assert_string_equal(vnp_fasta_place(f, &rec, place, sizeof place), text);
    assert_string_equal(vnp_fasta_place(f, &rec, place, strlen(text) + 1), text);
    assert_int_equal(vnp_fasta_next(f, &rec, &err), VNP_DATA);
    vnp_fasta_close(f);
    char *missing[] = {paths[0], (char *)(uintptr_t) "/nonexistent"};
    assert_int_equal(vnp_fasta_open(&f, missing, 2, &err), VNP_NOINPUT); /* before anything is read */
    assert_null(f);
    for (int i = 0; i < 2; i++) {
        unlink(paths[i]);
        free(paths[i]);
    }
}

/* Of a path that is too long for a message its end is there, and all of the place. */
static void long_path(void **state)
{
    (void)state;
    enum { LEVELS = 12 };
    static const char end[] = ":1: record 1 (a)";
    char path[2000] = "/tmp/vnp-input.XXXXXX", text[128], *const paths[] = {path};
    size_t n = strlen(path);
    struct vnp_fasta *f;
    struct vnp_record rec;
    struct vnp_err err;
    assert_non_null(mkdtemp(path));
    for (int i = 0; i < LEVELS; i++) {
        n += (size_t)snprintf(path + n, sizeof path - n, "/%0100d", i);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    n += (size_t)snprintf(path + n, sizeof path - n, "/\xc3\xa9.fa");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(">a\nM\n>b\nM>c\n", file);
    fclose(file);
    assert_int_equal(vnp_fasta_open(&f, paths, 1, &err), VNP_OK);
    assert_int_equal(vnp_fasta_next(f, &rec, &err), VNP_OK);
    for (size_t cap = 24; cap <= sizeof text; cap++) {
        const char *place = vnp_fasta_place(f, &rec, text, cap);
        assert_in_range(strlen(place), cap - 2, cap - 1); /* no half of a letter at its beginning */
        const size_t tail = strlen(place) - 3 - strlen(end);
        assert_memory_equal(place, "...", 3);
        assert_true((place[3] & 0xc0) != 0x80);
        assert_memory_equal(place + 3, path + n - tail, tail);
        assert_string_equal(place + 3 + tail, end);
    }
    assert_int_equal(vnp_fasta_next(f, &rec, &err), VNP_DATA);
    assert_memory_equal(err.msg, "...00", 5);
    assert_non_null(strstr(err.msg, "011/\xc3\xa9.fa:4: record 2 (b): '>' inside a line of sequence (were"));
    vnp_fasta_close(f);
    unlink(path);
    for (int i = LEVELS; i >= 0; i--) {
        *strrchr(path, '/') = '\0';
        assert_int_equal(rmdir(path), 0);
    }
}

static void limits(void **state)
{
    (void)state;
    char *in = malloc(200000), text[300];
    memset(in, 'A', 200000);
    memcpy(in, ">a\nACGT\n>b\nACGTA\n", 17);
    char *path = file_of(in, 17), want[300];
    struct vnp_fasta *f;
    struct vnp_record rec;
    struct vnp_err err;
    assert_int_equal(vnp_fasta_open(&f, &path, 1, &err), VNP_OK);
    vnp_fasta_limit(f, 4, "cut it");
    assert_int_equal(vnp_fasta_next(f, &rec, &err), VNP_OK);
    assert_int_equal(vnp_fasta_next(f, &rec, &err), VNP_DATA);
    snprintf(want, sizeof want, "%s:4: record 2 (b): more than 4 letters: cut it", path);
    assert_string_equal(err.msg, want);
    vnp_fasta_close(f);
    unlink(path);
    memset(in, 'A', 200000);
    in[0] = '>';
    in[VNP_ID_LIMIT + 1] = '\n';
    path = file_of(in, 200000);
    assert_int_equal(vnp_fasta_open(&f, &path, 1, &err), VNP_OK);
    assert_int_equal(vnp_fasta_next(f, &rec, &err), VNP_OK);
    assert_int_equal(rec.id.n, VNP_ID_LIMIT);
    vnp_fasta_close(f);
    unlink(path);
    in[VNP_ID_LIMIT + 1] = 'A';
    path = file_of(in, 200000);
    describe(path, text, sizeof text, &err);
    unlink(path);
    assert_non_null(strstr(text, ":1: record 1 ("));
    assert_non_null(strstr(text, "the first word of the header has 199999 bytes"));
    free(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fasta),
        cmocka_unit_test(fastq),
        cmocka_unit_test(complaints),
        cmocka_unit_test(nul_bytes),
        cmocka_unit_test(other_formats_are_named),
        cmocka_unit_test(truncated_gzip_names_the_record),
        cmocka_unit_test(records_across_every_buffer_edge),
        cmocka_unit_test(several_files_and_lines_of_each),
        cmocka_unit_test(long_path),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests_name("fasta", tests, ignore_sigpipe, NULL);
}
