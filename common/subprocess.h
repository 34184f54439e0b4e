/* Runs another program, without a shell. */
#ifndef VNP_SUBPROCESS_H
#define VNP_SUBPROCESS_H

#include <stddef.h>

#include "status.h"

struct vnp_subprocess {
    int exit_status;   /* of the program */
    char output[4096]; /* the end of what it wrote to stdout and stderr, together */
    size_t n;
};

/* Runs argv[0], found in PATH, with stdin from /dev/null, until it ends; calls `tick` (may be NULL) about five times a
 * second meanwhile. VNP_UNAVAILABLE, naming the package it comes in, when there is no such program; VNP_OS when it
 * can't be run. SIGINT and SIGTERM reach it as they reach us: it is in our process group, and is told to end when we
 * are. */
VNP_MUST_CHECK enum vnp_status vnp_subprocess_run(struct vnp_subprocess *p, const char *const argv[],
                                                  const char *package, void (*tick)(void *ctx), void *ctx,
                                                  struct vnp_err *err);

#endif
