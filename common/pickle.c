#include "pickle.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pickle_globals.h"
#include "xmalloc.h"

/* --- memory: everything lives until the pickle is freed ------------------------------------------------------------ */

#define ARENA_BLOCK ((size_t)1 << 16)

struct block {
    struct block *next;
    _Alignas(16) uint8_t data[];
};

struct vnp_pickle {
    const uint8_t *p; /* the bytes, where reading stands, and how many there are */
    size_t at, n;
    const char *file;
    struct vnp_err *err;
    struct block *blocks;
    size_t left; /* free bytes at the end of the first block, of ARENA_BLOCK unless it was asked for by itself */
    uint8_t *free;
    struct vnp_py **stack;
    size_t n_stack, stack_cap;
    struct vnp_py **memo; /* by index */
    size_t n_memo, memo_cap;
    struct vnp_py mark;
};

static void *arena(struct vnp_pickle *k, size_t bytes)
{
    bytes = (bytes + 15) & ~(size_t)15;
    if (bytes > k->left) {
        const size_t size = bytes > ARENA_BLOCK ? bytes : ARENA_BLOCK;
        struct block *b = xmalloc(sizeof *b + size);
        b->next = k->blocks;
        k->blocks = b;
        k->free = b->data;
        k->left = size;
    }
    void *p = k->free;
    k->free += bytes;
    k->left -= bytes;
    return p;
}

static struct vnp_py *new_object(struct vnp_pickle *k, enum vnp_py_type type)
{
    struct vnp_py *o = arena(k, sizeof *o);
    memset(o, 0, sizeof *o);
    o->type = type;
    return o;
}

static void append(struct vnp_pickle *k, struct vnp_py *o, struct vnp_py *item)
{
    if (o->items.n == o->items.cap) {
        const size_t cap = o->items.cap ? 2 * o->items.cap : 4;
        struct vnp_py **v = arena(k, cap * sizeof *v);
        if (o->items.n > 0)
            memcpy(v, o->items.v, o->items.n * sizeof *v);
        o->items.v = v;
        o->items.cap = cap;
    }
    o->items.v[o->items.n++] = item;
}

/* --- errors, bytes, stack ---------------------------------------------------------------------------------------- */

#define FAIL(k, ...) pickle_error(k, __VA_ARGS__)

