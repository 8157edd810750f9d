// Whether this thread's GPU can run what is here: a build holds machine code for some architectures only, and a GPU may
// be another's alone, or full.
#include "gpu.cuh"
#include "kernels.hpp"

namespace fathom {

namespace gpu {
__global__ void probe_kernel(int* answer) { *answer = 1; }
}  // namespace gpu

std::string why_no_kernels() {
  cudaFuncAttributes attributes{};
  const cudaError_t error = cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(gpu::probe_kernel));
  if (error == cudaSuccess) return {};
  (void)cudaGetLastError();
  const bool lacking = error == cudaErrorNoKernelImageForDevice || error == cudaErrorInvalidDeviceFunction ||
                       error == cudaErrorUnsupportedPtxVersion || error == cudaErrorInvalidKernelImage;
  std::string why = lacking ? "this build has no kernels for it" : "it cannot be used";
  return why.append(", CUDA says '").append(cudaGetErrorString(error)).append("'");
}

}  // namespace fathom
