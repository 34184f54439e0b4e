/* Word embedding, ESM-2's:
 *
 *   out[t] = word[id[t]] * keep * 0.88 / unmasked[sequence[t]]      keep: 0 for mask_id, else 1
 *
 * and BERT's, where every token has the same type:
 *
 *   out[t] = word[id[t]] + type
 *
 * word [vocab, width] FP32, type [width] FP32, out [tokens, width] of T, dense, 16-byte aligned; ids 1 or 2 bytes each.
 * A thread: 8 elements; blocks of 256 over tokens * width / 8. No shared memory. Writes out once; the word table (33
 * rows; BERT's 4096 are 12 MB) stays in the caches. NaN in a word vector reaches the tokens that are that word. */
#include "cuda_check.h"
#include "embed.h"
#include "half.cuh"

template <typename T, typename Id>
static __global__ void __launch_bounds__(256)
    embed(const float *__restrict__ word, const float *__restrict__ type, const Id *__restrict__ ids,
          T *__restrict__ out, int64_t chunks, int per_row, int token_dropout, int mask_id,
          const int32_t *__restrict__ sequence, const float *__restrict__ unmasked)
{
    const int64_t i = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
    if (i >= chunks)
        return;
    const int64_t token = i / per_row, column = i % per_row;
    const int id = ids[token];
    float v[8];
    vnp_load8(word + (static_cast<int64_t>(id) * per_row + column) * 8, v);
    if (type != nullptr) {
        float t[8];
        vnp_load8(type + column * 8, t);
#pragma unroll
        for (int j = 0; j < 8; j++)
            v[j] += t[j];
    }
    if (token_dropout) {
        const float keep = id == mask_id ? 0.0f : 1.0f, share = unmasked[sequence[token]];
#pragma unroll
        for (int j = 0; j < 8; j++)
            v[j] = v[j] * keep * 0.88f / share;
    }
    vnp_store8(out + i * 8, v);
}

template <typename T> static void launch(const vnp_embed_params *p, cudaStream_t stream)
{
    const int64_t chunks = p->tokens * (p->width / 8);
    const unsigned blocks = static_cast<unsigned>((chunks + 255) / 256);
    T *out = static_cast<T *>(p->d_out);
    if (p->id_bytes == 1)
        embed<<<blocks, 256, 0, stream>>>(p->d_word, p->d_type, static_cast<const uint8_t *>(p->d_ids), out, chunks,
                                          p->width / 8, p->token_dropout, p->mask_id, p->d_sequence, p->d_unmasked);
    else
        embed<<<blocks, 256, 0, stream>>>(p->d_word, p->d_type, static_cast<const uint16_t *>(p->d_ids), out, chunks,
                                          p->width / 8, p->token_dropout, p->mask_id, p->d_sequence, p->d_unmasked);
    CUDA_CHECK_LAUNCH();
}

extern "C" void vnp_embed(const vnp_embed_params *p, cudaStream_t stream)
{
    if (p->tokens == 0)
        return;
    if (p->dtype == VNP_F32)
        launch<float>(p, stream);
    else if (p->dtype == VNP_F16)
        launch<__half>(p, stream);
    else
        launch<__nv_bfloat16>(p, stream);
}
