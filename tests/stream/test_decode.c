/* One frame at a time: what is written is read back, and whatever is wrong with a map is an error that says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "limits.h"
#include "samples.h"

static enum vnp_status decode(const struct sample *s, const void *map, size_t n, struct vnp_decoded *d,
                              struct vnp_buf *scratch, struct vnp_err *err)
{
    /* An exact copy, so that a sanitizer sees every read past its end. */
    void *copy;
    assert_int_equal(posix_memalign(&copy, 64, n > 0 ? n : 1), 0);
    memcpy(copy, map, n);
    enum vnp_status st = vnp_decode(copy, n, s->has_head ? &s->head : NULL, scratch, d, err);
    if (st == VNP_OK && d->frame == VNP_FRAME_BLOCK) { /* touch all of it while it is there */
        volatile uint64_t sum = vnp_sum(d->block.tokens, d->block.n);
        for (int64_t i = 0; i < d->block.n; i++)
            for (uint32_t k = 0; k < d->block.id[i].n; k++)
                sum += (uint8_t)d->block.id[i].s[k];
        for (int64_t i = 0; i < d->block.bulk_bytes; i++)
            sum += ((const uint8_t *)d->block.bulk)[i];
    }
    free(copy);
    return st;
}

static enum vnp_status try_map(const struct sample *s, const void *map, size_t n, struct vnp_err *err)
{
    struct vnp_decoded d;
    struct vnp_buf scratch = {0};
    memset(err, 0, sizeof *err);
    enum vnp_status st = decode(s, map, n, &d, &scratch, err);
    vnp_buf_free(&scratch);
    if (st != VNP_OK) {
        assert_int_equal(st, VNP_DATA);
        assert_int_equal(err->status, VNP_DATA);
        assert_true(strlen(err->msg) > 5);
    }
    return st;
}

static enum vnp_status try_spoilt(const struct sample *s, enum spoil how, const char *key, const void *value, size_t n,
                                  struct vnp_err *err)
{
    struct vnp_buf map = {0};
    spoil(&map, s->frame.p + 4, s->frame.n - 4, how, key, value, n);
    enum vnp_status st = try_map(s, map.p, map.n, err);
    vnp_buf_free(&map);
    return st;
}

static void same_block(const struct vnp_block *a, const struct vnp_block *b)
{
    size_t n = (size_t)a->n;
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->ordinal, b->ordinal, 8 * n);
    assert_memory_equal(a->residues, b->residues, 4 * n);
    assert_memory_equal(a->total, b->total, 8 * n);
    assert_memory_equal(a->flags, b->flags, 4 * n);
    assert_memory_equal(a->tokens, b->tokens, 4 * n);
    assert_int_equal(a->window == NULL, b->window == NULL);
    if (a->window != NULL) {
        assert_memory_equal(a->window, b->window, 4 * n);
        assert_memory_equal(a->windows, b->windows, 4 * n);
        assert_memory_equal(a->start, b->start, 8 * n);
    }
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(a->id[i].n, b->id[i].n);
        assert_memory_equal(a->id[i].s, b->id[i].s, a->id[i].n);
    }
    assert_int_equal(a->bulk_bytes, b->bulk_bytes);
    assert_memory_equal(a->bulk, b->bulk, (size_t)a->bulk_bytes);
}

static void blocks_round_trip(void **state)
{
    (void)state;
    for (int kind = VNP_TOKENS; kind <= VNP_COPIES; kind++)
        for (int variant = 0; variant < 4; variant++) {
            struct vnp_head h = sample_head((enum vnp_kind)kind, variant & 1 ? "none" : "cls");
            struct vnp_buf frame = {0}, scratch = {0};
            struct vnp_decoded d;
            struct vnp_err err;
            h.token_bytes = variant & 1 ? 2 : 1;
            struct vnp_block b = sample_block(&h, variant >= 2);
            sample_frame(&frame, &h, &b);
            uint32_t length;
            memcpy(&length, frame.p, 4);
            assert_int_equal(length, frame.n - 4);
            assert_int_equal((frame.n - 4 - (size_t)b.bulk_bytes) % 64, 0); /* the bulk lies aligned in the payload */
            for (size_t shift = 0; shift < 2; shift++) {                   /* and is read when the payload is not */
                uint8_t *payload = aligned_alloc(64, (frame.n + 127) / 64 * 64);
                memcpy(payload + shift, frame.p + 4, frame.n - 4);
                assert_int_equal(vnp_decode(payload + shift, frame.n - 4, &h, &scratch, &d, &err), VNP_OK);
                assert_int_equal(d.frame, VNP_FRAME_BLOCK);
                assert_int_equal((uintptr_t)d.block.bulk % 64, 0);
                if (shift == 0)
                    assert_ptr_equal(d.block.bulk, payload + frame.n - 4 - (size_t)b.bulk_bytes);
                same_block(&b, &d.block);
                free(payload);
            }
            vnp_buf_free(&frame);
            vnp_buf_free(&scratch);
        }
}

