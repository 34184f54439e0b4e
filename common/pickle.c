#include "pickle.h"

#include <stdlib.h>
#include <string.h>

#include "pickle_machine.h"
#include "pickle_objects.h"
#include "xmalloc.h"

/* --- scalars ----------------------------------------------------------------------------------------------------- */

static enum vnp_status push_int(struct vnp_pickle *k, enum vnp_py_type type, int64_t i)
{
    struct vnp_py *o = vnp_pk_new(k, type);
    o->i = i;
    return vnp_pk_push(k, o);
}

static enum vnp_status push_text(struct vnp_pickle *k, enum vnp_py_type type, int length_bytes)
{
    uint64_t n;
    const uint8_t *p = NULL;
    if (!vnp_pk_uint(k, length_bytes, &n) || (p = vnp_pk_take(k, n)) == NULL)
        return VNP_DATA;
    struct vnp_py *o = vnp_pk_new(k, type);
    o->text.s = (const char *)p;
    o->text.n = (size_t)n;
    return vnp_pk_push(k, o);
}

static enum vnp_status push_float(struct vnp_pickle *k)
{
    const uint8_t *p = vnp_pk_take(k, 8);
    if (p == NULL)
        return VNP_DATA;
    uint64_t u = 0;
    for (int i = 0; i < 8; i++)
        u = u << 8 | p[i]; /* the one big-endian number of the format */
    struct vnp_py *o = vnp_pk_new(k, VNP_PY_FLOAT);
    memcpy(&o->f, &u, sizeof u);
    return vnp_pk_push(k, o);
}

/* A little-endian two's complement integer of any length. */
static enum vnp_status push_long(struct vnp_pickle *k, int length_bytes)
{
    uint64_t n, u = 0;
    const uint8_t *p;
    if (!vnp_pk_uint(k, length_bytes, &n) || (p = vnp_pk_take(k, n)) == NULL)
        return VNP_DATA;
    if (n > 8)
        return vnp_pk_push(k, vnp_pk_new(k, VNP_PY_OPAQUE));
    for (uint64_t i = 0; i < n; i++)
        u |= (uint64_t)p[i] << (8 * i);
    if (n > 0 && n < 8 && p[n - 1] & 0x80)
        u |= ~(uint64_t)0 << (8 * n);
    return push_int(k, VNP_PY_INT, (int64_t)u);
}

/* --- containers -------------------------------------------------------------------------------------------------- */

static enum vnp_status push_tuple(struct vnp_pickle *k, size_t first, bool marked)
{
    struct vnp_py *o = vnp_pk_new(k, VNP_PY_TUPLE);
    for (size_t i = first; i < k->n_stack; i++)
        vnp_pk_append(k, o, k->stack[i]);
    k->n_stack = first - marked;
    return vnp_pk_push(k, o);
}

static enum vnp_status tuple_of(struct vnp_pickle *k, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (k->n_stack < n || k->stack[k->n_stack - 1 - i] == &k->mark)
            return vnp_pk_error(k, "an operation without its operands");
    return push_tuple(k, k->n_stack - n, false);
}

/* Moves what lies above `first` into the list or dict below it (and below the mark, if there is one). */
static enum vnp_status extend(struct vnp_pickle *k, enum vnp_py_type type, size_t first, bool marked)
{
    const size_t below = first - marked;
    if (below == 0 || k->stack[below - 1]->type != type)
        return vnp_pk_error(k, "items for something that is no %s", type == VNP_PY_LIST ? "list" : "dict");
    if (type == VNP_PY_DICT && (k->n_stack - first) % 2 != 0)
        return vnp_pk_error(k, "a key without a value");
    for (size_t i = first; i < k->n_stack; i++)
        vnp_pk_append(k, k->stack[below - 1], k->stack[i]);
    k->n_stack = below;
    return VNP_OK;
}

static enum vnp_status extend_one(struct vnp_pickle *k, enum vnp_py_type type)
{
    const size_t n = type == VNP_PY_LIST ? 1 : 2;
    if (k->n_stack < n + 1)
        return vnp_pk_error(k, "an operation without its operands");
    for (size_t i = 1; i <= n + 1; i++)
        if (k->stack[k->n_stack - i] == &k->mark)
            return vnp_pk_error(k, "an operation without its operands");
    return extend(k, type, k->n_stack - n, false);
}

