// The choice "gemm" of Conv2d, and the kernels behind it. Each arithmetic is a file of its own: they take long to
// compile.
#pragma once
#include "conv_core.cuh"

namespace fathom::gpu {

using ConvKernel = void (*)(ConvCore);
ConvKernel half_conv_kernel(int block);
ConvKernel tf32_conv_kernel(int block);
ConvKernel float_conv_kernel(int block);

bool stores_in_eights(const ConvTask& task);  // whether the epilogue goes by eights of channels
ConvProblem problem_of(const ConvTask& task);
std::string fits_gemm(const ConvTask& task);
void build_gemm(const ConvTask& task, Step& step);
void build_gemm(const ConvTask& task, Step& step, const ConvPlan& plan);  // one of for_each_plan(problem_of(task), ...)

ConvProblem phases_problem(const ConvTask& task);
void build_phases(const ConvTask& task, Step& step, const ConvPlan& plan);  // likewise of phases_problem(task)

}  // namespace fathom::gpu
