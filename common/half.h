/* FP16 and BF16 as bit patterns: to float32 exactly, from float32 rounded to nearest, ties to even. Infinities and NaNs
 * stay what they are; what is too large becomes infinity. */
#ifndef VNP_HALF_H
#define VNP_HALF_H

#include <stdint.h>
#include <string.h>

static inline float vnp_bits_f32(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline uint32_t vnp_f32_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static inline float vnp_f16_f32(uint16_t h)
{
    /* The exponent's bias differs by 112; multiplying, unlike adding to the exponent, is right for subnormals too. */
    uint32_t u = vnp_f32_bits(vnp_bits_f32((uint32_t)(h & 0x7fff) << 13) * 0x1p112f);
    u |= (h & 0x7c00) == 0x7c00 ? 0x7f800000u : 0;
    return vnp_bits_f32(u | (uint32_t)(h & 0x8000) << 16);
}

static inline uint16_t vnp_f32_f16(float f)
{
    uint32_t u = vnp_f32_bits(f), a = u & 0x7fffffff;
    uint16_t sign = (uint16_t)(u >> 16 & 0x8000);
    if (a > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x3ff));
    if (a >= 0x477ff000) /* 65520: half way from the largest, 65504, to what would be the next */
        return (uint16_t)(sign | 0x7c00);
    if (a < 0x38800000) /* under 2^-14, subnormal: the sum with 0.5 has steps of 2^-24, and is rounded by the adder */
        return (uint16_t)(sign | (vnp_f32_bits(vnp_bits_f32(a) + 0.5f) - 0x3f000000));
    a += 0xfff + (a >> 13 & 1);
    return (uint16_t)(sign | ((a - 0x38000000) >> 13));
}

static inline float vnp_bf16_f32(uint16_t h)
{
    return vnp_bits_f32((uint32_t)h << 16);
}

static inline uint16_t vnp_f32_bf16(float f)
{
    uint32_t u = vnp_f32_bits(f);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

#endif
