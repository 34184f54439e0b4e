/* Numbers and text for people's other tools: shortest decimals, JSON strings, and a file or stdout to put them in. */
#ifndef VNP_JSONOUT_H
#define VNP_JSONOUT_H

#include <stddef.h>
#include <stdint.h>

#define VNP_FLOAT_TEXT 24 /* room for any float's text and its NUL */

/* Writes the shortest decimal that reads back as the same float32 (of several, the nearest), laid out as
 * Python does: 0.25, 1.0, 1e-05, 1.5e+16, -0.0, nan, inf. Returns its length. */
size_t vnp_float_text(char dst[VNP_FLOAT_TEXT], float x);

/* Appends to a buffer that grows. Zero-initialised is empty; free(t->p) ends it. Out of memory ends the process. */
struct vnp_text {
    char *p;
    size_t n, cap;
};
void vnp_text_add(struct vnp_text *t, const char *s, size_t n);
void vnp_text_str(struct vnp_text *t, const char *s);
void vnp_text_printf(struct vnp_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void vnp_text_uint(struct vnp_text *t, uint64_t x);
/* A member of a JSON object that has others before it: ,"key":x */
void vnp_text_field(struct vnp_text *t, const char *key, uint64_t x);
/* vnp_float_text(); `nonfinite`, when not NULL, is put in the place of NaN and infinities. */
void vnp_text_float(struct vnp_text *t, float x, const char *nonfinite);
/* A quoted JSON string. Each byte that is not part of well-formed UTF-8 becomes \ufffd. */
void vnp_text_json(struct vnp_text *t, const char *s, size_t n);
/* The bytes with control characters (a newline, a tab, an escape) as '?': for tables and terminals. */
void vnp_text_plain(struct vnp_text *t, const char *s, size_t n);

#endif
