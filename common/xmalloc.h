/* Allocation for set-up code: a failure ends the process with one line and status 71. Not for sizes read from input. */
#ifndef VNP_XMALLOC_H
#define VNP_XMALLOC_H

#include <stddef.h>

void *xmalloc(size_t bytes);
void *xcalloc(size_t count, size_t bytes);
void *xrealloc(void *p, size_t bytes);
/* realloc to count * bytes, with the product checked. */
void *xreallocarray(void *p, size_t count, size_t bytes);
char *xstrdup(const char *s);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
