/* ALiBi (Press et al. 2022, arXiv 2108.12409): attention scores lose slope x distance, a slope for each head. */
#ifndef VNP_ALIBI_H
#define VNP_ALIBI_H

#ifdef __cplusplus
extern "C" {
#endif

/* slopes[heads]: 2^(-8 (h + 1) / heads) where heads is a power of two; otherwise those of the power of two below, n of
 * them, and after these every other one, from the first, of 2n's. 12 heads: 2^-1 .. 2^-8, 2^-0.5, 2^-1.5, 2^-2.5,
 * 2^-3.5. As ALiBi's authors have it and DNABERT-S's bert_layers.py takes it over. */
void vnp_alibi_slopes(float *slopes, int heads);

#ifdef __cplusplus
}
#endif
#endif