static enum vnp_status extend_many(struct vnp_pickle *k, enum vnp_py_type type)
{
    size_t first;
    if (!vnp_pk_mark(k, &first))
        return VNP_DATA;
    return extend(k, type, first, true);
}

static enum vnp_status op_global(struct vnp_pickle *k)
{
    const char *part[2];
    size_t n[2];
    for (int i = 0; i < 2; i++) {
        part[i] = (const char *)k->p + k->at;
        const char *eol = memchr(part[i], '\n', k->n - k->at);
        if (eol == NULL)
            return vnp_pk_error(k, "a class name without an end");
        n[i] = (size_t)(eol - part[i]);
        k->at += n[i] + 1;
    }
    return vnp_pk_class(k, part[0], n[0], part[1], n[1]);
}

static enum vnp_status op_stack_global(struct vnp_pickle *k)
{
    const struct vnp_py *name = vnp_pk_pop(k), *module = name ? vnp_pk_pop(k) : NULL;
    if (module == NULL)
        return VNP_DATA;
    if (name->type != VNP_PY_STR || module->type != VNP_PY_STR)
        return vnp_pk_error(k, "a class name that is not text");
    return vnp_pk_class(k, module->text.s, module->text.n, name->text.s, name->text.n);
}

/* --- the machine ------------------------------------------------------------------------------------------------- */

static enum vnp_status op_memo(struct vnp_pickle *k, uint8_t op)
{
    uint64_t index = k->n_memo;
    const bool wide = op == 'r' || op == 'j';
    if (op != 0x94 && !vnp_pk_uint(k, wide ? 4 : 1, &index))
        return VNP_DATA;
    return op == 'h' || op == 'j' ? vnp_pk_get(k, index) : vnp_pk_put(k, index);
}

static enum vnp_status op_number(struct vnp_pickle *k, uint8_t op)
{
    uint64_t u;
    if (op == 'G')
        return push_float(k);
    if (op == 0x8a || op == 0x8b)
        return push_long(k, op == 0x8a ? 1 : 4);
    if (!vnp_pk_uint(k, op == 'K' ? 1 : op == 'M' ? 2 : 4, &u))
        return VNP_DATA;
    return push_int(k, VNP_PY_INT, op == 'J' ? (int32_t)u : (int64_t)u);
}

static enum vnp_status op_text(struct vnp_pickle *k, uint8_t op)
{
    switch (op) {
    case 'X':
    case 'T': /* Python 2's str */
        return push_text(k, VNP_PY_STR, 4);
    case 0x8c:
    case 'U':
        return push_text(k, VNP_PY_STR, 1);
    case 0x8d:
        return push_text(k, VNP_PY_STR, 8);
    default: /* 'C', 'B': bytes */
        return push_text(k, VNP_PY_OPAQUE, op == 'C' ? 1 : 4);
    }
}

/* Operations that need nothing and leave one object. */
static enum vnp_status op_simple(struct vnp_pickle *k, uint8_t op)
{
    switch (op) {
    case '(':
        return vnp_pk_push(k, &k->mark);
    case ')':
        return vnp_pk_push(k, vnp_pk_new(k, VNP_PY_TUPLE));
    case ']':
    case 0x8f: /* a set, which is as good as a list here */
        return vnp_pk_push(k, vnp_pk_new(k, VNP_PY_LIST));
    case '}':
        return vnp_pk_push(k, vnp_pk_new(k, VNP_PY_DICT));
    case 'N':
        return vnp_pk_push(k, vnp_pk_new(k, VNP_PY_NONE));
    default: /* 0x88 True, 0x89 False */
        return push_int(k, VNP_PY_BOOL, op == 0x88);
    }
}

