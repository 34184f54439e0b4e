/* The layout of frames, incoming: nothing in a frame is believed until it has been checked. Its twin is encode.c. */
#include <msgpack.h>
#include <stdio.h>
#include <string.h>

#include "block.h"
#include "msgscan.h"
#include "pool.h"

/* One key that a map may hold. `out` is left NULL when an optional key is absent. */
struct field {
    const char *key;
    msgpack_object_type type;
    bool required;
    const msgpack_object **out;
};

static bool str_is(const msgpack_object *o, const char *s)
{
    return o->type == MSGPACK_OBJECT_STR && o->via.str.size == strlen(s) && memcmp(o->via.str.ptr, s, strlen(s)) == 0;
}

/* Finds the fields of a map. Unknown keys are passed over: a newer minor version may add some. */
static enum vnp_status get_fields(const msgpack_object *map, const char *where, struct field *f, int n,
                                  struct vnp_err *err)
{
    if (map->type != MSGPACK_OBJECT_MAP)
        return vnp_error(err, VNP_DATA, "%s is not a map", where);
    for (int i = 0; i < n; i++)
        *f[i].out = NULL;
    for (uint32_t k = 0; k < map->via.map.size; k++) {
        const msgpack_object_kv *kv = &map->via.map.ptr[k];
        for (int i = 0; i < n; i++) {
            if (!str_is(&kv->key, f[i].key))
                continue;
            if (*f[i].out != NULL)
                return vnp_error(err, VNP_DATA, "%s holds \"%s\" twice", where, f[i].key);
            if (kv->val.type != f[i].type)
                return vnp_error(err, VNP_DATA, "%s: \"%s\" has the wrong type", where, f[i].key);
            *f[i].out = &kv->val;
        }
    }
    for (int i = 0; i < n; i++)
        if (f[i].required && *f[i].out == NULL)
            return vnp_error(err, VNP_DATA, "%s has no \"%s\"", where, f[i].key);
    return VNP_OK;
}

/* A str into a fixed field: longer ones and embedded NULs are refused. */
static enum vnp_status get_text(char *dst, size_t cap, const msgpack_object *o, const char *what, struct vnp_err *err)
{
    if (o->type != MSGPACK_OBJECT_STR || o->via.str.size >= cap || memchr(o->via.str.ptr, 0, o->via.str.size) != NULL)
        return vnp_error(err, VNP_DATA, "%s is not a text of at most %zu bytes", what, cap - 1);
    memcpy(dst, o->via.str.ptr, o->via.str.size);
    dst[o->via.str.size] = '\0';
    return VNP_OK;
}

static enum vnp_status get_int(int *dst, const msgpack_object *o, int lo, int hi, const char *what,
                               struct vnp_err *err)
{
    if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER || o->via.u64 < (uint64_t)lo || o->via.u64 > (uint64_t)hi)
        return vnp_error(err, VNP_DATA, "%s is not a number from %d to %d", what, lo, hi);
    *dst = (int)o->via.u64;
    return VNP_OK;
}

static enum vnp_status get_choice(int *dst, const msgpack_object *o, const char *const *names, int n, const char *what,
                                  struct vnp_err *err)
{
    for (*dst = 0; *dst < n; ++*dst)
        if (str_is(o, names[*dst]))
            return VNP_OK;
    return vnp_error(err, VNP_DATA, "%s is not one that this version knows", what);
}

static enum vnp_status decode_params(struct vnp_producer *p, const msgpack_object *params, struct vnp_err *err)
{
    enum vnp_status st = VNP_OK;
    if (params->via.map.size > sizeof p->params / sizeof p->params[0])
        return vnp_error(err, VNP_DATA, "the head holds too many parameters");
    for (uint32_t i = 0; i < params->via.map.size && st == VNP_OK; i++) {
        struct vnp_param *param = &p->params[p->n_params];
        st = get_text(param->key, sizeof param->key, &params->via.map.ptr[i].key, "a parameter's name", err);
        if (st == VNP_OK)
            st = get_text(param->value, sizeof param->value, &params->via.map.ptr[i].val, "a parameter", err);
        for (int k = 0; k < p->n_params && st == VNP_OK; k++)
            if (strcmp(p->params[k].key, param->key) == 0)
                st = vnp_error(err, VNP_DATA, "the parameters of a stage in the head hold \"%s\" twice", param->key);
        p->n_params++;
    }
    return st;
}

