/* The schema as a file, and frames checked against it. */
#ifndef VNP_TEST_FRAMES_H
#define VNP_TEST_FRAMES_H

#include <stdio.h>
#include <stdlib.h>

#include "cddl.h"

/* Reads and parses; NULL with a reason in `why`. */
static inline struct cddl *schema_open(const char *path, char why[200])
{
    static char text[1 << 16];
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        snprintf(why, 200, "%.150s: can't be read", path);
        return NULL;
    }
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    return cddl_parse(text, why);
}

/* One payload (a frame without its length) against the rule "frame". */
static inline bool schema_allows(const struct cddl *c, const void *payload, size_t n, char why[200])
{
    msgpack_unpacked u;
    size_t off = 0;
    msgpack_unpacked_init(&u);
    bool ok = msgpack_unpack_next(&u, payload, n, &off) == MSGPACK_UNPACK_SUCCESS && off == n;
    if (ok)
        ok = cddl_check(c, "frame", &u.data, why);
    else
        snprintf(why, 200, "not one msgpack message");
    msgpack_unpacked_destroy(&u);
    return ok;
}

#endif
