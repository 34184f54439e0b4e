/* vnp_gemm on the shapes of ESM-2 and DNABERT-S, epilogues included, beside cuBLASLt's best algorithm without one:
 * sustained, on random data, weights rotating among more buffers than L2 holds, as the layers of a model do.
 *
 *   gemm_bench [-t SECONDS] [-r ROWS,...] [-l] [-o] [MODEL...]
 *
 * -l: whole layers only; -o: ours only; MODEL: 8M 150M 650M 3B 15B dnabert-s.
 *
 * A figure is the mean over the second half of SECONDS (default 1) of back-to-back launches between two events. */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cublasLt.h>
#include <cuda_fp16.h>

#include "cuda_check.h"
#include "gemm.h"
#include "rotary.h"

namespace
{

enum { QKV, OUT, FC1, FC2, PRODUCTS };

struct model {
    const char *name;
    int width, head, layers;
    bool gated; /* DNABERT-S: no rotary, and a gate */
};

const model models[] = {{"8M", 320, 16, 6, false},   {"150M", 640, 32, 30, false},  {"650M", 1280, 64, 33, false},
                        {"3B", 2560, 64, 36, false}, {"15B", 5120, 128, 48, false}, {"dnabert-s", 768, 64, 12, true}};

const char *name(const model &what, int product)
{
    static const char *const names[] = {"qkv+rotary", "out+residual", "fc1+gelu", "fc2+residual"};
    return !what.gated ? names[product] : product == QKV ? "qkv" : product == FC1 ? "fc1+geglu" : names[product];
}

/* Device buffers for one model and row count; everything F16 but bias, table and positions. */
struct buffers {
    __half *x, *wide, *out, *residual; /* [m][width], [m][4 width]: after a GELU, [m][8 width], [m][width] */
    __half *w[PRODUCTS];               /* copies of each weight, one after the other */
    float *bias, *table, *moments, *scale;
    int32_t *pos;
    void *workspace;
};

struct bench {
    model what;
    int64_t m;
    int copies;
    double seconds;
    buffers b;
    cublasLtHandle_t handle;
};

constexpr size_t workspace_bytes = 64 << 20;
constexpr int positions = 1024;

void check_blas(cublasStatus_t status, int line)
{
    if (status != CUBLAS_STATUS_SUCCESS) {
        fprintf(stderr, "gemm_bench: cuBLASLt status %d at line %d\n", (int)status, line);
        exit(1);
    }
}
#define BLAS_CHECK(call) check_blas((call), __LINE__)

/* Uniform numbers of standard deviation `scale`, or the GELU of such. */
__global__ void fill(__half *p, size_t n, float scale, unsigned seed, bool gelu)
{
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n; i += (size_t)gridDim.x * blockDim.x) {
        unsigned x = (unsigned)i * 2654435761u + seed;
        x = (x ^ x >> 16) * 0x85ebca6bu;
        x = (x ^ x >> 13) * 0xc2b2ae35u;
        const float v = ((x ^ x >> 16) * 0x1p-32f - 0.5f) * 3.4641016f * scale;
        p[i] = __float2half_rn(gelu ? 0.5f * v * erfcf(-0.70710678f * v) : v);
    }
}

__half *random_half(size_t n, float scale, unsigned seed, bool gelu = false)
{
    __half *p;
    CUDA_CHECK(cudaMalloc(&p, n * sizeof *p));
    fill<<<2048, 256>>>(p, n, scale, seed, gelu);
    CUDA_CHECK_LAUNCH();
    return p;
}

int64_t columns(const model &what, int product)
{
    return (product == QKV ? 3 : product == FC1 ? (what.gated ? 8 : 4) : 1) * (int64_t)what.width;
}

int64_t depth(const model &what, int product)
{
    return (product == FC2 ? 4 : 1) * (int64_t)what.width;
}

double flops(const bench &b, int product)
{
    return 2.0 * b.m * columns(b.what, product) * depth(b.what, product);
}

