/* The one door to OpenBLAS: single-threaded calls, made from threads of our own (cpu_threads.h). */
#ifndef VNP_CPU_BLAS_H
#define VNP_CPU_BLAS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* First thing in main(): runs the program again with OPENBLAS_NUM_THREADS=1 unless it has that already. OpenBLAS makes a
 * thread for each core when it is loaded; they are of no use here, and where one found no memory for its buffer (ulimit
 * -v) the process never ends. */
void vnp_cpu_blas_restart(char **argv);

/* Once, before the first call: tells OpenBLAS to keep to the calling thread. */
void vnp_cpu_blas_init(void);

/* True when the address space has room for the buffers of so many calling threads. Without it (ulimit -v) OpenBLAS asks
 * for its buffer again and again, for ever. */
bool vnp_cpu_blas_room(int threads);

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
