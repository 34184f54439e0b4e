/* Reads a pickle that holds tensors, settings, modules and containers, and executes nothing: a class or function that
 * the pickle names is looked up in a short list of those whose meaning is built in here, and any other is an error that
 * names it. Protocols 2 to 5 (Python Lib/pickletools.py describes the opcodes). Memory is a small multiple of the
 * pickle's own size, whatever the pickle claims. */
#ifndef VNP_PICKLE_H
#define VNP_PICKLE_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

#define VNP_PICKLE_LIMIT (16u << 20) /* bytes; that of ESM-2 15B has about 150 kB */
#define VNP_PY_DIMS 8

enum vnp_py_type {
    VNP_PY_NONE,
    VNP_PY_BOOL,    /* i */
    VNP_PY_INT,     /* i */
    VNP_PY_FLOAT,   /* f */
    VNP_PY_STR,     /* text */
    VNP_PY_TUPLE,   /* items */
    VNP_PY_LIST,    /* items */
    VNP_PY_DICT,    /* items: key, value, key, value, ... */
    VNP_PY_OBJECT,  /* an argparse.Namespace; items as of a dict */
    VNP_PY_MODULE,  /* a torch.nn.Module as a record of its attributes: items as of a dict, cls */
    VNP_PY_GLOBAL,  /* a class or function of the list */
    VNP_PY_STORAGE, /* storage */
    VNP_PY_TENSOR,  /* tensor */
    VNP_PY_OPAQUE   /* something harmless that nobody here needs: a device, a dtype, bytes, a very long integer */
};

struct vnp_py {
    enum vnp_py_type type;
    union {
        int64_t i;
        double f;
        struct {
            const char *s; /* UTF-8, not NUL-terminated; borrowed from the pickle */
            size_t n;
        } text;
        struct {
            struct vnp_py **v;
            size_t n, cap;
            const struct vnp_py_class *cls; /* VNP_PY_MODULE */
        } items;
        struct vnp_py_class {
            const struct vnp_py_global *global;
            struct vnp_py_name {
                const char *s; /* as text */
                size_t n;
            } module, name; /* as the file has them */
        } cls; /* VNP_PY_GLOBAL */
        struct {
            const char *dtype;  /* "F32", "BF16", "I64", ... */
            struct vnp_py *key; /* a string: the name of its bytes in the archive */
            int64_t elements;
            const struct vnp_py *next; /* of vnp_pickle_storages() */
        } storage;
        struct {
            const struct vnp_py *storage;
            int64_t offset; /* elements from the start of the storage */
            int ndim;
            int64_t shape[VNP_PY_DIMS], stride[VNP_PY_DIMS];
        } * tensor;
    };
};

struct vnp_pickle;

/* Reads a whole pickle; `file` is for messages. *out owns all that *root leads to; the pickle's bytes must outlive it.
 */
VNP_MUST_CHECK enum vnp_status vnp_pickle_read(struct vnp_pickle **out, const struct vnp_py **root, const uint8_t *p,
                                               size_t n, const char *file, struct vnp_err *err);
/* The same for a pickle that others follow: *used gets its length. Only the first VNP_PICKLE_LIMIT bytes are looked
 * at. */
VNP_MUST_CHECK enum vnp_status vnp_pickle_read_next(struct vnp_pickle **out, const struct vnp_py **root,
                                                    const uint8_t *p, size_t n, size_t *used, const char *file,
                                                    struct vnp_err *err);
/* The storages that the pickle refers to, the last one first, as a list; one that several tensors share comes several
 * times. NULL for none. */
const struct vnp_py *vnp_pickle_storages(const struct vnp_pickle *p);
/* NULL is allowed. */
void vnp_pickle_free(struct vnp_pickle *p);

/* The value for a key of a dict, object or module, the last one set; NULL when there is none, or `o` is NULL or no such
 * thing. */
const struct vnp_py *vnp_py_get(const struct vnp_py *o, const char *key);

#endif
