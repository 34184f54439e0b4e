#include "tokenizer_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONE VNP_BPE_NONE

/* One step of a normalizer or pre-tokenizer, named by `type`. */
typedef enum vnp_status part_reader(struct vnp_tokenizer_json *t, const char *type, struct vnp_err *err);

static enum vnp_status normalizer_step(struct vnp_tokenizer_json *t, const char *type, struct vnp_err *err)
{
    /* None of these changes ASCII letters. */
    static const char *const no_change[] = {"NFC", "NFD", "NFKC", "NFKD", "Strip", "StripAccents"};
    char text[48];
    if (strcmp(type, "Lowercase") == 0)
        t->lowercase = true;
    else
        for (size_t i = 0; strcmp(type, no_change[i]) != 0;)
            if (++i == sizeof no_change / sizeof *no_change)
                return vnp_error(err, VNP_DATA, "the normalizer %s is not supported", vnp_json_shown(text, type));
    return VNP_OK;
}

static enum vnp_status pre_tokenizer_step(struct vnp_tokenizer_json *t, const char *type, struct vnp_err *err)
{
    char text[48];
    if (strcmp(type, "Whitespace") == 0)
        t->word_runs = true;
    else if (strcmp(type, "BertPreTokenizer") == 0)
        t->punctuation = true;
    else if (strcmp(type, "WhitespaceSplit") != 0) /* there is no white space */
        return vnp_error(err, VNP_DATA, "the pre-tokenizer %s is not supported", vnp_json_shown(text, type));
    return VNP_OK;
}

/* root[key]: null, one step, or a Sequence of them in root[key][list]. */
static enum vnp_status read_parts(struct vnp_tokenizer_json *t, const json_t *root, const char *key, const char *list,
                                  part_reader *read, struct vnp_err *err)
{
    char where[32];
    size_t i;
    json_t *v;
    if (vnp_json_optional(root, key) == NULL)
        return VNP_OK;
    snprintf(where, sizeof where, "%s.", key);
    const json_t *part = vnp_json_get(root, "", key, JSON_OBJECT, err);
    const json_t *type = part != NULL ? vnp_json_get(part, where, "type", JSON_STRING, err) : NULL;
    if (type == NULL)
        return VNP_DATA;
    if (strcmp(json_string_value(type), "Sequence") != 0)
        return read(t, json_string_value(type), err);
    const json_t *parts = vnp_json_get(part, where, list, JSON_ARRAY, err);
    if (parts == NULL)
        return VNP_DATA;
    json_array_foreach(parts, i, v) {
        type = vnp_json_get(v, where, "type", JSON_STRING, err);
        if (type == NULL || read(t, json_string_value(type), err) != VNP_OK)
            return VNP_DATA;
    }
    return VNP_OK;
}

enum vnp_status vnp_tokenizer_read_normalizer(struct vnp_tokenizer_json *t, const json_t *root, struct vnp_err *err)
{
    return read_parts(t, root, "normalizer", "normalizers", normalizer_step, err);
}

enum vnp_status vnp_tokenizer_read_pre_tokenizer(struct vnp_tokenizer_json *t, const json_t *root, struct vnp_err *err)
{
    return read_parts(t, root, "pre_tokenizer", "pretokenizers", pre_tokenizer_step, err);
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
    char text[48];
    size_t i;
    json_t *id;
    const json_t *v = json_object_get(piece, "Sequence");
    if (v != NULL) {
        const json_t *which = vnp_json_get(v, where, "id", JSON_STRING, err);
        if (which == NULL)
            return VNP_DATA;
        if (*after || strcmp(json_string_value(which), "A") != 0)
            return vnp_error(err, VNP_DATA, "%sit holds more than the sequence A, once", where);
        *after = true;
        return VNP_OK;
    }
    v = vnp_json_get(piece, where, "SpecialToken", JSON_OBJECT, err);
    const json_t *name = v != NULL ? vnp_json_get(v, where, "id", JSON_STRING, err) : NULL;
    if (name == NULL)
        return VNP_DATA;
    const json_t *entry = json_object_get(special, json_string_value(name));
    if (entry == NULL)
        return vnp_error(err, VNP_DATA, "post_processor.special_tokens does not hold \"%s\"",
                         vnp_json_shown(text, json_string_value(name)));
    const json_t *ids = vnp_json_get(entry, "post_processor.special_tokens: ", "ids", JSON_ARRAY, err);
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
    const json_t *single = vnp_json_get(post, where, "single", JSON_ARRAY, err);
    const json_t *special = single != NULL ? vnp_json_get(post, where, "special_tokens", JSON_OBJECT, err) : NULL;
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
        const json_t *v = vnp_json_get(post, "post_processor.", after ? "sep" : "cls", JSON_ARRAY, err);
        st = v != NULL ? add_special(t, json_array_get(v, 1), after, err) : VNP_DATA;
    }
    return st;
}