void set_up(bench &b)
{
    const int64_t h = b.what.width;
    const size_t weights = (size_t)h * h * 2;
    b.copies = (int)(256000000 / weights) + 2;
    b.copies = b.copies > b.what.layers ? b.what.layers : b.copies;
    b.b.x = random_half(b.m * h, 1, 1);
    b.b.wide = random_half(b.m * 4 * h, 1, 2, true);
    b.b.out = random_half(b.m * 8 * h, 1, 3);
    b.b.residual = random_half(b.m * h, 1, 4);
    for (int p = 0; p < PRODUCTS; p++) {
        const int64_t k = depth(b.what, p);
        b.b.w[p] = random_half(b.copies * columns(b.what, p) * k, 1 / sqrtf((float)k), 5 + p);
    }
    float *bias = (float *)malloc(8 * h * sizeof(float));
    for (int i = 0; i < 8 * h; i++)
        bias[i] = 0.01f * (float)(i % 17 - 8);
    CUDA_CHECK(cudaMalloc(&b.b.bias, 8 * h * sizeof(float)));
    CUDA_CHECK(cudaMemcpy(b.b.bias, bias, 8 * h * sizeof(float), cudaMemcpyHostToDevice));
    free(bias);
    int32_t *pos = (int32_t *)malloc(b.m * sizeof *pos);
    for (int64_t i = 0; i < b.m; i++)
        pos[i] = (int32_t)(i % 300);
    CUDA_CHECK(cudaMalloc(&b.b.pos, b.m * sizeof *pos));
    CUDA_CHECK(cudaMemcpy(b.b.pos, pos, b.m * sizeof *pos, cudaMemcpyHostToDevice));
    free(pos);
    CUDA_CHECK(cudaMalloc(&b.b.table, (size_t)positions * b.what.head * sizeof(float)));
    CUDA_CHECK((cudaError_t)vnp_rotary_table(b.b.table, positions, b.what.head, 0));
    CUDA_CHECK(cudaMalloc(&b.b.moments, b.m * VNP_MOMENTS_PARTS(h) * 2 * sizeof(float)));
    CUDA_CHECK(cudaMalloc(&b.b.scale, b.m * sizeof(float)));
    CUDA_CHECK(cudaMemset(b.b.scale, 0x3f, b.m * sizeof(float))); /* 0.747 each */
    CUDA_CHECK(cudaMalloc(&b.b.workspace, workspace_bytes));
    CUDA_CHECK(cudaDeviceSynchronize());
}

void tear_down(bench &b)
{
    void *all[] = {b.b.x,    b.b.wide, b.b.out,   b.b.residual, b.b.w[0],    b.b.w[1],  b.b.w[2],
                   b.b.w[3], b.b.bias, b.b.table, b.b.pos,      b.b.moments, b.b.scale, b.b.workspace};
    for (void *p : all)
        CUDA_CHECK(cudaFree(p));
}

/* One product by our kernel, with its epilogue or with the bias alone. */
void ours(const bench &b, int product, int turn, bool plain)
{
    static const vnp_gemm_epilogue epilogues[2][PRODUCTS] = {
        {VNP_GEMM_BIAS_ROTARY, VNP_GEMM_BIAS_RESIDUAL, VNP_GEMM_BIAS_GELU, VNP_GEMM_BIAS_RESIDUAL},
        {VNP_GEMM_BIAS, VNP_GEMM_BIAS_NORMED, VNP_GEMM_GEGLU, VNP_GEMM_BIAS_NORMED}};
    vnp_gemm_params p = {};
    p.epilogue = plain ? VNP_GEMM_BIAS : epilogues[b.what.gated][product];
    p.m = b.m;
    p.n = columns(b.what, product);
    p.k = depth(b.what, product);
    p.d_a = product == FC2 ? b.b.wide : b.b.x;
    p.d_w = b.b.w[product] + turn % b.copies * p.n * p.k;
    p.d_bias = b.b.bias;
    p.d_out = b.b.out;
    p.d_residual = b.b.residual;
    p.d_pos = b.b.pos;
    p.d_rotary = b.b.table;
    p.head_dim = b.what.head;
    p.q_scale = 1 / sqrtf((float)b.what.head);
    if (!plain && p.epilogue != VNP_GEMM_BIAS_RESIDUAL)
        p.d_row_scale = b.b.scale;
    p.d_row_shift = b.b.scale;
    p.d_gain = b.b.bias;
    if (p.epilogue == VNP_GEMM_BIAS_RESIDUAL || p.epilogue == VNP_GEMM_BIAS_NORMED)
        p.d_moments = b.b.moments;
    CUDA_CHECK((cudaError_t)vnp_gemm(&p, 0));
}

/* cuBLASLt's plan for one product: plain, or with the nearest epilogue it has (bias; bias and tanh GELU; bias and C).
 */
struct plan {
    cublasLtMatmulDesc_t op;
    cublasLtMatrixLayout_t a, w, out;
    cublasLtMatmulAlgo_t algo;
    float beta;
};

