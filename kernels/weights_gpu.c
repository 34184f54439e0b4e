#include "weights_gpu.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "convert.h"
#include "cuda_check.h"
#include "fold.h"
#include "gpu_memory.h"
#include "xmalloc.h"

#define CHUNK ((int64_t)8 << 20) /* source bytes that travel at once */
#define MAX_THREADS 8

/* A linear layer that a LayerNorm is folded into; all on the device, where they must be already. */
struct fold {
    struct vnp_gpu_norm norm;
    float *bias; /* the layer's: [rows] */
};

/* A stretch of one tensor: where from, where to. */
struct job {
    const char *src, *second; /* second: NULL, or the source is `run` bytes from either, in turn */
    int64_t run;
    char *dst; /* device */
    enum vnp_dtype from, to;
    int64_t n;        /* elements, at most CHUNK bytes at the source */
    int64_t width;    /* of a row; n is whole rows */
    struct fold fold; /* bias NULL: none */
};

struct jobs {
    struct job *job;
    int64_t n, cap;
    int64_t bytes; /* of the sources */
    int64_t next;  /* taken by the threads, atomically */
};

struct loader {
    const struct vnp_model *model;
    enum vnp_dtype dtype; /* of matrices */
    char *slab;           /* NULL: only counting */
    int64_t used;
    struct jobs vectors, matrices; /* in this order: the matrices may want the vectors */
    struct jobs *now;
    int device;
};

static struct job *add_job(struct jobs *jobs)
{
    if (jobs->n == jobs->cap) {
        jobs->cap = jobs->cap ? 2 * jobs->cap : 1024;
        jobs->job = xreallocarray(jobs->job, (size_t)jobs->cap, sizeof *jobs->job);
    }
    return &jobs->job[jobs->n++];
}

/* `gated`: the two halves of the rows alternate in eights, as VNP_GEMM_GEGLU wants them. `fold`: or NULL. */
static void add_jobs(struct jobs *jobs, const struct vnp_tensor *t, char *dst, enum vnp_dtype to, bool gated,
                     const struct fold *fold)
{
    const int64_t width = t->shape[1], n = t->shape[0] * width, from_bytes = (int64_t)vnp_dtype_bytes(t->dtype);
    const int64_t unit = gated ? 16 * width : width, step = CHUNK / from_bytes / unit * unit; /* whole rows */
    jobs->bytes += n * from_bytes;
    for (int64_t at = 0; at < n; at += step) {
        const char *src = (const char *)t->data + (gated ? at / 2 : at) * from_bytes;
        struct job *j = add_job(jobs);
        *j = (struct job){.src = src,
                          .second = gated ? src + n / 2 * from_bytes : NULL,
                          .run = 8 * width * from_bytes,
                          .dst = dst + at * (int64_t)vnp_dtype_bytes(to),
                          .from = t->dtype,
                          .to = to,
                          .n = n - at < step ? n - at : step,
                          .width = width};
        if (fold) {
            j->fold = *fold;
            j->fold.bias += at / width;
        }
    }
}

static bool is_dnabert(const struct loader *l)
{
    return vnp_model_config(l->model)->arch == VNP_DNABERT_S;
}

/* Room for the tensors of `n` roles, one below the other; the device address when there is a slab. NULL for a role that
 * the architecture doesn't have. */
static void *place(struct loader *l, const enum vnp_role *roles, int n, int layer, enum vnp_dtype to,
                   const struct fold *fold)
{
    char *first = l->slab ? l->slab + l->used : NULL;
    struct fold rest = fold ? *fold : (struct fold){0};
    if (!vnp_model_tensor(l->model, roles[0], layer))
        return NULL;
    for (int i = 0; i < n; i++) {
        const struct vnp_tensor *t = vnp_model_tensor(l->model, roles[i], layer);
        if (l->slab)
            add_jobs(t->shape[1] > 1 ? &l->matrices : &l->vectors, t, l->slab + l->used, to,
                     roles[i] == VNP_FC1_W && is_dnabert(l), fold ? &rest : NULL);
        if (l->slab && fold)
            rest.bias += t->shape[0];
        l->used += t->shape[0] * t->shape[1] * (int64_t)vnp_dtype_bytes(to);
    }
    l->used = vnp_gpu_aligned(l->used);
    return first;
}
static void *vector(struct loader *l, enum vnp_role role, int layer)
{
    return place(l, &role, 1, layer, VNP_F32, NULL);
}
static struct vnp_gpu_norm norm(struct loader *l, enum vnp_role w, enum vnp_role b, int layer)
{
    return (struct vnp_gpu_norm){vector(l, w, layer), vector(l, b, layer)};
}
static void *matrix(struct loader *l, enum vnp_role role, int layer, const struct fold *fold)
{
    return place(l, &role, 1, layer, l->dtype, fold);
}

