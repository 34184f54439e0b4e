#include "tokenizer_json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "mapfile.h"

#define FILE_LIMIT (32u << 20)
#define NONE VNP_BPE_NONE

static const char *const kinds[] = {"an object", "an array", "a text", "a whole number", "a number", "true", "false",
                                    "null"};

/* obj[key] of that JSON type; NULL, with *err filled in, when it is missing or another. A boolean is JSON_TRUE here. */
static json_t *get(const json_t *obj, const char *where, const char *key, json_type type, struct vnp_err *err)
{
    json_t *v = json_object_get(obj, key);
    const bool fits = v != NULL && (json_typeof(v) == type || (type == JSON_TRUE && json_is_boolean(v)));
    if (!fits)
        vnp_error(err, VNP_DATA, "%s%s is %s, not %s", where, key, v == NULL ? "missing" : kinds[json_typeof(v)],
                  type == JSON_TRUE ? "true or false" : kinds[type]);
    return fits ? v : NULL;
}

/* obj[key], or NULL where it is missing or null: then the file does without. */
static json_t *optional(const json_t *obj, const char *key)
{
    json_t *v = json_object_get(obj, key);
    return json_is_null(v) ? NULL : v;
}

static enum vnp_status get_flag(const json_t *obj, const char *where, const char *key, bool *flag, struct vnp_err *err)
{
    *flag = false;
    if (optional(obj, key) == NULL)
        return VNP_OK;
    const json_t *v = get(obj, where, key, JSON_TRUE, err);
    *flag = json_is_true(v);
    return v != NULL ? VNP_OK : VNP_DATA;
}

/* A text for a message: at most 40 bytes, without what a terminal would act on. */
static const char *shown(char text[48], const char *s)
{
    size_t n = 0;
    for (; s[n] != '\0' && n < 40; n++)
        text[n] = (unsigned char)s[n] >= ' ' && s[n] != 127 ? s[n] : '?';
    memcpy(text + n, s[n] != '\0' ? "..." : "", s[n] != '\0' ? 4 : 1);
    return text;
}

static struct vnp_str str_of(const json_t *v)
{
    return (struct vnp_str){json_string_value(v), (uint32_t)json_string_length(v)};
}

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
                             shown(text, key), NONE - 1);
        if (t->text[id].s != NULL)
            return vnp_error(err, VNP_DATA, "model.vocab: id %d is given to two tokens, \"%s\" among them", (int)id,
                             shown(text, key));
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
        const struct vnp_str both = str_of(v);
        const char *space = memchr(both.s, ' ', both.n);
        if (space == NULL || memchr(space + 1, ' ', both.n - (size_t)(space + 1 - both.s)) != NULL)
            return false;
        *left = (struct vnp_str){both.s, (uint32_t)(space - both.s)};
        *right = (struct vnp_str){space + 1, both.n - left->n - 1};
    } else if (json_is_array(v) && json_array_size(v) == 2 && json_is_string(json_array_get(v, 0)) &&
               json_is_string(json_array_get(v, 1))) {
        *left = str_of(json_array_get(v, 0));
        *right = str_of(json_array_get(v, 1));
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
                         shown(text, missing));
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
    const json_t *v = optional(model, "dropout");
    if (v != NULL && !(json_is_number(v) && json_number_value(v) == 0))
        return vnp_error(err, VNP_DATA, "model.dropout is not null: its tokens would be random");
    for (int i = 0; i < 2; i++)
        if ((v = optional(model, affixes[i])) != NULL && !(json_is_string(v) && json_string_length(v) == 0))
            return vnp_error(err, VNP_DATA, "model.%s \"%s\" is not supported", affixes[i],
                             json_is_string(v) ? shown(text, json_string_value(v)) : "");
    if (get_flag(model, "model.", "byte_fallback", &flag, err) != VNP_OK)
        return VNP_DATA;
    return flag ? vnp_error(err, VNP_DATA, "model.byte_fallback is not supported") : VNP_OK;
}

static enum vnp_status read_unk(struct vnp_tokenizer_json *t, const json_t *model, struct vnp_err *err)
{
    char text[48];
    t->unk = NONE;
    if (optional(model, "unk_token") == NULL)
        return VNP_OK;
    const json_t *unk = get(model, "model.", "unk_token", JSON_STRING, err);
    if (unk == NULL)
        return VNP_DATA;
    t->unk = vnp_tokenizer_json_find(t, json_string_value(unk), json_string_length(unk));
    return t->unk != NONE ? VNP_OK
                          : vnp_error(err, VNP_DATA, "model.unk_token \"%s\" is not in the vocabulary",
                                      shown(text, json_string_value(unk)));
}

