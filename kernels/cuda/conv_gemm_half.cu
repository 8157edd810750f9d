// The convolution core in fp16 on tensor cores.
#include "conv_core_kernel.cuh"
#include "conv_gemm.cuh"

namespace fathom::gpu {

ConvKernel half_conv_kernel(int block) { return conv_kernel<HalfProduct>(block); }

}  // namespace fathom::gpu
