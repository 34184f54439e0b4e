#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jsonout.h"
#include "xmalloc.h"

static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
#define EXACT_POWER 22 /* the last power of ten that a double holds exactly */

/* A decimal: digits (as a number of `count` digits) times 10^exponent. */
struct decimal {
    uint32_t digits;
    int count, exponent;
};

static double scaled(double x, int power)
{
    return power >= 0 ? x * powers[power] : x / powers[-power];
}

/* Does the decimal read back as x? 1 yes, 0 no, -1 too close to call: digits and the power are exact and the product is
 * rounded once, so only a double beside the middle between two floats can round to the wrong one. */
static int reads_back(struct decimal d, float x)
{
    double y = scaled(d.digits, d.exponent);
    uint64_t bits;
    memcpy(&bits, &y, 8);
    uint64_t rest = bits & ((1u << 29) - 1), middle = 1u << 28;
    if (rest >= middle - 1 && rest <= middle + 1)
        return -1;
    return (float)y == x;
}

/* The nearest decimal of `count` digits to x > 0 whose first digit is worth about 10^lead. */
static struct decimal nearest(double x, int count, int lead)
{
    struct decimal d = {0, count, lead - count + 1};
    d.digits = (uint32_t)llrint(scaled(x, -d.exponent));
    return d;
}

/* Powers of two aside, the shortest decimal is the nearest one of some length: nine digits always read back and most
 * floats need eight, so the search starts there. False when the quick arithmetic can't decide. */
static int quick_shortest(float x, struct decimal *best)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if (x < 1e-12F || x > 1e12F || (bits & 0x7fffff) == 0)
        return 0;
    /* Of the power of two at or under x, by log10(2); x itself may have one digit more. */
    int lead = (int)floor(((int)(bits >> 23) - 127) * 0.30102999566398120);
    struct decimal d = nearest(x, 8, lead);
    if (d.digits > 99999999)
        d = nearest(x, 8, ++lead);
    if (d.digits < 10000000 || d.digits > 99999999)
        return 0;
    struct decimal eight = d;
    int ok = reads_back(eight, x);
    if (ok == 0)
        d = nearest(x, 9, lead);
    *best = d;
    for (int count = 7; ok == 1 && count >= 6; count--) {
        d = nearest(x, count, lead);
        ok = reads_back(d, x);
        if (ok == 1)
            *best = d;
    }
    return ok >= 0;
}

static struct decimal parse(const char *text)
{
    struct decimal d = {0, 0, 0};
    const char *e = strchr(text, 'e');
    for (const char *p = text; p < e; p++)
        if (*p != '.') {
            d.digits = 10 * d.digits + (uint32_t)(*p - '0');
            d.count++;
        }
    d.exponent = atoi(e + 1) - (d.count - 1);
    return d;
}

/* By the C library, which rounds correctly. At a power of two the gap below is half the gap above, so a decimal of the
 * length may lie in the wider half although the nearest one misses: the next one up is tried as well. */
static struct decimal slow_shortest(float x)
{
    char text[48];
    for (int count = 1; count < 9; count++) {
        snprintf(text, sizeof text, "%.*e", count - 1, (double)x);
        struct decimal d = parse(text);
        for (int step = 0; step < 2; step++) {
            snprintf(text, sizeof text, "%" PRIu32 "e%d", d.digits, d.exponent);
            if (strtof(text, NULL) == x)
                return d;
            d.digits++;
        }
    }
    snprintf(text, sizeof text, "%.8e", (double)x);
    return parse(text);
}

