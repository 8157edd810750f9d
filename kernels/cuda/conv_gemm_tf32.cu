// The convolution core in TF32 on tensor cores.
#include "conv_core_kernel.cuh"
#include "conv_gemm.cuh"

namespace fathom::gpu {

ConvKernel tf32_conv_kernel(int block) { return conv_kernel<Tf32Product>(block); }

}  // namespace fathom::gpu
