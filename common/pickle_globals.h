/* The classes and functions that a model file's pickle may name, and what they mean here. */
#ifndef VNP_PICKLE_GLOBALS_H
#define VNP_PICKLE_GLOBALS_H

#include <stddef.h>

enum vnp_py_what {
    VNP_PY_MAKE_DICT,
    VNP_PY_MAKE_NAMESPACE,
    VNP_PY_MAKE_TENSOR,    /* (storage, offset, shape, strides, ...) */
    VNP_PY_MAKE_PARAMETER, /* (tensor, ...): the tensor */
    VNP_PY_MAKE_TUPLE,     /* (tuple): the tuple */
    VNP_PY_MAKE_MODULE,    /* a record of the module's attributes */
    VNP_PY_MAKE_OPAQUE,    /* harmless and not needed */
    VNP_PY_STORAGE_CLASS,  /* names a dtype; never called */
    VNP_PY_VALUE           /* a constant; never called */
};

struct vnp_py_global {
    const char *module; /* NULL: any, for a class that is told by its name and never called */
    const char *name;
    enum vnp_py_what what;
    const char *dtype; /* of a storage class, as in struct vnp_stored */
};

/* NULL for a name that is not on the list. */
const struct vnp_py_global *vnp_py_global_find(const char *module, size_t n_module, const char *name, size_t n_name);

#endif
