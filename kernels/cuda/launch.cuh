// Launching a kernel, and what becomes of CUDA's error codes.
#pragma once
#include <algorithm>
#include <cstddef>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "fathom/error.hpp"
#include "platform.cuh"
#include "site.cuh"

namespace fathom::gpu {

class CudaError : public Error {
 public:
  CudaError(cudaError_t code, Site site)
      : Error(code == cudaErrorMemoryAllocation ? ErrorKind::memory : ErrorKind::device,
              std::string("CUDA: ") + cudaGetErrorString(code) + " (" + cudaGetErrorName(code) + ", " + site.file +
                  ":" + std::to_string(site.line) + ")"),
        code(code),
        site(site) {}
  const cudaError_t code;
  const Site site;
};

// check(cudaMalloc(&p, bytes));
inline void check(cudaError_t code, Site site = Site::here()) {
  if (code == cudaSuccess) return;
  (void)cudaGetLastError();  // an error that was reported must not show up again in a later call
  throw CudaError(code, site);
}

struct LaunchShape {
  dim3 grid;
  dim3 block;
  std::size_t shared_bytes = 0;  // dynamic shared memory
  Site site = Site::here();      // of the braces that make the shape: the launch
};

// Lets a kernel have all the dynamic shared memory that its device gives a block; more than 48 KiB must be asked for.
// Not as much as one launch needs: the limit is the kernel's, and two sessions, or two nodes of a graph, whose launches
// differ would lower it for each other.
inline void allow_shared_memory(const void* kernel, std::size_t bytes, Site site) {
  int device = 0, most = 0;
  cudaFuncAttributes now{};
  check(cudaGetDevice(&device), site);
  check(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device), site);
  check(cudaFuncGetAttributes(&now, kernel), site);
  most = std::max(most - static_cast<int>(now.sharedSizeBytes), static_cast<int>(bytes));
  if (now.maxDynamicSharedSizeBytes < most)
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most), site);
}

// Enqueues the kernel: launch(scale_kernel, {.grid = blocks, .block = 256}, stream, x, y, 0.5f);
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const LaunchShape& shape, cudaStream_t stream, Arguments&&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments));
  static_assert((std::is_trivially_copyable_v<Parameters> && ...), "a kernel's parameters travel as bytes");
  constexpr std::size_t kUnasked = 32 * 1024;  // 48 KiB, of which static shared memory takes its part
  if (shape.shared_bytes > kUnasked)
    allow_shared_memory(reinterpret_cast<const void*>(kernel), shape.shared_bytes, shape.site);
#if defined(__CUDACC__)
  cudaLaunchConfig_t config{};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = stream;
  check(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...), shape.site);
#else
  std::tuple<std::remove_cv_t<Parameters>...> values(std::forward<Arguments>(arguments)...);
  void* pointers[sizeof...(Parameters) + 1] = {};
  const std::size_t sizes[sizeof...(Parameters) + 1] = {sizeof(Parameters)..., 0};
  const auto invoke = [](void* function, void** p) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      reinterpret_cast<void (*)(Parameters...)>(function)(*static_cast<std::remove_cv_t<Parameters>*>(p[I])...);
    }
    (std::index_sequence_for<Parameters...>{});
  };
  [&]<std::size_t... I>(std::index_sequence<I...>) { ((pointers[I] = &std::get<I>(values)), ...); }
  (std::index_sequence_for<Parameters...>{});
  const emu::KernelCall call{reinterpret_cast<void*>(kernel), invoke, pointers};
  check(emu::launch({shape.grid, shape.block, shape.shared_bytes, stream, call, sizes}), shape.site);
#endif
}

}  // namespace fathom::gpu
