#include "frame_id.h"

#include <string.h>

static const char mark[] = "_chunk_";
#define MARK (sizeof mark - 1)
#define MOST_DIGITS 18

bool vnp_chunk_id(struct vnp_frame_id *f, struct vnp_str id)
{
    uint32_t at = id.n;
    *f = (struct vnp_frame_id){.chunk = id};
    while (at > 0 && id.s[at - 1] >= '0' && id.s[at - 1] <= '9')
        at--;
    if (at == id.n || id.n - at > MOST_DIGITS || id.s[at] == '0' || at <= MARK ||
        memcmp(id.s + at - MARK, mark, MARK) != 0)
        return false;
    for (uint32_t i = at; i < id.n; i++)
        f->number = 10 * f->number + (uint64_t)(id.s[i] - '0');
    f->contig = (struct vnp_str){id.s, at - (uint32_t)MARK};
    return true;
}

bool vnp_frame_id(struct vnp_frame_id *f, struct vnp_str id)
{
    if (id.n < 2)
        return false;
    const char strand = id.s[id.n - 2], frame = id.s[id.n - 1];
    if ((strand != 'F' && strand != 'R') || frame < '1' || frame > '3')
        return false;
    if (!vnp_chunk_id(f, (struct vnp_str){id.s, id.n - 2}))
        return false;
    f->frame = (strand == 'R' ? 3 : 0) + frame - '1';
    return true;
}
