/* Torch files from before version 1.6 and whole modules, damaged in every way: never a crash (this runs under
 * AddressSanitizer too), never another status than VNP_DATA, one line that says why. */
#include "../lib.h"

#include "classifier.h"
#include "torchlegacy.h"

#define GOLDEN "tests/golden/"

struct bytes {
    uint8_t *p;
    size_t n;
};

static struct bytes read_golden(const char *name)
{
    char path[256];
    struct bytes b;
    snprintf(path, sizeof path, GOLDEN "%s", name);
    b.p = (uint8_t *)t_slurp(path, &b.n);
    assert_non_null(b.p);
    return b;
}

static void check_error(enum vnp_status st, const struct vnp_err *err)
{
    if (st == VNP_OK)
        return;
    assert_int_equal(st, VNP_DATA);
    assert_true(strlen(err->msg) > 10);
    assert_null(strchr(err->msg, '\n'));
}

/* Reads p as a legacy file from a copy of just n bytes; true when it was accepted. */
static bool open_legacy(const uint8_t *p, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    memcpy(copy, p, n);
    const struct vnp_map map = {copy, n};
    struct vnp_torchlegacy *l = NULL;
    const struct vnp_py *root;
    struct vnp_err err = {.msg = ""};
    bool ok = false;
    if (vnp_torchlegacy_is(&map)) {
        const enum vnp_status st = vnp_torchlegacy_open(&l, &root, &map, "fuzz", &err);
        check_error(st, &err);
        ok = st == VNP_OK;
    }
    vnp_torchlegacy_close(l);
    free(copy);
    return ok;
}

static void damage_legacy(const char *name)
{
    static const uint8_t opcodes[] = {'(', ')', ']', '}', '.', 'R', 'Q', 'b', 'c', 't', 'u', 0x81, 'r', 0x8b, 0xff, 0};
    struct bytes b = read_golden(name);
    uint64_t seed = 5;
    assert_true(open_legacy(b.p, b.n));
    for (size_t n = 0; n < b.n; n++) {
        if (open_legacy(b.p, n))
            fail_msg("%s: accepted when cut to %zu of %zu bytes", name, n, b.n);
    }
    for (size_t i = 0; i < b.n; i++) {
        const uint8_t kept = b.p[i];
        b.p[i] = i % 2 ? (uint8_t)(kept ^ 1u << i / 2 % 8) : opcodes[t_random(&seed) % sizeof opcodes];
        (void)open_legacy(b.p, b.n);
        b.p[i] = kept;
    }
    free(b.p);
}

static void test_legacy(void **state)
{
    (void)state;
    damage_legacy("model-files/fair-esm-legacy.pt");
    damage_legacy("classifier/legacy.pth");
}

/* A byte too many is not part of the file. */
static void test_trailing(void **state)
{
    (void)state;
    struct bytes b = read_golden("classifier/state-legacy.pth");
    b.p = realloc(b.p, b.n + 1);
    b.p[b.n] = 0;
    assert_true(open_legacy(b.p, b.n));
    assert_false(open_legacy(b.p, b.n + 1));
    free(b.p);
}

/* Whole classifiers through the file system: what is accepted is whole and finite. */
static void test_classifiers(void **state)
{
    (void)state;
    static const char *const names[] = {"classifier/zip.pth", "classifier/legacy.pth", "classifier/zip-protocol4.pth",
                                        "classifier/state-legacy.pth", "classifier/layer-norm.pth"};
    char *folder = t_folder(), *path = t_path(folder, "c.pth");
    uint64_t seed = 9;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        struct bytes b = read_golden(names[k]);
        for (int round = 0; round < 600; round++) {
            const size_t at = (size_t)t_between(&seed, 0, (int64_t)b.n - 1), n = round % 5 ? b.n : at;
            const uint8_t kept = b.p[at];
            struct vnp_classifier *c = NULL;
            struct vnp_err err = {.msg = ""};
            b.p[at] ^= (uint8_t)(1u << t_between(&seed, 0, 7));
            t_write(path, b.p, n);
            b.p[at] = kept;
            const enum vnp_status st = vnp_classifier_open(&c, path, &err);
            check_error(st, &err);
            for (int i = 0; st == VNP_OK && i < c->hidden; i++)
                assert_true(isfinite(c->scale[i]) && isfinite(c->shift[i]));
            vnp_classifier_close(c);
        }
        free(b.p);
    }
    free(path);
    t_remove(folder);
}

/* --- made by hand ------------------------------------------------------------------------------------------------- */

static const char legacy_start[] = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
                                   "\x80\x02M\xe9\x03.";
#define MACHINE "\x80\x02}X\x0d\0\0\0little_endian\x88s."

