/* Byte-pair tokenizers token for token against the `tokenizers` library: tests/golden/tokenizers/make.py made the
 * files. */
#include <zlib.h>

#include "../lib.h"

#include "fasta.h"
#include "tokenizer.h"

#define FOLDER "tests/golden/tokenizers"

static struct vnp_tokenizer *open_tokenizer(const char *name)
{
    char path[256];
    struct vnp_tokenizer *t;
    struct vnp_err err;
    snprintf(path, sizeof path, FOLDER "/%s.json", name);
    if (vnp_tokenizer_open(&t, path, &err) != VNP_OK)
        fail_msg("%s", err.msg);
    return t;
}

/* Ids of a sequence; *out grows. */
static uint64_t encode(struct vnp_tokenizer *t, const char *seq, uint64_t n, uint16_t **out)
{
    struct vnp_unknown unknown = {0};
    const uint64_t bound = vnp_tokenizer_bound(t, n);
    *out = realloc(*out, bound * sizeof **out);
    assert_non_null(*out);
    assert_true(vnp_tokenizer_reserve(t, n));
    const uint64_t k = vnp_tokenize(t, seq, n, 0, *out, &unknown);
    assert_true(k <= bound);
    return k;
}

static uint32_t crc_of(uint32_t crc, const uint16_t *id, uint64_t n)
{
    return (uint32_t)crc32(crc, (const unsigned char *)id, (uInt)(n * sizeof *id));
}

struct sequences {
    int n;
    char *seq[256];
    uint64_t length[256];
};

static struct sequences read_sequences(void)
{
    struct sequences s = {0};
    char *path = (char[]){FOLDER "/seqs.fa"};
    struct vnp_fasta *f;
    struct vnp_record rec;
    struct vnp_err err;
    assert_int_equal(vnp_fasta_open(&f, &path, 1, &err), VNP_OK);
    while (vnp_fasta_next(f, &rec, &err) == VNP_OK) {
        assert_true(s.n < 256);
        s.seq[s.n] = malloc(rec.n + 1);
        memcpy(s.seq[s.n], rec.seq, rec.n);
        s.seq[s.n][rec.n] = '\0';
        s.length[s.n++] = rec.n;
    }
    vnp_fasta_close(f);
    return s;
}

/* "12,7,0" against ids; "-" stands for a list too long to print. */
static void same_ids(const char *where, const char *list, const uint16_t *id, uint64_t n)
{
    if (strcmp(list, "-") == 0)
        return;
    for (uint64_t i = 0; i < n; i++) {
        char *end;
        const long want = strtol(list, &end, 10);
        if (end == list || want != id[i])
            fail_msg("%s: token %llu is %u, not %.20s", where, (unsigned long long)i, id[i], list);
        list = *end == ',' ? end + 1 : end;
    }
    assert_string_equal(list, "");
}

static void every_sequence(void **state)
{
    (void)state;
    struct sequences s = read_sequences();
    struct vnp_tokenizer *t = NULL;
    uint16_t *ids = NULL;
    char line[4096], now[64] = "", name[64], list[1024], where[128];
    unsigned record, count, crc;
    int checked = 0;
    FILE *f = fopen(FOLDER "/expected.tsv", "r");
    assert_non_null(f);
    for (; fgets(line, sizeof line, f); checked++) {
        list[0] = '\0';
        assert_true(sscanf(line, "%63s %u %u %x %1023s", name, &record, &count, &crc, list) >= 4);
        assert_true((int)record < s.n);
        if (strcmp(name, now) != 0) {
            vnp_tokenizer_close(t);
            t = open_tokenizer(strcpy(now, name));
        }
        const uint64_t n = encode(t, s.seq[record], s.length[record], &ids);
        snprintf(where, sizeof where, "%s, record %u (%.20s)", name, record, s.seq[record]);
        same_ids(where, list, ids, n < count ? n : count);
        if (n != count || crc_of(0, ids, n) != crc)
            fail_msg("%s: %llu tokens, %u wanted; or their ids differ", where, (unsigned long long)n, count);
    }
    assert_int_equal(checked, 12 * s.n);
    fclose(f);
    vnp_tokenizer_close(t);
    for (int i = 0; i < s.n; i++)
        free(s.seq[i]);
    free(ids);
}

/* The whole file as one stream of ids. */
static void check_file(struct vnp_tokenizer *t, const char *where, char *path, unsigned records, unsigned tokens,
                       uint32_t crc)
{
    struct vnp_fasta *f;
    struct vnp_record rec;
    struct vnp_err err;
    uint16_t *ids = NULL;
    uint32_t got = 0;
    uint64_t n = 0;
    unsigned r = 0;
    assert_int_equal(vnp_fasta_open(&f, &path, 1, &err), VNP_OK);
    for (; vnp_fasta_next(f, &rec, &err) == VNP_OK; r++) {
        const uint64_t k = encode(t, rec.seq, rec.n, &ids);
        got = crc_of(got, ids, k);
        n += k;
    }
    if (r != records || n != tokens || got != crc)
        fail_msg("%s: %u records, %llu tokens, CRC %08x; wanted %u, %u, %08x", where, r, (unsigned long long)n, got,
                 records, tokens, crc);
    vnp_fasta_close(f);
    free(ids);
}

static void every_data_file(void **state)
{
    (void)state;
    const char *env = getenv("VNP_TEST_DATA"), *data = env != NULL ? env : "../shared/data";
    char line[256], now[64] = "", name[64], file[64], path[512];
    unsigned records, tokens, crc;
    struct vnp_tokenizer *t = NULL;
    if (access(data, R_OK) != 0)
        skip();
    FILE *f = fopen(FOLDER "/data.tsv", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        assert_int_equal(sscanf(line, "%63s %63s %u %u %x", name, file, &records, &tokens, &crc), 5);
        if (strcmp(name, now) != 0) {
            vnp_tokenizer_close(t);
            t = open_tokenizer(strcpy(now, name));
        }
        snprintf(path, sizeof path, "%s/%s", data, file);
        line[strcspn(line, "\n")] = '\0';
        check_file(t, line, path, records, tokens, crc);
    }
    fclose(f);
    vnp_tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sequence),
        cmocka_unit_test(every_data_file),
    };
    return cmocka_run_group_tests_name("tokenizers against the library", tests, NULL, NULL);
}
