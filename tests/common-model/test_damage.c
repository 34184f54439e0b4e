/* Damaged model files: every byte of what describes the tensors changed, every length cut. Never a crash (this runs
 * under AddressSanitizer too), never another status than VNP_DATA, always one line that says why. */
#include "../lib.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "model.h"
#include "pickle.h"
#include "torchzip.h"

struct bytes {
    uint8_t *p;
    size_t n;
};

static struct bytes read_golden(const char *name)
{
    char path[512];
    struct stat st;
    snprintf(path, sizeof path, "tests/golden/model-files/%s", name);
    const int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    struct bytes b = {malloc((size_t)st.st_size), (size_t)st.st_size};
    assert_true(read(fd, b.p, b.n) == (ssize_t)b.n);
    close(fd);
    return b;
}

static void check_error(enum vnp_status st, const struct vnp_err *err)
{
    if (st == VNP_OK)
        return;
    assert_int_equal(st, VNP_DATA);
    assert_int_equal(err->status, VNP_DATA);
    assert_true(strlen(err->msg) > 10);
    assert_null(strchr(err->msg, '\n'));
}

/* A copy of exactly n bytes, so that reading one more is seen. */
static uint8_t *exact(const struct bytes *b, size_t n)
{
    uint8_t *p = malloc(n ? n : 1);
    memcpy(p, b->p, n);
    return p;
}

/* --- pickles ----------------------------------------------------------------------------------------------------- */

static void read_pickle(const uint8_t *p, size_t n)
{
    struct vnp_pickle *k;
    const struct vnp_py *root;
    struct vnp_err err;
    check_error(vnp_pickle_read(&k, &root, p, n, "fuzz", &err), &err);
    vnp_pickle_free(k);
}

static struct bytes pickle_of(const struct bytes *zip)
{
    const struct vnp_map map = {zip->p, zip->n};
    struct vnp_torchzip *z;
    struct vnp_err err;
    struct bytes b;
    const uint8_t *p;
    uint64_t n;
    assert_int_equal(vnp_torchzip_open(&z, &map, "golden", &err), VNP_OK);
    assert_int_equal(vnp_torchzip_entry(z, "data.pkl", 8, &p, &n, &err), VNP_OK);
    b.n = (size_t)n;
    b.p = malloc(b.n);
    memcpy(b.p, p, b.n);
    vnp_torchzip_close(z);
    return b;
}

static void damage_pickle(const char *name)
{
    struct bytes zip = read_golden(name), b = pickle_of(&zip);
    static const uint8_t opcodes[] = {'(', ')', ']', '}',  '.',  '0', 'R', 'Q', 'b',  'c',  't',  'u',
                                      'e', 's', 'a', 0x81, 0x93, 'j', 'r', 'X', 0x8d, 0x8b, 0xff, 0};
    uint64_t seed = 7;
    for (size_t n = 0; n < b.n; n++) {
        uint8_t *p = exact(&b, n);
        read_pickle(p, n);
        free(p);
    }
    for (size_t i = 0; i < b.n; i++)
        for (size_t k = 0; k < 3; k++) {
            uint8_t *p = exact(&b, b.n);
            p[i] = k == 0 ? p[i] ^ (uint8_t)(1u << (i % 8)) : opcodes[t_random(&seed) % sizeof opcodes];
            read_pickle(p, b.n);
            free(p);
        }
    free(b.p);
    free(zip.p);
}

static void test_pickle(void **state)
{
    (void)state;
    damage_pickle("fair-esm.pt");
    damage_pickle("hf-bin-f16/pytorch_model.bin");
    damage_pickle("evil.bin");
}

static void test_random_pickle(void **state)
{
    (void)state;
    static const char ops[] = "()]}.NRQbctuesaqhrjXK\x81\x85\x86\x87\x88\x93\x94";
    uint64_t seed = 99;
    for (int round = 0; round < 200000; round++) {
        uint8_t p[48];
        const size_t n = (size_t)t_between(&seed, 1, sizeof p);
        for (size_t i = 0; i < n; i++)
            p[i] =
                t_random(&seed) % 4 ? (uint8_t)ops[t_random(&seed) % (sizeof ops - 1)] : (uint8_t)(t_random(&seed) % 8);
        read_pickle(p, n);
    }
}