void theirs(const bench &b, const plan &p, int product, int turn)
{
    const float one = 1;
    const int64_t n = columns(b.what, product), k = depth(b.what, product);
    BLAS_CHECK(cublasLtMatmul(b.handle, p.op, &one, b.b.w[product] + turn % b.copies * n * k, p.w,
                              product == FC2 ? b.b.wide : b.b.x, p.a, &p.beta, p.beta ? b.b.residual : b.b.out, p.out,
                              b.b.out, p.out, &p.algo, b.b.workspace, workspace_bytes, 0));
}

/* Milliseconds a call of f(turn), the mean over the second half of `seconds`. */
template <class F> double sustained(double seconds, F f)
{
    cudaEvent_t begin, end;
    CUDA_CHECK(cudaEventCreate(&begin));
    CUDA_CHECK(cudaEventCreate(&end));
    float ms = 0;
    int turn = 0, count = 3;
    for (int round = 0; round < 3; round++) { /* to warm up and count; the first half; the second */
        CUDA_CHECK(cudaEventRecord(begin));
        for (int i = 0; i < count; i++)
            f(turn++);
        CUDA_CHECK(cudaEventRecord(end));
        CUDA_CHECK(cudaEventSynchronize(end));
        CUDA_CHECK(cudaEventElapsedTime(&ms, begin, end));
        if (round < 2) {
            ms /= (float)count;
            count = (int)(seconds * 500 / ms) + 1;
        }
    }
    CUDA_CHECK(cudaEventDestroy(begin));
    CUDA_CHECK(cudaEventDestroy(end));
    return ms / count;
}