enum vnp_status vnp_tokenizer_read_post_processor(struct vnp_tokenizer_json *t, const json_t *root, struct vnp_err *err)
{
    char text[48];
    if (vnp_json_optional(root, "post_processor") == NULL)
        return VNP_OK;
    const json_t *post = vnp_json_get(root, "", "post_processor", JSON_OBJECT, err);
    const json_t *type = post != NULL ? vnp_json_get(post, "post_processor.", "type", JSON_STRING, err) : NULL;
    if (type == NULL)
        return VNP_DATA;
    const char *name = json_string_value(type);
    if (strcmp(name, "TemplateProcessing") == 0)
        return read_template(t, post, err);
    if (strcmp(name, "BertProcessing") == 0 || strcmp(name, "RobertaProcessing") == 0)
        return read_cls_sep(t, post, err);
    return vnp_error(err, VNP_DATA, "the post-processor %s is not supported", vnp_json_shown(text, name));
}

/* The id that an added token has: in the vocabulary, or the next one behind it, as the library counts. */
static enum vnp_status added_id(struct vnp_tokenizer_json *t, struct vnp_str s, json_int_t id, int64_t *largest,
                                struct vnp_err *err)
{
    char text[48];
    json_int_t want = vnp_tokenizer_json_find(t, s.s, s.n);
    const bool again = id >= 0 && id < NONE && t->text[id].s != NULL && vnp_str_equal(t->text[id], s);
    if (want == NONE)
        want = again ? id : *largest >= t->n_by_text ? *largest + 1 : t->n_by_text;
    if (id != want)
        return vnp_error(err, VNP_DATA, "added_tokens: \"%s\" has the id %lld, which should be %lld",
                         vnp_json_shown(text, s.s), (long long)id, (long long)want);
    if (id >= NONE || (t->text[id].s != NULL && !vnp_str_equal(t->text[id], s)))
        return vnp_error(err, VNP_DATA, "added_tokens: the id %lld of \"%s\" is %s", (long long)id,
                         vnp_json_shown(text, s.s), id >= NONE ? "too large" : "another token's");
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
    const json_t *content = vnp_json_get(v, where, "content", JSON_STRING, err);
    const json_t *id = content != NULL ? vnp_json_get(v, where, "id", JSON_INTEGER, err) : NULL;
    if (id == NULL || vnp_json_flag(v, where, "single_word", &single, err) != VNP_OK ||
        vnp_json_flag(v, where, "normalized", &normalized, err) != VNP_OK)
        return VNP_DATA;
    const struct vnp_str s = vnp_json_str(content);
    if (s.n == 0)
        return VNP_OK;
    if (single)
        return vnp_error(err, VNP_DATA, "%ssingle_word of \"%s\" is not supported", where, vnp_json_shown(text, s.s));
    const enum vnp_status st = added_id(t, s, json_integer_value(id), largest, err);
    if (st == VNP_OK)
        t->added[t->n_added++] = (struct vnp_added){s, (uint16_t)json_integer_value(id), normalized};
    return st;
}

enum vnp_status vnp_tokenizer_read_added_tokens(struct vnp_tokenizer_json *t, const json_t *root, struct vnp_err *err)
{
    size_t i;
    json_t *v;
    int64_t largest = -1;
    if (vnp_json_optional(root, "added_tokens") == NULL)
        return VNP_OK;
    const json_t *added = vnp_json_get(root, "", "added_tokens", JSON_ARRAY, err);
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
