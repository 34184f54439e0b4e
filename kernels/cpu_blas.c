#include "cpu_blas.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* In OpenBLAS's own cblas.h; repeated for systems whose cblas.h is another library's. */
void openblas_set_num_threads(int n);
char *openblas_get_corename(void);

/* A calling thread's buffer of 128 MiB, and the 128 MiB of addresses that the C library sets aside for its heap. */
#define THREAD_ROOM ((size_t)264 << 20)

void vnp_cpu_blas_restart(char **argv)
{
    const char *threads = getenv("OPENBLAS_NUM_THREADS");
    if (threads != NULL && strcmp(threads, "1") == 0)
        return;
    if (setenv("OPENBLAS_NUM_THREADS", "1", 1) == 0)
        execv("/proc/self/exe", argv); /* where that fails, idle threads do no harm but at a memory limit */
}

bool vnp_cpu_blas_room(int threads)
{
    const size_t bytes = (size_t)threads * THREAD_ROOM;
    void *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p != MAP_FAILED && munmap(p, bytes) == 0;
}

void vnp_cpu_blas_init(void)
{
    openblas_set_num_threads(1);
}

const char *vnp_cpu_blas_core(void)
{
    return openblas_get_corename();
}

void vnp_cpu_gemm_nt(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb,
                     float *c, int64_t ldc)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)n, (int)k, 1.0f, a, (int)lda, b, (int)ldb, 0.0f,
                c, (int)ldc);
}

void vnp_cpu_gemm_nn(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb,
                     float *c, int64_t ldc)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)n, (int)k, 1.0f, a, (int)lda, b, (int)ldb, 0.0f,
                c, (int)ldc);
}
