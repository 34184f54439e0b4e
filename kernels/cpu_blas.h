/* The one door to OpenBLAS: single-threaded calls, made from threads of our own (cpu_threads.h). */
#ifndef VNP_CPU_BLAS_H
#define VNP_CPU_BLAS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Once, before the first call: tells OpenBLAS to keep to the calling thread. */
void vnp_cpu_blas_init(void);

/* OpenBLAS's name for the kernels in use ("SkylakeX"; $OPENBLAS_CORETYPE chooses others). Results are the same bytes on
 * machines where it is the same. */
const char *vnp_cpu_blas_core(void);

/* c[m, n] = a[m, k] x b, with b [n, k] (transposed) or [k, n]; row-major, lda/ldb/ldc floats from row to row. */
void vnp_cpu_gemm_nt(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb,
                     float *c, int64_t ldc);
void vnp_cpu_gemm_nn(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb,
                     float *c, int64_t ldc);

#ifdef __cplusplus
}
#endif
#endif
