/* schemas/frames.cddl against frames as they are written, and against spoilt ones: schema and decoder must agree on
 * what a frame is, as far as CDDL can say it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../stream/samples.h"
#include "frames.h"

static struct cddl *schema;

static int load(void **state)
{
    char why[200];
    (void)state;
    schema = schema_open("schemas/frames.cddl", why);
    if (schema == NULL)
        print_error("schemas/frames.cddl: %s\n", why);
    return schema == NULL;
}

static int unload(void **state)
{
    (void)state;
    cddl_free(schema);
    return 0;
}

static bool decodes(const struct sample *s, const struct vnp_buf *map)
{
    struct vnp_decoded d;
    struct vnp_buf scratch = {0};
    struct vnp_err err;
    bool ok = vnp_decode(map->p, map->n, s->has_head ? &s->head : NULL, &scratch, &d, &err) == VNP_OK;
    vnp_buf_free(&scratch);
    return ok;
}

/* Both verdicts on a spoilt frame must be `want`. */
static void both_say(bool want, const struct sample *s, enum spoil how, const char *key, const void *value, size_t n)
{
    struct vnp_buf map = {0};
    char why[200] = "";
    spoil(&map, s->frame.p + 4, s->frame.n - 4, how, key, value, n);
    bool allowed = schema_allows(schema, map.p, map.n, why), decoded = decodes(s, &map);
    if (allowed != want || decoded != want)
        fail_msg("%s, \"%s\" spoilt (%d): schema %d (%s), decoder %d", s->name, key, how, allowed, why, decoded);
    if (!allowed)
        assert_true(strlen(why) > 5);
    vnp_buf_free(&map);
}

static void frames_as_written_match(void **state)
{
    (void)state;
    struct sample s[SAMPLES];
    char why[200];
    samples_make(s);
    for (int i = 0; i < SAMPLES; i++)
        if (!schema_allows(schema, s[i].frame.p + 4, s[i].frame.n - 4, why))
            fail_msg("%s: %s", s[i].name, why);
    samples_free(s);
}

static void spoilt_frames_do_not(void **state)
{
    (void)state;
    struct sample s[SAMPLES];
    struct sample_key keys[20];
    samples_make(s);
    for (int i = 0; i < SAMPLES; i++) {
        int n = sample_keys(keys, s[i].frame.p + 4, s[i].frame.n - 4);
        for (int k = 0; k < n; k++) {
            both_say(strcmp(keys[k].name, "pad") == 0, &s[i], SPOIL_DROP, keys[k].name, NULL, 0);
            both_say(false, &s[i], SPOIL_DOUBLE, keys[k].name, NULL, 0);
            for (int v = 0; v < SAMPLE_VALUES; v++)
                if (sample_values[v].type != keys[k].type)
                    both_say(false, &s[i], SPOIL_REPLACE, keys[k].name, sample_values[v].bytes, sample_values[v].n);
        }
        for (int v = 0; v < SAMPLE_VALUES; v++)
            both_say(true, &s[i], SPOIL_ADD, "new", sample_values[v].bytes, sample_values[v].n);
    }
    samples_free(s);
}

#define VALUE(bytes) bytes, sizeof bytes - 1