static enum vnp_status decode_producers(struct vnp_head *h, const msgpack_object *by, struct vnp_err *err)
{
    if (by->via.array.size > sizeof h->by / sizeof h->by[0])
        return vnp_error(err, VNP_DATA, "the head names %u stages: too many", by->via.array.size);
    for (uint32_t i = 0; i < by->via.array.size; i++) {
        const msgpack_object *stage, *version, *params;
        struct field f[] = {{"stage", MSGPACK_OBJECT_STR, true, &stage},
                            {"version", MSGPACK_OBJECT_STR, true, &version},
                            {"params", MSGPACK_OBJECT_MAP, true, &params}};
        struct vnp_producer *p = &h->by[h->n_by++];
        enum vnp_status st = get_fields(&by->via.array.ptr[i], "a stage in the head", f, 3, err);
        if (st == VNP_OK)
            st = get_text(p->stage, sizeof p->stage, stage, "a stage's name", err);
        if (st == VNP_OK)
            st = get_text(p->version, sizeof p->version, version, "a stage's version", err);
        if (st == VNP_OK)
            st = decode_params(p, params, err);
        if (st != VNP_OK)
            return st;
    }
    return VNP_OK;
}

static enum vnp_status decode_vocab(struct vnp_head *h, const msgpack_object *vocab, struct vnp_err *err)
{
    const msgpack_object *name, *size, *prefix, *suffix, *bytes;
    struct field f[] = {{"name", MSGPACK_OBJECT_STR, true, &name},
                        {"size", MSGPACK_OBJECT_POSITIVE_INTEGER, true, &size},
                        {"prefix", MSGPACK_OBJECT_POSITIVE_INTEGER, true, &prefix},
                        {"suffix", MSGPACK_OBJECT_POSITIVE_INTEGER, true, &suffix},
                        {"bytes", MSGPACK_OBJECT_POSITIVE_INTEGER, true, &bytes}};
    enum vnp_status st = get_fields(vocab, "vocab", f, 5, err);
    if (st == VNP_OK)
        st = get_text(h->vocab, sizeof h->vocab, name, "the vocabulary's name", err);
    if (st == VNP_OK)
        st = get_int(&h->token_bytes, bytes, 1, 2, "vocab.bytes", err);
    if (st == VNP_OK)
        st = get_int(&h->vocab_size, size, 1, h->token_bytes == 1 ? 256 : 65536, "vocab.size", err);
    if (st == VNP_OK)
        st = get_int(&h->prefix, prefix, 0, 16, "vocab.prefix", err);
    if (st == VNP_OK)
        st = get_int(&h->suffix, suffix, 0, 16, "vocab.suffix", err);
    return st;
}

/* The part of a head that only streams of vectors have. */
static enum vnp_status decode_vectors(struct vnp_head *h, const msgpack_object *model, const msgpack_object *layer,
                                      const msgpack_object *dtype, const msgpack_object *width,
                                      const msgpack_object *pool, const msgpack_object *ordered, struct vnp_err *err)
{
    const msgpack_object *name, *fingerprint;
    struct field f[] = {{"name", MSGPACK_OBJECT_STR, true, &name},
                        {"fingerprint", MSGPACK_OBJECT_STR, true, &fingerprint}};
    int choice = 0;
    if (model == NULL || layer == NULL || dtype == NULL || width == NULL ||
        ((pool == NULL || ordered == NULL) && h->kind == VNP_EMBEDDINGS))
        return vnp_error(err, VNP_DATA,
                         "the head of a stream of vectors lacks its model, layer, dtype, width, pool or ordered");
    enum vnp_status st = get_fields(model, "model", f, 2, err);
    if (st == VNP_OK)
        st = get_text(h->model, sizeof h->model, name, "the model's name", err);
    if (st == VNP_OK)
        st = get_text(h->fingerprint, sizeof h->fingerprint, fingerprint, "the model's fingerprint", err);
    if (st == VNP_OK)
        st = get_int(&h->layer, layer, 0, 65535, "layer", err);
    if (st == VNP_OK)
        st = get_int(&h->width, width, 1, 1 << 20, "width", err);
    if (st == VNP_OK)
        st = get_choice(&choice, dtype, vnp_dtype_names, VNP_DTYPES, "dtype", err);
    h->dtype = (enum vnp_dtype)choice;
    if (st == VNP_OK && h->kind == VNP_EMBEDDINGS) {
        st = get_choice(&choice, pool, vnp_pool_names, VNP_POOLS, "pool", err);
        if (st == VNP_OK)
            snprintf(h->pool, sizeof h->pool, "%s", vnp_pool_names[choice]);
        h->ordered = ordered->via.boolean;
    }
    return st;
}

