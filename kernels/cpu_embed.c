#include "cpu_embed.h"

#include <string.h>

#include "block.h"

void vnp_cpu_embed_esm2(float *out, const float *word, const void *ids, int id_bytes, int64_t n, int64_t width,
                        int token_dropout, uint32_t mask_id)
{
    int64_t masks = 0;
    for (int64_t i = 0; i < n; i++)
        masks += vnp_token(ids, id_bytes, i) == mask_id;
    const float unmasked = n > 0 ? 1.0f - (float)masks / (float)n : 0.0f;
    for (int64_t i = 0; i < n; i++) {
        const uint32_t id = vnp_token(ids, id_bytes, i);
        const float *src = word + (int64_t)id * width;
        float *dst = out + i * width;
        if (!token_dropout) {
            memcpy(dst, src, (size_t)width * sizeof *dst);
            continue;
        }
        const float keep = id == mask_id ? 0.0f : 1.0f;
        for (int64_t j = 0; j < width; j++)
            dst[j] = src[j] * keep * 0.88f / unmasked;
    }
}

void vnp_cpu_embed_bert(float *out, const float *word, const float *type, const void *ids, int id_bytes, int64_t n,
                        int64_t width)
{
    for (int64_t i = 0; i < n; i++) {
        const float *src = word + (int64_t)vnp_token(ids, id_bytes, i) * width;
        for (int64_t j = 0; j < width; j++)
            out[i * width + j] = src[j] + type[j];
    }
}