static enum vnp_status __attribute__((format(printf, 2, 3))) pickle_error(struct vnp_pickle *k, const char *fmt, ...)
{
    char what[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return vnp_error(k->err, VNP_DATA, "%s: pickle, byte %zu: %s", k->file, k->at, what);
}

/* Steps over the next n bytes; NULL when they are not there. */
static const uint8_t *take(struct vnp_pickle *k, uint64_t n)
{
    if (n > k->n - k->at) {
        (void)FAIL(k, "cut short: %llu bytes wanted, %zu left", (unsigned long long)n, k->n - k->at);
        return NULL;
    }
    const uint8_t *p = k->p + k->at;
    k->at += (size_t)n;
    return p;
}

static bool take_uint(struct vnp_pickle *k, int bytes, uint64_t *value)
{
    const uint8_t *p = take(k, (uint64_t)bytes);
    *value = 0;
    for (int i = 0; p != NULL && i < bytes; i++)
        *value |= (uint64_t)p[i] << (8 * i);
    return p != NULL;
}

static enum vnp_status push(struct vnp_pickle *k, struct vnp_py *o)
{
    if (k->n_stack == k->stack_cap) {
        k->stack_cap = k->stack_cap ? 2 * k->stack_cap : 64;
        k->stack = xreallocarray(k->stack, k->stack_cap, sizeof *k->stack);
    }
    k->stack[k->n_stack++] = o;
    return VNP_OK;
}

/* The top object, removed; NULL when the stack is empty or a mark is on top. */
static struct vnp_py *pop(struct vnp_pickle *k)
{
    if (k->n_stack == 0 || k->stack[k->n_stack - 1] == &k->mark) {
        (void)FAIL(k, "an operation without its operands");
        return NULL;
    }
    return k->stack[--k->n_stack];
}

static struct vnp_py *top(struct vnp_pickle *k)
{
    struct vnp_py *o = pop(k);
    k->n_stack += o != NULL;
    return o;
}

/* Index of the first object above the last mark; false when there is no mark. */
static bool find_mark(struct vnp_pickle *k, size_t *first)
{
    for (size_t i = k->n_stack; i > 0; i--)
        if (k->stack[i - 1] == &k->mark) {
            *first = i;
            return true;
        }
    (void)FAIL(k, "no mark on the stack");
    return false;
}

/* --- memo -------------------------------------------------------------------------------------------------------- */

static enum vnp_status memo_put(struct vnp_pickle *k, uint64_t index)
{
    struct vnp_py *o = top(k);
    if (o == NULL)
        return VNP_DATA;
    if (index > k->n) /* picklers count up from 0 or 1, so there can't be more than bytes */
        return FAIL(k, "memo index %llu in a pickle of %zu bytes", (unsigned long long)index, k->n);
    if (index >= k->memo_cap) {
        const size_t cap = 2 * (size_t)index + 64;
        k->memo = xreallocarray(k->memo, cap, sizeof *k->memo);
        memset(k->memo + k->memo_cap, 0, (cap - k->memo_cap) * sizeof *k->memo);
        k->memo_cap = cap;
    }
    k->memo[index] = o;
    if (index >= k->n_memo)
        k->n_memo = (size_t)index + 1;
    return VNP_OK;
}

static enum vnp_status memo_get(struct vnp_pickle *k, uint64_t index)
{
    if (index >= k->n_memo || k->memo[index] == NULL)
        return FAIL(k, "memo index %llu was never set", (unsigned long long)index);
    return push(k, k->memo[index]);
}

/* --- scalars ----------------------------------------------------------------------------------------------------- */

static enum vnp_status push_int(struct vnp_pickle *k, enum vnp_py_type type, int64_t i)
{
    struct vnp_py *o = new_object(k, type);
    o->i = i;
    return push(k, o);
}

static enum vnp_status push_text(struct vnp_pickle *k, enum vnp_py_type type, int length_bytes)
{
    uint64_t n;
    const uint8_t *p = NULL;
    if (!take_uint(k, length_bytes, &n) || (p = take(k, n)) == NULL)
        return VNP_DATA;
    struct vnp_py *o = new_object(k, type);
    o->text.s = (const char *)p;
    o->text.n = (size_t)n;
    return push(k, o);
}

static enum vnp_status push_float(struct vnp_pickle *k)
{
    const uint8_t *p = take(k, 8);
    if (p == NULL)
        return VNP_DATA;
    uint64_t u = 0;
    for (int i = 0; i < 8; i++)
        u = u << 8 | p[i]; /* the one big-endian number of the format */
    struct vnp_py *o = new_object(k, VNP_PY_FLOAT);
    memcpy(&o->f, &u, sizeof u);
    return push(k, o);
}

/* A little-endian two's complement integer of any length. */
static enum vnp_status push_long(struct vnp_pickle *k, int length_bytes)
{
    uint64_t n, u = 0;
    const uint8_t *p;
    if (!take_uint(k, length_bytes, &n) || (p = take(k, n)) == NULL)
        return VNP_DATA;
    if (n > 8)
        return push(k, new_object(k, VNP_PY_OPAQUE));
    for (uint64_t i = 0; i < n; i++)
        u |= (uint64_t)p[i] << (8 * i);
    if (n > 0 && n < 8 && p[n - 1] & 0x80)
        u |= ~(uint64_t)0 << (8 * n);
    return push_int(k, VNP_PY_INT, (int64_t)u);
}

/* --- containers -------------------------------------------------------------------------------------------------- */

static enum vnp_status push_tuple(struct vnp_pickle *k, size_t first, bool marked)
{
    struct vnp_py *o = new_object(k, VNP_PY_TUPLE);
    for (size_t i = first; i < k->n_stack; i++)
        append(k, o, k->stack[i]);
    k->n_stack = first - marked;
    return push(k, o);
}

static enum vnp_status tuple_of(struct vnp_pickle *k, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (k->n_stack < n || k->stack[k->n_stack - 1 - i] == &k->mark)
            return FAIL(k, "an operation without its operands");
    return push_tuple(k, k->n_stack - n, false);
}

/* Moves what lies above `first` into the list or dict below it (and below the mark, if there is one). */
static enum vnp_status extend(struct vnp_pickle *k, enum vnp_py_type type, size_t first, bool marked)
{
    const size_t below = first - marked;
    if (below == 0 || k->stack[below - 1]->type != type)
        return FAIL(k, "items for something that is no %s", type == VNP_PY_LIST ? "list" : "dict");
    if (type == VNP_PY_DICT && (k->n_stack - first) % 2 != 0)
        return FAIL(k, "a key without a value");
    for (size_t i = first; i < k->n_stack; i++)
        append(k, k->stack[below - 1], k->stack[i]);
    k->n_stack = below;
    return VNP_OK;
}

static enum vnp_status extend_one(struct vnp_pickle *k, enum vnp_py_type type)
{
    const size_t n = type == VNP_PY_LIST ? 1 : 2;
    if (k->n_stack < n + 1)
        return FAIL(k, "an operation without its operands");
    for (size_t i = 1; i <= n + 1; i++)
        if (k->stack[k->n_stack - i] == &k->mark)
            return FAIL(k, "an operation without its operands");
    return extend(k, type, k->n_stack - n, false);
}

static enum vnp_status extend_many(struct vnp_pickle *k, enum vnp_py_type type)
{
    size_t first;
    if (!find_mark(k, &first))
        return VNP_DATA;
    return extend(k, type, first, true);
}

/* --- classes and functions --------------------------------------------------------------------------------------- */

static enum vnp_status push_global(struct vnp_pickle *k, const char *module, size_t n_module, const char *name,
                                   size_t n_name)
{
    const struct vnp_py_global *g = vnp_py_global_find(module, n_module, name, n_name);
    if (g == NULL)
        return FAIL(k, "%.*s.%.*s is not on the list of what may be in a model file; nothing was executed",
                    n_module > 100 ? 100 : (int)n_module, module, n_name > 100 ? 100 : (int)n_name, name);
    struct vnp_py *o = new_object(k, VNP_PY_GLOBAL);
    o->global = g;
    return push(k, o);
}

static enum vnp_status op_global(struct vnp_pickle *k)
{
    const char *part[2];
    size_t n[2];
    for (int i = 0; i < 2; i++) {
        part[i] = (const char *)k->p + k->at;
        const char *eol = memchr(part[i], '\n', k->n - k->at);
        if (eol == NULL)
            return FAIL(k, "a class name without an end");
        n[i] = (size_t)(eol - part[i]);
        k->at += n[i] + 1;
    }
    return push_global(k, part[0], n[0], part[1], n[1]);
}

static enum vnp_status op_stack_global(struct vnp_pickle *k)
{
    const struct vnp_py *name = pop(k), *module = name ? pop(k) : NULL;
    if (module == NULL)
        return VNP_DATA;
    if (name->type != VNP_PY_STR || module->type != VNP_PY_STR)
        return FAIL(k, "a class name that is not text");
    return push_global(k, module->text.s, module->text.n, name->text.s, name->text.n);
}

static const struct vnp_py *arg(const struct vnp_py *args, size_t i, enum vnp_py_type type)
{
    return i < args->items.n && args->items.v[i]->type == type ? args->items.v[i] : NULL;
}

static enum vnp_status rebuild_tensor(struct vnp_pickle *k, const struct vnp_py *args)
{
    const struct vnp_py *storage = arg(args, 0, VNP_PY_STORAGE), *offset = arg(args, 1, VNP_PY_INT);
    const struct vnp_py *size = arg(args, 2, VNP_PY_TUPLE), *stride = arg(args, 3, VNP_PY_TUPLE);
    if (storage == NULL || offset == NULL || size == NULL || stride == NULL || size->items.n != stride->items.n ||
        size->items.n > VNP_PY_DIMS || offset->i < 0)
        return FAIL(k, "a tensor that is not made of a storage, an offset, a shape of at most %d dimensions and strides",
                    VNP_PY_DIMS);
    struct vnp_py *o = new_object(k, VNP_PY_TENSOR);
    o->tensor = arena(k, sizeof *o->tensor);
    o->tensor->storage = storage;
    o->tensor->offset = offset->i;
    o->tensor->ndim = (int)size->items.n;
    for (size_t d = 0; d < size->items.n; d++) {
        const struct vnp_py *n = arg(size, d, VNP_PY_INT), *step = arg(stride, d, VNP_PY_INT);
        if (n == NULL || step == NULL || n->i < 0 || step->i < 0)
            return FAIL(k, "a tensor's dimension or stride that is not a whole number");
        o->tensor->shape[d] = n->i;
        o->tensor->stride[d] = step->i;
    }
    return push(k, o);
}

static enum vnp_status op_reduce(struct vnp_pickle *k)
{
    struct vnp_py *args = pop(k), *f = args ? pop(k) : NULL;
    if (f == NULL)
        return VNP_DATA;
    if (f->type != VNP_PY_GLOBAL || args->type != VNP_PY_TUPLE)
        return FAIL(k, "a call of something that is no function of the list");
    switch (f->global->what) {
    case VNP_PY_MAKE_DICT:
        if (args->items.n != 0)
            return FAIL(k, "%s with arguments", f->global->name);
        return push(k, new_object(k, VNP_PY_DICT));
    case VNP_PY_MAKE_NAMESPACE:
        return push(k, new_object(k, VNP_PY_OBJECT));
    case VNP_PY_MAKE_TENSOR:
        return rebuild_tensor(k, args);
    case VNP_PY_MAKE_PARAMETER:
        if (arg(args, 0, VNP_PY_TENSOR) == NULL)
            return FAIL(k, "a parameter that is no tensor");
        return push(k, args->items.v[0]);
    case VNP_PY_MAKE_TUPLE:
        return push(k, args->items.n == 1 ? args->items.v[0] : args);
    case VNP_PY_MAKE_OPAQUE:
        return push(k, new_object(k, VNP_PY_OPAQUE));
    default:
        return FAIL(k, "%s.%s is not called in a model file", f->global->module, f->global->name);
    }
}

/* cls.__new__(cls, *args): what pickle writes for plain objects */
static enum vnp_status op_newobj(struct vnp_pickle *k)
{
    struct vnp_py *args = pop(k), *cls = args ? pop(k) : NULL;
    if (cls == NULL)
        return VNP_DATA;
    if (cls->type != VNP_PY_GLOBAL ||
        (cls->global->what != VNP_PY_MAKE_NAMESPACE && cls->global->what != VNP_PY_MAKE_DICT))
        return FAIL(k, "an object of something that is no class of the list");
    return push(k, new_object(k, cls->global->what == VNP_PY_MAKE_DICT ? VNP_PY_DICT : VNP_PY_OBJECT));
}

/* Attributes: the settings of a Namespace; those of a state_dict (its _metadata) and of others say nothing we need. */
static enum vnp_status op_build(struct vnp_pickle *k)
{
    struct vnp_py *state = pop(k), *o = state ? top(k) : NULL;
    if (o == NULL)
        return VNP_DATA;
    if (o->type == VNP_PY_OBJECT && state->type == VNP_PY_DICT)
        o->items = state->items;
    else if (o->type != VNP_PY_DICT && o->type != VNP_PY_TENSOR)
        return FAIL(k, "attributes for something that has none");
    return VNP_OK;
}

/* The storages of torch: ("storage", class, key, location, number of elements). */
static enum vnp_status op_persid(struct vnp_pickle *k)
{
    const struct vnp_py *id = pop(k);
    if (id == NULL)
        return VNP_DATA;
    const bool tuple = id->type == VNP_PY_TUPLE;
    const struct vnp_py *kind = tuple ? arg(id, 0, VNP_PY_STR) : NULL, *cls = tuple ? arg(id, 1, VNP_PY_GLOBAL) : NULL;
    const struct vnp_py *n = tuple ? arg(id, 4, VNP_PY_INT) : NULL;
    if (kind == NULL || kind->text.n != 7 || memcmp(kind->text.s, "storage", 7) != 0 || cls == NULL ||
        cls->global->what != VNP_PY_STORAGE_CLASS || arg(id, 2, VNP_PY_STR) == NULL || n == NULL || n->i < 0)
        return FAIL(k, "a reference that is not to a storage of torch");
    struct vnp_py *o = new_object(k, VNP_PY_STORAGE);
    o->storage.dtype = cls->global->dtype;
    o->storage.key = id->items.v[2];
    o->storage.elements = n->i;
    return push(k, o);
}

/* --- the machine ------------------------------------------------------------------------------------------------- */

static enum vnp_status op_memo(struct vnp_pickle *k, uint8_t op)
{
    uint64_t index = k->n_memo;
    const bool wide = op == 'r' || op == 'j';
    if (op != 0x94 && !take_uint(k, wide ? 4 : 1, &index))
        return VNP_DATA;
    return op == 'h' || op == 'j' ? memo_get(k, index) : memo_put(k, index);
}

static enum vnp_status op_number(struct vnp_pickle *k, uint8_t op)
{
    uint64_t u;
    if (op == 'G')
        return push_float(k);
    if (op == 0x8a || op == 0x8b)
        return push_long(k, op == 0x8a ? 1 : 4);
    if (!take_uint(k, op == 'K' ? 1 : op == 'M' ? 2 : 4, &u))
        return VNP_DATA;
    return push_int(k, VNP_PY_INT, op == 'J' ? (int32_t)u : (int64_t)u);
}

static enum vnp_status step(struct vnp_pickle *k, uint8_t op)
{
    uint64_t ignored;
    size_t first;
    switch (op) {
    case '(':
        return push(k, &k->mark);
    case ')':
        return push(k, new_object(k, VNP_PY_TUPLE));
    case ']':
        return push(k, new_object(k, VNP_PY_LIST));
    case '}':
        return push(k, new_object(k, VNP_PY_DICT));
    case 'N':
        return push(k, new_object(k, VNP_PY_NONE));
    case 0x88:
    case 0x89:
        return push_int(k, VNP_PY_BOOL, op == 0x88);
    case 'K':
    case 'M':
    case 'J':
    case 'G':
    case 0x8a:
    case 0x8b:
        return op_number(k, op);
    case 'X':
        return push_text(k, VNP_PY_STR, 4);
    case 0x8c:
        return push_text(k, VNP_PY_STR, 1);
    case 0x8d:
        return push_text(k, VNP_PY_STR, 8);
    case 'C':
    case 'U': /* Python 2's str */
        return push_text(k, op == 'U' ? VNP_PY_STR : VNP_PY_OPAQUE, 1);
    case 'B':
    case 'T':
        return push_text(k, op == 'T' ? VNP_PY_STR : VNP_PY_OPAQUE, 4);
    case 't':
        return find_mark(k, &first) ? push_tuple(k, first, true) : VNP_DATA;
    case 0x85:
    case 0x86:
    case 0x87:
        return tuple_of(k, op - 0x84u);
    case 'a':
        return extend_one(k, VNP_PY_LIST);
    case 'e':
        return extend_many(k, VNP_PY_LIST);
    case 's':
        return extend_one(k, VNP_PY_DICT);
    case 'u':
        return extend_many(k, VNP_PY_DICT);
    case 'q':
    case 'r':
    case 'h':
    case 'j':
    case 0x94:
        return op_memo(k, op);
    case 'c':
        return op_global(k);
    case 0x93:
        return op_stack_global(k);
    case 'R':
        return op_reduce(k);
    case 0x81:
        return op_newobj(k);
    case 'b':
        return op_build(k);
    case 'Q':
        return op_persid(k);
    case 0x80: /* protocol */
        return take_uint(k, 1, &ignored) ? VNP_OK : VNP_DATA;
    case 0x95: /* frame: a hint for readers of pipes */
        return take_uint(k, 8, &ignored) ? VNP_OK : VNP_DATA;
    default:
        return FAIL(k, "operation 0x%02x is not one that a model file needs", op);
    }
}

static enum vnp_status run(struct vnp_pickle *k, const struct vnp_py **root)
{
    for (;;) {
        const uint8_t *op = take(k, 1);
        if (op == NULL)
            return VNP_DATA;
        if (*op == '.')
            break;
        enum vnp_status st = step(k, *op);
        if (st != VNP_OK)
            return st;
    }
    return (*root = pop(k)) != NULL ? VNP_OK : VNP_DATA;
}

enum vnp_status vnp_pickle_read(struct vnp_pickle **out, const struct vnp_py **root, const uint8_t *p, size_t n,
                                const char *file, struct vnp_err *err)
{
    *out = NULL;
    if (n > VNP_PICKLE_LIMIT)
        return vnp_error(err, VNP_DATA, "%s: a pickle of %zu bytes; a model's has fewer than %u", file, n,
                         VNP_PICKLE_LIMIT);
    struct vnp_pickle *k = xcalloc(1, sizeof *k);
    k->p = p;
    k->n = n;
    k->file = file;
    k->err = err;
    enum vnp_status st = run(k, root);
    free(k->stack);
    free(k->memo);
    k->stack = k->memo = NULL;
    if (st == VNP_OK)
        *out = k;
    else
        vnp_pickle_free(k);
    return st;
}

void vnp_pickle_free(struct vnp_pickle *p)
{
    if (p == NULL)
        return;
    for (struct block *b = p->blocks, *next; b != NULL; b = next) {
        next = b->next;
        free(b);
    }
    free(p);
}

const struct vnp_py *vnp_py_get(const struct vnp_py *o, const char *key)
{
    if (o == NULL || (o->type != VNP_PY_DICT && o->type != VNP_PY_OBJECT))
        return NULL;
    const size_t n = strlen(key);
    for (size_t i = o->items.n; i >= 2; i -= 2) {
        const struct vnp_py *name = o->items.v[i - 2];
        if (name->type == VNP_PY_STR && name->text.n == n && memcmp(name->text.s, key, n) == 0)
            return o->items.v[i - 1];
    }
    return NULL;
}
