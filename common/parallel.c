#include "parallel.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

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

void vnp_parallel(int64_t n, void (*fn)(void *ctx, int64_t i), void *ctx)
{
    cpu_set_t cpus;
    int want = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
    want = want > MAX_THREADS ? MAX_THREADS : want;
    struct loop l = {.fn = fn, .ctx = ctx, .n = n, .next = 0};
    pthread_t threads[MAX_THREADS];
    int started = 0;
    while (started < want - 1 && started < n - 1 && pthread_create(&threads[started], NULL, work, &l) == 0)
        started++;
    work(&l);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}
