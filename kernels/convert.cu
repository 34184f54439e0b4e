/* Element types.
 *
 *   out[i] = in[i], i < n: FP32, FP16 and BF16 into each other, rounded to nearest even through FP32, which holds them
 * all
 *
 * One element a thread, blocks of 256; neighbouring threads have neighbouring elements. No shared memory. Reads in
 * once, writes out once. NaN stays NaN, what is too large becomes Inf. Used while a model is loaded, never in the
 * forward pass. */
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "convert.h"
#include "cuda_check.h"

template <typename In, typename Out>
static __global__ void __launch_bounds__(256) convert(Out *__restrict__ out, const In *__restrict__ in, int64_t n)
{
    const int64_t i = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
    if (i < n)
        out[i] = static_cast<Out>(static_cast<float>(in[i]));
}

template <typename In, typename Out> static void launch(void *out, const void *in, int64_t n, cudaStream_t stream)
{
    convert<<<static_cast<unsigned>((n + 255) / 256), 256, 0, stream>>>(static_cast<Out *>(out),
                                                                        static_cast<const In *>(in), n);
    CUDA_CHECK_LAUNCH();
}

template <typename In> static void to(void *d_out, vnp_dtype out, const void *d_in, int64_t n, cudaStream_t stream)
{
    if (out == VNP_F32)
        launch<In, float>(d_out, d_in, n, stream);
    else if (out == VNP_F16)
        launch<In, __half>(d_out, d_in, n, stream);
    else
        launch<In, __nv_bfloat16>(d_out, d_in, n, stream);
}

extern "C" void vnp_convert_device(void *d_out, vnp_dtype out, const void *d_in, vnp_dtype in, int64_t n,
                                   cudaStream_t stream)
{
    if (n == 0)
        return;
    if (in == VNP_F32)
        to<float>(d_out, out, d_in, n, stream);
    else if (in == VNP_F16)
        to<__half>(d_out, out, d_in, n, stream);
    else
        to<__nv_bfloat16>(d_out, out, d_in, n, stream);
}
