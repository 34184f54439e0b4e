/* A loop whose turns run on all cores. */
#ifndef VNP_PARALLEL_H
#define VNP_PARALLEL_H

#include <stdint.h>

/* Cores that the process may use. */
int vnp_cpu_count(void);

/* Calls fn(ctx, i) for each i in [0, n), on as many threads as the process may use cores, in any order; returns when
 * all are done. Fewer threads than wanted is no error. */
void vnp_parallel(int64_t n, void (*fn)(void *ctx, int64_t i), void *ctx);

#endif
