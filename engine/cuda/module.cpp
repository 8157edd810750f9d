// What libfathom_cuda.so shows to the engine: one function.
#include "engine/cuda/cuda.hpp"
#include "engine/cuda_module.hpp"
#include "engine/module_abi.hpp"
#include "fathom/error.hpp"
#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/launch.cuh"

namespace fathom {

namespace {

// The device of this thread, or one sentence why there is none.
GpuInfo find_gpu() {
  int count = 0, driver = 0;
  const cudaError_t counted = cudaGetDeviceCount(&count);
  const auto refuse = [](const std::string& why) {
    throw Error(ErrorKind::device, "no GPU: " + why + "; use the device 'cpu'");
  };
  if (counted != cudaSuccess) {
    (void)cudaGetLastError();
    if (cudaDriverGetVersion(&driver) == cudaSuccess && driver == 0)
      refuse("there is no NVIDIA driver on this machine");
    refuse(std::string("CUDA says '") + cudaGetErrorString(counted) + "'");
  }
  if (count == 0) refuse("the NVIDIA driver finds none");
  GpuInfo gpu = GpuInfo::current();
  if (const std::string why = why_no_kernels(); !why.empty())
    refuse("there is a " + gpu.name + " (compute capability " + std::to_string(gpu.major) + "." +
           std::to_string(gpu.minor) + "), but " + why);
  return gpu;
}

Backend* open(const CudaRequest& request) {
  if (!request.plan_only) return make_cuda(find_gpu(), request.precision, false, request.tuning).release();
  try {
    return make_cuda(find_gpu(), request.precision, true, request.tuning).release();
  } catch (const Error&) {  // then for the GPU that GpuInfo assumes
    return make_cuda({}, request.precision, true, request.tuning).release();
  }
}

}  // namespace

}  // namespace fathom

extern "C" __attribute__((visibility("default"))) const fathom::CudaModule* fathom_cuda_module() {
  static const std::string built_for = fathom::module_abi();
  static const fathom::CudaModule module{built_for.c_str(), &fathom::open};
  return &module;
}