static enum vnp_status read_model(struct vnp_tokenizer_json *t, const json_t *root, struct vnp_err *err)
{
    char text[48];
    const json_t *model = get(root, "", "model", JSON_OBJECT, err);
    const json_t *type = model != NULL ? get(model, "model.", "type", JSON_STRING, err) : NULL;
    if (type == NULL)
        return VNP_DATA;
    if (strcmp(json_string_value(type), "BPE") != 0)
        return vnp_error(err, VNP_DATA, "model.type is %s: only BPE (byte-pair encoding) is supported",
                         shown(text, json_string_value(type)));
    json_t *vocab = get(model, "model.", "vocab", JSON_OBJECT, err);
    json_t *merges = vocab != NULL ? get(model, "model.", "merges", JSON_ARRAY, err) : NULL;
    if (merges == NULL)
        return VNP_DATA;
    enum vnp_status st = refuse_options(model, err);
    if (st == VNP_OK)
        st = get_flag(model, "model.", "fuse_unk", &t->fuse_unk, err);
    if (st == VNP_OK)
        st = get_flag(model, "model.", "ignore_merges", &t->ignore_merges, err);
    if (st == VNP_OK)
        st = read_vocab(t, vocab, err);
    if (st == VNP_OK)
        st = read_unk(t, model, err);
    return st == VNP_OK ? read_merges(t, merges, err) : st;
}

/* One step of a normalizer or pre-tokenizer, named by `type`. */
typedef enum vnp_status part_reader(struct vnp_tokenizer_json *t, const char *type, struct vnp_err *err);

static enum vnp_status read_normalizer(struct vnp_tokenizer_json *t, const char *type, struct vnp_err *err)
{
    static const char *const no_change[] = {"NFC", "NFD", "NFKC", "NFKD", "Strip", "StripAccents"}; /* to ASCII letters */
    char text[48];
    if (strcmp(type, "Lowercase") == 0)
        t->lowercase = true;
    else
        for (size_t i = 0; strcmp(type, no_change[i]) != 0;)
            if (++i == sizeof no_change / sizeof *no_change)
                return vnp_error(err, VNP_DATA, "the normalizer %s is not supported", shown(text, type));
    return VNP_OK;
}

static enum vnp_status read_pre_tokenizer(struct vnp_tokenizer_json *t, const char *type, struct vnp_err *err)
{
    char text[48];
    if (strcmp(type, "Whitespace") == 0)
        t->word_runs = true;
    else if (strcmp(type, "BertPreTokenizer") == 0)
        t->punctuation = true;
    else if (strcmp(type, "WhitespaceSplit") != 0) /* there is no white space */
        return vnp_error(err, VNP_DATA, "the pre-tokenizer %s is not supported", shown(text, type));
    return VNP_OK;
}

/* root[key]: null, one step, or a Sequence of them in root[key][list]. */
static enum vnp_status read_parts(struct vnp_tokenizer_json *t, const json_t *root, const char *key, const char *list,
                                  part_reader *read, struct vnp_err *err)
{
    char where[32];
    size_t i;
    json_t *v;
    if (optional(root, key) == NULL)
        return VNP_OK;
    snprintf(where, sizeof where, "%s.", key);
    const json_t *part = get(root, "", key, JSON_OBJECT, err);
    const json_t *type = part != NULL ? get(part, where, "type", JSON_STRING, err) : NULL;
    if (type == NULL)
        return VNP_DATA;
    if (strcmp(json_string_value(type), "Sequence") != 0)
        return read(t, json_string_value(type), err);
    const json_t *parts = get(part, where, list, JSON_ARRAY, err);
    if (parts == NULL)
        return VNP_DATA;
    json_array_foreach(parts, i, v) {
        type = get(v, where, "type", JSON_STRING, err);
        if (type == NULL || read(t, json_string_value(type), err) != VNP_OK)
            return VNP_DATA;
    }
    return VNP_OK;
}

