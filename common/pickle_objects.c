#include "pickle_objects.h"

#include <string.h>

#include "pickle_globals.h"
#include "pickle_machine.h"

enum vnp_status vnp_pk_class(struct vnp_pickle *k, const char *module, size_t n_module, const char *name, size_t n_name)
{
    const struct vnp_py_global *g = vnp_py_global_find(module, n_module, name, n_name);
    if (g == NULL)
        return vnp_pk_error(k, "%.*s.%.*s is not on the list of what may be in a model file; nothing was executed",
                            n_module > 100 ? 100 : (int)n_module, module, n_name > 100 ? 100 : (int)n_name, name);
    struct vnp_py *o = vnp_pk_new(k, VNP_PY_GLOBAL);
    o->cls = (struct vnp_py_class){g, {module, n_module}, {name, n_name}};
    return vnp_pk_push(k, o);
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
        return vnp_pk_error(
            k, "a tensor that is not made of a storage, an offset, a shape of at most %d dimensions and strides",
            VNP_PY_DIMS);
    struct vnp_py *o = vnp_pk_new(k, VNP_PY_TENSOR);
    o->tensor = vnp_pk_alloc(k, sizeof *o->tensor);
    o->tensor->storage = storage;
    o->tensor->offset = offset->i;
    o->tensor->ndim = (int)size->items.n;
    for (size_t d = 0; d < size->items.n; d++) {
        const struct vnp_py *n = arg(size, d, VNP_PY_INT), *step = arg(stride, d, VNP_PY_INT);
        if (n == NULL || step == NULL || n->i < 0 || step->i < 0)
            return vnp_pk_error(k, "a tensor's dimension or stride that is not a whole number");
        o->tensor->shape[d] = n->i;
        o->tensor->stride[d] = step->i;
    }
    return vnp_pk_push(k, o);
}

enum vnp_status vnp_pk_call(struct vnp_pickle *k)
{
    struct vnp_py *args = vnp_pk_pop(k), *f = args ? vnp_pk_pop(k) : NULL;
    if (f == NULL)
        return VNP_DATA;
    if (f->type != VNP_PY_GLOBAL || args->type != VNP_PY_TUPLE)
        return vnp_pk_error(k, "a call of something that is no function of the list");
    const struct vnp_py_global *g = f->cls.global;
    switch (g->what) {
    case VNP_PY_MAKE_DICT:
        if (args->items.n != 0)
            return vnp_pk_error(k, "%s with arguments", g->name);
        return vnp_pk_push(k, vnp_pk_new(k, VNP_PY_DICT));
    case VNP_PY_MAKE_NAMESPACE:
        return vnp_pk_push(k, vnp_pk_new(k, VNP_PY_OBJECT));
    case VNP_PY_MAKE_TENSOR:
        return rebuild_tensor(k, args);
    case VNP_PY_MAKE_PARAMETER:
        if (arg(args, 0, VNP_PY_TENSOR) == NULL)
            return vnp_pk_error(k, "a parameter that is no tensor");
        return vnp_pk_push(k, args->items.v[0]);
    case VNP_PY_MAKE_TUPLE:
        return vnp_pk_push(k, args->items.n == 1 ? args->items.v[0] : args);
    case VNP_PY_MAKE_OPAQUE:
        return vnp_pk_push(k, vnp_pk_new(k, VNP_PY_OPAQUE));
    default:
        return vnp_pk_error(k, "%.*s.%s is not called in a model file",
                            f->cls.module.n > 100 ? 100 : (int)f->cls.module.n, f->cls.module.s, g->name);
    }
}

enum vnp_status vnp_pk_object(struct vnp_pickle *k)
{
    struct vnp_py *args = vnp_pk_pop(k), *cls = args ? vnp_pk_pop(k) : NULL;
    if (cls == NULL)
        return VNP_DATA;
    const enum vnp_py_what what = cls->type == VNP_PY_GLOBAL ? cls->cls.global->what : VNP_PY_VALUE;
    if (what == VNP_PY_MAKE_DICT)
        return vnp_pk_push(k, vnp_pk_new(k, VNP_PY_DICT));
    if (what != VNP_PY_MAKE_NAMESPACE && what != VNP_PY_MAKE_MODULE)
        return vnp_pk_error(k, "an object of something that is no class of the list");
    struct vnp_py *o = vnp_pk_new(k, what == VNP_PY_MAKE_MODULE ? VNP_PY_MODULE : VNP_PY_OBJECT);
    o->items.cls = what == VNP_PY_MAKE_MODULE ? &cls->cls : NULL;
    return vnp_pk_push(k, o);
}

enum vnp_status vnp_pk_attributes(struct vnp_pickle *k)
{
    struct vnp_py *state = vnp_pk_pop(k), *o = state ? vnp_pk_top(k) : NULL;
    if (o == NULL)
        return VNP_DATA;
    const bool has_attributes = o->type == VNP_PY_OBJECT || o->type == VNP_PY_MODULE;
    if (has_attributes && state->type == VNP_PY_DICT) {
        const struct vnp_py_class *cls = o->items.cls;
        o->items = state->items;
        o->items.cls = cls;
    } else if (o->type != VNP_PY_DICT && o->type != VNP_PY_TENSOR)
        return vnp_pk_error(k, "attributes for something that has none");
    return VNP_OK;
}

static bool is_text(const struct vnp_py *o, const char *text)
{
    return o != NULL && o->text.n == strlen(text) && memcmp(o->text.s, text, o->text.n) == 0;
}

enum vnp_status vnp_pk_storage(struct vnp_pickle *k)
{
    const struct vnp_py *id = vnp_pk_pop(k);
    if (id == NULL)
        return VNP_DATA;
    const bool tuple = id->type == VNP_PY_TUPLE;
    const struct vnp_py *kind = tuple ? arg(id, 0, VNP_PY_STR) : NULL, *cls = tuple ? arg(id, 1, VNP_PY_GLOBAL) : NULL;
    const struct vnp_py *n = tuple ? arg(id, 4, VNP_PY_INT) : NULL;
    if (is_text(kind, "module") && cls != NULL && cls->cls.global->what == VNP_PY_MAKE_MODULE)
        return vnp_pk_push(k, id->items.v[1]);
    if (!is_text(kind, "storage") || cls == NULL || cls->cls.global->what != VNP_PY_STORAGE_CLASS ||
        arg(id, 2, VNP_PY_STR) == NULL || n == NULL || n->i < 0)
        return vnp_pk_error(k, "a reference that is not to a storage of torch");
    if (id->items.n > 5 && arg(id, 5, VNP_PY_NONE) == NULL)
        return vnp_pk_error(k, "a storage that is a view of another: save the file again with a newer torch");
    struct vnp_py *o = vnp_pk_new(k, VNP_PY_STORAGE);
    o->storage.dtype = cls->cls.global->dtype;
    o->storage.key = id->items.v[2];
    o->storage.elements = n->i;
    o->storage.next = k->storages;
    k->storages = o;
    return vnp_pk_push(k, o);
}
