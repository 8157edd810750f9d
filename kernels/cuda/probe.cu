// Whether this build has code for this thread's GPU: a build holds machine code for some architectures only.
#include "gpu.cuh"
#include "kernels.hpp"

namespace fathom {

namespace gpu {
__global__ void probe_kernel(int* answer) { *answer = 1; }
}  // namespace gpu

bool kernels_fit_device() {
  cudaFuncAttributes attributes{};
  const bool fit = cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(gpu::probe_kernel)) == cudaSuccess;
  (void)cudaGetLastError();
  return fit;
}

}  // namespace fathom