/* A token of the template: each must be an id there is. */
static enum vnp_status add_special(struct vnp_tokenizer_json *t, const json_t *id, bool after, struct vnp_err *err)
{
    int *n = after ? &t->n_suffix : &t->n_prefix;
    const json_int_t i = json_integer_value(id);
    if (!json_is_integer(id) || i < 0 || i >= t->n_ids)
        return vnp_error(err, VNP_DATA, "post_processor: the id of a special token is not a whole number from 0 to %u",
                         t->n_ids - 1);
    if (*n == VNP_SPECIAL_MAX)
        return vnp_error(err, VNP_DATA, "post_processor: more than %d special tokens on one side", VNP_SPECIAL_MAX);
    (after ? t->suffix : t->prefix)[(*n)++] = (uint16_t)i;
    return VNP_OK;
}

/* One piece of a template: the sequence, or the ids that go by a special token's name. */
static enum vnp_status read_piece(struct vnp_tokenizer_json *t, const json_t *piece, const json_t *special, bool *after,
                                  struct vnp_err *err)
{
    static const char where[] = "post_processor.single: ";
    size_t i;
    json_t *id;
    const json_t *v = json_object_get(piece, "Sequence");
    if (v != NULL) {
        const json_t *which = get(v, where, "id", JSON_STRING, err);
        if (which == NULL)
            return VNP_DATA;
        if (*after || strcmp(json_string_value(which), "A") != 0)
            return vnp_error(err, VNP_DATA, "%sit holds more than the sequence A, once", where);
        *after = true;
        return VNP_OK;
    }
    v = get(piece, where, "SpecialToken", JSON_OBJECT, err);
    const json_t *name = v != NULL ? get(v, where, "id", JSON_STRING, err) : NULL;
    const json_t *entry = name != NULL ? get(special, "post_processor.special_tokens: ", json_string_value(name),
                                             JSON_OBJECT, err)
                                       : NULL;
    const json_t *ids = entry != NULL ? get(entry, where, "ids", JSON_ARRAY, err) : NULL;
    if (ids == NULL)
        return VNP_DATA;
    enum vnp_status st = VNP_OK;
    json_array_foreach(ids, i, id)
        if ((st = add_special(t, id, *after, err)) != VNP_OK)
            break;
    return st;
}

static enum vnp_status read_template(struct vnp_tokenizer_json *t, const json_t *post, struct vnp_err *err)
{
    static const char where[] = "post_processor.";
    size_t i;
    json_t *piece;
    bool after = false;
    const json_t *single = get(post, where, "single", JSON_ARRAY, err);
    const json_t *special = single != NULL ? get(post, where, "special_tokens", JSON_OBJECT, err) : NULL;
    if (special == NULL)
        return VNP_DATA;
    json_array_foreach(single, i, piece) {
        const enum vnp_status st = read_piece(t, piece, special, &after, err);
        if (st != VNP_OK)
            return st;
    }
    return after ? VNP_OK : vnp_error(err, VNP_DATA, "post_processor.single: it has no place for the sequence");
}

/* BertProcessing and RobertaProcessing: "cls" before, "sep" behind, each ["token", id]. */
static enum vnp_status read_cls_sep(struct vnp_tokenizer_json *t, const json_t *post, struct vnp_err *err)
{
    enum vnp_status st = VNP_OK;
    for (int after = 0; after < 2 && st == VNP_OK; after++) {
        const json_t *v = get(post, "post_processor.", after ? "sep" : "cls", JSON_ARRAY, err);
        st = v != NULL ? add_special(t, json_array_get(v, 1), after, err) : VNP_DATA;
    }
    return st;
}

static enum vnp_status read_post_processor(struct vnp_tokenizer_json *t, const json_t *root, struct vnp_err *err)
{
    char text[48];
    if (optional(root, "post_processor") == NULL)
        return VNP_OK;
    const json_t *post = get(root, "", "post_processor", JSON_OBJECT, err);
    const json_t *type = post != NULL ? get(post, "post_processor.", "type", JSON_STRING, err) : NULL;
    if (type == NULL)
        return VNP_DATA;
    const char *name = json_string_value(type);
    if (strcmp(name, "TemplateProcessing") == 0)
        return read_template(t, post, err);
    if (strcmp(name, "BertProcessing") == 0 || strcmp(name, "RobertaProcessing") == 0)
        return read_cls_sep(t, post, err);
    return vnp_error(err, VNP_DATA, "the post-processor %s is not supported", shown(text, name));
}

