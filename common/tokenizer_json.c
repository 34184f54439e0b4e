#include "tokenizer_json.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "mapfile.h"
#include "tokenizer_parts.h"

#define FILE_LIMIT (32u << 20)
#define NONE VNP_BPE_NONE

/* As memcmp() does; a text comes before its longer ones. */
static int compare(struct vnp_str a, const char *s, size_t n)
{
    const int c = memcmp(a.s, s, a.n < n ? a.n : n);
    return c != 0 ? c : a.n < n ? -1 : a.n > n;
}

uint16_t vnp_tokenizer_json_find(const struct vnp_tokenizer_json *t, const char *text, size_t n)
{
    for (uint32_t lo = 0, hi = t->n_by_text; lo < hi;) {
        const uint32_t mid = lo + (hi - lo) / 2;
        const int c = compare(t->text[t->by_text[mid]], text, n);
        if (c == 0)
            return t->by_text[mid];
        *(c < 0 ? &lo : &hi) = c < 0 ? mid + 1 : mid;
    }
    return NONE;
}

static int by_text(const void *a, const void *b, void *arg)
{
    const struct vnp_tokenizer_json *t = arg;
    const struct vnp_str y = t->text[*(const uint16_t *)b];
    return compare(t->text[*(const uint16_t *)a], y.s, y.n);
}

/* Room for one text for each id: `most` of them. */
static bool room_for_ids(struct vnp_tokenizer_json *t, size_t most)
{
    t->text = calloc(most, sizeof *t->text);
    t->by_text = calloc(most, sizeof *t->by_text);
    return t->text != NULL && t->by_text != NULL;
}

static enum vnp_status read_vocab(struct vnp_tokenizer_json *t, json_t *vocab, struct vnp_err *err)
{
    const char *key;
    char text[48];
    json_t *v;
    if (json_object_size(vocab) == 0)
        return vnp_error(err, VNP_DATA, "model.vocab is empty");
    if (!room_for_ids(t, NONE))
        return vnp_error(err, VNP_OS, "out of memory");
    json_object_foreach(vocab, key, v) {
        const json_int_t id = json_integer_value(v);
        if (!json_is_integer(v) || id < 0 || id >= NONE)
            return vnp_error(err, VNP_DATA, "model.vocab: the id of \"%s\" is not a whole number from 0 to %d",
                             vnp_json_shown(text, key), NONE - 1);
        if (t->text[id].s != NULL)
            return vnp_error(err, VNP_DATA, "model.vocab: id %d is given to two tokens, \"%s\" among them", (int)id,
                             vnp_json_shown(text, key));
        t->text[id] = (struct vnp_str){key, (uint32_t)strlen(key)};
        t->by_text[t->n_by_text++] = (uint16_t)id;
        if (id >= t->n_ids)
            t->n_ids = (uint32_t)id + 1;
    }
    qsort_r(t->by_text, t->n_by_text, sizeof *t->by_text, by_text, t);
    return VNP_OK;
}

/* "a b" or ["a", "b"]; false when it is neither. */
static bool split_merge(const json_t *v, struct vnp_str *left, struct vnp_str *right)
{
    if (json_is_string(v)) {
        const struct vnp_str both = vnp_json_str(v);
        const char *space = memchr(both.s, ' ', both.n);
        if (space == NULL || memchr(space + 1, ' ', both.n - (size_t)(space + 1 - both.s)) != NULL)
            return false;
        *left = (struct vnp_str){both.s, (uint32_t)(space - both.s)};
        *right = (struct vnp_str){space + 1, both.n - left->n - 1};
    } else if (json_is_array(v) && json_array_size(v) == 2 && json_is_string(json_array_get(v, 0)) &&
               json_is_string(json_array_get(v, 1))) {
        *left = vnp_json_str(json_array_get(v, 0));
        *right = vnp_json_str(json_array_get(v, 1));
    } else {
        return false;
    }
    return left->n > 0 && right->n > 0;
}

