#include "cddl.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum node_kind {
    N_NAME,   /* text */
    N_STRING, /* text */
    N_RANGE,  /* lo..hi; a literal integer is lo..lo */
    N_SIZE,   /* child, of lo..hi bytes */
    N_CHOICE, /* children */
    N_MAP,    /* children: entries */
    N_ARRAY,  /* children: entries */
    N_GROUP,  /* children: entries */
    N_ENTRY   /* occurs lo..hi times; key (or NULL); child: the value's type */
};

struct node {
    enum node_kind kind;
    char text[64];
    int64_t lo, hi;
    struct node *key, *child, *next;
    struct node *all; /* every node of the schema, to free it */
};

struct rule {
    char name[64];
    struct node *type;
    struct rule *next;
};

struct cddl {
    struct rule *rules;
    struct node *all;
    const char *at; /* while parsing */
    char *why;
};

static const char *const prelude[] = {"any", "uint", "int", "tstr", "bstr", "bool"};

/* --- parsing ------------------------------------------------------------------------------------------------------ */

static struct node *parse_type(struct cddl *c);
static struct node *parse_group(struct cddl *c, char close);

static struct node *fail(struct cddl *c, const char *what)
{
    if (c->why[0] == '\0')
        snprintf(c->why, 200, "%s at \"%.30s\"", what, c->at);
    return NULL;
}

static void blank(struct cddl *c)
{
    for (;;) {
        while (isspace((unsigned char)*c->at))
            c->at++;
        if (*c->at != ';')
            return;
        while (*c->at != '\0' && *c->at != '\n')
            c->at++;
    }
}

static bool take(struct cddl *c, const char *token)
{
    blank(c);
    if (strncmp(c->at, token, strlen(token)) != 0)
        return false;
    c->at += strlen(token);
    return true;
}

static struct node *make(struct cddl *c, enum node_kind kind)
{
    struct node *n = calloc(1, sizeof *n);
    if (n == NULL)
        abort();
    n->kind = kind;
    n->all = c->all;
    return c->all = n;
}

static bool name_char(char ch)
{
    return isalnum((unsigned char)ch) || ch == '-' || ch == '_';
}

static bool parse_name(struct cddl *c, char name[64])
{
    size_t n = 0;
    blank(c);
    if (!isalpha((unsigned char)*c->at))
        return false;
    while (name_char(c->at[n]) && n < 63)
        n++;
    memcpy(name, c->at, n);
    name[n] = '\0';
    c->at += n;
    return true;
}

static bool parse_int(struct cddl *c, int64_t *value)
{
    char *end;
    blank(c);
    if (!isdigit((unsigned char)*c->at) && *c->at != '-')
        return false;
    *value = strtoll(c->at, &end, 10);
    if (end == c->at)
        return false;
    c->at = end;
    return true;
}

static struct node *parse_range(struct cddl *c)
{
    struct node *n = make(c, N_RANGE);
    if (!parse_int(c, &n->lo))
        return fail(c, "a number expected");
    n->hi = n->lo;
    if (strncmp(c->at, "...", 3) == 0)
        return fail(c, "exclusive range");
    if (strncmp(c->at, "..", 2) == 0) {
        c->at += 2;
        if (!parse_int(c, &n->hi))
            return fail(c, "a number expected");
    }
    return n;
}

static struct node *parse_primary(struct cddl *c)
{
    struct node *n;
    if (take(c, "{"))
        n = make(c, N_MAP), n->child = parse_group(c, '}');
    else if (take(c, "["))
        n = make(c, N_ARRAY), n->child = parse_group(c, ']');
    else if (take(c, "("))
        n = make(c, N_GROUP), n->child = parse_group(c, ')');
    else if (take(c, "\"")) {
        n = make(c, N_STRING);
        size_t len = strcspn(c->at, "\"\\");
        if (c->at[len] != '"' || len > 63)
            return fail(c, "a plain string expected");
        memcpy(n->text, c->at, len);
        c->at += len + 1;
    } else if (isdigit((unsigned char)*c->at) || *c->at == '-') {
        n = parse_range(c);
    } else {
        n = make(c, N_NAME);
        if (!parse_name(c, n->text))
            return fail(c, "a type expected");
    }
    if (c->why[0] == '\0' && *c->at == ' ' && take(c, ".size")) {
        struct node *size = make(c, N_SIZE);
        bool parens = take(c, "(");
        struct node *range = parse_range(c);
        if (range == NULL || (parens && !take(c, ")")))
            return fail(c, "a size expected");
        size->lo = range->lo;
        size->hi = range->hi;
        size->child = n;
        n = size;
    }
    return c->why[0] == '\0' ? n : NULL;
}

