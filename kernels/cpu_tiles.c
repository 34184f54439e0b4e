#include "cpu_tiles.h"

int64_t vnp_cpu_split(int64_t n, int64_t limit, int64_t unit, int64_t *part)
{
    const int64_t pieces = (n + limit - 1) / limit;
    if (pieces == 0) {
        *part = 0;
        return 0;
    }
    const int64_t even = (n + pieces - 1) / pieces;
    *part = (even + unit - 1) / unit * unit;
    return (n + *part - 1) / *part;
}

int64_t vnp_cpu_queries(int64_t length)
{
    return length <= 8192 ? VNP_CPU_QUERIES : VNP_CPU_QUERIES / 4;
}

int64_t vnp_cpu_tiles(struct vnp_cpu_tile *tiles, const uint32_t *tokens, int64_t n, int64_t limit)
{
    int64_t count = 0, row = 0;
    for (int64_t s = 0; s < n; s++) {
        const int64_t length = tokens[s];
        int64_t part;
        const int64_t pieces = vnp_cpu_split(length, limit ? limit : vnp_cpu_queries(length), 1, &part);
        for (int64_t i = 0; tiles && i < pieces; i++) {
            const int64_t pos = i * part;
            const int64_t rows = length - pos < part ? length - pos : part;
            tiles[count + i] = (struct vnp_cpu_tile){row + pos, rows, pos, length};
        }
        count += pieces;
        row += length;
    }
    return count;
}
