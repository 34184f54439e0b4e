/* What people see on stderr: one-line messages with the stage's name in front, a progress line on a terminal. */
#ifndef VNP_LOG_H
#define VNP_LOG_H

#include <stdint.h>

#include "status.h"

enum vnp_log_level { VNP_LOG_ERROR, VNP_LOG_WARN, VNP_LOG_INFO, VNP_LOG_DEBUG };

/* Sets the name in front of every message (borrowed for ever) and the level at or under which messages are shown
 * (default VNP_LOG_INFO). */
void vnp_log_init(const char *stage);
void vnp_log_set_level(enum vnp_log_level level);
const char *vnp_log_stage(void);

/* A message: one line with the stage's name in front, and "warning: " where it is one. */
void vnp_log(enum vnp_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define vnp_warn(...) vnp_log(VNP_LOG_WARN, __VA_ARGS__)
#define vnp_info(...) vnp_log(VNP_LOG_INFO, __VA_ARGS__)

/* "s", or nothing for one. */
static inline const char *vnp_plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

/* "; 210.0 MB read in 1.2 s" for a closing line, or nothing when it took so little time that it tells nothing. */
#define VNP_RATE_TEXT 64
const char *vnp_rate_text(char text[VNP_RATE_TEXT], uint64_t bytes, double seconds);

/* A line that overwrites itself, at most ten times a second, only when stderr is a terminal or $VNP_PROGRESS is set, and
 * the level is at least info. The next message or vnp_progress_end() clears it. */
void vnp_progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void vnp_progress_end(void);

/* Prints "stage: message" and exits with `status`. For main() and set-up code; where a stage has an error in hand it uses
 * vnp_stage_fail(). */
void vnp_die(enum vnp_status status, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));

/* What vnp_die() does between its message and the end; NULL for nothing. For the stream's writer, which tells the next
 * stage. */
void vnp_log_on_die(void (*hook)(const struct vnp_err *why));

/* Seconds on the monotonic clock. */
double vnp_now(void);

#endif