/* What a pickle claims is not what it gets. */
static void test_claims(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *reason;
    } cases[] = {{"\x80\x02X\xff\xff\xff\xff", 7, "cut short"},
                 {"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xff", 11, "cut short"},
                 {"\x80\x02}r\xff\xff\xff\xff.", 9, "memo index 4294967295 after"},
                 {"\x80\x02}j\xff\xff\xff\xff.", 9, "was never set"},
                 {"\x80\x02"
                  "cos\nsystem\n.",
                  13, "os.system is not on the list"},
                 {"\x80\x04\x8c\x02os\x8c\x06system\x93.", 17, "os.system is not on the list"},
                 {"\x80\x02"
                  "c__builtin__\neval\n.",
                  20, "__builtin__.eval is not on the list"},
                 {"\x80\x02"
                  "ctorch\nFloatStorage\n)R.",
                  25, "torch.FloatStorage is not called"},
                 {"\x80\x02.", 3, "an operation without its operands"},
                 {"\x80\x02(.", 4, "an operation without its operands"},
                 {"\x80\x02(((u.", 7, "items for something that is no dict"},
                 {"\x80\x02i", 3, "operation 0x69 is not one"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct bytes b = {(uint8_t *)(uintptr_t)cases[i].bytes, cases[i].n};
        uint8_t *p = exact(&b, b.n);
        struct vnp_pickle *k;
        const struct vnp_py *root;
        struct vnp_err err = {.msg = ""};
        assert_int_equal(vnp_pickle_read(&k, &root, p, b.n, "claims", &err), VNP_DATA);
        if (strstr(err.msg, cases[i].reason) == NULL)
            fail_msg("case %zu: %s", i, err.msg);
        free(p);
    }
}

/* --- zip archives ------------------------------------------------------------------------------------------------ */

static void open_zip(const uint8_t *p, size_t n)
{
    const struct vnp_map map = {p, n};
    struct vnp_torchzip *z;
    struct vnp_err err;
    const uint8_t *entry;
    uint64_t n_entry;
    enum vnp_status st = vnp_torchzip_open(&z, &map, "fuzz", &err);
    check_error(st, &err);
    if (st != VNP_OK)
        return;
    static const char *const parts[] = {"data.pkl", "data/0", "byteorder", "version"};
    for (size_t i = 0; i < 4; i++) {
        st = vnp_torchzip_entry(z, parts[i], strlen(parts[i]), &entry, &n_entry, &err);
        check_error(st, &err);
        if (st == VNP_OK) {
            assert_true(entry >= p && n_entry <= (uint64_t)(p + n - entry));
        }
    }
    vnp_torchzip_close(z);
}

static void test_zip(void **state)
{
    (void)state;
    struct bytes b = read_golden("evil.bin");
    for (size_t n = 0; n < b.n; n++) {
        uint8_t *p = exact(&b, n);
        open_zip(p, n);
        free(p);
    }
    for (size_t i = 0; i < b.n; i++)
        for (int bit = 0; bit < 9; bit++) {
            uint8_t *p = exact(&b, b.n);
            p[i] = bit == 8 ? 0xff : p[i] ^ (uint8_t)(1u << bit);
            open_zip(p, b.n);
            free(p);
        }
    free(b.p);
}

/* --- whole files ------------------------------------------------------------------------------------------------- */

static char folder[64], path[80], config[80];

static void write_file(const char *name, const uint8_t *p, size_t n)
{
    const int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0 && write(fd, p, n) == (ssize_t)n);
    close(fd);
}

static void open_model(const uint8_t *p, size_t n)
{
    struct vnp_model *m;
    struct vnp_err err;
    write_file(path, p, n);
    check_error(vnp_model_open(&m, path, &err), &err);
    vnp_model_close(m);
}

/* Flips and cuts the first `n_flip` bytes and the last `n_tail`; every `step`th of those between. */
static void damage_file(const char *name, const char *config_name, size_t n_flip, size_t n_tail, size_t step)
{
    struct bytes b = read_golden(name), c = read_golden(config_name);
    struct vnp_model *m;
    struct vnp_err err;
    write_file(config, c.p, c.n);
    free(c.p);
    write_file(path, b.p, b.n);
    assert_int_equal(vnp_model_open(&m, path, &err), VNP_OK);
    vnp_model_close(m);
    n_flip = n_flip < b.n ? n_flip : b.n;
    for (size_t i = 0; i < b.n; i += i < n_flip || i + n_tail >= b.n ? 1 : step) {
        const uint8_t was = b.p[i];
        b.p[i] ^= (uint8_t)(1u << (i % 8));
        open_model(b.p, b.n);
        b.p[i] = was;
        open_model(b.p, i);
    }
    free(b.p);
}

static void test_safetensors(void **state)
{
    (void)state;
    damage_file("hf-bf16/model.safetensors", "hf-bf16/config.json", 4500, 0, 97);
}

static void test_torch(void **state)
{
    (void)state;
    damage_file("dnabert-s/pytorch_model.bin", "dnabert-s/config.json", 3500, 3000, 97);
}

static int make_folder(void **state)
{
    (void)state;
    /* thousands of files, a moment each: in memory where there is such a place */
    snprintf(folder, sizeof folder, "%s/vnp-damage.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/model.file", folder);
    snprintf(config, sizeof config, "%s/config.json", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    unlink(config);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pickle), cmocka_unit_test(test_random_pickle), cmocka_unit_test(test_claims),
        cmocka_unit_test(test_zip),    cmocka_unit_test(test_safetensors),   cmocka_unit_test(test_torch),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
