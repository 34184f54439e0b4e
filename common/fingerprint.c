#include "fingerprint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "half.h"
#include "mix64.h"
#include "model_detail.h"

#define RUNS 64
#define RUN 1024

static uint64_t add(uint64_t h, uint64_t word)
{
    return vnp_mix64(h + 0x9e3779b97f4a7c15u + word);
}

static uint64_t add_floats(uint64_t h, const float *v, int64_t n)
{
    for (int64_t i = 0; i < n; i += 2) {
        const uint64_t hi = i + 1 < n ? vnp_f32_bits(v[i + 1]) : 0;
        h = add(h, hi << 32 | vnp_f32_bits(v[i]));
    }
    return h;
}

static uint64_t add_tensor(uint64_t h, const struct vnp_tensor *t)
{
    float run[RUN];
    const int64_t n = t->shape[0] * t->shape[1];
    h = add(add(h, (uint64_t)t->shape[0]), (uint64_t)t->shape[1]);
    if (n <= RUNS * RUN) {
        for (int64_t i = 0; i < n; i += RUN) {
            const int64_t count = n - i < RUN ? n - i : RUN;
            vnp_tensor_f32(t, i, count, run);
            h = add_floats(h, run, count);
        }
        return h;
    }
    for (int64_t r = 0; r < RUNS; r++) {
        vnp_tensor_f32(t, (n - RUN) / (RUNS - 1) * r, RUN, run);
        h = add_floats(h, run, RUN);
    }
    return h;
}

void vnp_fingerprint(const struct vnp_model *m, char *text, size_t cap)
{
    const struct vnp_model_config *c = vnp_model_config(m);
    const uint64_t settings[] = {
        (uint64_t)c->arch, (uint64_t)c->layers,     (uint64_t)c->heads, (uint64_t)c->width,
        (uint64_t)c->ffn,  vnp_f32_bits(c->ln_eps), c->token_dropout,   (uint64_t)(int64_t)c->mask_id};
    uint64_t h = 0;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        h = add(h, settings[i]);
    for (size_t i = 0; i < vnp_model_tensors(m); i++) {
        const struct vnp_tensor *t = vnp_model_tensor_at(m, i);
        if (t != NULL)
            h = add_tensor(add(h, i), t);
    }
    snprintf(text, cap, "%016" PRIx64, h);
}

void vnp_fingerprint_join(char *text, size_t cap, const char *a, const char *b)
{
    uint64_t h = 0;
    for (const char *p = a; *p != '\0'; p++)
        h = vnp_mix64(h + (uint8_t)*p);
    h = vnp_mix64(h + 256);
    for (const char *p = b; *p != '\0'; p++)
        h = vnp_mix64(h + (uint8_t)*p);
    snprintf(text, cap, "%016" PRIx64, h);
}
