#include "cpu_threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

struct vnp_cpu_threads {
    pthread_mutex_t lock;
    pthread_cond_t start, done;
    uint64_t round; /* goes up with every loop: what waiting threads look at */
    int running;    /* threads, the caller's not among them, that are not through with this round */
    bool quit;
    vnp_cpu_task *task;
    void *ctx;
    int64_t n_tasks;
    atomic_llong next;
    int n; /* threads, the caller's among them */
    struct worker {
        struct vnp_cpu_threads *pool;
        int index;
        pthread_t thread;
    } workers[];
};

static void work(struct vnp_cpu_threads *t, int worker)
{
    for (;;) {
        const int64_t i = atomic_fetch_add(&t->next, 1);
        if (i >= t->n_tasks)
            return;
        t->task(t->ctx, i, worker);
    }
}

static void *worker_main(void *arg)
{
    const struct worker *w = arg;
    struct vnp_cpu_threads *t = w->pool;
    uint64_t seen = 0;
    pthread_mutex_lock(&t->lock);
    for (;;) {
        while (t->round == seen && !t->quit)
            pthread_cond_wait(&t->start, &t->lock);
        if (t->quit)
            break;
        seen = t->round;
        pthread_mutex_unlock(&t->lock);
        work(t, w->index);
        pthread_mutex_lock(&t->lock);
        if (--t->running == 0)
            pthread_cond_signal(&t->done);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

struct vnp_cpu_threads *vnp_cpu_threads_new(int n)
{
    struct vnp_cpu_threads *t = calloc(1, sizeof *t + (size_t)n * sizeof t->workers[0]);
    if (!t)
        return NULL;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->start, NULL);
    pthread_cond_init(&t->done, NULL);
    atomic_init(&t->next, 0);
    t->n = 1;
    for (int i = 1; i < n; i++) {
        t->workers[i] = (struct worker){t, i, 0};
        if (pthread_create(&t->workers[i].thread, NULL, worker_main, &t->workers[i]) != 0) {
            vnp_cpu_threads_free(t);
            return NULL;
        }
        t->n = i + 1;
    }
    return t;
}

int vnp_cpu_threads_n(const struct vnp_cpu_threads *t)
{
    return t->n;
}

void vnp_cpu_threads_run(struct vnp_cpu_threads *t, int64_t n_tasks, vnp_cpu_task *task, void *ctx)
{
    pthread_mutex_lock(&t->lock);
    t->task = task;
    t->ctx = ctx;
    t->n_tasks = n_tasks;
    atomic_store(&t->next, 0);
    t->running = t->n - 1;
    t->round++;
    pthread_cond_broadcast(&t->start);
    pthread_mutex_unlock(&t->lock);
    work(t, 0);
    pthread_mutex_lock(&t->lock);
    while (t->running)
        pthread_cond_wait(&t->done, &t->lock);
    pthread_mutex_unlock(&t->lock);
}

void vnp_cpu_threads_free(struct vnp_cpu_threads *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->quit = true;
    pthread_cond_broadcast(&t->start);
    pthread_mutex_unlock(&t->lock);
    for (int i = 1; i < t->n; i++)
        pthread_join(t->workers[i].thread, NULL);
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->start);
    pthread_cond_destroy(&t->done);
    free(t);
}
