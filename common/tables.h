/* Text files in one directory that appear under their names when all of them are whole. */
#ifndef VNP_TABLES_H
#define VNP_TABLES_H

#include "jsonout.h"
#include "status.h"

#define VNP_TABLES_MOST 8

struct vnp_tables;

/* Makes the directory when it does not exist; its parent must. */
VNP_MUST_CHECK enum vnp_status vnp_tables_open(struct vnp_tables **out, const char *dir, struct vnp_err *err);

/* Begins a file; the others below call it by its number: 0 for the first that was added, then 1, ... */
VNP_MUST_CHECK enum vnp_status vnp_tables_add(struct vnp_tables *t, const char *name, struct vnp_err *err);

/* What has been put into the file and not written: append to it, then vnp_tables_flush(). */
struct vnp_text *vnp_tables_text(struct vnp_tables *t, int number);

/* Writes the text when there is much of it, or in any case with `all`. */
VNP_MUST_CHECK enum vnp_status vnp_tables_flush(struct vnp_tables *t, int number, int all, struct vnp_err *err);

/* Writes what is left and gives the files their names, the first one last. *t is gone either way. */
VNP_MUST_CHECK enum vnp_status vnp_tables_commit(struct vnp_tables *t, struct vnp_err *err);

/* Leaves nothing behind, and no directory that was made here. NULL is allowed. */
void vnp_tables_discard(struct vnp_tables *t);

#endif
