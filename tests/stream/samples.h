/* Small streams of every kind, and ways to spoil their frames. */
#ifndef VNP_TEST_SAMPLES_H
#define VNP_TEST_SAMPLES_H

#include <msgpack.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "log.h"

enum { SAMPLE_ROWS = 3, SAMPLE_WIDTH = 5 };

static inline struct vnp_head sample_head(enum vnp_kind kind, const char *pool)
{
    struct vnp_head h = {.kind = kind, .vocab = "esm2", .vocab_size = 33, .prefix = 1, .suffix = 1, .token_bytes = 1};
    struct vnp_producer *p = vnp_head_add_stage(&h, "vnp-fasta2tok");
    vnp_producer_param(p, "max-len", "%d", 1022);
    if (kind == VNP_HIDDEN || kind == VNP_EMBEDDINGS) {
        strcpy(h.model, "tiny");
        strcpy(h.fingerprint, "0123456789abcdef");
        h.layer = 2;
        h.width = SAMPLE_WIDTH;
    }
    if (kind == VNP_EMBEDDINGS) {
        strcpy(h.pool, pool);
        h.ordered = true;
    }
    if (kind == VNP_COPIES)
        strcpy(h.unique, "fedcba9876543210");
    return h;
}

/* Three rows, borrowed from static storage: records of 4, 0 and 2 residues, or two windows of a record of 4 and one of 2.
 * `part` makes them the next records of the stream. */
static inline struct vnp_block sample_block_of(const struct vnp_head *h, bool windows, int part)
{
    static uint64_t ordinal[SAMPLE_ROWS];
    static const uint64_t whole[] = {4, 0, 9}, long_record[] = {4, 4, 9}, start[] = {0, 3, 0};
    static const struct vnp_str long_id[] = {{"sp|P1|a", 7}, {"sp|P1|a", 7}, {"b\xff", 2}};
    static const uint32_t long_residues[] = {3, 1, 2}, long_flags[] = {0, 0, VNP_TRUNCATED};
    static const struct vnp_str id[] = {{"sp|P1|a", 7}, {"", 0}, {"b\xff", 2}};
    static const uint32_t residues[] = {4, 0, 2}, flags[] = {0, VNP_EMPTY, VNP_TRUNCATED}, tokens[] = {6, 2, 4};
    static const uint32_t window[] = {0, 1, 0}, n_windows[] = {2, 2, 1};
    static _Alignas(64) uint8_t bulk[12 * SAMPLE_WIDTH * 4];
    for (int i = 0; i < SAMPLE_ROWS; i++)
        ordinal[i] = windows ? (uint64_t)(2 * part + i / 2) : (uint64_t)(SAMPLE_ROWS * part + i);
    struct vnp_block b = {.n = SAMPLE_ROWS, .ordinal = ordinal, .id = id, .residues = residues, .total = whole,
                          .flags = flags, .tokens = tokens, .bulk = bulk};
    if (windows) {
        b.window = window;
        b.windows = n_windows;
        b.start = start;
        b.total = long_record;
        b.id = long_id;
        b.residues = long_residues;
        b.flags = long_flags;
    }
    if (h->kind == VNP_COPIES) { /* the third equals the first */
        const uint64_t of = 2 * (uint64_t)part, slot = (uint64_t)part + 1;
        const struct vnp_copy copies[] = {{of, slot}, {of + 1, 0}, {of, slot}};
        b.bulk_bytes = sizeof copies;
        memcpy(bulk, copies, sizeof copies);
    } else if (vnp_kind_tokens(h->kind)) {
        b.bulk_bytes = 12 * h->token_bytes;
        for (int i = 0; i < b.bulk_bytes; i++)
            bulk[i] = h->token_bytes == 1 || i % 2 == 0 ? (uint8_t)(i % 33) : 0;
    } else {
        int vectors = h->kind == VNP_HIDDEN ? 12 : strcmp(h->pool, "none") == 0 ? 6 : 3;
        b.bulk_bytes = vectors * h->width * (int64_t)vnp_dtype_bytes(h->dtype);
        for (int i = 0; i < vectors * h->width; i++) {
            float x = (float)i / 8 - 1;
            memcpy(bulk + 4 * i, &x, 4);
        }
    }
    return b;
}

static inline struct vnp_block sample_block(const struct vnp_head *h, bool windows)
{
    return sample_block_of(h, windows, 0);
}

static inline void sample_append(struct vnp_buf *to, const void *bytes, size_t n)
{
    if (!vnp_buf_reserve(to, to->n + n))
        abort();
    if (n > 0)
        memcpy(to->p + to->n, bytes, n);
    to->n += n;
}

/* The block's frame, bulk and all, in *frame. */
static inline void sample_frame(struct vnp_buf *frame, const struct vnp_head *h, const struct vnp_block *b)
{
    struct vnp_err err;
    if (vnp_encode_block(frame, h, b, 1 << 30, &err) != VNP_OK)
        abort();
    sample_append(frame, b->bulk, (size_t)b->bulk_bytes);
}

/* What to do to a frame's map: see spoil(). */
enum spoil { SPOIL_DROP, SPOIL_DOUBLE, SPOIL_REPLACE, SPOIL_ADD };

static inline int sample_write(void *data, const char *bytes, size_t n)
{
    sample_append(data, bytes, n);
    return 0;
}

/* Copies the map in `payload` with one change: the key dropped, doubled, or its value replaced by the msgpack message
 * `value`; or a key added with that value. The result, without a length, is in *out. */