static enum vnp_status decode_head(const msgpack_object *map, struct vnp_decoded *out, struct vnp_err *err)
{
    const msgpack_object *v, *kind, *first, *by, *vocab, *model, *layer, *dtype, *width, *pool, *ordered, *unique;
    struct field f[] = {{"v", MSGPACK_OBJECT_ARRAY, true, &v},
                        {"kind", MSGPACK_OBJECT_STR, true, &kind},
                        {"first", MSGPACK_OBJECT_POSITIVE_INTEGER, false, &first},
                        {"by", MSGPACK_OBJECT_ARRAY, true, &by},
                        {"vocab", MSGPACK_OBJECT_MAP, true, &vocab},
                        {"model", MSGPACK_OBJECT_MAP, false, &model},
                        {"layer", MSGPACK_OBJECT_POSITIVE_INTEGER, false, &layer},
                        {"dtype", MSGPACK_OBJECT_STR, false, &dtype},
                        {"width", MSGPACK_OBJECT_POSITIVE_INTEGER, false, &width},
                        {"pool", MSGPACK_OBJECT_STR, false, &pool},
                        {"ordered", MSGPACK_OBJECT_BOOLEAN, false, &ordered},
                        {"unique", MSGPACK_OBJECT_STR, false, &unique}};
    struct vnp_head *h = &out->head;
    memset(h, 0, sizeof *h);
    enum vnp_status st = get_fields(map, "the head", f, 12, err);
    if (st != VNP_OK)
        return st;
    if (v->via.array.size != 2 || v->via.array.ptr[0].type != MSGPACK_OBJECT_POSITIVE_INTEGER ||
        v->via.array.ptr[1].type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return vnp_error(err, VNP_DATA, "the head's version is not [major, minor]");
    if (v->via.array.ptr[0].via.u64 != VNP_FORMAT_MAJOR)
        return vnp_error(err, VNP_DATA, "the stream has format version %llu, this program reads version %d; use stages of one release",
                         (unsigned long long)v->via.array.ptr[0].via.u64, VNP_FORMAT_MAJOR);
    int choice;
    st = get_choice(&choice, kind, vnp_kind_names, VNP_KINDS, "the kind of stream", err);
    h->kind = (enum vnp_kind)choice;
    h->first = first != NULL ? first->via.u64 : 0;
    if (st == VNP_OK)
        st = decode_producers(h, by, err);
    if (st == VNP_OK)
        st = decode_vocab(h, vocab, err);
    if (st == VNP_OK && vnp_kind_vectors(h->kind))
        st = decode_vectors(h, model, layer, dtype, width, pool, ordered, err);
    if (st == VNP_OK && unique != NULL)
        st = get_text(h->unique, sizeof h->unique, unique, "\"unique\"", err);
    if (st == VNP_OK && h->unique[0] == '\0' && (unique != NULL || h->kind == VNP_COPIES))
        st = vnp_error(err, VNP_DATA, "\"unique\" does not say of which records");
    return st;
}

/* Hands out aligned pieces of the scratch buffer, which was reserved large enough for all of them. */
static void *take(struct vnp_buf *scratch, size_t bytes)
{
    void *p = scratch->p + scratch->n;
    scratch->n += (bytes + 63) / 64 * 64;
    return p;
}

/* Checks a column's size and copies it to an aligned place. `out` may point to any of the column pointer types. */
static enum vnp_status get_column(const void *out, const msgpack_object *o, const char *key, size_t n, size_t bytes,
                                  struct vnp_buf *scratch, struct vnp_err *err)
{
    if (o->via.bin.size != n * bytes)
        return vnp_error(err, VNP_DATA, "column \"%s\" has %u bytes, %zu expected for %zu rows", key, o->via.bin.size,
                         n * bytes, n);
    void *p = take(scratch, n * bytes);
    memcpy(p, o->via.bin.ptr, n * bytes);
    memcpy((void *)(uintptr_t)out, &p, sizeof p);
    return VNP_OK;
}

/* What is wrong with a row by itself, or NULL. */
static const char *row_fault(const struct vnp_head *h, const struct vnp_block *b, int64_t i)
{
    const uint64_t start = b->window != NULL ? b->start[i] : 0;
    if (b->ordinal[i] < h->first)
        return "comes before the first record of its stream";
    if (b->residues[i] > b->total[i] || start > b->total[i] - b->residues[i])
        return "has more residues than its record";
    if (b->tokens[i] < (uint32_t)(h->prefix + h->suffix))
        return "lacks its special tokens";
    if (((b->flags[i] & VNP_EMPTY) != 0) != (b->total[i] == 0))
        return "is flagged empty and has residues, or the other way round";
    if (b->window != NULL && b->window[i] >= b->windows[i])
        return "has a window number out of range";
    const bool whole = b->window == NULL || b->windows[i] == 1;
    if (!whole && b->residues[i] == 0)
        return "is a window without residues";
    if ((whole || b->window[i] == 0) && start != 0)
        return "does not start where its record does";
    if (whole && b->residues[i] != b->total[i] && !(b->flags[i] & VNP_TRUNCATED))
        return "lacks residues of its record and is not flagged truncated";
    return NULL;
}

static enum vnp_status check_rows(const struct vnp_head *h, const struct vnp_block *b, struct vnp_err *err)
{
    for (int64_t i = 0; i < b->n; i++) {
        const char *bad = row_fault(h, b, i);
        if (bad != NULL)
            return vnp_error(err, VNP_DATA, "row %lld (ordinal %llu) %s", (long long)i,
                             (unsigned long long)b->ordinal[i], bad);
    }
    return VNP_OK;
}

static enum vnp_status check_tokens(const struct vnp_head *h, const struct vnp_block *b, struct vnp_err *err)
{
    uint32_t max = 0;
    int64_t n = b->bulk_bytes / h->token_bytes;
    if (h->token_bytes == 1) {
        const uint8_t *t = b->bulk;
        for (int64_t i = 0; i < n; i++)
            max = t[i] > max ? t[i] : max;
    } else {
        const uint16_t *t = b->bulk;
        for (int64_t i = 0; i < n; i++)
            max = t[i] > max ? t[i] : max;
    }
    if (max >= (uint32_t)h->vocab_size)
        return vnp_error(err, VNP_DATA, "token id %u is outside the vocabulary of %d", max, h->vocab_size);
    return VNP_OK;
}

/* Bytes that the bulk must have, by the columns; UINT64_MAX when that is beyond any frame. */
static uint64_t bulk_size(const struct vnp_head *h, const struct vnp_block *b)
{
    if (h->kind == VNP_COPIES)
        return (uint64_t)b->n * sizeof(struct vnp_copy);
    if (vnp_kind_tokens(h->kind))
        return vnp_sum(b->tokens, b->n) * (uint64_t)h->token_bytes;
    uint64_t rows = h->kind == VNP_HIDDEN             ? vnp_sum(b->tokens, b->n)
                    : strcmp(h->pool, "none") == 0 ? vnp_sum(b->residues, b->n)
                                                      : (uint64_t)b->n;
    uint64_t row_bytes = (uint64_t)h->width * vnp_dtype_bytes(h->dtype);
    return rows > UINT32_MAX ? UINT64_MAX : rows * row_bytes;
}

/* The bulk is used where it lies when that is aligned, as it is in streams of our own making. */
static enum vnp_status get_bulk(const struct vnp_head *h, struct vnp_block *b, const msgpack_object *o,
                                struct vnp_buf *scratch, struct vnp_err *err)
{
    uint64_t want = bulk_size(h, b);
    if (o->via.bin.size != want)
        return vnp_error(err, VNP_DATA, "the %s have %u bytes, %llu expected by the rows",
                         vnp_kind_noun(h->kind),
                         o->via.bin.size, (unsigned long long)want);
    b->bulk = o->via.bin.ptr;
    b->bulk_bytes = (int64_t)want;
    if ((uintptr_t)b->bulk % 64 != 0) {
        void *p = take(scratch, want);
        memcpy(p, b->bulk, want);
        b->bulk = p;
    }
    return vnp_kind_tokens(h->kind) ? check_tokens(h, b, err) : VNP_OK;
}

static enum vnp_status get_ids(struct vnp_block *b, const msgpack_object *ids, struct vnp_buf *scratch,
                               struct vnp_err *err)
{
    struct vnp_str *id = take(scratch, (size_t)b->n * sizeof *id);
    for (int64_t i = 0; i < b->n; i++) {
        const msgpack_object *o = &ids->via.array.ptr[i];
        if (o->type != MSGPACK_OBJECT_STR)
            return vnp_error(err, VNP_DATA, "the id of row %lld is not a text", (long long)i);
        id[i] = (struct vnp_str){o->via.str.ptr, o->via.str.size};
    }
    b->id = id;
    return VNP_OK;
}

static enum vnp_status decode_block(const msgpack_object *map, const struct vnp_head *h, struct vnp_buf *scratch,
                                    struct vnp_decoded *out, struct vnp_err *err)
{
    const msgpack_object *n, *ord, *id, *len, *total, *flags, *ntok, *win, *wins, *start, *pad, *bulk;
    struct field f[] = {{"n", MSGPACK_OBJECT_POSITIVE_INTEGER, true, &n},
                        {"ord", MSGPACK_OBJECT_BIN, true, &ord},
                        {"id", MSGPACK_OBJECT_ARRAY, true, &id},
                        {"len", MSGPACK_OBJECT_BIN, true, &len},
                        {"total", MSGPACK_OBJECT_BIN, true, &total},
                        {"flags", MSGPACK_OBJECT_BIN, true, &flags},
                        {"ntok", MSGPACK_OBJECT_BIN, true, &ntok},
                        {"win", MSGPACK_OBJECT_BIN, false, &win},
                        {"wins", MSGPACK_OBJECT_BIN, false, &wins},
                        {"start", MSGPACK_OBJECT_BIN, false, &start},
                        {"pad", MSGPACK_OBJECT_BIN, false, &pad},
                        {vnp_bulk_key(h->kind), MSGPACK_OBJECT_BIN, true, &bulk}};
    struct vnp_block *b = &out->block;
    memset(b, 0, sizeof *b);
    enum vnp_status st = get_fields(map, "the block", f, 12, err);
    if (st != VNP_OK)
        return st;
    if (n->via.u64 == 0 || n->via.u64 != id->via.array.size)
        return vnp_error(err, VNP_DATA, "a block of %llu rows with %u ids", (unsigned long long)n->via.u64,
                         id->via.array.size);
    if ((win == NULL) != (wins == NULL) || (win == NULL) != (start == NULL))
        return vnp_error(err, VNP_DATA, "the block has some of \"win\", \"wins\" and \"start\" but not all");
    if (pad != NULL && pad->via.bin.size > 63)
        return vnp_error(err, VNP_DATA, "\"pad\" has %u bytes, and 63 at most are wanted", pad->via.bin.size);
    size_t rows = (size_t)n->via.u64;
    b->n = (int64_t)rows;
    scratch->n = 0;
    if (!vnp_buf_reserve(scratch, rows * (3 * 8 + 5 * 4 + sizeof(struct vnp_str)) + 10 * 64 + bulk->via.bin.size))
        return vnp_error(err, VNP_OS, "out of memory for a block of %zu rows", rows);
    st = get_ids(b, id, scratch, err);
    struct {
        const void *out;
        const msgpack_object *from;
        const char *key;
        size_t bytes;
    } columns[] = {{&b->ordinal, ord, "ord", 8}, {&b->residues, len, "len", 4},   {&b->total, total, "total", 8},
                   {&b->flags, flags, "flags", 4}, {&b->tokens, ntok, "ntok", 4}, {&b->window, win, "win", 4},
                   {&b->windows, wins, "wins", 4}, {&b->start, start, "start", 8}};
    for (int i = 0; i < (win != NULL ? 8 : 5) && st == VNP_OK; i++)
        st = get_column(columns[i].out, columns[i].from, columns[i].key, rows, columns[i].bytes, scratch, err);
    if (st == VNP_OK)
        st = check_rows(h, b, err);
    return st == VNP_OK ? get_bulk(h, b, bulk, scratch, err) : st;
}

static enum vnp_status decode_end(const msgpack_object *map, struct vnp_decoded *out, struct vnp_err *err)
{
    const msgpack_object *v[7];
    uint64_t *dst[7] = {&out->totals.sequences, &out->totals.rows, &out->totals.tokens, &out->totals.truncated,
                        &out->totals.redone, &out->totals.nonfinite, NULL};
    static const char *const keys[7] = {"sequences", "rows", "tokens", "truncated", "redone", "nonfinite", "crc32"};
    struct field f[7];
    for (int i = 0; i < 7; i++)
        f[i] = (struct field){keys[i], MSGPACK_OBJECT_POSITIVE_INTEGER, true, &v[i]};
    enum vnp_status st = get_fields(map, "the end frame", f, 7, err);
    if (st != VNP_OK)
        return st;
    for (int i = 0; i < 6; i++)
        *dst[i] = v[i]->via.u64;
    if (v[6]->via.u64 > UINT32_MAX)
        return vnp_error(err, VNP_DATA, "the end frame's crc32 has more than 32 bits");
    out->crc = (uint32_t)v[6]->via.u64;
    return VNP_OK;
}

static enum vnp_status decode_err(const msgpack_object *map, struct vnp_decoded *out, struct vnp_err *err)
{
    const msgpack_object *stage, *status, *message;
    struct field f[] = {{"stage", MSGPACK_OBJECT_STR, true, &stage},
                        {"status", MSGPACK_OBJECT_POSITIVE_INTEGER, true, &status},
                        {"message", MSGPACK_OBJECT_STR, true, &message}};
    int code = 0;
    memset(&out->err, 0, sizeof out->err);
    enum vnp_status st = get_fields(map, "the err frame", f, 3, err);
    if (st == VNP_OK)
        st = get_text(out->err.stage, sizeof out->err.stage, stage, "the failed stage's name", err);
    if (st == VNP_OK)
        st = get_text(out->err.msg, sizeof out->err.msg, message, "the failed stage's message", err);
    if (st == VNP_OK)
        st = get_int(&code, status, 1, 255, "the failed stage's status", err);
    out->err.status = (enum vnp_status)code;
    return st;
}

static enum vnp_status decode_map(const msgpack_object *map, const struct vnp_head *head, struct vnp_buf *scratch,
                                  struct vnp_decoded *out, struct vnp_err *err)
{
    const msgpack_object *t = NULL;
    struct field f[] = {{"t", MSGPACK_OBJECT_STR, true, &t}};
    enum vnp_status st = get_fields(map, "the frame", f, 1, err);
    if (st != VNP_OK)
        return st;
    if (str_is(t, "err")) {
        out->frame = VNP_FRAME_ERR;
        return decode_err(map, out, err);
    }
    if (str_is(t, "head")) {
        out->frame = VNP_FRAME_HEAD;
        return head == NULL ? decode_head(map, out, err) : vnp_error(err, VNP_DATA, "a second head");
    }
    if (head == NULL)
        return vnp_error(err, VNP_DATA, "the stream does not begin with a head");
    if (str_is(t, "end")) {
        out->frame = VNP_FRAME_END;
        return decode_end(map, out, err);
    }
    if (!str_is(t, vnp_frame_names[head->kind]))
        return vnp_error(err, VNP_DATA, "a frame \"%.*s\" in a stream of %s", (int)(t->via.str.size < 20 ? t->via.str.size : 20),
                         t->via.str.ptr, vnp_kind_noun(head->kind));
    out->frame = VNP_FRAME_BLOCK;
    return decode_block(map, head, scratch, out, err);
}

enum vnp_status vnp_decode(const uint8_t *payload, size_t n, const struct vnp_head *head, struct vnp_buf *scratch,
                           struct vnp_decoded *out, struct vnp_err *err)
{
    if (!vnp_msg_plausible(payload, n))
        return vnp_error(err, VNP_DATA, "not one well-formed msgpack message of %zu bytes", n);
    msgpack_unpacked message;
    size_t off = 0;
    msgpack_unpacked_init(&message);
    enum vnp_status st;
    if (msgpack_unpack_next(&message, (const char *)payload, n, &off) != MSGPACK_UNPACK_SUCCESS || off != n)
        st = vnp_error(err, VNP_DATA, "msgpack-c can't read the message");
    else
        st = decode_map(&message.data, head, scratch, out, err);
    msgpack_unpacked_destroy(&message);
    return st;
}