static void values_out_of_range_do_not(void **state)
{
    (void)state;
    static const struct {
        const char *sample, *key, *value;
        size_t n;
        bool want;
    } cases[] = {
        {"tokens", "n", VALUE("\x00"), false},
        {"tokens", "t", VALUE("\xa4what"), false},
        {"tokens", "id", VALUE("\x93\xa1""a\xa1""b\x01"), false},
        {"tokens", "id", VALUE("\x90"), false},
        {"end", "crc32", VALUE("\xcf\0\0\0\x01\0\0\0\0"), false},
        {"end", "crc32", VALUE("\xce\xff\xff\xff\xff"), true},
        {"end", "rows", VALUE("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), true},
        {"err", "status", VALUE("\x00"), false},
        {"err", "status", VALUE("\xcd\x01\x00"), false},
        {"err", "status", VALUE("\xcc\xff"), true},
        {"a head", "v", VALUE("\x92\x02\x00"), false},
        {"a head", "v", VALUE("\x92\x01\x09"), true},
        {"a head", "v", VALUE("\x92\x01\xa1x"), false},
        {"a head", "v", VALUE("\x91\x01"), false},
        {"a head", "v", VALUE("\x93\x01\x00\x00"), false},
        {"a head", "kind", VALUE("\xa6tokenz"), false},
        {"a head", "kind", VALUE("\xa6hidden"), false},
        {"a head", "by", VALUE("\x91\x01"), false},
        {"a head", "by", VALUE("\x91\x83\xa5stage\xa1x\xa7version\xa1x\xa6params\x81\xa1x\x01"), false},
        {"a head", "by", VALUE("\x91\x83\xa5stage\xa1x\xa7version\xa1x\xa6params\x81\xa1x\xa1y"), true},
        {"a head", "vocab", VALUE("\x80"), false},
        {"a head", "vocab", VALUE("\x85\xa4name\xa1x\xa4size\x00\xa6prefix\x01\xa6suffix\x01\xa5""bytes\x01"), false},
        {"a head", "vocab", VALUE("\x85\xa4name\xa1x\xa4size\x09\xa6prefix\x01\xa6suffix\x01\xa5""bytes\x03"), false},
        {"a head", "vocab", VALUE("\x85\xa4name\xa1x\xa4size\xcd\x01\x01\xa6prefix\x01\xa6suffix\x01\xa5""bytes\x01"),
         false},
        {"a head", "vocab", VALUE("\x85\xa4name\xa1x\xa4size\xcd\x01\x01\xa6prefix\x01\xa6suffix\x01\xa5""bytes\x02"),
         true},
        {"a head", "vocab", VALUE("\x85\xa4name\xa1x\xa4size\x09\xa6prefix\x20\xa6suffix\x01\xa5""bytes\x01"), false},
        {"a head", "vocab", VALUE("\x86\xa4name\xa1x\xa4size\x09\xa6prefix\x01\xa6suffix\x01\xa5""bytes\x01\xa1z\xc0"),
         true},
    };
    struct sample s[SAMPLES];
    samples_make(s);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        int i = 0;
        while (strcmp(s[i].name, cases[c].sample) != 0)
            i++;
        both_say(cases[c].want, &s[i], SPOIL_REPLACE, cases[c].key, cases[c].value, cases[c].n);
    }
    both_say(true, &s[1], SPOIL_ADD, "first", VALUE("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"));
    both_say(true, &s[1], SPOIL_ADD, "first", VALUE("\x00"));
    both_say(false, &s[1], SPOIL_ADD, "first", VALUE("\xff"));
    both_say(false, &s[1], SPOIL_ADD, "first", VALUE("\xa1x"));
    both_say(true, &s[1], SPOIL_ADD, "unique", VALUE("\xa1x"));
    both_say(true, &s[1], SPOIL_ADD, "unique", VALUE("\xb3" "1234567890123456789"));
    both_say(false, &s[1], SPOIL_ADD, "unique", VALUE("\xb4" "12345678901234567890"));
    both_say(false, &s[1], SPOIL_ADD, "unique", VALUE("\xa0"));
    both_say(false, &s[1], SPOIL_ADD, "unique", VALUE("\xc4\x01z"));
    both_say(false, &s[12 - 2], SPOIL_REPLACE, "width", VALUE("\x00")); /* the last head of embeddings */
    both_say(false, &s[12 - 2], SPOIL_REPLACE, "pool", VALUE("\xa3sum"));
    both_say(false, &s[12 - 2], SPOIL_REPLACE, "dtype", VALUE("\xa3""f64"));
    both_say(false, &s[12 - 2], SPOIL_REPLACE, "layer", VALUE("\xce\x00\x01\x00\x00"));
    both_say(false, &s[12 - 2], SPOIL_REPLACE, "model", VALUE("\x81\xa4name\xa1x"));
    samples_free(s);
}

/* A text may have as many bytes as its field holds, and not one more. */
static void texts_that_are_too_long_do_not(void **state)
{
    (void)state;
    enum { BY = 1, EMBEDDINGS = 10, ERR = SAMPLES - 1 }; /* which sample */
    static const struct {
        int sample;
        const char *key, *before; /* what comes before the text, in the value of this key, and after it */
        size_t n_before;
        size_t limit;
        const char *after;
        size_t n_after;
    } cases[] = {
        {BY, "by", VALUE("\x91\x83\xa5stage"), 31, VALUE("\xa7version\xa1x\xa6params\x80")},
        {BY, "by", VALUE("\x91\x83\xa5stage\xa1x\xa7version"), 31, VALUE("\xa6params\x80")},
        {BY, "by", VALUE("\x91\x83\xa5stage\xa1x\xa7version\xa1x\xa6params\x81"), 31, VALUE("\xa1y")},
        {BY, "by", VALUE("\x91\x83\xa5stage\xa1x\xa7version\xa1x\xa6params\x81\xa1x"), 95, VALUE("")},
        {BY, "vocab", VALUE("\x85\xa4size\x09\xa6prefix\x01\xa6suffix\x01\xa5""bytes\x01\xa4name"), 63, VALUE("")},
        {EMBEDDINGS, "model", VALUE("\x82\xa4name"), 127, VALUE("\xab""fingerprint\xa1x")},
        {EMBEDDINGS, "model", VALUE("\x82\xa4name\xa1x\xab""fingerprint"), 31, VALUE("")},
        {ERR, "stage", VALUE(""), 31, VALUE("")},
        {ERR, "message", VALUE(""), 1023, VALUE("")},
    };
    struct sample s[SAMPLES];
    samples_make(s);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
        for (size_t n = cases[c].limit; n <= cases[c].limit + 1; n++) {
            const uint8_t header[] = {0xda, (uint8_t)(n >> 8), (uint8_t)n}; /* str 16 */
            char text[1024];
            struct vnp_buf value = {0};
            memset(text, 'x', n);
            sample_append(&value, cases[c].before, cases[c].n_before);
            sample_append(&value, header, sizeof header);
            sample_append(&value, text, n);
            sample_append(&value, cases[c].after, cases[c].n_after);
            both_say(n == cases[c].limit, &s[cases[c].sample], SPOIL_REPLACE, cases[c].key, value.p, value.n);
            vnp_buf_free(&value);
        }
    samples_free(s);
}

static void too_many_parameters_do_not(void **state)
{
    (void)state;
    struct sample s[SAMPLES];
    samples_make(s);
    for (uint8_t n = 12; n <= 13; n++) {
        struct vnp_buf value = {0};
        sample_append(&value, VALUE("\x91\x83\xa5stage\xa1x\xa7version\xa1x\xa6params"));
        sample_append(&value, &(uint8_t){0x80 | n}, 1);
        for (uint8_t i = 0; i < n; i++)
            sample_append(&value, (const uint8_t[]){0xa1, 'a' + i, 0xa1, 'y'}, 4);
        both_say(n == 12, &s[1], SPOIL_REPLACE, "by", value.p, value.n);
        vnp_buf_free(&value);
    }
    samples_free(s);
}

static void some_window_columns_do_not(void **state)
{
    (void)state;
    static const char *const keys[] = {"win", "wins", "start"};
    struct sample s[SAMPLES];
    samples_make(s);
    for (int k = 0; k < 3; k++) {
        both_say(false, &s[2], SPOIL_DROP, keys[k], NULL, 0);
        both_say(false, &s[0], SPOIL_ADD, keys[k], VALUE("\xc4\x0c\0\0\0\0\0\0\0\0\0\0\0\0"));
    }
    samples_free(s);
}

/* The checker itself: what it does not know it must not let pass. */
static void schemas_that_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"a = b", "a = { \"k\": }", "a = [ 1", "a = tstr .regexp \"x\"", "a = 1...3",
                                      "a = { \"k\": 1 // \"l\": 2 }", "a = uint a = int", "= 3", "a /= 3", "a = #6.1",
                                      "a = \"x\\n\""};
    char why[200];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (cddl_parse(bad[i], why) != NULL)
            fail_msg("accepted: %s", bad[i]);
        assert_true(strlen(why) > 0);
    }
}

