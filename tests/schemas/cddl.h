/* Checks msgpack messages against a CDDL schema (RFC 8610): as much of the language as schemas/frames.cddl uses. That
 * is rules, maps, arrays, groups, choices of types, occurrence (? * + n*m), literals, ranges of integers, `.size`, and the
 * prelude's any, uint, int, tstr, bstr, bool. Anything else is a parse error, never ignored. */
#ifndef VNP_TEST_CDDL_H
#define VNP_TEST_CDDL_H

#include <msgpack.h>
#include <stdbool.h>

struct cddl;

/* Parses; NULL with a reason of at most 199 bytes in `why`. Every name that is used must be defined. */
struct cddl *cddl_parse(const char *text, char why[200]);
/* Does the message match the rule? If not, `why` tells where and what. */
bool cddl_check(const struct cddl *c, const char *rule, const msgpack_object *o, char why[200]);
void cddl_free(struct cddl *c);

#endif
