#include "vectors.h"

#include <string.h>

#include "half.h"

int64_t vnp_row_vectors(const struct vnp_head *head, const struct vnp_block *block, int64_t i)
{
    if (head->kind == VNP_HIDDEN)
        return block->tokens[i];
    return strcmp(head->pool, "none") == 0 ? block->residues[i] : 1;
}

const float *vnp_vectors_f32(const struct vnp_head *head, const struct vnp_block *block, int64_t first, int64_t count,
                             float *scratch)
{
    int64_t from = first * head->width, n = count * head->width;
    if (head->dtype == VNP_F32)
        return (const float *)block->bulk + from;
    const uint16_t *h = (const uint16_t *)block->bulk + from;
    if (head->dtype == VNP_F16)
        for (int64_t i = 0; i < n; i++)
            scratch[i] = vnp_f16_f32(h[i]);
    else
        for (int64_t i = 0; i < n; i++)
            scratch[i] = vnp_bf16_f32(h[i]);
    return scratch;
}