/* `room` holds any two texts of the vocabulary and a NUL. */
static enum vnp_status read_merge(struct vnp_tokenizer_json *t, const json_t *v, char *room, struct vnp_err *err)
{
    struct vnp_str left, right;
    char text[48];
    if (!split_merge(v, &left, &right))
        return vnp_error(err, VNP_DATA, "model.merges: merge %u is neither \"a b\" nor [\"a\", \"b\"]", t->n_merges);
    struct vnp_merge m = {.result = NONE};
    m.left = vnp_tokenizer_json_find(t, left.s, left.n);
    m.right = vnp_tokenizer_json_find(t, right.s, right.n);
    const char *missing = m.left == NONE ? left.s : right.s;
    if (m.left != NONE && m.right != NONE) {
        memcpy(room, left.s, left.n);
        memcpy(room + left.n, right.s, right.n);
        room[left.n + right.n] = '\0';
        m.result = vnp_tokenizer_json_find(t, room, left.n + right.n);
        missing = room;
    }
    if (m.result == NONE)
        return vnp_error(err, VNP_DATA, "model.merges: merge %u: \"%s\" is not in the vocabulary", t->n_merges,
                         vnp_json_shown(text, missing));
    if (m.left == t->unk || m.right == t->unk)
        return vnp_error(err, VNP_DATA, "model.merges: merge %u joins the unknown token: that is not supported",
                         t->n_merges);
    t->merges[t->n_merges++] = m;
    return VNP_OK;
}

static enum vnp_status read_merges(struct vnp_tokenizer_json *t, json_t *merges, struct vnp_err *err)
{
    size_t i, longest = 0;
    json_t *v;
    for (uint32_t id = 0; id < t->n_ids; id++)
        longest = t->text[id].n > longest ? t->text[id].n : longest;
    char *room = malloc(2 * longest + 1);
    t->merges = calloc(json_array_size(merges) + 1, sizeof *t->merges);
    if (room == NULL || t->merges == NULL) {
        free(room);
        return vnp_error(err, VNP_OS, "out of memory");
    }
    enum vnp_status st = VNP_OK;
    json_array_foreach(merges, i, v) {
        const bool version_line = json_is_string(v) && strncmp(json_string_value(v), "#version", 8) == 0;
        if (!version_line && (st = read_merge(t, v, room, err)) != VNP_OK)
            break;
    }
    free(room);
    return st;
}

/* What a model may hold and this program does not do. */
static enum vnp_status refuse_options(const json_t *model, struct vnp_err *err)
{
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    char text[48];
    bool flag;
    const json_t *v = vnp_json_optional(model, "dropout");
    if (v != NULL && !(json_is_number(v) && json_number_value(v) == 0))
        return vnp_error(err, VNP_DATA, "model.dropout is not null: its tokens would be random");
    for (int i = 0; i < 2; i++)
        if ((v = vnp_json_optional(model, affixes[i])) != NULL && !(json_is_string(v) && json_string_length(v) == 0))
            return vnp_error(err, VNP_DATA, "model.%s \"%s\" is not supported", affixes[i],
                             json_is_string(v) ? vnp_json_shown(text, json_string_value(v)) : "");
    if (vnp_json_flag(model, "model.", "byte_fallback", &flag, err) != VNP_OK)
        return VNP_DATA;
    return flag ? vnp_error(err, VNP_DATA, "model.byte_fallback is not supported") : VNP_OK;
}

static enum vnp_status read_unk(struct vnp_tokenizer_json *t, const json_t *model, struct vnp_err *err)
{
    char text[48];
    t->unk = NONE;
    if (vnp_json_optional(model, "unk_token") == NULL)
        return VNP_OK;
    const json_t *unk = vnp_json_get(model, "model.", "unk_token", JSON_STRING, err);
    if (unk == NULL)
        return VNP_DATA;
    t->unk = vnp_tokenizer_json_find(t, json_string_value(unk), json_string_length(unk));
    return t->unk != NONE ? VNP_OK
                          : vnp_error(err, VNP_DATA, "model.unk_token \"%s\" is not in the vocabulary",
                                      vnp_json_shown(text, json_string_value(unk)));
}

static enum vnp_status read_model(struct vnp_tokenizer_json *t, const json_t *root, struct vnp_err *err)
{
    char text[48];
    const json_t *model = vnp_json_get(root, "", "model", JSON_OBJECT, err);
    const json_t *type = model != NULL ? vnp_json_get(model, "model.", "type", JSON_STRING, err) : NULL;
    if (type == NULL)
        return VNP_DATA;
    if (strcmp(json_string_value(type), "BPE") != 0)
        return vnp_error(err, VNP_DATA, "model.type is %s: only BPE (byte-pair encoding) is supported",
                         vnp_json_shown(text, json_string_value(type)));
    json_t *vocab = vnp_json_get(model, "model.", "vocab", JSON_OBJECT, err);
    json_t *merges = vocab != NULL ? vnp_json_get(model, "model.", "merges", JSON_ARRAY, err) : NULL;
    if (merges == NULL)
        return VNP_DATA;
    enum vnp_status st = refuse_options(model, err);
    if (st == VNP_OK)
        st = vnp_json_flag(model, "model.", "fuse_unk", &t->fuse_unk, err);
    if (st == VNP_OK)
        st = vnp_json_flag(model, "model.", "ignore_merges", &t->ignore_merges, err);
    if (st == VNP_OK)
        st = read_vocab(t, vocab, err);
    if (st == VNP_OK)
        st = read_unk(t, model, err);
    return st == VNP_OK ? read_merges(t, merges, err) : st;
}

