#include "pickle_machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xmalloc.h"

/* --- memory: everything lives until the pickle is freed ------------------------------------------------------------
 */

#define ARENA_BLOCK ((size_t)1 << 16)

struct vnp_pk_block {
    struct vnp_pk_block *next;
    _Alignas(16) uint8_t data[];
};

void *vnp_pk_alloc(struct vnp_pickle *k, size_t bytes)
{
    bytes = (bytes + 15) & ~(size_t)15;
    if (bytes > k->left) {
        const size_t size = bytes > ARENA_BLOCK ? bytes : ARENA_BLOCK;
        struct vnp_pk_block *b = xmalloc(sizeof *b + size);
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

struct vnp_py *vnp_pk_new(struct vnp_pickle *k, enum vnp_py_type type)
{
    struct vnp_py *o = vnp_pk_alloc(k, sizeof *o);
    memset(o, 0, sizeof *o);
    o->type = type;
    return o;
}

void vnp_pk_append(struct vnp_pickle *k, struct vnp_py *o, struct vnp_py *item)
{
    if (o->items.n == o->items.cap) {
        const size_t cap = o->items.cap ? 2 * o->items.cap : 4;
        struct vnp_py **v = vnp_pk_alloc(k, cap * sizeof *v);
        if (o->items.n > 0)
            memcpy(v, o->items.v, o->items.n * sizeof *v);
        o->items.v = v;
        o->items.cap = cap;
    }
    o->items.v[o->items.n++] = item;
}

/* --- errors, bytes, stack ---------------------------------------------------------------------------------------- */

enum vnp_status vnp_pk_error(struct vnp_pickle *k, const char *fmt, ...)
{
    char what[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return vnp_error(k->err, VNP_DATA, "%s: pickle, byte %zu: %s", k->file, k->at, what);
}

/* Steps over the next n bytes; NULL when they are not there. */
const uint8_t *vnp_pk_take(struct vnp_pickle *k, uint64_t n)
{
    if (n > k->n - k->at) {
        (void)vnp_pk_error(k, "cut short: %llu bytes wanted, %zu left", (unsigned long long)n, k->n - k->at);
        return NULL;
    }
    const uint8_t *p = k->p + k->at;
    k->at += (size_t)n;
    return p;
}

bool vnp_pk_uint(struct vnp_pickle *k, int bytes, uint64_t *value)
{
    const uint8_t *p = vnp_pk_take(k, (uint64_t)bytes);
    *value = 0;
    for (int i = 0; p != NULL && i < bytes; i++)
        *value |= (uint64_t)p[i] << (8 * i);
    return p != NULL;
}

enum vnp_status vnp_pk_push(struct vnp_pickle *k, struct vnp_py *o)
{
    if (k->n_stack == k->stack_cap) {
        k->stack_cap = k->stack_cap ? 2 * k->stack_cap : 64;
        k->stack = xreallocarray(k->stack, k->stack_cap, sizeof *k->stack);
    }
    k->stack[k->n_stack++] = o;
    return VNP_OK;
}

/* The top object, removed; NULL when the stack is empty or a mark is on top. */
struct vnp_py *vnp_pk_pop(struct vnp_pickle *k)
{
    if (k->n_stack == 0 || k->stack[k->n_stack - 1] == &k->mark) {
        (void)vnp_pk_error(k, "an operation without its operands");
        return NULL;
    }
    return k->stack[--k->n_stack];
}

struct vnp_py *vnp_pk_top(struct vnp_pickle *k)
{
    struct vnp_py *o = vnp_pk_pop(k);
    k->n_stack += o != NULL;
    return o;
}

/* Index of the first object above the last mark; false when there is no mark. */
bool vnp_pk_mark(struct vnp_pickle *k, size_t *first)
{
    for (size_t i = k->n_stack; i > 0; i--)
        if (k->stack[i - 1] == &k->mark) {
            *first = i;
            return true;
        }
    (void)vnp_pk_error(k, "no mark on the stack");
    return false;
}

/* --- memo -------------------------------------------------------------------------------------------------------- */

enum vnp_status vnp_pk_put(struct vnp_pickle *k, uint64_t index)
{
    struct vnp_py *o = vnp_pk_top(k);
    if (o == NULL)
        return VNP_DATA;
    if (index > k->at) /* picklers count up from 0 or 1, so there can't be more than bytes so far */
        return vnp_pk_error(k, "memo index %llu after %zu bytes", (unsigned long long)index, k->at);
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

enum vnp_status vnp_pk_get(struct vnp_pickle *k, uint64_t index)
{
    if (index >= k->n_memo || k->memo[index] == NULL)
        return vnp_pk_error(k, "memo index %llu was never set", (unsigned long long)index);
    return vnp_pk_push(k, k->memo[index]);
}

void vnp_pickle_free(struct vnp_pickle *p)
{
    if (p == NULL)
        return;
    for (struct vnp_pk_block *b = p->blocks, *next; b != NULL; b = next) {
        next = b->next;
        free(b);
    }
    free(p);
}
