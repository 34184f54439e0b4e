#include "xmalloc.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "status.h"

static void *checked(void *p, size_t bytes)
{
    if (p == NULL && bytes != 0)
        vnp_die(VNP_OS, "out of memory (%zu bytes asked for)", bytes);
    return p;
}

void *xmalloc(size_t bytes)
{
    return checked(malloc(bytes), bytes);
}

void *xcalloc(size_t count, size_t bytes)
{
    return checked(calloc(count, bytes), count ? bytes : 0);
}

void *xrealloc(void *p, size_t bytes)
{
    return checked(realloc(p, bytes), bytes);
}

void *xreallocarray(void *p, size_t count, size_t bytes)
{
    if (bytes != 0 && count > SIZE_MAX / bytes)
        vnp_die(VNP_OS, "out of memory (%zu x %zu bytes asked for)", count, bytes);
    return xrealloc(p, count * bytes);
}

char *xstrdup(const char *s)
{
    return checked(strdup(s), 1);
}

char *xasprintf(const char *fmt, ...)
{
    char *s = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    return checked(n < 0 ? NULL : s, 1);
}
