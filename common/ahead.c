#include "ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xmalloc.h"

#define CHUNK ((size_t)256 << 10)

struct chunk {
    struct chunk *next;
    size_t pos, n; /* [pos, n) waits; the thread reads into what is behind n of the last one */
    uint8_t data[CHUNK];
};

struct vnp_ahead {
    int fd, wake[2]; /* a pipe: its end of file wakes the thread */
    size_t limit, held;
    struct chunk *first, *last;
    bool end, stop;
    int error; /* errno of a read */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
};

/* Waits for room, and finds it: NULL when it is told to stop. */
static struct chunk *room(struct vnp_ahead *a)
{
    while (a->held >= a->limit && !a->stop)
        pthread_cond_wait(&a->changed, &a->lock);
    if (a->stop)
        return NULL;
    if (a->last == NULL || a->last->n == CHUNK) {
        struct chunk *c = xmalloc(sizeof *c);
        c->next = NULL;
        c->pos = c->n = 0;
        *(a->last != NULL ? &a->last->next : &a->first) = c;
        a->last = c;
    }
    return a->last;
}

/* read(2) once there is something; 0 also when it is told to stop. */
static ssize_t read_some(struct vnp_ahead *a, void *buf, size_t cap)
{
    struct pollfd p[2] = {{.fd = a->fd, .events = POLLIN}, {.fd = a->wake[0], .events = POLLIN}};
    ssize_t got;
    do {
        while (poll(p, 2, -1) < 0)
            if (errno != EINTR)
                return -1;
        if (p[1].revents != 0)
            return 0;
        got = read(a->fd, buf, cap);
    } while (got < 0 && (errno == EINTR || errno == EAGAIN));
    return got;
}

static void *read_all(void *ctx)
{
    struct vnp_ahead *a = ctx;
    struct chunk *c;
    pthread_mutex_lock(&a->lock);
    while (!a->end && (c = room(a)) != NULL) {
        const size_t left = a->limit - a->held, free = CHUNK - c->n;
        pthread_mutex_unlock(&a->lock);
        const ssize_t got = read_some(a, c->data + c->n, free < left ? free : left);
        pthread_mutex_lock(&a->lock);
        if (got > 0) {
            c->n += (size_t)got;
            a->held += (size_t)got;
        } else {
            a->end = true;
            a->error = got < 0 ? errno : 0;
        }
        pthread_cond_broadcast(&a->changed);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

struct vnp_ahead *vnp_ahead_start(int fd, size_t limit)
{
    struct vnp_ahead *a = xcalloc(1, sizeof *a);
    a->fd = fd;
    a->limit = limit;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->changed, NULL);
    if (pipe2(a->wake, O_CLOEXEC) == 0) {
        if (pthread_create(&a->thread, NULL, read_all, a) == 0)
            return a;
        close(a->wake[0]);
        close(a->wake[1]);
    }
    free(a);
    return NULL;
}

/* The first chunk has been taken: to be freed, but for one that the thread reads into. */
static void drop_first(struct vnp_ahead *a)
{
    struct chunk *c = a->first;
    if (c == a->last && c->n < CHUNK)
        return;
    a->first = c->next;
    if (a->first == NULL)
        a->last = NULL;
    free(c);
}

ssize_t vnp_ahead_read(struct vnp_ahead *a, void *buf, size_t cap)
{
    size_t n = 0;
    pthread_mutex_lock(&a->lock);
    while (a->held == 0 && !a->end)
        pthread_cond_wait(&a->changed, &a->lock);
    const int error = a->held == 0 ? a->error : 0;
    while (n < cap && a->held > 0) {
        struct chunk *c = a->first;
        const size_t part = c->n - c->pos < cap - n ? c->n - c->pos : cap - n;
        memcpy((uint8_t *)buf + n, c->data + c->pos, part);
        n += part;
        c->pos += part;
        a->held -= part;
        if (c->pos == c->n)
            drop_first(a);
    }
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    errno = error;
    return error != 0 ? -1 : (ssize_t)n;
}

void vnp_ahead_stop(struct vnp_ahead *a)
{
    if (a == NULL)
        return;
    pthread_mutex_lock(&a->lock);
    a->stop = true;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    close(a->wake[1]);
    pthread_join(a->thread, NULL);
    close(a->wake[0]);
    for (struct chunk *c = a->first, *next; c != NULL; c = next) {
        next = c->next;
        free(c);
    }
    pthread_mutex_destroy(&a->lock);
    pthread_cond_destroy(&a->changed);
    free(a);
}