static inline void spoil(struct vnp_buf *out, const uint8_t *payload, size_t n, enum spoil how, const char *key,
                         const void *value, size_t value_bytes)
{
    msgpack_unpacked u;
    msgpack_packer pk;
    size_t off = 0;
    msgpack_unpacked_init(&u);
    if (msgpack_unpack_next(&u, (const char *)payload, n, &off) != MSGPACK_UNPACK_SUCCESS)
        abort();
    const msgpack_object_map *map = &u.data.via.map;
    out->n = 0;
    msgpack_packer_init(&pk, out, sample_write);
    msgpack_pack_map(&pk, map->size + (how == SPOIL_DROP ? -1 : how == SPOIL_REPLACE ? 0 : 1));
    for (uint32_t i = 0; i < map->size; i++) {
        const msgpack_object *k = &map->ptr[i].key;
        bool hit = k->via.str.size == strlen(key) && memcmp(k->via.str.ptr, key, strlen(key)) == 0;
        for (int times = !hit ? 1 : how == SPOIL_DROP ? 0 : how == SPOIL_DOUBLE ? 2 : 1; times > 0; times--) {
            msgpack_pack_object(&pk, *k);
            if (hit && how == SPOIL_REPLACE)
                sample_append(out, value, value_bytes);
            else
                msgpack_pack_object(&pk, map->ptr[i].val);
        }
    }
    if (how == SPOIL_ADD) {
        msgpack_pack_str(&pk, strlen(key));
        msgpack_pack_str_body(&pk, key, strlen(key));
        sample_append(out, value, value_bytes);
    }
    msgpack_unpacked_destroy(&u);
}

/* The keys of a frame's map, and the type of each. */
struct sample_key {
    char name[16];
    msgpack_object_type type;
};
static inline int sample_keys(struct sample_key keys[20], const uint8_t *payload, size_t n)
{
    msgpack_unpacked u;
    size_t off = 0;
    int count = 0;
    msgpack_unpacked_init(&u);
    if (msgpack_unpack_next(&u, (const char *)payload, n, &off) != MSGPACK_UNPACK_SUCCESS)
        abort();
    for (uint32_t i = 0; i < u.data.via.map.size; i++) {
        const msgpack_object_kv *kv = &u.data.via.map.ptr[i];
        memset(&keys[count], 0, sizeof keys[count]);
        memcpy(keys[count].name, kv->key.via.str.ptr, kv->key.via.str.size);
        keys[count++].type = kv->val.type;
    }
    msgpack_unpacked_destroy(&u);
    return count;
}

/* A value of each type that msgpack has. */
struct sample_value {
    msgpack_object_type type;
    const char *bytes;
    size_t n;
};
static const struct sample_value sample_values[] = {
    {MSGPACK_OBJECT_NIL, "\xc0", 1},
    {MSGPACK_OBJECT_BOOLEAN, "\xc3", 1},
    {MSGPACK_OBJECT_POSITIVE_INTEGER, "\x07", 1},
    {MSGPACK_OBJECT_NEGATIVE_INTEGER, "\xff", 1},
    {MSGPACK_OBJECT_FLOAT64, "\xcb\x40\x08\x00\x00\x00\x00\x00\x00", 9},
    {MSGPACK_OBJECT_STR, "\xa1x", 2},
    {MSGPACK_OBJECT_ARRAY, "\x91\x01", 2},
    {MSGPACK_OBJECT_MAP, "\x81\xa1k\x01", 4},
    {MSGPACK_OBJECT_BIN, "\xc4\x01z", 3},
    {MSGPACK_OBJECT_EXT, "\xd4\x05z", 3},
};
enum { SAMPLE_VALUES = sizeof sample_values / sizeof sample_values[0] };

/* One frame of every sort, with the head of the stream that it belongs to (`has_head`: it is not the first). */
struct sample {
    const char *name;
    bool has_head;
    struct vnp_head head;
    struct vnp_buf frame; /* length and map */
};
enum { SAMPLES = 15 };
static inline void samples_make(struct sample s[SAMPLES])
{
    static const struct {
        const char *name;
        enum vnp_kind kind;
        const char *pool;
        bool windows;
    } kinds[] = {{"tokens", VNP_TOKENS, "", false},       {"tokens with windows", VNP_TOKENS, "", true},
                 {"batches", VNP_BATCHES, "", false},     {"hidden", VNP_HIDDEN, "", true},
                 {"embeddings", VNP_EMBEDDINGS, "mean", false}, {"per residue", VNP_EMBEDDINGS, "none", false}, {"copies", VNP_COPIES, "", false}};
    const struct vnp_totals totals = {3, 3, 12, 1, 0, 0};
    struct vnp_err failure = {.status = VNP_DATA, .msg = "in.fa:7: no"};
    memset(s, 0, SAMPLES * sizeof *s);
    int n = 0;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct vnp_head h = sample_head(kinds[k].kind, kinds[k].pool);
        struct vnp_block b = sample_block(&h, kinds[k].windows);
        s[n].name = kinds[k].name;
        s[n].has_head = true;
        s[n].head = h;
        sample_frame(&s[n++].frame, &h, &b);
        if (k == 1)
            continue; /* its head is that of k == 0 */
        s[n].name = "a head";
        vnp_encode_head(&s[n++].frame, &h);
    }
    s[n].name = "end";
    s[n].has_head = true;
    s[n].head = sample_head(VNP_TOKENS, "");
    vnp_encode_end(&s[n++].frame, &totals, 0xdeadbeef);
    s[n].name = "err";
    vnp_encode_err(&s[n++].frame, "vnp-pack", &failure);
    if (n != SAMPLES)
        abort();
}

static inline void samples_free(struct sample s[SAMPLES])
{
    for (int i = 0; i < SAMPLES; i++)
        vnp_buf_free(&s[i].frame);
}

#endif