static void heads_ends_and_errors_round_trip(void **state)
{
    (void)state;
    struct vnp_buf b = {0}, scratch = {0};
    struct vnp_decoded d;
    struct vnp_err err, failure = {.status = VNP_IO, .msg = "disk: \"full\""};
    for (int kind = VNP_TOKENS; kind <= VNP_COPIES; kind++) {
        struct vnp_head h = sample_head((enum vnp_kind)kind, "max");
        while (h.n_by < 12) {
            struct vnp_producer *p = vnp_head_add_stage(&h, "vnp-a-stage");
            for (int i = 0; i < 12; i++)
                vnp_producer_param(p, (const char[]){'k', (char)('a' + i), '\0'}, "%d", i);
        }
        assert_null(vnp_head_add_stage(&h, "one too many"));
        h.dtype = kind == VNP_HIDDEN ? VNP_BF16 : VNP_F32;
        h.first = kind == VNP_TOKENS ? 0 : UINT64_MAX >> (8 * kind);
        vnp_encode_head(&b, &h);
        assert_int_equal(vnp_decode(b.p + 4, b.n - 4, NULL, &scratch, &d, &err), VNP_OK);
        assert_int_equal(d.frame, VNP_FRAME_HEAD);
        assert_memory_equal(&d.head, &h, sizeof h);
        assert_int_equal(memmem(b.p, b.n, "first", 5) != NULL, h.first > 0); /* left out where it says nothing */
    }
    struct vnp_head tokens = sample_head(VNP_TOKENS, "");
    struct vnp_totals totals = {1, UINT64_MAX, 3, 4, 1ull << 40, 6};
    vnp_encode_end(&b, &totals, 0xfffffffe);
    assert_int_equal(vnp_decode(b.p + 4, b.n - 4, &tokens, &scratch, &d, &err), VNP_OK);
    assert_int_equal(d.frame, VNP_FRAME_END);
    assert_memory_equal(&d.totals, &totals, sizeof totals);
    assert_int_equal(d.crc, 0xfffffffe);

    vnp_encode_err(&b, "vnp-pool", &failure);
    for (int k = 0; k < 2; k++) { /* before the head and after it */
        assert_int_equal(vnp_decode(b.p + 4, b.n - 4, k ? &tokens : NULL, &scratch, &d, &err), VNP_OK);
        assert_int_equal(d.frame, VNP_FRAME_ERR);
        assert_string_equal(d.err.stage, "vnp-pool");
        assert_string_equal(d.err.msg, failure.msg);
        assert_int_equal(d.err.status, VNP_IO);
    }
    vnp_buf_free(&b);
    vnp_buf_free(&scratch);
}

static void a_key_missing_doubled_or_of_another_type(void **state)
{
    (void)state;
    struct sample s[SAMPLES];
    struct sample_key keys[20];
    struct vnp_err err;
    samples_make(s);
    for (int i = 0; i < SAMPLES; i++) {
        int n = sample_keys(keys, s[i].frame.p + 4, s[i].frame.n - 4);
        assert_int_equal(try_map(&s[i], s[i].frame.p + 4, s[i].frame.n - 4, &err), VNP_OK);
        for (int k = 0; k < n; k++) {
            const bool optional = strcmp(keys[k].name, "pad") == 0;
            assert_int_equal(try_spoilt(&s[i], SPOIL_DROP, keys[k].name, NULL, 0, &err), optional ? VNP_OK : VNP_DATA);
            assert_int_equal(try_spoilt(&s[i], SPOIL_DOUBLE, keys[k].name, NULL, 0, &err), VNP_DATA);
            for (int v = 0; v < SAMPLE_VALUES; v++)
                if (sample_values[v].type != keys[k].type)
                    assert_int_equal(try_spoilt(&s[i], SPOIL_REPLACE, keys[k].name, sample_values[v].bytes,
                                                sample_values[v].n, &err),
                                     VNP_DATA);
        }
        for (int v = 0; v < SAMPLE_VALUES; v++) /* what a newer minor version might add */
            assert_int_equal(try_spoilt(&s[i], SPOIL_ADD, "new", sample_values[v].bytes, sample_values[v].n, &err),
                             VNP_OK);
    }
    samples_free(s);
}

