/* vnp_embed() against the CPU's embeddings, ESM-2's and BERT's: equal bits, rounded once for the 16-bit types. */
#include "cpu_embed.h"
#include "embed.h"
#include "gpu.h"

#define VOCAB 33
#define MASK 32

static void check(enum vnp_dtype dtype, int id_bytes, int width, int dropout)
{
    const int lengths[] = {1, 5, 130, 64, 2};
    uint64_t seed = 3;
    float word[VOCAB * 1280], unmasked[5];
    uint16_t ids[202];
    uint8_t ids8[202];
    int32_t sequence[202];
    float *want = xmalloc((size_t)202 * (size_t)width * 4);
    int64_t at = 0;
    for (int i = 0; i < VOCAB * width; i++)
        word[i] = normal(&seed);
    for (int s = 0; s < 5; s++) {
        int masks = 0;
        for (int64_t t = at; t < at + lengths[s]; t++) {
            ids[t] = (uint16_t)(s == 2 && t % 9 == 0 ? MASK : uniform(&seed) * 32);
            ids8[t] = (uint8_t)ids[t];
            sequence[t] = s;
            masks += ids[t] == MASK;
        }
        unmasked[s] = 1.0f - (float)masks / (float)lengths[s];
        vnp_cpu_embed_esm2(want + at * width, word, ids + at, 2, lengths[s], width, dropout, MASK);
        at += lengths[s];
    }
    void *d_word = to_device(word, VOCAB * width, VNP_F32), *d_out = poisoned(202 * width, dtype);
    void *d_ids = id_bytes == 1 ? bytes_to_device(ids8, sizeof ids8) : bytes_to_device(ids, sizeof ids);
    void *d_sequence = bytes_to_device(sequence, sizeof sequence), *d_unmasked = to_device(unmasked, 5, VNP_F32);
    const struct vnp_embed_params p = {dtype, d_word, NULL,    d_ids, id_bytes,   d_out,
                                       202,   width,  dropout, MASK,  d_sequence, d_unmasked};
    vnp_embed(&p, 0);
    float *got = from_device(d_out, 202 * width, dtype);
    for (int i = 0; i < 202 * width; i++)
        if (!(got[i] == rounded(want[i], dtype)))
            fail_msg("dtype %d width %d token %d column %d: %.8g, wanted %.8g", dtype, width, i / width, i % width,
                     got[i], rounded(want[i], dtype));
    cudaFree(d_word), cudaFree(d_out), cudaFree(d_ids), cudaFree(d_sequence), cudaFree(d_unmasked);
    free(got), free(want);
}

static void as_on_the_cpu(void **state)
{
    const enum vnp_dtype dtypes[] = {VNP_F32, VNP_F16, VNP_BF16};
    const int widths[] = {8, 64, 320, 1280};
    (void)state;
    need_gpu();
    for (int t = 0; t < 3; t++)
        for (int w = 0; w < 4; w++)
            for (int bytes = 1; bytes <= 2; bytes++)
                for (int dropout = 0; dropout < 2; dropout++)
                    check(dtypes[t], bytes, widths[w], dropout);
}

#define BERT_VOCAB 4096
#define BERT_TOKENS 777

/* DNABERT-S's: a word and a type. */
static void check_bert(enum vnp_dtype dtype, int id_bytes, int width)
{
    const int64_t all = (int64_t)BERT_TOKENS * width;
    const int vocab = id_bytes == 1 ? 256 : BERT_VOCAB;
    uint64_t seed = 4;
    float *word = xmalloc((size_t)(vocab + 1) * (size_t)width * 4), *type = word + (int64_t)vocab * width;
    uint16_t ids[BERT_TOKENS];
    uint8_t ids8[BERT_TOKENS];
    for (int64_t i = 0; i < (int64_t)(vocab + 1) * width; i++) /* words and the type */
        word[i] = 0.02f * normal(&seed);
    for (int t = 0; t < BERT_TOKENS; t++) {
        ids[t] = (uint16_t)(t == 0 ? vocab - 1 : uniform(&seed) * (float)vocab);
        ids8[t] = (uint8_t)ids[t];
    }
    float *want = xmalloc((size_t)all * 4);
    vnp_cpu_embed_bert(want, word, type, ids, 2, BERT_TOKENS, width);
    float *d_word = to_device(word, (int64_t)(vocab + 1) * width, VNP_F32);
    void *d_ids = id_bytes == 1 ? bytes_to_device(ids8, sizeof ids8) : bytes_to_device(ids, sizeof ids);
    void *d_out = poisoned(all, dtype);
    const struct vnp_embed_params p = {.dtype = dtype,
                                       .d_word = d_word,
                                       .d_type = d_word + (int64_t)vocab * width,
                                       .d_ids = d_ids,
                                       .id_bytes = id_bytes,
                                       .d_out = d_out,
                                       .tokens = BERT_TOKENS,
                                       .width = width};
    vnp_embed(&p, 0);
    float *got = from_device(d_out, all, dtype);
    for (int64_t i = 0; i < all; i++)
        if (!(got[i] == rounded(want[i], dtype)))
            fail_msg("dtype %d width %d token %d column %d: %.8g, wanted %.8g", dtype, width, (int)(i / width),
                     (int)(i % width), got[i], rounded(want[i], dtype));
    cudaFree(d_word), cudaFree(d_out), cudaFree(d_ids);
    free(word), free(want), free(got);
}

static void bert_as_on_the_cpu(void **state)
{
    const int widths[] = {8, 48, 256, 768};
    (void)state;
    need_gpu();
    for (enum vnp_dtype dtype = VNP_F32; dtype <= VNP_BF16; dtype++)
        for (int w = 0; w < 4; w++)
            for (int bytes = 1; bytes <= 2; bytes++)
                check_bert(dtype, bytes, widths[w]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_on_the_cpu), cmocka_unit_test(bert_as_on_the_cpu)};
    return cmocka_run_group_tests_name("embed-gpu", tests, NULL, NULL);
}