static struct node *parse_type(struct cddl *c)
{
    struct node *first = parse_primary(c);
    blank(c);
    if (first == NULL || *c->at != '/')
        return first;
    struct node *choice = make(c, N_CHOICE), **tail = &first->next;
    choice->child = first;
    while (take(c, "/")) {
        if (*c->at == '/')
            return fail(c, "a choice of groups");
        if ((*tail = parse_primary(c)) == NULL)
            return NULL;
        tail = &(*tail)->next;
        blank(c);
    }
    return choice;
}

static void parse_occurrence(struct cddl *c, struct node *entry)
{
    const char *begin = c->at;
    int64_t lo = 0;
    entry->lo = entry->hi = 1;
    if (take(c, "?")) {
        entry->lo = 0;
        return;
    }
    if (take(c, "+")) {
        entry->hi = INT64_MAX;
        return;
    }
    bool bounded = parse_int(c, &lo);
    if (*c->at != '*') { /* it was a literal */
        c->at = begin;
        return;
    }
    c->at++;
    entry->lo = bounded ? lo : 0;
    if (!isdigit((unsigned char)*c->at) || !parse_int(c, &entry->hi))
        entry->hi = INT64_MAX;
}

/* Entries up to `close`, as a list. */
static struct node *parse_group(struct cddl *c, char close)
{
    struct node *first = NULL, **tail = &first;
    const char end[2] = {close, '\0'};
    while (!take(c, end)) {
        struct node *entry = make(c, N_ENTRY);
        parse_occurrence(c, entry);
        struct node *type = parse_type(c);
        if (type == NULL)
            return fail(c, "an entry expected");
        if (take(c, "=>") || take(c, ":")) {
            entry->key = type;
            type = parse_type(c);
            if (type == NULL)
                return fail(c, "a value expected");
        }
        entry->child = type;
        *tail = entry;
        tail = &entry->next;
        take(c, ",");
        blank(c);
        if (*c->at == '\0')
            return fail(c, "a bracket is not closed");
    }
    return first;
}

static struct node *find_rule(const struct cddl *c, const char *name)
{
    for (const struct rule *r = c->rules; r != NULL; r = r->next)
        if (strcmp(r->name, name) == 0)
            return r->type;
    return NULL;
}

static bool known(const struct cddl *c, const char *name)
{
    for (size_t i = 0; i < sizeof prelude / sizeof prelude[0]; i++)
        if (strcmp(prelude[i], name) == 0)
            return true;
    return find_rule(c, name) != NULL;
}

struct cddl *cddl_parse(const char *text, char why[200])
{
    struct cddl *c = calloc(1, sizeof *c);
    if (c == NULL)
        abort();
    c->at = text;
    c->why = why;
    why[0] = '\0';
    for (blank(c); *c->at != '\0' && why[0] == '\0'; blank(c)) {
        struct rule *r = calloc(1, sizeof *r);
        if (r == NULL)
            abort();
        if (!parse_name(c, r->name) || find_rule(c, r->name) != NULL || !take(c, "="))
            fail(c, "a new rule expected");
        r->next = c->rules;
        c->rules = r;
        r->type = why[0] == '\0' ? parse_type(c) : NULL;
    }
    for (const struct node *n = c->all; n != NULL && why[0] == '\0'; n = n->all)
        if (n->kind == N_NAME && !known(c, n->text))
            snprintf(why, 200, "%s is used but not defined", n->text);
    if (why[0] != '\0') {
        cddl_free(c);
        return NULL;
    }
    return c;
}

void cddl_free(struct cddl *c)
{
    for (struct node *n = c->all, *next; n != NULL; n = next) {
        next = n->all;
        free(n);
    }
    for (struct rule *r = c->rules, *next; r != NULL; r = next) {
        next = r->next;
        free(r);
    }
    free(c);
}