#define VALUE(bytes) bytes, sizeof bytes - 1

static void values_out_of_range(void **state)
{
    (void)state;
    static const struct {
        const char *sample, *key, *value;
        size_t n;
        const char *says;
    } cases[] = {
        {"tokens", "n", VALUE("\x00"), "0 rows"},
        {"tokens", "n", VALUE("\x02"), "2 rows"},
        {"tokens", "n", VALUE("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), "rows"},
        {"tokens", "n", VALUE("\xcf\x20\x00\x00\x00\x00\x00\x00\x03"), "rows"},
        {"tokens", "t", VALUE("\xa5""batch"), "batch"},
        {"tokens", "t", VALUE("\xa4""head"), "second head"},
        {"tokens", "t", VALUE("\xa4""what"), "what"},
        {"tokens", "t", VALUE("\xa0"), "in a stream of"},
        {"tokens", "id", VALUE("\x92\xa1""a\xa1""b"), "ids"},
        {"tokens", "id", VALUE("\x93\xa1""a\xa1""b\x01"), "not a text"},
        {"tokens", "ord", VALUE("\xc4\x17" "12345678123456781234567"), "\"ord\""},
        {"tokens", "len", VALUE("\xc4\x0d" "1234567812345"), "\"len\""},
        {"tokens", "total", VALUE("\xc4\x00"), "\"total\""},
        {"tokens", "flags", VALUE("\xc4\x0b" "12345678123"), "\"flags\""},
        {"tokens", "ntok", VALUE("\xc4\x10" "1234567812345678"), "\"ntok\""},
        {"tokens", "ntok", VALUE("\xc4\x0c\x05\0\0\0\x02\0\0\0\x04\0\0\0"), "11 expected"},
        {"tokens", "ntok", VALUE("\xc4\x0c\x09\0\0\0\x02\0\0\0\x01\0\0\0"), "special"},
        {"tokens", "ntok", VALUE("\xc4\x0c\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "expected"},
        {"tokens", "ntok", VALUE("\xc4\x0c\x0e\0\0\x80\0\0\0\x80\x02\0\0\0"), "4294967312 expected"},
        {"tokens", "len", VALUE("\xc4\x0c\x05\0\0\0\0\0\0\0\x02\0\0\0"), "more residues"},
        {"tokens", "tok", VALUE("\xc4\x0b" "\1\1\1\1\1\1\1\1\1\1\1"), "11 bytes"},
        {"tokens", "tok", VALUE("\xc4\x0c" "\1\1\1\1\1\1\1\1\1\1\1\x21"), "vocabulary"},
        {"tokens", "pad", VALUE("\xc4\x40" "1234567812345678123456781234567812345678123456781234567812345678"), "\"pad\""},
        {"tokens with windows", "win", VALUE("\xc4\x0c\x02\0\0\0\x01\0\0\0\0\0\0\0"), "window number"},
        {"tokens with windows", "wins", VALUE("\xc4\x0c\0\0\0\0\x02\0\0\0\x01\0\0\0"), "window number"},
        {"tokens with windows", "start",
         VALUE("\xc4\x18\x03\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0"), "more residues"},
        {"tokens with windows", "start",
         VALUE("\xc4\x18\xff\xff\xff\xff\xff\xff\xff\xff\x04\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0"), "more residues"},
        {"tokens with windows", "win", VALUE("\xc4\x08\x02\0\0\0\x01\0\0\0"), "\"win\""},
        {"hidden", "data", VALUE("\xc4\x01z"), "expected"},
        {"embeddings", "data", VALUE("\xc4\x00"), "60 expected"},
        {"per residue", "len", VALUE("\xc4\x0c\xff\xff\xff\xff\0\0\0\0\x02\0\0\0"), "more residues"},
        {"end", "crc32", VALUE("\xcf\0\0\0\x01\0\0\0\0"), "32 bits"},
        {"err", "status", VALUE("\x00"), "status"},
        {"err", "status", VALUE("\xcd\x01\x00"), "status"},
    };
    struct sample s[SAMPLES];
    struct vnp_err err;
    samples_make(s);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        int i = 0;
        while (strcmp(s[i].name, cases[c].sample) != 0)
            i++;
        if (try_spoilt(&s[i], SPOIL_REPLACE, cases[c].key, cases[c].value, cases[c].n, &err) != VNP_DATA ||
            strstr(err.msg, cases[c].says) == NULL)
            fail_msg("%s: %s, case %zu: \"%s\" does not say \"%s\"", cases[c].sample, cases[c].key, c, err.msg,
                     cases[c].says);
    }
    samples_free(s);
}

static void heads_out_of_range(void **state)
{
    (void)state;
    static const struct {
        enum vnp_kind kind;
        const char *key, *value;
        size_t n;
        enum vnp_status want;
        const char *says;
    } cases[] = {
        {VNP_TOKENS, "v", VALUE("\x92\x02\x00"), VNP_DATA, "version 2"},
        {VNP_TOKENS, "v", VALUE("\x92\x00\x00"), VNP_DATA, "version 0"},
        {VNP_TOKENS, "v", VALUE("\x92\x01\x09"), VNP_OK, ""},
        {VNP_TOKENS, "v", VALUE("\x91\x01"), VNP_DATA, "major"},
        {VNP_TOKENS, "v", VALUE("\x93\x01\x00\x00"), VNP_DATA, "major"},
        {VNP_TOKENS, "v", VALUE("\x92\xa1x\x00"), VNP_DATA, "major"},
        {VNP_TOKENS, "v", VALUE("\x92\x01\xa1x"), VNP_DATA, "major"},
        {VNP_TOKENS, "v", VALUE("\x92\xcf\0\0\0\x01\0\0\0\x01\x00"), VNP_DATA, "version"},
        {VNP_TOKENS, "kind", VALUE("\xa6tokenz"), VNP_DATA, "kind"},
        {VNP_TOKENS, "kind", VALUE("\xa6hidden"), VNP_DATA, "lacks"},
        {VNP_TOKENS, "by", VALUE("\x91\x01"), VNP_DATA, "not a map"},
        {VNP_TOKENS, "by", VALUE("\x9d\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"), VNP_DATA, "too many"},
        {VNP_TOKENS, "by", VALUE("\x91\x83\xa5stage\x01\xa7version\xa1x\xa6params\x80"), VNP_DATA, "type"},
        {VNP_TOKENS, "by", VALUE("\x91\x83\xa5stage\xa1x\xa7version\xa1x\xa6params\x81\xa1x\x01"), VNP_DATA, "text"},
        {VNP_TOKENS, "by", VALUE("\x91\x83\xa5stage\xa3x\0y\xa7version\xa1x\xa6params\x80"), VNP_DATA, "text"},
        {VNP_TOKENS, "by", VALUE("\x91\x83\xa5stage\xa1x\xa7version\xa1x\xa6params\x82\xa1x\xa1y\xa1x\xa1y"), VNP_DATA,
         "\"x\" twice"},
        {VNP_TOKENS, "vocab", VALUE("\x80"), VNP_DATA, "vocab"},
        {VNP_TOKENS, "vocab", VALUE("\x85\xa4name\xa1x\xa4size\x00\xa6prefix\x01\xa6suffix\x01\xa5""bytes\x01"),
         VNP_DATA, "vocab.size"},
        {VNP_TOKENS, "vocab", VALUE("\x85\xa4name\xa1x\xa4size\xcd\x01\x01\xa6prefix\x01\xa6suffix\x01\xa5""bytes\x01"),
         VNP_DATA, "vocab.size"},
        {VNP_TOKENS, "vocab", VALUE("\x85\xa4name\xa1x\xa4size\x09\xa6prefix\x01\xa6suffix\x01\xa5""bytes\x03"),
         VNP_DATA, "vocab.bytes"},
        {VNP_TOKENS, "vocab", VALUE("\x85\xa4name\xa1x\xa4size\x09\xa6prefix\x20\xa6suffix\x01\xa5""bytes\x01"),
         VNP_DATA, "vocab.prefix"},
        {VNP_HIDDEN, "width", VALUE("\x00"), VNP_DATA, "width"},
        {VNP_HIDDEN, "width", VALUE("\xcf\x40\0\0\0\0\0\0\0"), VNP_DATA, "width"},
        {VNP_HIDDEN, "layer", VALUE("\xcf\x40\0\0\0\0\0\0\0"), VNP_DATA, "layer"},
        {VNP_HIDDEN, "dtype", VALUE("\xa3""f64"), VNP_DATA, "dtype"},
        {VNP_EMBEDDINGS, "pool", VALUE("\xa3sum"), VNP_DATA, "pool"},
        {VNP_EMBEDDINGS, "model", VALUE("\x81\xa4name\xa1x"), VNP_DATA, "fingerprint"},
        {VNP_COPIES, "unique", VALUE("\xa0"), VNP_DATA, "of which records"},
        {VNP_COPIES, "unique", VALUE("\xb4" "12345678901234567890"), VNP_DATA, "at most 19 bytes"},
    };
    struct vnp_err err;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct sample s = {.has_head = false};
        struct vnp_head h = sample_head(cases[c].kind, "mean");
        vnp_encode_head(&s.frame, &h);
        if (try_spoilt(&s, SPOIL_REPLACE, cases[c].key, cases[c].value, cases[c].n, &err) != cases[c].want ||
            strstr(err.msg, cases[c].says) == NULL)
            fail_msg("head: %s, case %zu: \"%s\" does not say \"%s\"", cases[c].key, c, err.msg, cases[c].says);
        vnp_buf_free(&s.frame);
    }
}

static void some_window_columns_but_not_all(void **state)
{
    (void)state;
    static const char *const keys[] = {"win", "wins", "start"};
    struct sample s[SAMPLES];
    struct vnp_err err;
    samples_make(s);
    for (int k = 0; k < 3; k++) {
        assert_int_equal(try_spoilt(&s[2], SPOIL_DROP, keys[k], NULL, 0, &err), VNP_DATA);
        assert_non_null(strstr(err.msg, "not all"));
        assert_int_equal(try_spoilt(&s[0], SPOIL_ADD, keys[k], VALUE("\xc4\x0c\0\0\0\0\0\0\0\0\0\0\0\0"), &err),
                         VNP_DATA);
    }
    samples_free(s);
}

static void frames_in_the_wrong_place(void **state)
{
    (void)state;
    struct sample s[SAMPLES];
    struct vnp_err err;
    samples_make(s);
    for (int i = 0; i < SAMPLES; i++) {
        struct sample misplaced = s[i];
        if (strcmp(s[i].name, "err") == 0)
            continue;
        misplaced.has_head = !s[i].has_head;
        misplaced.head = sample_head(VNP_TOKENS, "");
        assert_int_equal(try_map(&misplaced, s[i].frame.p + 4, s[i].frame.n - 4, &err), VNP_DATA);
        if (s[i].has_head && strcmp(s[i].name, "end") != 0) /* a block in a stream of another kind */
            for (int kind = VNP_TOKENS; kind <= VNP_COPIES; kind++) {
                misplaced.has_head = true;
                misplaced.head = sample_head((enum vnp_kind)kind, "mean");
                if (misplaced.head.kind != s[i].head.kind)
                    assert_int_equal(try_map(&misplaced, s[i].frame.p + 4, s[i].frame.n - 4, &err), VNP_DATA);
            }
    }
    samples_free(s);
}

/* Tiny messages that claim to be huge must be refused before anything is allocated for them. */
static void claims_are_not_believed(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
    } cases[] = {{VALUE("\xdf\xff\xff\xff\xff")},     {VALUE("\xdd\xff\xff\xff\xff")},
                 {VALUE("\xdd\xff\xff\xff\xff\x01")}, {VALUE("\xde\xff\xff\xa1t")},
                 {VALUE("\xc6\xff\xff\xff\xff")},     {VALUE("\xdb\xff\xff\xff\xffx")},
                 {VALUE("\xc9\xff\xff\xff\xff\x01")}, {VALUE("\x81\xa1t\xdd\x10\x00\x00\x00")},
                 {VALUE("\x81\xa1t")},                {VALUE("\x82\xa1t\xa3""end")},
                 {VALUE("")},                         {VALUE("\xc1")},
                 {VALUE("\x81")},                     {VALUE("\xdf\x7f\xff\xff\xff\xa1t\xa3""end")},
                 {VALUE("\x81\xa1t\xc4")},            {VALUE("\xda\x00")},
                 {VALUE("\x80\x80")},                 {VALUE("\xa3""end")},
                 {VALUE("\x93\xa1t\x01\x02")},        {VALUE("\xcf\x01\x02")}};
    struct sample s = {.has_head = true, .head = sample_head(VNP_TOKENS, "")};
    struct vnp_err err;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
        for (int k = 0; k < 2; k++) {
            s.has_head = k;
            assert_int_equal(try_map(&s, cases[c].bytes, cases[c].n, &err), VNP_DATA);
        }
}

static void deep_nesting(void **state)
{
    (void)state;
    enum { DEEP = 200000 };
    struct sample s = {.has_head = true, .head = sample_head(VNP_TOKENS, "")};
    struct vnp_err err;
    char *deep = malloc(DEEP + 1);
    for (int k = 0; k < 2; k++) {
        memset(deep, k ? 0x91 : 0x81, DEEP);
        if (!k)
            for (int i = 1; i < DEEP; i += 2)
                deep[i] = '\x01'; /* {1: {1: ... */
        deep[DEEP] = '\xc0';
        assert_int_equal(try_map(&s, deep, DEEP + 1, &err), VNP_DATA);
    }
    free(deep);
}

/* A million one-byte messages would become tens of megabytes. */
static void many_small_messages(void **state)
{
    (void)state;
    enum { MANY = 1000000 };
    struct sample s[SAMPLES];
    struct vnp_err err;
    samples_make(s);
    char *array = malloc(MANY + 5);
    memcpy(array, "\xdd\x00\x0f\x42\x40", 5);
    memset(array + 5, 1, MANY);
    assert_int_equal(try_spoilt(&s[0], SPOIL_ADD, "new", array, MANY + 5, &err), VNP_DATA);
    memcpy(array, "\xdd\x00\x00\x03\xe8", 5); /* a thousand are fine */
    assert_int_equal(try_spoilt(&s[0], SPOIL_ADD, "new", array, 1005, &err), VNP_OK);
    free(array);
    samples_free(s);
}

/* Every prefix of every frame, and every frame with a byte too many. */
static void frames_cut_and_extended(void **state)
{
    (void)state;
    struct sample s[SAMPLES];
    struct vnp_err err;
    samples_make(s);
    for (int i = 0; i < SAMPLES; i++) {
        for (size_t n = 0; n < s[i].frame.n - 4; n++)
            assert_int_equal(try_map(&s[i], s[i].frame.p + 4, n, &err), VNP_DATA);
        sample_append(&s[i].frame, "\xc0", 1);
        assert_int_equal(try_map(&s[i], s[i].frame.p + 4, s[i].frame.n - 4, &err), VNP_DATA);
    }
    samples_free(s);
}

/* Any byte may come out as any other: never a crash, and no read outside (the sanitizers watch). */
static void random_damage(void **state)
{
    (void)state;
    struct sample s[SAMPLES];
    struct vnp_err err;
    uint32_t seed = 1;
    int accepted = 0;
    samples_make(s);
    for (int i = 0; i < SAMPLES; i++)
        for (int round = 0; round < 3000; round++) {
            struct vnp_buf damaged = {0};
            sample_append(&damaged, s[i].frame.p + 4, s[i].frame.n - 4);
            for (uint32_t k = 0; k < 1 + seed % 3; k++) {
                seed = seed * 1664525 + 1013904223;
                damaged.p[(seed >> 8) % damaged.n] = (uint8_t)(seed >> 3);
            }
            accepted += try_map(&s[i], damaged.p, damaged.n, &err) == VNP_OK;
            vnp_buf_free(&damaged);
        }
    assert_true(accepted > 0); /* values that nobody can know are wrong: the checksum is for those */
    samples_free(s);
}

static void a_block_over_the_limit(void **state)
{
    (void)state;
    struct vnp_head h = sample_head(VNP_HIDDEN, "");
    struct vnp_block b = sample_block(&h, false);
    struct vnp_buf frame = {0};
    struct vnp_err err;
    assert_int_equal(vnp_encode_block(&frame, &h, &b, 300, &err), VNP_DATA);
    assert_non_null(strstr(err.msg, "limit of 300"));
    assert_non_null(strstr(err.msg, "sp|P1|a"));
    assert_int_equal(vnp_encode_block(&frame, &h, &b, 1000, &err), VNP_OK);
    vnp_buf_free(&frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_round_trip),
        cmocka_unit_test(heads_ends_and_errors_round_trip),
        cmocka_unit_test(a_key_missing_doubled_or_of_another_type),
        cmocka_unit_test(values_out_of_range),
        cmocka_unit_test(heads_out_of_range),
        cmocka_unit_test(some_window_columns_but_not_all),
        cmocka_unit_test(frames_in_the_wrong_place),
        cmocka_unit_test(claims_are_not_believed),
        cmocka_unit_test(deep_nesting),
        cmocka_unit_test(many_small_messages),
        cmocka_unit_test(frames_cut_and_extended),
        cmocka_unit_test(random_damage),
        cmocka_unit_test(a_block_over_the_limit),
    };
    cap_memory();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
