#include "squeeze.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "xmalloc.h"

#define MAX_THREADS 16
#define MAX_SLOTS (2 * MAX_THREADS)
#define MOST ((size_t)4 << 20) /* larger frames pass through a small buffer, on the caller's thread */

/* A frame on its way: its bytes, and what becomes of them. */
struct slot {
    char *in, *out;
    size_t n, in_cap, out_cap;
    size_t packed; /* bytes in out, or zstd's error */
    bool done;
};

struct vnp_squeeze {
    vnp_squeeze_sink sink;
    void *ctx;
    int level;
    ZSTD_CCtx *zstd; /* of the caller's thread */
    int threads, slots;
    pthread_t thread[MAX_THREADS];
    pthread_mutex_t lock;
    pthread_cond_t filled, done;
    struct slot slot[MAX_SLOTS];       /* a ring: frame i is in slot i % slots */
    uint64_t next_in, taken, next_out; /* frames put, begun, and with the sink */
    bool closing;
};

static ZSTD_CCtx *context(int level)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    if (c != NULL && !ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level)) &&
        !ZSTD_isError(ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1)))
        return c;
    ZSTD_freeCCtx(c);
    return NULL;
}

static enum vnp_status zstd_error(size_t code, struct vnp_err *err)
{
    return vnp_error(err, VNP_SOFTWARE, "zstd: %s", ZSTD_getErrorName(code));
}

static void compress(ZSTD_CCtx *zstd, struct slot *f)
{
    const size_t bound = ZSTD_compressBound(f->n);
    if (bound > f->out_cap) {
        free(f->out);
        f->out = xmalloc(bound);
        f->out_cap = bound;
    }
    f->packed = ZSTD_compress2(zstd, f->out, f->out_cap, f->in, f->n);
}

static void *work(void *arg)
{
    struct vnp_squeeze *s = arg;
    ZSTD_CCtx *zstd = context(s->level);
    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (s->taken == s->next_in && !s->closing)
            pthread_cond_wait(&s->filled, &s->lock);
        if (s->closing || zstd == NULL)
            break;
        struct slot *f = &s->slot[s->taken++ % (uint64_t)s->slots];
        pthread_mutex_unlock(&s->lock);
        compress(zstd, f);
        pthread_mutex_lock(&s->lock);
        f->done = true;
        pthread_cond_signal(&s->done);
    }
    pthread_mutex_unlock(&s->lock);
    ZSTD_freeCCtx(zstd);
    return NULL;
}

struct vnp_squeeze *vnp_squeeze_open(int level, int threads, vnp_squeeze_sink sink, void *ctx)
{
    struct vnp_squeeze *s = xcalloc(1, sizeof *s);
    s->sink = sink;
    s->ctx = ctx;
    s->level = level;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->filled, NULL);
    pthread_cond_init(&s->done, NULL);
    s->zstd = context(level);
    if (s->zstd == NULL) {
        vnp_squeeze_close(s);
        return NULL;
    }
    threads = threads > MAX_THREADS ? MAX_THREADS : threads;
    while (threads > 1 && s->threads < threads && pthread_create(&s->thread[s->threads], NULL, work, s) == 0)
        s->threads++;
    s->slots = s->threads > 0 ? 2 * s->threads : 1;
    return s;
}

/* The oldest frame to the sink, once it is compressed; by this thread where none has begun it. */
static enum vnp_status pass_oldest(struct vnp_squeeze *s, struct vnp_err *err)
{
    struct slot *f = &s->slot[s->next_out % (uint64_t)s->slots];
    pthread_mutex_lock(&s->lock);
    const bool mine = s->taken == s->next_out;
    if (mine)
        s->taken++;
    while (!mine && !f->done)
        pthread_cond_wait(&s->done, &s->lock);
    pthread_mutex_unlock(&s->lock);
    if (mine)
        compress(s->zstd, f);
    s->next_out++;
    return ZSTD_isError(f->packed) ? zstd_error(f->packed, err) : s->sink(s->ctx, f->out, f->packed, err);
}