/* --- checking ----------------------------------------------------------------------------------------------------- */

/* A position in the message, and the deepest complaint so far: of several alternatives, the one that got furthest. */
struct check {
    const struct cddl *c;
    char path[120], why[200];
    size_t deepest;
};

static bool match(struct check *k, const struct node *n, const msgpack_object *o);

static bool complain(struct check *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool complain(struct check *k, const char *fmt, ...)
{
    char what[100];
    size_t depth = strlen(k->path) + 1;
    if (depth < k->deepest)
        return false;
    k->deepest = depth;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    snprintf(k->why, sizeof k->why, "%.90s: %s", k->path[0] != '\0' ? k->path : "the message", what);
    return false;
}

static bool match_below(struct check *k, const struct node *n, const msgpack_object *o, const char *step)
{
    size_t length = strlen(k->path);
    snprintf(k->path + length, sizeof k->path - length, "%.40s", step);
    bool ok = match(k, n, o);
    k->path[length] = '\0';
    return ok;
}

static bool match_name(struct check *k, const char *name, const msgpack_object *o)
{
    const struct node *rule = find_rule(k->c, name);
    if (rule != NULL)
        return match(k, rule, o);
    bool ok = strcmp(name, "any") == 0 ||
              (strcmp(name, "uint") == 0 && o->type == MSGPACK_OBJECT_POSITIVE_INTEGER) ||
              (strcmp(name, "int") == 0 &&
               (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER || o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)) ||
              (strcmp(name, "tstr") == 0 && o->type == MSGPACK_OBJECT_STR) ||
              (strcmp(name, "bstr") == 0 && o->type == MSGPACK_OBJECT_BIN) ||
              (strcmp(name, "bool") == 0 && o->type == MSGPACK_OBJECT_BOOLEAN);
    return ok || complain(k, "is not %s", name);
}

static bool match_range(struct check *k, const struct node *n, const msgpack_object *o)
{
    bool ok = (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 <= INT64_MAX &&
               (int64_t)o->via.u64 >= n->lo && (int64_t)o->via.u64 <= n->hi) ||
              (o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER && o->via.i64 >= n->lo && o->via.i64 <= n->hi);
    return ok || complain(k, "is not in %lld..%lld", (long long)n->lo, (long long)n->hi);
}

static bool str_is(const msgpack_object *o, const char *s)
{
    return o->type == MSGPACK_OBJECT_STR && o->via.str.size == strlen(s) && memcmp(o->via.str.ptr, s, strlen(s)) == 0;
}

/* The entries that a group's name or brackets stand for; NULL when the entry is not a group. */
static const struct node *group_of(const struct check *k, const struct node *entry)
{
    const struct node *n = entry->child;
    if (entry->key != NULL)
        return NULL;
    while (n != NULL && n->kind == N_NAME)
        n = find_rule(k->c, n->text);
    return n != NULL && n->kind == N_GROUP ? n->child : NULL;
}

static int find_key(const msgpack_object *map, const char *key, int after)
{
    for (int i = after + 1; i < (int)map->via.map.size; i++)
        if (str_is(&map->via.map.ptr[i].key, key))
            return i;
    return -1;
}

static bool any_key_of(const struct check *k, const struct node *entries, const msgpack_object *map)
{
    for (const struct node *e = entries; e != NULL; e = e->next) {
        const struct node *group = group_of(k, e);
        if (group != NULL ? any_key_of(k, group, map)
                          : e->key != NULL && e->key->kind == N_STRING && find_key(map, e->key->text, -1) >= 0)
            return true;
    }
    return false;
}

/* Entries with a literal key. A ":" cuts (RFC 8610, 3.5.4): a key that is named here can't match a wildcard instead. An
 * optional group is taken when any of its keys is there. */
static bool match_named(struct check *k, const struct node *entries, const msgpack_object *map, bool *used)
{
    for (const struct node *e = entries; e != NULL; e = e->next) {
        const struct node *group = group_of(k, e);
        if (group != NULL) {
            if ((e->lo > 0 || any_key_of(k, group, map)) && !match_named(k, group, map, used))
                return false;
            continue;
        }
        if (e->key == NULL || e->key->kind != N_STRING)
            continue;
        char step[72];
        int at = find_key(map, e->key->text, -1);
        snprintf(step, sizeof step, ".%s", e->key->text);
        if (at < 0 && e->lo > 0)
            return complain(k, "lacks \"%s\"", e->key->text);
        if (at < 0)
            continue;
        if (find_key(map, e->key->text, at) >= 0)
            return complain(k, "has \"%s\" twice", e->key->text);
        if (!match_below(k, e->child, &map->via.map.ptr[at].val, step))
            return false;
        used[at] = true;
    }
    return true;
}

static bool match_map(struct check *k, const struct node *n, const msgpack_object *o)
{
    if (o->type != MSGPACK_OBJECT_MAP)
        return complain(k, "is not a map");
    bool *used = calloc(o->via.map.size + 1, sizeof *used);
    if (used == NULL)
        abort();
    bool ok = match_named(k, n->child, o, used);
    for (const struct node *e = n->child; e != NULL && ok; e = e->next) {
        int64_t count = 0;
        if (e->key == NULL || e->key->kind == N_STRING)
            continue;
        for (uint32_t i = 0; i < o->via.map.size; i++) {
            const msgpack_object_kv *kv = &o->via.map.ptr[i];
            if (!used[i] && match(k, e->key, &kv->key) && match_below(k, e->child, &kv->val, ".*"))
                used[i] = true, count++;
        }
        ok = (count >= e->lo && count <= e->hi) || complain(k, "has %lld keys, too many or too few", (long long)count);
    }
    for (uint32_t i = 0; i < o->via.map.size && ok; i++)
        ok = used[i] || complain(k, "has a key that is not in the schema, or its value is wrong");
    free(used);
    return ok;
}

static bool match_array(struct check *k, const struct node *n, const msgpack_object *o)
{
    uint32_t at = 0;
    if (o->type != MSGPACK_OBJECT_ARRAY)
        return complain(k, "is not an array");
    for (const struct node *e = n->child; e != NULL; e = e->next) {
        int64_t count = 0;
        char step[24];
        for (; at < o->via.array.size && count < e->hi; at++, count++) {
            snprintf(step, sizeof step, "[%u]", at);
            if (!match_below(k, e->child, &o->via.array.ptr[at], step))
                break;
        }
        if (count < e->lo)
            return complain(k, "has %lld of at least %lld elements", (long long)count, (long long)e->lo);
    }
    return at == o->via.array.size || complain(k, "has an element too many or of the wrong type");
}

static bool match(struct check *k, const struct node *n, const msgpack_object *o)
{
    switch (n->kind) {
    case N_NAME: return match_name(k, n->text, o);
    case N_STRING: return str_is(o, n->text) || complain(k, "is not \"%s\"", n->text);
    case N_RANGE: return match_range(k, n, o);
    case N_SIZE: {
        if (!match(k, n->child, o))
            return false;
        int64_t size = o->type == MSGPACK_OBJECT_BIN   ? (int64_t)o->via.bin.size
                       : o->type == MSGPACK_OBJECT_STR ? (int64_t)o->via.str.size
                                                       : -1;
        return (size >= n->lo && size <= n->hi) || complain(k, "has the wrong size");
    }
    case N_CHOICE:
        for (const struct node *e = n->child; e != NULL; e = e->next)
            if (match(k, e, o))
                return true;
        return false;
    case N_MAP: return match_map(k, n, o);
    case N_ARRAY: return match_array(k, n, o);
    case N_GROUP: /* a type in brackets */
        return n->child != NULL && n->child->next == NULL && match(k, n->child->child, o);
    default: return complain(k, "the schema is wrong here");
    }
}

bool cddl_check(const struct cddl *c, const char *rule, const msgpack_object *o, char why[200])
{
    struct check k = {.c = c};
    const struct node *n = find_rule(c, rule);
    bool ok = n != NULL ? match(&k, n, o) : complain(&k, "there is no rule %s", rule);
    snprintf(why, 200, "%s", ok ? "" : k.why);
    return ok;
}
