#include "esm2_vocab.h"

#include <string.h>

#include "mapfile.h"

const char *const vnp_esm2_tokens[VNP_ESM2_TOKENS] = {
    "<cls>", "<pad>", "<eos>", "<unk>", "L", "A", "G", "V", "S", "E", "R", "T", "I", "D", "P",        "K",     "Q",
    "N",     "F",     "Y",     "M",     "H", "W", "C", "X", "B", "U", "Z", "O", ".", "-", "<null_1>", "<mask>"};

static enum vnp_status check_lines(const struct vnp_map *map, const char *path, struct vnp_err *err)
{
    const char *p = (const char *)map->p, *const end = p + map->n;
    for (int i = 0; i < VNP_ESM2_TOKENS; i++) {
        const char *eol = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
        size_t n = (size_t)((eol ? eol : end) - p);
        if (n > 0 && p[n - 1] == '\r')
            n--;
        if (n != strlen(vnp_esm2_tokens[i]) || memcmp(p, vnp_esm2_tokens[i], n) != 0)
            return vnp_error(err, VNP_DATA, "%s:%d: '%.*s' where ESM-2's vocabulary has '%s'", path, i + 1,
                             n > 40 ? 40 : (int)n, p, vnp_esm2_tokens[i]);
        p = eol ? eol + 1 : end;
    }
    return VNP_OK;
}

enum vnp_status vnp_esm2_vocab_check(const char *path, struct vnp_err *err)
{
    struct vnp_map map;
    enum vnp_status st = vnp_map_open(&map, path, err);
    if (st != VNP_OK)
        return st;
    st = check_lines(&map, path, err);
    vnp_map_close(&map);
    return st;
}
