/* Exit statuses (sysexits.h numbers where one fits) and the error value that every function in common/ fills in. */
#ifndef VNP_STATUS_H
#define VNP_STATUS_H

#include <stdarg.h>
#include <stddef.h>

enum vnp_status {
    VNP_OK = 0,
    VNP_FAIL = 1,         /* a comparison or a check said no */
    VNP_USAGE = 2,        /* the command line is wrong */
    VNP_DATA = 65,        /* the input is malformed, truncated or of the wrong kind */
    VNP_NOINPUT = 66,     /* an input file is missing or unreadable */
    VNP_UNAVAILABLE = 69, /* no GPU, too old a GPU or driver, no network */
    VNP_SOFTWARE = 70,    /* an internal check failed: a bug */
    VNP_OS = 71,          /* out of memory, no threads */
    VNP_CANTCREAT = 73,   /* an output file can't be made */
    VNP_IO = 74,          /* reading or writing failed half way */
    VNP_END = -1          /* not an exit status: a reader has come to a verified end */
};

/* One error, complete: `msg` is what the user reads after "stage: ". It names the file and the record where there are
 * any. `stage` is empty, or the earlier stage of the pipeline that failed first and told us so. */
struct vnp_err {
    enum vnp_status status;
    char stage[32];
    char msg[1024];
};

/* snprintf() for messages: a text too long loses its beginning, "...file: cause", as what comes first is a path, and
 * what nobody could guess comes last. */
void vnp_format(char *to, size_t cap, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void vnp_vformat(char *to, size_t cap, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));

/* Fills *err and returns `status`, so that a function can `return vnp_error(err, ...)`. The message is made by
 * vnp_format(). */
enum vnp_status vnp_error(struct vnp_err *err, enum vnp_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "where: " in front of the message. Returns its status, which stays. */
enum vnp_status vnp_error_in(struct vnp_err *err, const char *where, ...) __attribute__((format(printf, 2, 3)));

#define VNP_MUST_CHECK __attribute__((warn_unused_result))

#endif