static void the_language_itself(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *message;
        size_t n;
        bool want;
    } cases[] = {
        {"m = 1..3", VALUE("\x03"), true},
        {"m = 1..3", VALUE("\x04"), false},
        {"m = -2..3", VALUE("\xfe"), true},
        {"m = int", VALUE("\xfe"), true},
        {"m = uint", VALUE("\xfe"), false},
        {"m = bool", VALUE("\xc2"), true},
        {"m = \"a\" / 5", VALUE("\x05"), true},
        {"m = \"a\" / 5", VALUE("\xa1""b"), false},
        {"m = [2*3 uint]", VALUE("\x92\x01\x02"), true},
        {"m = [2*3 uint]", VALUE("\x91\x01"), false},
        {"m = [2*3 uint]", VALUE("\x94\x01\x02\x03\x04"), false},
        {"m = [* uint, ? tstr]", VALUE("\x92\x01\xa1x"), true},
        {"m = [+ uint]", VALUE("\x90"), false},
        {"m = [* uint]", VALUE("\x91\xa1x"), false},
        {"m = { ? \"a\": uint, * tstr => any }", VALUE("\x81\xa1""b\xc0"), true},
        {"m = { ? \"a\": uint, * tstr => any }", VALUE("\x81\xa1""a\xc0"), false}, /* cut */
        {"m = { ? \"a\": uint }", VALUE("\x81\xa1""b\x01"), false},
        {"m = { ? \"a\": uint }", VALUE("\x80"), true},
        {"m = { * tstr => any }", VALUE("\x81\x01\xc0"), false},
        {"m = { * tstr => tstr }", VALUE("\x81\xa1""b\xc0"), false},
        {"m = { 1*2 tstr => any }", VALUE("\x82\xa1""a\xc0\xa1""b\xc0"), true},
        {"m = { 1*2 tstr => any }", VALUE("\x80"), false},
        {"m = { 1*2 tstr => any }", VALUE("\x83\xa1""a\xc0\xa1""b\xc0\xa1""c\xc0"), false},
        {"m = { * tstr .size 1 => any }", VALUE("\x81\xa2xx\xc0"), false},
        {"m = { ? g } g = (\"a\": uint, \"b\": uint)", VALUE("\x80"), true},
        {"m = { ? g } g = (\"a\": uint, \"b\": uint)", VALUE("\x81\xa1""a\x01"), false},
        {"m = { g } g = (\"a\": uint)", VALUE("\x80"), false},
        {"m = bstr .size (1..2) ; comment", VALUE("\xc4\x02xx"), true},
        {"m = bstr .size (1..2)", VALUE("\xc4\x03xxx"), false},
        {"m = tstr .size 1", VALUE("\xa2xx"), false},
    };
    char why[200];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cddl *c = cddl_parse(cases[i].schema, why);
        if (c == NULL)
            fail_msg("%s: %s", cases[i].schema, why);
        msgpack_unpacked u;
        size_t off = 0;
        msgpack_unpacked_init(&u);
        assert_int_equal(msgpack_unpack_next(&u, cases[i].message, cases[i].n, &off), MSGPACK_UNPACK_SUCCESS);
        if (cddl_check(c, "m", &u.data, why) != cases[i].want)
            fail_msg("case %zu: %s: %s", i, cases[i].schema, why);
        msgpack_unpacked_destroy(&u);
        cddl_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_language_itself),      cmocka_unit_test(schemas_that_are_refused),
        cmocka_unit_test(frames_as_written_match),  cmocka_unit_test(spoilt_frames_do_not),
        cmocka_unit_test(values_out_of_range_do_not), cmocka_unit_test(texts_that_are_too_long_do_not),
        cmocka_unit_test(too_many_parameters_do_not), cmocka_unit_test(some_window_columns_do_not),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