/* A bias where the model has none, to fold a LayerNorm into. */
static float *zeros(struct loader *l, int64_t n)
{
    float *first = l->slab ? (float *)(void *)(l->slab + l->used) : NULL;
    if (l->slab)
        CUDA_CHECK(cudaMemset(first, 0, (size_t)n * sizeof *first));
    l->used = vnp_gpu_aligned(l->used + n * (int64_t)sizeof *first);
    return first;
}

/* ESM-2's layers begin with a LayerNorm and have another between attention and feed-forward. */
static void place_esm2(struct loader *l, struct vnp_gpu_layer *layer, int i)
{
    static const enum vnp_role qkv_w[] = {VNP_Q_W, VNP_K_W, VNP_V_W}, qkv_b[] = {VNP_Q_B, VNP_K_B, VNP_V_B};
    layer->before_qkv = norm(l, VNP_LN1_W, VNP_LN1_B, i);
    layer->before_fc1 = norm(l, VNP_LN2_W, VNP_LN2_B, i);
    layer->qkv_b = place(l, qkv_b, 3, i, VNP_F32, NULL);
    layer->qkv_w = place(l, qkv_w, 3, i, l->dtype, &(struct fold){layer->before_qkv, layer->qkv_b});
    layer->fc1_b = vector(l, VNP_FC1_B, i);
}

/* DNABERT-S's have them after attention and at the end; its q, k and v are one tensor. `before`: the layer below's. */
static void place_dnabert(struct loader *l, struct vnp_gpu_layer *layer, struct vnp_gpu_norm before, int i)
{
    layer->before_qkv = before;
    layer->before_fc1 = norm(l, VNP_LN1_W, VNP_LN1_B, i);
    layer->after = norm(l, VNP_LN2_W, VNP_LN2_B, i);
    layer->qkv_b = vector(l, VNP_QKV_B, i);
    layer->qkv_w = matrix(l, VNP_QKV_W, i, &(struct fold){before, layer->qkv_b});
    layer->fc1_b = zeros(l, 2 * (int64_t)vnp_model_config(l->model)->ffn);
}

static void place_all(struct loader *l, struct vnp_gpu_weights *w, int layers, bool last)
{
    struct vnp_gpu_norm below;
    w->word = vector(l, VNP_EMB_WORD, 0);
    w->type = vector(l, VNP_EMB_TYPE, 0);
    below = norm(l, VNP_EMB_LN_W, VNP_EMB_LN_B, 0);
    for (int i = 0; i < layers; i++) {
        struct vnp_gpu_layer *layer = &w->layer[i];
        if (is_dnabert(l))
            place_dnabert(l, layer, below, i);
        else
            place_esm2(l, layer, i);
        below = layer->after;
        layer->out_w = matrix(l, VNP_OUT_W, i, NULL);
        layer->out_b = vector(l, VNP_OUT_B, i);
        layer->fc1_w = matrix(l, VNP_FC1_W, i, &(struct fold){layer->before_fc1, layer->fc1_b});
        layer->fc2_w = matrix(l, VNP_FC2_W, i, NULL);
        layer->fc2_b = vector(l, VNP_FC2_B, i);
    }
    w->last = last && !is_dnabert(l) ? norm(l, VNP_FINAL_LN_W, VNP_FINAL_LN_B, 0) : below;
}

/* The shifts of the LayerNorms that DNABERT-S adds to a product, once all vectors are there. */
static void fold_shifts(const struct loader *l, const struct vnp_gpu_weights *w)
{
    const int width = vnp_model_config(l->model)->width;
    for (int i = 0; i < w->layers && is_dnabert(l); i++) {
        vnp_fold_shift(w->layer[i].out_b, w->layer[i].before_qkv.b, width, 0);
        vnp_fold_shift(w->layer[i].fc2_b, w->layer[i].before_fc1.b, width, 0);
    }
    CUDA_CHECK(cudaDeviceSynchronize());
}

static void gather(char *dst, const struct job *j, int64_t bytes)
{
    if (!j->second) {
        memcpy(dst, j->src, (size_t)bytes);
        return;
    }
    for (int64_t at = 0; at < bytes; at += 2 * j->run) {
        memcpy(dst + at, j->src + at / 2, (size_t)j->run);
        memcpy(dst + at + j->run, j->second + at / 2, (size_t)j->run);
    }
}

