#include "msgscan.h"

/* Big-endian number of `bytes` bytes. */
static uint64_t number(const uint8_t *p, size_t bytes)
{
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

/* Format byte -> bytes of the length or count that follows, bytes of body, messages inside. False: a byte that msgpack
 * never uses. https://github.com/msgpack/msgpack/blob/master/spec.md */
struct shape {
    size_t header;
    uint64_t body, inside;
};

static bool shape_of(const uint8_t *p, size_t n, struct shape *s)
{
    uint8_t t = p[0];
    *s = (struct shape){1, 0, 0};
    if (t <= 0x7f || t >= 0xe0 || t == 0xc0 || t == 0xc2 || t == 0xc3) /* fixint, nil, false, true */
        return true;
    if (t <= 0x8f) /* fixmap */
        s->inside = 2 * (uint64_t)(t & 15);
    else if (t <= 0x9f) /* fixarray */
        s->inside = t & 15;
    else if (t <= 0xbf) /* fixstr */
        s->body = t & 31;
    else if (t == 0xc1)
        return false;
    else if (t >= 0xca && t <= 0xcb) /* float 32, 64 */
        s->body = 4u << (t - 0xca);
    else if (t >= 0xcc && t <= 0xd3) /* uint 8..64, int 8..64 */
        s->body = 1u << ((t - 0xcc) & 3);
    else if (t >= 0xd4 && t <= 0xd8) /* fixext 1..16 */
        s->body = 1 + (1u << (t - 0xd4));
    else { /* a length of 1, 2 or 4 bytes: bin c4-c6, ext c7-c9, str d9-db, array dc-dd, map de-df */
        size_t width = t <= 0xc6 ? 1u << (t - 0xc4) : t <= 0xc9 ? 1u << (t - 0xc7) : t <= 0xdb ? 1u << (t - 0xd9) : 2u << (t & 1);
        if (n < 1 + width)
            return false;
        uint64_t v = number(p + 1, width);
        s->header = 1 + width;
        if (t >= 0xde)
            s->inside = 2 * v;
        else if (t >= 0xdc)
            s->inside = v;
        else
            s->body = v + (t >= 0xc7 && t <= 0xc9); /* an ext has a type byte */
    }
    return true;
}

bool vnp_msg_plausible(const uint8_t *p, size_t n)
{
    uint64_t left[VNP_MSG_DEPTH + 1] = {1}; /* messages still to come at each depth */
    uint64_t budget = n / 16 + 1024;        /* messages inside containers */
    int depth = 0;
    while (depth >= 0) {
        if (left[depth] == 0) {
            depth--;
            continue;
        }
        struct shape s;
        if (n == 0 || !shape_of(p, n, &s) || s.body > n - s.header || s.inside > n - s.header)
            return false;
        left[depth]--;
        p += s.header + s.body;
        n -= s.header + s.body;
        if (s.inside > 0) {
            if (depth == VNP_MSG_DEPTH || s.inside > budget)
                return false;
            budget -= s.inside;
            left[++depth] = s.inside;
        }
    }
    return n == 0;
}
