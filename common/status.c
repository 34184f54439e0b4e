#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void vnp_vformat(char *to, size_t cap, const char *fmt, va_list ap)
{
    static const char gone[] = "...";
    va_list again;
    va_copy(again, ap);
    const int n = vsnprintf(to, cap, fmt, ap);
    char *all = n >= 0 && (size_t)n >= cap && cap > sizeof gone ? malloc((size_t)n + 1) : NULL;
    if (all != NULL) { /* without memory it stays cut at its end */
        vsnprintf(all, (size_t)n + 1, fmt, again);
        const char *end = all + n - (cap - sizeof gone);
        while ((*end & 0xc0) == 0x80) /* not from within a letter of UTF-8 */
            end++;
        memcpy(to, gone, sizeof gone - 1);
        strcpy(to + sizeof gone - 1, end);
        free(all);
    }
    va_end(again);
}

void vnp_format(char *to, size_t cap, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vnp_vformat(to, cap, fmt, ap);
    va_end(ap);
}

enum vnp_status vnp_error(struct vnp_err *err, enum vnp_status status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    err->status = status;
    err->stage[0] = '\0';
    vnp_vformat(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    return status;
}

enum vnp_status vnp_error_in(struct vnp_err *err, const char *where, ...)
{
    const struct vnp_err why = *err;
    char text[sizeof err->msg];
    va_list ap;
    va_start(ap, where);
    vnp_vformat(text, sizeof text, where, ap);
    va_end(ap);
    return vnp_error(err, why.status, "%s: %s", text, why.msg);
}