/* One thread: two pinned buffers, so that one is filled while the other travels. */
static void *load_some(void *ctx)
{
    struct loader *l = ctx;
    char *pinned[2], *staging[2];
    cudaEvent_t free_again[2];
    cudaStream_t stream;
    CUDA_CHECK(cudaSetDevice(l->device));
    CUDA_CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    for (int i = 0; i < 2; i++) {
        CUDA_CHECK(cudaHostAlloc((void **)&pinned[i], CHUNK, cudaHostAllocDefault));
        CUDA_CHECK(cudaMalloc((void **)&staging[i], CHUNK));
        CUDA_CHECK(cudaEventCreateWithFlags(&free_again[i], cudaEventDisableTiming | cudaEventBlockingSync));
    }
    for (int64_t turn = 0, i; (i = __atomic_fetch_add(&l->now->next, 1, __ATOMIC_RELAXED)) < l->now->n; turn++) {
        const struct job *j = &l->now->job[i];
        const int b = turn & 1;
        const size_t bytes = (size_t)j->n * vnp_dtype_bytes(j->from);
        const bool as_is = j->from == j->to && !j->fold.bias;
        CUDA_CHECK(cudaEventSynchronize(free_again[b]));
        gather(pinned[b], j, (int64_t)bytes);
        CUDA_CHECK(cudaMemcpyAsync(as_is ? j->dst : staging[b], pinned[b], bytes, cudaMemcpyHostToDevice, stream));
        if (j->fold.bias)
            vnp_fold_layernorm(j->dst, j->to, staging[b], j->from, j->n / j->width, (int)j->width, j->fold.norm.w,
                               j->fold.norm.b, j->fold.bias, stream);
        else if (!as_is)
            vnp_convert_device(j->dst, j->to, staging[b], j->from, j->n, stream);
        CUDA_CHECK(cudaEventRecord(free_again[b], stream));
    }
    CUDA_CHECK(cudaStreamSynchronize(stream));
    for (int i = 0; i < 2; i++) {
        CUDA_CHECK(cudaFreeHost(pinned[i]));
        CUDA_CHECK(cudaFree(staging[i]));
        CUDA_CHECK(cudaEventDestroy(free_again[i]));
    }
    CUDA_CHECK(cudaStreamDestroy(stream));
    return NULL;
}

static void load_all(struct loader *l, struct jobs *jobs)
{
    pthread_t threads[MAX_THREADS];
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    int n = 0;
    l->now = jobs;
    while (n < MAX_THREADS - 1 && n < cpus - 1 && n < jobs->bytes / (4 * CHUNK) &&
           pthread_create(&threads[n], NULL, load_some, l) == 0)
        n++;
    load_some(l);
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

enum vnp_status vnp_gpu_weights_load(struct vnp_gpu_weights *w, const struct vnp_model *model, enum vnp_dtype dtype,
                                     int layers, struct vnp_err *err)
{
    const struct vnp_model_config *c = vnp_model_config(model);
    const bool last = layers == c->layers;
    struct loader l = {.model = model, .dtype = dtype};
    memset(w, 0, sizeof *w);
    if (c->layers > VNP_MAX_LAYERS)
        return vnp_error(err, VNP_DATA, "%s: %d layers, and this stage takes up to %d", c->name, c->layers,
                         VNP_MAX_LAYERS);
    place_all(&l, w, layers, last);
    w->bytes = l.used;
    w->layers = layers;
    if (cudaMalloc(&w->d_slab, (size_t)l.used) != cudaSuccess) {
        cudaGetLastError();
        return vnp_error(err, VNP_OS, "%s: the GPU has not the %.2f GB that the weights take", c->name,
                         (double)l.used * 1e-9);
    }
    l.slab = w->d_slab;
    l.used = 0;
    place_all(&l, w, layers, last);
    CUDA_CHECK(cudaGetDevice(&l.device));
    load_all(&l, &l.vectors);
    fold_shifts(&l, w);
    load_all(&l, &l.matrices);
    free(l.vectors.job);
    free(l.matrices.job);
    return VNP_OK;
}

void vnp_gpu_weights_free(struct vnp_gpu_weights *w)
{
    if (w->d_slab)
        CUDA_CHECK(cudaFree(w->d_slab));
    w->d_slab = NULL;
}
