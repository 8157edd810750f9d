// The choice "gemm" of Conv2d, and the kernels behind it. Each arithmetic is a file of its own: they take long to
// compile.
#pragma once
#include "conv_core.cuh"

namespace fathom::gpu {

using ConvKernel = void (*)(ConvCore);
ConvKernel half_conv_kernel(int block);
ConvKernel float_conv_kernel(int block);

std::string fits_gemm(const ConvTask& task);
// `only`: the block shape to take, of block_sizes; -1: the one the plan thinks best.
void build_gemm(const ConvTask& task, Step& step, int only = -1);

}  // namespace fathom::gpu
