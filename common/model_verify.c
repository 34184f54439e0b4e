#include "model_verify.h"

#include <zlib.h>

#include "half.h"
#include "model_detail.h"
#include "parallel.h"

#define RUN 16384

struct job {
    const struct vnp_model *m;
    struct vnp_verified *results;
};

static int64_t elements(const struct vnp_tensor *t)
{
    return t->shape[0] * t->shape[1];
}

static void check_run(struct vnp_verified *r, const float *v, int64_t first, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if ((vnp_f32_bits(v[i]) & 0x7f800000) == 0x7f800000 && r->bad++ == 0)
            r->first_bad = first + i;
}

static void verify_tensor(void *ctx, int64_t index)
{
    const struct job *j = ctx;
    struct vnp_verified *r = &j->results[index];
    float run[RUN];
    *r = (struct vnp_verified){.tensor = vnp_model_tensor_at(j->m, (size_t)index)};
    const int64_t n = r->tensor ? elements(r->tensor) : 0;
    for (int64_t i = 0; i < n; i += RUN) {
        const int64_t count = n - i < RUN ? n - i : RUN;
        vnp_tensor_f32(r->tensor, i, count, run);
        r->crc = (uint32_t)crc32_z(r->crc, (const Bytef *)run, (size_t)count * sizeof *run);
        check_run(r, run, i, count);
    }
}

uint32_t vnp_model_verify(const struct vnp_model *m, struct vnp_verified *results)
{
    struct job j = {m, results};
    const int64_t n = (int64_t)vnp_model_tensors(m);
    uint32_t crc = 0;
    vnp_parallel(n, verify_tensor, &j);
    for (int64_t i = 0; i < n; i++)
        if (results[i].tensor != NULL)
            crc = (uint32_t)crc32_combine(crc, results[i].crc, 4 * (z_off_t)elements(results[i].tensor));
    return crc;
}