static void add_crc(uint32_t *crc, const void *p, size_t n)
{
    *crc = (uint32_t)crc32_z(*crc, p, n);
}

static void add_crc_ids(uint32_t *crc, const uint16_t *id, int n)
{
    for (int i = 0; i < n; i++)
        add_crc(crc, (const uint8_t[]){(uint8_t)id[i], (uint8_t)(id[i] >> 8)}, 2);
    add_crc(crc, "", 1);
}

/* Whatever a token depends on, in an order of its own: not the file's bytes, which the library's releases lay out
 * differently. */
static uint32_t checksum(const struct vnp_tokenizer_json *t)
{
    uint32_t crc = 0;
    const uint8_t flags[] = {t->fuse_unk, t->ignore_merges, t->lowercase, t->word_runs, t->punctuation};
    for (uint32_t id = 0; id < t->n_ids; id++) {
        add_crc(&crc, t->text[id].s != NULL ? t->text[id].s : "", t->text[id].n);
        add_crc(&crc, "", 1);
    }
    for (uint32_t i = 0; i < t->n_merges; i++)
        add_crc_ids(&crc, (const uint16_t[]){t->merges[i].left, t->merges[i].right}, 2);
    for (uint32_t i = 0; i < t->n_added; i++)
        add_crc_ids(&crc, (const uint16_t[]){t->added[i].id, t->added[i].normalized}, 2);
    add_crc(&crc, flags, sizeof flags);
    add_crc_ids(&crc, &t->unk, 1);
    add_crc_ids(&crc, t->prefix, t->n_prefix);
    add_crc_ids(&crc, t->suffix, t->n_suffix);
    return crc;
}

static enum vnp_status read_root(struct vnp_tokenizer_json *t, const json_t *root, struct vnp_err *err)
{
    char text[48];
    if (!json_is_object(root))
        return vnp_error(err, VNP_DATA, "not a tokenizer: the file holds %s, not an object", vnp_json_kind(root));
    const json_t *version = json_object_get(root, "version");
    if (version != NULL && !(json_is_string(version) && strcmp(json_string_value(version), "1.0") == 0))
        return vnp_error(err, VNP_DATA, "version %s of the format; this program reads 1.0",
                         json_is_string(version) ? vnp_json_shown(text, json_string_value(version)) : "?");
    enum vnp_status st = read_model(t, root, err);
    if (st == VNP_OK)
        st = vnp_tokenizer_read_added_tokens(t, root, err);
    if (st == VNP_OK)
        st = vnp_tokenizer_read_normalizer(t, root, err);
    if (st == VNP_OK)
        st = vnp_tokenizer_read_pre_tokenizer(t, root, err);
    if (st == VNP_OK)
        st = vnp_tokenizer_read_post_processor(t, root, err);
    t->crc = st == VNP_OK ? checksum(t) : 0;
    return st;
}

enum vnp_status vnp_tokenizer_json_load(struct vnp_tokenizer_json *t, const char *path, struct vnp_err *err)
{
    struct vnp_map map;
    json_error_t je;
    memset(t, 0, sizeof *t);
    enum vnp_status st = vnp_map_open(&map, path, err);
    if (st != VNP_OK)
        return st;
    if (map.n > FILE_LIMIT)
        st = vnp_error(err, VNP_DATA, "more than %u MiB, which is no tokenizer", FILE_LIMIT >> 20);
    else if ((t->json = json_loadb((const char *)map.p, (size_t)map.n, JSON_REJECT_DUPLICATES, &je)) == NULL)
        st = vnp_error(err, VNP_DATA, "not JSON: line %d: %s", je.line, je.text);
    else
        st = read_root(t, t->json, err);
    vnp_map_close(&map);
    if (st != VNP_OK) {
        vnp_tokenizer_json_free(t);
        vnp_error_in(err, "%s", path);
    }
    return st;
}

void vnp_tokenizer_json_free(struct vnp_tokenizer_json *t)
{
    free(t->text);
    free(t->by_text);
    free(t->merges);
    free(t->added);
    json_decref(t->json);
    memset(t, 0, sizeof *t);
}
