/* A pool of threads for loops of independent tasks. */
#ifndef VNP_CPU_THREADS_H
#define VNP_CPU_THREADS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vnp_cpu_threads;

/* One task; `worker` counts from 0 to the number of threads - 1 and is the caller's own for the length of the call. */
typedef void vnp_cpu_task(void *ctx, int64_t task, int worker);

/* Starts n - 1 threads; whoever calls vnp_cpu_threads_run() is the last. NULL when the system gives no more threads. */
struct vnp_cpu_threads *vnp_cpu_threads_new(int n);
int vnp_cpu_threads_n(const struct vnp_cpu_threads *t);

/* Runs tasks 0 .. n_tasks - 1, in no certain order, and returns when all are done. Not from within a task. */
void vnp_cpu_threads_run(struct vnp_cpu_threads *t, int64_t n_tasks, vnp_cpu_task *task, void *ctx);

/* NULL is allowed. */
void vnp_cpu_threads_free(struct vnp_cpu_threads *t);

#ifdef __cplusplus
}
#endif
#endif
