/* What the unpickler works with: its memory, the bytes that it reads, its stack and memo. For pickle.c and
 * pickle_objects.c. */
#ifndef VNP_PICKLE_MACHINE_H
#define VNP_PICKLE_MACHINE_H

#include <stdbool.h>

#include "pickle.h"

struct vnp_pickle {
    const uint8_t *p; /* the bytes, where reading stands, and how many there are */
    size_t at, n;
    const char *file;
    struct vnp_err *err;
    struct vnp_pk_block *blocks; /* memory: everything lives until the pickle is freed */
    size_t left;                 /* free bytes at the end of the first block */
    uint8_t *free;
    struct vnp_py **stack;
    size_t n_stack, stack_cap;
    struct vnp_py **memo; /* by index */
    size_t n_memo, memo_cap;
    const struct vnp_py *storages; /* met so far */
    struct vnp_py mark;            /* what a mark on the stack points to */
};

/* Memory, an object of a type, and an item at the end of a container's. */
void *vnp_pk_alloc(struct vnp_pickle *k, size_t bytes);
struct vnp_py *vnp_pk_new(struct vnp_pickle *k, enum vnp_py_type type);
void vnp_pk_append(struct vnp_pickle *k, struct vnp_py *o, struct vnp_py *item);

/* VNP_DATA with the file and where reading stands. The functions below that return NULL or false have called it. */
enum vnp_status vnp_pk_error(struct vnp_pickle *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Steps over the next n bytes; NULL when they are not there. */
const uint8_t *vnp_pk_take(struct vnp_pickle *k, uint64_t n);
/* A little-endian number of 1 to 8 bytes. */
bool vnp_pk_uint(struct vnp_pickle *k, int bytes, uint64_t *value);

enum vnp_status vnp_pk_push(struct vnp_pickle *k, struct vnp_py *o);
/* The top object, removed or not; NULL when the stack is empty or a mark is on top. */
struct vnp_py *vnp_pk_pop(struct vnp_pickle *k);
struct vnp_py *vnp_pk_top(struct vnp_pickle *k);
/* Index of the first object above the last mark. */
bool vnp_pk_mark(struct vnp_pickle *k, size_t *first);

/* The top object into the memo; an object of the memo onto the stack. */
enum vnp_status vnp_pk_put(struct vnp_pickle *k, uint64_t index);
enum vnp_status vnp_pk_get(struct vnp_pickle *k, uint64_t index);

#endif