/* Operations that take objects off the stack and put one back. */
static enum vnp_status op_compose(struct vnp_pickle *k, uint8_t op)
{
    size_t first;
    switch (op) {
    case 't':
        return vnp_pk_mark(k, &first) ? push_tuple(k, first, true) : VNP_DATA;
    case 'a':
        return extend_one(k, VNP_PY_LIST);
    case 'e':
    case 0x90:
        return extend_many(k, VNP_PY_LIST);
    case 's':
        return extend_one(k, VNP_PY_DICT);
    case 'u':
        return extend_many(k, VNP_PY_DICT);
    case 'R':
        return vnp_pk_call(k);
    case 0x81:
        return vnp_pk_object(k);
    case 'b':
        return vnp_pk_attributes(k);
    case 'Q':
        return vnp_pk_storage(k);
    default: /* 0x85, 0x86, 0x87: of one, two or three */
        return tuple_of(k, op - 0x84u);
    }
}

static enum vnp_status step(struct vnp_pickle *k, uint8_t op)
{
    uint64_t ignored;
    if (op != 0 && strchr("()]}N\x88\x89\x8f", op) != NULL)
        return op_simple(k, op);
    if (op != 0 && strchr("KMJG\x8a\x8b", op) != NULL)
        return op_number(k, op);
    if (op != 0 && strchr("XTUCB\x8c\x8d", op) != NULL)
        return op_text(k, op);
    if (op != 0 && strchr("taesuRbQ\x81\x85\x86\x87\x90", op) != NULL)
        return op_compose(k, op);
    if (op != 0 && strchr("qrhj\x94", op) != NULL)
        return op_memo(k, op);
    switch (op) {
    case 'c':
        return op_global(k);
    case 0x93:
        return op_stack_global(k);
    case 0x80: /* protocol */
        return vnp_pk_uint(k, 1, &ignored) ? VNP_OK : VNP_DATA;
    case 0x95: /* frame: a hint for readers of pipes */
        return vnp_pk_uint(k, 8, &ignored) ? VNP_OK : VNP_DATA;
    default:
        return vnp_pk_error(k, "operation 0x%02x is not one that a model file needs", op);
    }
}

static enum vnp_status run(struct vnp_pickle *k, const struct vnp_py **root)
{
    for (;;) {
        const uint8_t *op = vnp_pk_take(k, 1);
        if (op == NULL)
            return VNP_DATA;
        if (*op == '.')
            break;
        enum vnp_status st = step(k, *op);
        if (st != VNP_OK)
            return st;
    }
    return (*root = vnp_pk_pop(k)) != NULL ? VNP_OK : VNP_DATA;
}

enum vnp_status vnp_pickle_read_next(struct vnp_pickle **out, const struct vnp_py **root, const uint8_t *p, size_t n,
                                     size_t *used, const char *file, struct vnp_err *err)
{
    *out = NULL;
    struct vnp_pickle *k = xcalloc(1, sizeof *k);
    k->p = p;
    k->n = n > VNP_PICKLE_LIMIT ? VNP_PICKLE_LIMIT : n;
    k->file = file;
    k->err = err;
    enum vnp_status st = run(k, root);
    free(k->stack);
    free(k->memo);
    k->stack = k->memo = NULL;
    *used = k->at;
    if (st == VNP_OK)
        *out = k;
    else
        vnp_pickle_free(k);
    return st;
}

enum vnp_status vnp_pickle_read(struct vnp_pickle **out, const struct vnp_py **root, const uint8_t *p, size_t n,
                                const char *file, struct vnp_err *err)
{
    size_t used;
    *out = NULL;
    if (n > VNP_PICKLE_LIMIT)
        return vnp_error(err, VNP_DATA, "%s: a pickle of %zu bytes; a model's has fewer than %u", file, n,
                         VNP_PICKLE_LIMIT);
    return vnp_pickle_read_next(out, root, p, n, &used, file, err);
}

const struct vnp_py *vnp_pickle_storages(const struct vnp_pickle *p)
{
    return p->storages;
}

const struct vnp_py *vnp_py_get(const struct vnp_py *o, const char *key)
{
    if (o == NULL || (o->type != VNP_PY_DICT && o->type != VNP_PY_OBJECT && o->type != VNP_PY_MODULE))
        return NULL;
    const size_t n = strlen(key);
    for (size_t i = o->items.n; i >= 2; i -= 2) {
        const struct vnp_py *name = o->items.v[i - 2];
        if (name->type == VNP_PY_STR && name->text.n == n && memcmp(name->text.s, key, n) == 0)
            return o->items.v[i - 1];
    }
    return NULL;
}
