#include "weights_gpu.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "convert.h"
#include "cuda_check.h"
#include "gpu_memory.h"
#include "xmalloc.h"

#define CHUNK ((int64_t)8 << 20) /* source bytes that travel at once */
#define MAX_THREADS 8

/* A stretch of one tensor: where from, where to. */
struct job {
    const char *src, *second; /* second: NULL, or the source is `run` bytes from either, in turn */
    int64_t run;
    char *dst; /* device */
    enum vnp_dtype from, to;
    int64_t n; /* elements, at most CHUNK bytes at the source */
};

struct loader {
    const struct vnp_model *model;
    enum vnp_dtype dtype; /* of matrices */
    char *slab;           /* NULL: only counting */
    int64_t used;
    struct job *jobs;
    int64_t n_jobs, cap_jobs;
    int64_t next; /* taken by the threads, atomically */
    int device;
};

/* `gated`: the two halves of the rows alternate in eights, as VNP_GEMM_GEGLU wants them. */
static void add_jobs(struct loader *l, const struct vnp_tensor *t, char *dst, enum vnp_dtype to, bool gated)
{
    const int64_t n = t->shape[0] * t->shape[1], from_bytes = (int64_t)vnp_dtype_bytes(t->dtype),
                  eight = 8 * t->shape[1], most = CHUNK / from_bytes,
                  step = gated ? most / (2 * eight) * (2 * eight) : most;
    for (int64_t at = 0; at < n; at += step) {
        const char *src = (const char *)t->data + (gated ? at / 2 : at) * from_bytes;
        if (l->n_jobs == l->cap_jobs) {
            l->cap_jobs = l->cap_jobs ? 2 * l->cap_jobs : 1024;
            l->jobs = xreallocarray(l->jobs, (size_t)l->cap_jobs, sizeof *l->jobs);
        }
        l->jobs[l->n_jobs++] = (struct job){.src = src,
                                            .second = gated ? src + n / 2 * from_bytes : NULL,
                                            .run = eight * from_bytes,
                                            .dst = dst + at * (int64_t)vnp_dtype_bytes(to),
                                            .from = t->dtype,
                                            .to = to,
                                            .n = n - at < step ? n - at : step};
    }
}

static bool is_gated(const struct loader *l)
{
    return vnp_model_config(l->model)->arch == VNP_DNABERT_S;
}

/* Room for the tensors of `n` roles, one below the other; the device address when there is a slab. NULL for a role that
 * the architecture doesn't have. */
static void *place(struct loader *l, const enum vnp_role *roles, int n, int layer, enum vnp_dtype to)
{
    char *first = l->slab ? l->slab + l->used : NULL;
    if (!vnp_model_tensor(l->model, roles[0], layer))
        return NULL;
    for (int i = 0; i < n; i++) {
        const struct vnp_tensor *t = vnp_model_tensor(l->model, roles[i], layer);
        if (l->slab)
            add_jobs(l, t, l->slab + l->used, to, roles[i] == VNP_FC1_W && is_gated(l));
        l->used += t->shape[0] * t->shape[1] * (int64_t)vnp_dtype_bytes(to);
    }
    l->used = vnp_gpu_aligned(l->used);
    return first;
}
static void *vector(struct loader *l, enum vnp_role role, int layer)
{
    return place(l, &role, 1, layer, VNP_F32);
}
static void *matrix(struct loader *l, enum vnp_role role, int layer)
{
    return place(l, &role, 1, layer, l->dtype);
}

static void place_all(struct loader *l, struct vnp_gpu_weights *w, int layers, bool last)
{
    static const enum vnp_role qkv_w[] = {VNP_Q_W, VNP_K_W, VNP_V_W}, qkv_b[] = {VNP_Q_B, VNP_K_B, VNP_V_B};
    const bool whole = is_gated(l); /* DNABERT-S: q, k and v come as one */
    w->word = vector(l, VNP_EMB_WORD, 0);
    w->type = vector(l, VNP_EMB_TYPE, 0);
    w->emb_ln_w = vector(l, VNP_EMB_LN_W, 0);
    w->emb_ln_b = vector(l, VNP_EMB_LN_B, 0);
    for (int i = 0; i < layers; i++)
        w->layer[i] = (struct vnp_gpu_layer){
            .ln1_w = vector(l, VNP_LN1_W, i),
            .ln1_b = vector(l, VNP_LN1_B, i),
            .qkv_w = whole ? matrix(l, VNP_QKV_W, i) : place(l, qkv_w, 3, i, l->dtype),
            .qkv_b = whole ? vector(l, VNP_QKV_B, i) : place(l, qkv_b, 3, i, VNP_F32),
            .out_w = matrix(l, VNP_OUT_W, i),
            .out_b = vector(l, VNP_OUT_B, i),
            .ln2_w = vector(l, VNP_LN2_W, i),
            .ln2_b = vector(l, VNP_LN2_B, i),
            .fc1_w = matrix(l, VNP_FC1_W, i),
            .fc1_b = vector(l, VNP_FC1_B, i),
            .fc2_w = matrix(l, VNP_FC2_W, i),
            .fc2_b = vector(l, VNP_FC2_B, i),
        };
    if (last) {
        w->final_ln_w = vector(l, VNP_FINAL_LN_W, 0);
        w->final_ln_b = vector(l, VNP_FINAL_LN_B, 0);
    }
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
    for (int64_t turn = 0, i; (i = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED)) < l->n_jobs; turn++) {
        const struct job *j = &l->jobs[i];
        const int b = turn & 1;
        const size_t bytes = (size_t)j->n * vnp_dtype_bytes(j->from);
        CUDA_CHECK(cudaEventSynchronize(free_again[b]));
        gather(pinned[b], j, (int64_t)bytes);
        CUDA_CHECK(
            cudaMemcpyAsync(j->from == j->to ? j->dst : staging[b], pinned[b], bytes, cudaMemcpyHostToDevice, stream));
        if (j->from != j->to)
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

static void load_all(struct loader *l)
{
    pthread_t threads[MAX_THREADS];
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    int n = 0;
    CUDA_CHECK(cudaGetDevice(&l->device));
    while (n < MAX_THREADS - 1 && n < cpus - 1 && n < l->n_jobs / 4 &&
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
    load_all(&l);
    free(l.jobs);
    return VNP_OK;
}

void vnp_gpu_weights_free(struct vnp_gpu_weights *w)
{
    if (w->d_slab)
        CUDA_CHECK(cudaFree(w->d_slab));
    w->d_slab = NULL;
}