enum vnp_status vnp_squeeze_finish(struct vnp_squeeze *s, struct vnp_err *err)
{
    enum vnp_status st = VNP_OK;
    while (st == VNP_OK && s->next_out < s->next_in)
        st = pass_oldest(s, err);
    return st;
}

static enum vnp_status put_large(struct vnp_squeeze *s, const struct iovec *parts, int n, size_t total,
                                 struct vnp_err *err)
{
    struct slot *f = &s->slot[0]; /* all are free: only its buffer is used */
    const size_t cap = ZSTD_CStreamOutSize();
    if (f->out_cap < cap) {
        free(f->out);
        f->out = xmalloc(cap);
        f->out_cap = cap;
    }
    ZSTD_CCtx_reset(s->zstd, ZSTD_reset_session_only);
    size_t rc = ZSTD_CCtx_setPledgedSrcSize(s->zstd, total);
    for (int i = 0; i < n && !ZSTD_isError(rc); i++) {
        ZSTD_inBuffer in = {parts[i].iov_base, parts[i].iov_len, 0};
        const ZSTD_EndDirective end = i == n - 1 ? ZSTD_e_end : ZSTD_e_continue;
        do {
            ZSTD_outBuffer out = {f->out, cap, 0}; /* never more: it decides how zstd cuts its work */
            rc = ZSTD_compressStream2(s->zstd, &out, &in, end);
            if (ZSTD_isError(rc))
                break;
            const enum vnp_status st = s->sink(s->ctx, out.dst, out.pos, err);
            if (st != VNP_OK)
                return st;
        } while (end == ZSTD_e_end ? rc != 0 : in.pos < in.size);
    }
    return ZSTD_isError(rc) ? zstd_error(rc, err) : VNP_OK;
}

static void fill(struct slot *f, const struct iovec *parts, int n, size_t total)
{
    if (f->in == NULL || total > f->in_cap) { /* memory for an empty frame too: zstd and memcpy want an address */
        free(f->in);
        f->in = xmalloc(total + 1);
        f->in_cap = total;
    }
    f->n = 0;
    f->done = false;
    for (int i = 0; i < n; i++) {
        memcpy(f->in + f->n, parts[i].iov_base, parts[i].iov_len);
        f->n += parts[i].iov_len;
    }
}

enum vnp_status vnp_squeeze_put(struct vnp_squeeze *s, const struct iovec *parts, int n, struct vnp_err *err)
{
    size_t total = 0;
    enum vnp_status st = VNP_OK;
    for (int i = 0; i < n; i++)
        total += parts[i].iov_len;
    if (total > MOST) {
        st = vnp_squeeze_finish(s, err);
        return st == VNP_OK ? put_large(s, parts, n, total, err) : st;
    }
    if (s->next_in - s->next_out == (uint64_t)s->slots)
        st = pass_oldest(s, err);
    if (st != VNP_OK)
        return st;
    fill(&s->slot[s->next_in % (uint64_t)s->slots], parts, n, total);
    pthread_mutex_lock(&s->lock);
    s->next_in++;
    pthread_cond_signal(&s->filled);
    pthread_mutex_unlock(&s->lock);
    return s->threads > 0 ? VNP_OK : pass_oldest(s, err);
}

void vnp_squeeze_close(struct vnp_squeeze *s)
{
    if (s == NULL)
        return;
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    pthread_cond_broadcast(&s->filled);
    pthread_mutex_unlock(&s->lock);
    for (int i = 0; i < s->threads; i++)
        pthread_join(s->thread[i], NULL);
    for (int i = 0; i < s->slots; i++) {
        free(s->slot[i].in);
        free(s->slot[i].out);
    }
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->filled);
    pthread_cond_destroy(&s->done);
    ZSTD_freeCCtx(s->zstd);
    free(s);
}
