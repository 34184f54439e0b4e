/* What the classes, calls and references of a model file's pickle stand for: tensors, storages, settings and modules.
 * For pickle.c alone. Each takes its operands off the stack and puts one object back; VNP_DATA, with the error said,
 * for what is not on the list of pickle_globals.h or not of the form that torch gives it. */
#ifndef VNP_PICKLE_OBJECTS_H
#define VNP_PICKLE_OBJECTS_H

#include <stddef.h>

#include "status.h"

struct vnp_pickle;

/* A class or function by name; neither text is NUL-terminated, and both are borrowed. */
enum vnp_status vnp_pk_class(struct vnp_pickle *k, const char *module, size_t n_module, const char *name,
                             size_t n_name);
/* REDUCE: a function and its arguments. */
enum vnp_status vnp_pk_call(struct vnp_pickle *k);
/* NEWOBJ, cls.__new__(cls, *args): what pickle writes for plain objects. */
enum vnp_status vnp_pk_object(struct vnp_pickle *k);
/* BUILD: the settings of a Namespace, all that a module is; those of a state_dict (its _metadata) and of others say
 * nothing we need. */
enum vnp_status vnp_pk_attributes(struct vnp_pickle *k);
/* BINPERSID, a storage of torch: ("storage", class, key, location, number of elements), and before 1.6 what the storage
 * is a view of, which nobody used; and then also ("module", class, file, source), which stands for the class. */
enum vnp_status vnp_pk_storage(struct vnp_pickle *k);

#endif
