#include "cpu_blas.h"

#include <cblas.h>

/* In OpenBLAS's own cblas.h; repeated for systems whose cblas.h is another library's. */
void openblas_set_num_threads(int n);
char *openblas_get_corename(void);

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
