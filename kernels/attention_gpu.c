#include "attention.h"

int64_t vnp_attention_count(const int32_t *cu, int64_t n)
{
    int64_t tiles = 0;
    for (int64_t i = 0; i < n; i++)
        tiles += (cu[i + 1] - cu[i] + VNP_ATTENTION_ROWS - 1) / VNP_ATTENTION_ROWS;
    return tiles;
}

/* Key steps of a tile of sequence i, as a bucket for sorting; the long ones share the last. */
static int32_t bucket(const int32_t *cu, int64_t i)
{
    const int32_t steps = (cu[i + 1] - cu[i] + 63) / 64;
    return steps < 63 ? steps : 63;
}

struct vnp_attention_work vnp_attention_tiles(const int32_t *cu, int64_t n, int32_t *order,
                                              struct vnp_attention_tile *tiles)
{
    struct vnp_attention_work work = {0};
    int64_t at[65] = {0};
    for (int64_t i = 0; i < n; i++)
        at[63 - bucket(cu, i) + 1]++;
    for (int b = 0; b < 64; b++)
        at[b + 1] += at[b];
    for (int64_t i = n - 1; i >= 0; i--)
        order[at[63 - bucket(cu, i)]++] = (int32_t)i;
    for (int64_t i = 0; i < n; i++) {
        const int32_t first = cu[order[i]], length = cu[order[i] + 1] - first;
        const int32_t blocks = bucket(cu, order[i]);
        if (blocks == 2 || blocks == 3) {
            if (work.whole[blocks].n++ == 0)
                work.whole[blocks].at = work.tiles;
            if (work.whole[blocks].longest < length)
                work.whole[blocks].longest = length;
        }
        for (int32_t query = 0; query < length; query += VNP_ATTENTION_ROWS)
            tiles[work.tiles++] = (struct vnp_attention_tile){.first = first, .length = length, .query = query};
    }
    return work;
}