/* The id that an added token has: in the vocabulary, or the next one behind it, as the library counts. */
static enum vnp_status added_id(struct vnp_tokenizer_json *t, struct vnp_str s, json_int_t id, int64_t *largest,
                                struct vnp_err *err)
{
    char text[48];
    json_int_t want = vnp_tokenizer_json_find(t, s.s, s.n);
    const bool again = id >= 0 && id < NONE && t->text[id].s != NULL && compare(t->text[id], s.s, s.n) == 0;
    if (want == NONE)
        want = again ? id : *largest >= t->n_by_text ? *largest + 1 : t->n_by_text;
    if (id != want)
        return vnp_error(err, VNP_DATA, "added_tokens: \"%s\" has the id %lld, which should be %lld", shown(text, s.s),
                         (long long)id, (long long)want);
    if (id >= NONE || (t->text[id].s != NULL && compare(t->text[id], s.s, s.n) != 0))
        return vnp_error(err, VNP_DATA, "added_tokens: the id %lld of \"%s\" is %s", (long long)id, shown(text, s.s),
                         id >= NONE ? "too large" : "another token's");
    *largest = id > *largest ? id : *largest;
    t->text[id] = s;
    if (id >= t->n_ids)
        t->n_ids = (uint32_t)id + 1;
    return VNP_OK;
}

static enum vnp_status read_added_token(struct vnp_tokenizer_json *t, const json_t *v, int64_t *largest,
                                        struct vnp_err *err)
{
    static const char where[] = "added_tokens: ";
    char text[48];
    bool single, normalized;
    const json_t *content = get(v, where, "content", JSON_STRING, err);
    const json_t *id = content != NULL ? get(v, where, "id", JSON_INTEGER, err) : NULL;
    if (id == NULL || get_flag(v, where, "single_word", &single, err) != VNP_OK ||
        get_flag(v, where, "normalized", &normalized, err) != VNP_OK)
        return VNP_DATA;
    const struct vnp_str s = str_of(content);
    if (s.n == 0)
        return VNP_OK;
    if (single)
        return vnp_error(err, VNP_DATA, "%ssingle_word of \"%s\" is not supported", where, shown(text, s.s));
    const enum vnp_status st = added_id(t, s, json_integer_value(id), largest, err);
    if (st == VNP_OK)
        t->added[t->n_added++] = (struct vnp_added){s, (uint16_t)json_integer_value(id), normalized};
    return st;
}

static enum vnp_status read_added_tokens(struct vnp_tokenizer_json *t, const json_t *root, struct vnp_err *err)
{
    size_t i;
    json_t *v;
    int64_t largest = -1;
    if (optional(root, "added_tokens") == NULL)
        return VNP_OK;
    const json_t *added = get(root, "", "added_tokens", JSON_ARRAY, err);
    if (added == NULL)
        return VNP_DATA;
    if ((t->added = calloc(json_array_size(added) + 1, sizeof *t->added)) == NULL)
        return vnp_error(err, VNP_OS, "out of memory");
    enum vnp_status st = VNP_OK;
    json_array_foreach(added, i, v)
        if ((st = read_added_token(t, v, &largest, err)) != VNP_OK)
            break;
    return st;
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
        return vnp_error(err, VNP_DATA, "not a tokenizer: the file holds %s, not an object", kinds[json_typeof(root)]);
    const json_t *version = json_object_get(root, "version");
    if (version != NULL && !(json_is_string(version) && strcmp(json_string_value(version), "1.0") == 0))
        return vnp_error(err, VNP_DATA, "version %s of the format; this program reads 1.0",
                         json_is_string(version) ? shown(text, json_string_value(version)) : "?");
    enum vnp_status st = read_model(t, root, err);
    if (st == VNP_OK)
        st = read_added_tokens(t, root, err);
    if (st == VNP_OK)
        st = read_parts(t, root, "normalizer", "normalizers", read_normalizer, err);
    if (st == VNP_OK)
        st = read_parts(t, root, "pre_tokenizer", "pretokenizers", read_pre_tokenizer, err);
    if (st == VNP_OK)
        st = read_post_processor(t, root, err);
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
        const struct vnp_err why = *err;
        vnp_tokenizer_json_free(t);
        vnp_error(err, st, "%s: %.900s", path, why.msg);
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