static size_t lay_out(char *dst, struct decimal d)
{
    char digits[12];
    while (d.digits % 10 == 0) {
        d.digits /= 10;
        d.exponent++;
    }
    int n = 0;
    for (uint32_t rest = d.digits; rest > 0; rest /= 10)
        digits[sizeof digits - (size_t)++n] = (char)('0' + rest % 10);
    const char *s = digits + sizeof digits - n;
    int lead = d.exponent + n - 1; /* of the first digit */
    char *p = dst;
    if (lead < -4 || lead >= 16) {
        *p++ = *s;
        if (n > 1) {
            *p++ = '.';
            memcpy(p, s + 1, (size_t)n - 1);
            p += n - 1;
        }
        return (size_t)(p - dst) + (size_t)sprintf(p, "e%c%02d", lead < 0 ? '-' : '+', abs(lead));
    }
    if (lead < 0) {
        memcpy(p, "0.0000", 6);
        p += 1 - lead;
        memcpy(p, s, (size_t)n);
        p += n;
    } else {
        for (int i = 0; i <= lead; i++)
            *p++ = i < n ? s[i] : '0';
        *p++ = '.';
        if (n > lead + 1) {
            memcpy(p, s + lead + 1, (size_t)(n - lead - 1));
            p += n - lead - 1;
        } else
            *p++ = '0';
    }
    *p = '\0';
    return (size_t)(p - dst);
}

size_t vnp_float_text(char dst[VNP_FLOAT_TEXT], float x)
{
    size_t sign = 0;
    struct decimal d;
    if (isnan(x)) {
        memcpy(dst, "nan", 4);
        return 3;
    }
    if (signbit(x)) {
        dst[sign++] = '-';
        x = -x;
    }
    if (x == 0 || isinf(x)) {
        memcpy(dst + sign, x == 0 ? "0.0" : "inf", 4);
        return sign + 3;
    }
    if (!quick_shortest(x, &d))
        d = slow_shortest(x);
    return sign + lay_out(dst + sign, d);
}

static void reserve(struct vnp_text *t, size_t more)
{
    if (t->cap - t->n >= more)
        return;
    t->cap = 2 * (t->n + more) + 256;
    t->p = xrealloc(t->p, t->cap);
}

void vnp_text_add(struct vnp_text *t, const char *s, size_t n)
{
    if (n == 0) /* an empty text may have no memory */
        return;
    reserve(t, n);
    memcpy(t->p + t->n, s, n);
    t->n += n;
}

void vnp_text_str(struct vnp_text *t, const char *s)
{
    vnp_text_add(t, s, strlen(s));
}

void vnp_text_printf(struct vnp_text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n <= 0)
        return;
    reserve(t, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(t->p + t->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    t->n += (size_t)n;
}

void vnp_text_uint(struct vnp_text *t, uint64_t x)
{
    char digits[20];
    size_t n = 0;
    do
        digits[sizeof digits - ++n] = (char)('0' + x % 10);
    while ((x /= 10) > 0);
    vnp_text_add(t, digits + sizeof digits - n, n);
}

void vnp_text_field(struct vnp_text *t, const char *key, uint64_t x)
{
    vnp_text_printf(t, ",\"%s\":", key);
    vnp_text_uint(t, x);
}

void vnp_text_float(struct vnp_text *t, float x, const char *nonfinite)
{
    if (nonfinite != NULL && !isfinite(x)) {
        vnp_text_str(t, nonfinite);
        return;
    }
    reserve(t, VNP_FLOAT_TEXT);
    t->n += vnp_float_text(t->p + t->n, x);
}

/* Bytes of the well-formed UTF-8 character at s (RFC 3629: not overlong, no surrogate, up to U+10FFFF), 0 for none. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
    size_t length = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    if (length == 0 || length > n)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return length;
}

void vnp_text_json(struct vnp_text *t, const char *s, size_t n)
{
    vnp_text_add(t, "\"", 1);
    for (size_t i = 0; i < n;) {
        const unsigned char c = (unsigned char)s[i];
        size_t length = utf8_length((const unsigned char *)s + i, n - i);
        if (length == 0)
            vnp_text_str(t, "\\ufffd");
        else if (c == '"' || c == '\\')
            vnp_text_add(t, c == '"' ? "\\\"" : "\\\\", 2);
        else if (c < 0x20 || c == 0x7f)
            vnp_text_printf(t, "\\u%04x", c);
        else
            vnp_text_add(t, s + i, length);
        i += length > 0 ? length : 1;
    }
    vnp_text_add(t, "\"", 1);
}

void vnp_text_plain(struct vnp_text *t, const char *s, size_t n)
{
    reserve(t, n);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        t->p[t->n++] = c < 0x20 || c == 0x7f ? '?' : s[i];
    }
}