/* The fastest of the heuristics' algorithms for a product. */
plan best_plan(const bench &b, int product, bool plain)
{
    plan p = {};
    const int64_t n = columns(b.what, product), k = depth(b.what, product);
    const cublasOperation_t transposed = CUBLAS_OP_T;
    BLAS_CHECK(cublasLtMatmulDescCreate(&p.op, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    BLAS_CHECK(cublasLtMatmulDescSetAttribute(p.op, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed));
    if (!plain) {
        const cublasLtEpilogue_t epilogue =
            product == FC1 && !b.what.gated ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_BIAS;
        const void *bias = b.b.x; /* FP16, as cuBLASLt wants it here; its values don't matter */
        BLAS_CHECK(cublasLtMatmulDescSetAttribute(p.op, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
        BLAS_CHECK(cublasLtMatmulDescSetAttribute(p.op, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias));
        p.beta = product == OUT || product == FC2 ? 1 : 0;
    }
    BLAS_CHECK(cublasLtMatrixLayoutCreate(&p.w, CUDA_R_16F, k, n, k));
    BLAS_CHECK(cublasLtMatrixLayoutCreate(&p.a, CUDA_R_16F, k, b.m, k));
    BLAS_CHECK(cublasLtMatrixLayoutCreate(&p.out, CUDA_R_16F, n, b.m, n));
    cublasLtMatmulPreference_t preference;
    BLAS_CHECK(cublasLtMatmulPreferenceCreate(&preference));
    BLAS_CHECK(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                    &workspace_bytes, sizeof workspace_bytes));
    cublasLtMatmulHeuristicResult_t found[24];
    int count = 0;
    BLAS_CHECK(cublasLtMatmulAlgoGetHeuristic(b.handle, p.op, p.w, p.a, p.out, p.out, preference, 24, found, &count));
    BLAS_CHECK(cublasLtMatmulPreferenceDestroy(preference));
    double best = INFINITY;
    cublasLtMatmulAlgo_t winner = found[0].algo;
    for (int i = 0; i < count; i++) {
        p.algo = found[i].algo;
        const double ms = sustained(0.02, [&](int turn) { theirs(b, p, product, turn); });
        if (ms < best) {
            best = ms;
            winner = p.algo;
        }
    }
    p.algo = winner;
    return p;
}

void drop(plan &p)
{
    BLAS_CHECK(cublasLtMatmulDescDestroy(p.op));
    BLAS_CHECK(cublasLtMatrixLayoutDestroy(p.a));
    BLAS_CHECK(cublasLtMatrixLayoutDestroy(p.w));
    BLAS_CHECK(cublasLtMatrixLayoutDestroy(p.out));
}

/* Ours alone, quickly: for comparing variants. */
void report_ours(const bench &b)
{
    double ms[PRODUCTS + 1], plain[PRODUCTS], work = 0;
    for (int p = 0; p < PRODUCTS; p++) {
        ms[p] = sustained(b.seconds, [&](int turn) { ours(b, p, turn, false); });
        plain[p] = sustained(b.seconds, [&](int turn) { ours(b, p, turn, true); });
        work += flops(b, p);
    }
    ms[PRODUCTS] = sustained(2 * b.seconds, [&](int turn) {
        for (int p = 0; p < PRODUCTS; p++)
            ours(b, p, turn, false);
    });
    printf("%-9s %6d", b.what.name, (int)b.m);
    for (int p = 0; p < PRODUCTS; p++)
        printf("  %s %4.0f (bias only %4.0f)", name(b.what, p), flops(b, p) / ms[p] / 1e9,
               flops(b, p) / plain[p] / 1e9);
    printf("  layer %4.0f TFLOP/s, %.0f tokens/s\n", work / ms[PRODUCTS] / 1e9,
           b.m * 1e3 / (ms[PRODUCTS] * b.what.layers));
    fflush(stdout);
}

void report(const bench &b, bool layers_only)
{
    plan bare[PRODUCTS], full[PRODUCTS];
    double work = 0;
    for (int p = 0; p < PRODUCTS; p++) {
        bare[p] = best_plan(b, p, true);
        full[p] = best_plan(b, p, false);
        work += flops(b, p);
        if (layers_only)
            continue;
        const double t = b.seconds, scale = flops(b, p) / 1e9;
        const double lt = sustained(t, [&](int turn) { theirs(b, bare[p], p, turn); });
        const double ms = sustained(t, [&](int turn) { ours(b, p, turn, false); });
        const double plain = sustained(t, [&](int turn) { ours(b, p, turn, true); });
        const double lt_full = sustained(t, [&](int turn) { theirs(b, full[p], p, turn); });
        printf("%-9s %6d %-13s %6d %6d  %8.1f us %6.0f  bias only %6.0f | cuBLASLt plain %6.0f  with epilogue %6.0f | "
               "%5.1f %%\n",
               b.what.name, (int)b.m, name(b.what, p), (int)columns(b.what, p), (int)depth(b.what, p), ms * 1e3,
               scale / ms, scale / plain, scale / lt, scale / lt_full, 100 * lt / ms);
        fflush(stdout);
    }
    double ms[3];
    const double t = 2 * b.seconds;
    ms[0] = sustained(t, [&](int turn) {
        for (int p = 0; p < PRODUCTS; p++)
            ours(b, p, turn, false);
    });
    ms[1] = sustained(t, [&](int turn) {
        for (int p = 0; p < PRODUCTS; p++)
            theirs(b, bare[p], p, turn);
    });
    ms[2] = sustained(t, [&](int turn) {
        for (int p = 0; p < PRODUCTS; p++)
            theirs(b, full[p], p, turn);
    });
    printf("%-9s %6d %-27s  %8.1f us %6.0f                  | cuBLASLt plain %6.0f  with epilogue %6.0f | %5.1f %%  "
           "%.0f tokens/s\n",
           b.what.name, (int)b.m, "LAYER", ms[0] * 1e3, work / ms[0] / 1e9, work / ms[1] / 1e9, work / ms[2] / 1e9,
           100 * ms[1] / ms[0], b.m * 1e3 / (ms[0] * b.what.layers));
    fflush(stdout);
    for (int p = 0; p < PRODUCTS; p++) {
        drop(bare[p]);
        drop(full[p]);
    }
}

} // namespace

int main(int argc, char **argv)
{
    double seconds = 1;
    bool layers_only = false, ours_only = false;
    char rows_default[] = "4096,8192,16384,32768", *rows = rows_default;
    for (int c; (c = getopt(argc, argv, "t:r:lo")) != -1;) {
        if (c == 't') {
            seconds = atof(optarg);
        } else if (c == 'r') {
            rows = optarg;
        } else if (c == 'l') {
            layers_only = true;
        } else if (c == 'o') {
            ours_only = true;
        } else {
            fprintf(stderr, "usage: gemm_bench [-t seconds] [-r rows,...] [-l] [-o] [model...]\n");
            return 2;
        }
    }
    bench b = {};
    b.seconds = seconds;
    BLAS_CHECK(cublasLtCreate(&b.handle));
    if (!ours_only)
        printf("model       rows product             n      k     ours us TFLOP/s\n");
    for (const model &what : models) {
        bool wanted = optind == argc;
        for (int i = optind; i < argc; i++)
            wanted |= strcmp(argv[i], what.name) == 0;
        for (const char *at = rows; wanted && *at; at += strcspn(at, ","), at += *at == ',') {
            b.what = what;
            b.m = atoi(at);
            set_up(b);
            if (ours_only)
                report_ours(b);
            else
                report(b, layers_only);
            tear_down(b);
        }
    }
    BLAS_CHECK(cublasLtDestroy(b.handle));
    return 0;
}
