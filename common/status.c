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
