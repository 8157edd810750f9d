// The convolution core in fp32 by FFMA.
#include "conv_core_kernel.cuh"
#include "conv_gemm.cuh"

namespace fathom::gpu {

ConvKernel float_conv_kernel(int block) { return conv_kernel<FloatProduct>(block); }

}  // namespace fathom::gpu
