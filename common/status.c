#include "status.h"

#include <stdarg.h>
#include <stdio.h>

enum vnp_status vnp_error(struct vnp_err *err, enum vnp_status status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    err->status = status;
    err->stage[0] = '\0';
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    return status;
}

enum vnp_status vnp_error_in(struct vnp_err *err, const char *where, ...)
{
    const struct vnp_err why = *err;
    char text[sizeof err->msg];
    va_list ap;
    va_start(ap, where);
    vsnprintf(text, sizeof text, where, ap);
    va_end(ap);
    return vnp_error(err, why.status, "%s: %s", text, why.msg);
}