/* A legacy file of these pickles (and bytes) behind its start. */
static enum vnp_status open_made(const char *pickles, size_t n, struct vnp_err *err)
{
    struct vnp_classifier *c = NULL;
    char *folder = t_folder(), *path = t_path(folder, "made.pth");
    const size_t n_start = sizeof legacy_start - 1;
    char *p = malloc(n_start + n);
    memcpy(p, legacy_start, n_start);
    memcpy(p + n_start, pickles, n);
    t_write(path, p, n_start + n);
    const enum vnp_status st = vnp_classifier_open(&c, path, err);
    vnp_classifier_close(c);
    free(p);
    free(path);
    t_remove(folder);
    return st;
}

#define MADE(bytes) bytes, sizeof bytes - 1
#define MODULE "c__main__\nMLPClassifier\n)\x81"
#define MODULES "X\x08\0\0\0_modules"

static void test_made(void **state)
{
    (void)state;
    static const struct {
        const char *p;
        size_t n;
        const char *why;
    } cases[] = {
        {MADE("\x80\x02}X\x0d\0\0\0little_endian\x89s."), "big-endian"},
        {MADE("\x80\x02}."), "does not say the order of its bytes"},
        {MADE(MACHINE "\x80\x02N.\x80\x02].\0"), "1 bytes behind the last storage"},
        {MADE(MACHINE "\x80\x02N.\x80\x02]."), "no dictionary of tensors and no module"},
        {MADE(MACHINE "\x80\x02N.\x80\x02N."), "no list of storages"},
        {MADE(MACHINE "\x80\x02N.\x80\x02]X\x01\0\0\0zxa."), "operation 0x78"},
        {MADE(MACHINE "\x80\x02N.\x80\x02]X\x01\0\0\0za."), "names one that nothing refers to"},
        {MADE(MACHINE "\x80\x02" MODULE ".\x80\x02]."), "hidden_layer of the classifier is missing"},
        {MADE(MACHINE "\x80\x02"
                      "c__main__\nEvilClassifier\n)\x81.\x80\x02]."),
         "__main__.EvilClassifier is not on the list"},
        {MADE(MACHINE "\x80\x02"
                      "c__main__\nMLPClassifier\n)R.\x80\x02]."),
         "MLPClassifier is not called"},
        {MADE(MACHINE "\x80\x02(X\x06\0\0\0moduleccollections\nOrderedDict\nNNtQ.\x80\x02]."),
         "not to a storage of torch"},
        /* a storage: 2^40 elements, cut short; a view; twice in the list */
        {MADE(MACHINE "\x80\x02(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0zX\x03\0\0\0cpuK\x02NtQ.\x80\x02]"
                      "X\x01\0\0\0za."
                      "\0\0\0\0\0\x01\0\0"),
         "cut short: storage z has 1099511627776 elements"},
        {MADE(MACHINE "\x80\x02(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0zX\x03\0\0\0cpuK\x02NtQ.\x80\x02]"
                      "X\x01\0\0\0za.\0\0"),
         "cut short before storage z"},
        {MADE(MACHINE
              "\x80\x02(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0zX\x03\0\0\0cpuK\x02K\x01tQ.\x80\x02]."),
         "a view of another"},
        {MADE(MACHINE "\x80\x02(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0zX\x03\0\0\0cpuK\0NtQ.\x80\x02]("
                      "X\x01\0\0\0zX\x01\0\0\0ze."
                      "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
         "names one twice"},
        /* a module within itself */
        {MADE(MACHINE "\x80\x02" MODULE "q\0}" MODULES "}X\x01\0\0\0mh\0ssb.\x80\x02]."), "32 within each other"},
        /* two parts of one name */
        {MADE(MACHINE "\x80\x02" MODULE "}" MODULES "}(X\x01\0\0\0m" MODULE "X\x01\0\0\0m" MODULE "usb.\x80\x02]."),
         "two modules are named m"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vnp_err err = {.msg = ""};
        assert_int_equal(open_made(cases[i].p, cases[i].n, &err), VNP_DATA);
        if (strstr(err.msg, cases[i].why) == NULL)
            fail_msg("case %zu: %s", i, err.msg);
    }
}

/* Each of 20 modules is named twice in the one before: 2^20 paths, of which few are walked. */
static void test_doubling(void **state)
{
    (void)state;
    char text[4096];
    size_t n = 0;
#define ADD(bytes) (memcpy(text + n, bytes, sizeof bytes - 1), n += sizeof bytes - 1)
    ADD(MACHINE "\x80\x02" MODULE "q\0");
    for (int i = 0; i < 20; i++) {
        ADD(MODULE "}" MODULES "}(X\x01\0\0\0ah");
        text[n++] = (char)i;
        ADD("X\x01\0\0\0bh");
        text[n++] = (char)i;
        ADD("usbq");
        text[n++] = (char)(i + 1);
    }
    ADD(".\x80\x02].");
    struct vnp_err err = {.msg = ""};
    assert_int_equal(open_made(text, n, &err), VNP_DATA);
    assert_non_null(strstr(err.msg, "over 4096 modules"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_legacy), cmocka_unit_test(test_trailing),
                                       cmocka_unit_test(test_classifiers), cmocka_unit_test(test_made),
                                       cmocka_unit_test(test_doubling)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
