#include "parallel.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#define MAX_THREADS 64

struct loop {
    void (*fn)(void *ctx, int64_t i);
    void *ctx;
    int64_t n;
    atomic_int_fast64_t next;
};

static void *work(void *arg)
{
    struct loop *l = arg;
    for (int64_t i; (i = atomic_fetch_add(&l->next, 1)) < l->n;)
        l->fn(l->ctx, i);
    return NULL;
}

int vnp_cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return CPU_COUNT(&set);
    const long n = sysconf(_SC_NPROCESSORS_ONLN); /* over 1024 CPUs the mask doesn't fit */
    return n > 0 ? (int)n : 1;
}

void vnp_parallel(int64_t n, void (*fn)(void *ctx, int64_t i), void *ctx)
{
    const int cores = vnp_cpu_count(), want = cores > MAX_THREADS ? MAX_THREADS : cores;
    struct loop l = {.fn = fn, .ctx = ctx, .n = n, .next = 0};
    pthread_t threads[MAX_THREADS];
    int started = 0;
    while (started < want - 1 && started < n - 1 && pthread_create(&threads[started], NULL, work, &l) == 0)
        started++;
    work(&l);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}
