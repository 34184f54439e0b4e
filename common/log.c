#include "log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const char *stage_name = "vnp";
static enum vnp_log_level max_level = VNP_LOG_INFO;
static bool progress_shown;
static double progress_last;

void vnp_log_init(const char *stage)
{
    stage_name = stage;
}

void vnp_log_set_level(enum vnp_log_level level)
{
    max_level = level;
}

const char *vnp_log_stage(void)
{
    return stage_name;
}

double vnp_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* One write for the whole line, so that the lines of stages that share a terminal don't mix. Ids and the like come from
 * input: what would end the line or steer the terminal is shown as '?'. */
static void print_line(const char *label, const char *fmt, va_list ap)
{
    char text[2048];
    vnp_vformat(text, sizeof text, fmt, ap);
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    vnp_progress_end();
    fprintf(stderr, "%s: %s%s\n", stage_name, label, text);
}

void vnp_log(enum vnp_log_level level, const char *fmt, ...)
{
    if (level > max_level)
        return;
    va_list ap;
    va_start(ap, fmt);
    print_line(level == VNP_LOG_WARN ? "warning: " : "", fmt, ap);
    va_end(ap);
}

void vnp_progress(const char *fmt, ...)
{
    const char *wanted = getenv("VNP_PROGRESS");
    double now = vnp_now();
    if (max_level < VNP_LOG_INFO || now - progress_last < 0.1 ||
        (!isatty(STDERR_FILENO) && (wanted == NULL || wanted[0] == '\0')))
        return;
    progress_last = now;
    progress_shown = true;
    va_list ap;
    va_start(ap, fmt);
    char text[512];
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\r\033[K%s: %s", stage_name, text);
    fflush(stderr);
}

void vnp_progress_end(void)
{
    if (progress_shown)
        fputs("\r\033[K", stderr);
    progress_shown = false;
}

static void (*die_hook)(const struct vnp_err *why);

void vnp_log_on_die(void (*hook)(const struct vnp_err *why))
{
    die_hook = hook;
}

void vnp_die(enum vnp_status status, const char *fmt, ...)
{
    struct vnp_err why;
    char text[sizeof why.msg];
    void (*hook)(const struct vnp_err *) = die_hook;
    va_list ap;
    va_start(ap, fmt);
    vnp_vformat(text, sizeof text, fmt, ap);
    va_end(ap);
    vnp_error(&why, status, "%s", text);
    vnp_log(VNP_LOG_ERROR, "%s", text);
    die_hook = NULL; /* the hook may come to an end here too */
    if (hook != NULL)
        hook(&why);
    exit(status);
}

const char *vnp_rate_text(char text[VNP_RATE_TEXT], uint64_t bytes, double seconds)
{
    text[0] = '\0';
    if (seconds >= 1)
        snprintf(text, VNP_RATE_TEXT, "; %.1f MB read in %.1f s", 1e-6 * (double)bytes, seconds);
    return text;
}
