#include "engine/cuda/backend_cuda.hpp"

#include "engine/cuda/libraries.hpp"
#include "engine/tensor.hpp"
#include "kernels/cuda/launch.cuh"

namespace fathom {

using gpu::check;

GpuInfo GpuInfo::current() {
  int device = 0;
  cudaDeviceProp properties{};
  check(cudaGetDevice(&device));
  check(cudaGetDeviceProperties(&properties, device));
  return {.name = properties.name,
          .major = properties.major,
          .minor = properties.minor,
          .multiprocessors = properties.multiProcessorCount,
          .shared_bytes = static_cast<std::int64_t>(properties.sharedMemPerBlockOptin),
          .total_bytes = static_cast<std::int64_t>(properties.totalGlobalMem),
          .l2_bytes = properties.l2CacheSize,
          .present = true};
}

CudaBackend::CudaBackend(GpuInfo gpu, Precision precision, Constants constants, std::shared_ptr<Tuning> tuning)
    : gpu_(std::move(gpu)), precision_(precision), constants_(constants), tuning_(std::move(tuning)) {}

std::shared_ptr<const void> CudaBackend::packed(const std::string& key, std::int64_t bytes,
                                                const std::function<void(std::byte*)>& fill) {
  const std::lock_guard lock(mutex_);
  Packed& known = packed_[key];
  if (auto kept = known.memory.lock(); kept.use_count() > 0) return kept;
  // Where constants are left out there is nothing at the pointer, but it is kept and counted all the same.
  std::shared_ptr<const void> made(std::make_shared<char>(), nullptr);
  if (constants_ != Constants::left_out) {
    void* device = nullptr;
    check(cudaMalloc(&device, static_cast<std::size_t>(bytes)));
    made = std::shared_ptr<const void>(device, [](const void* p) { cudaFree(const_cast<void*>(p)); });
    if (constants_ == Constants::packed) {
      const Buffer host(bytes);
      fill(host.data());
      check(cudaMemcpy(device, host.data(), static_cast<std::size_t>(bytes), cudaMemcpyHostToDevice));
    } else {
      check(cudaMemset(device, 0, static_cast<std::size_t>(bytes)));
    }
    check(cudaStreamSynchronize(nullptr));  // both may return before they are done, and sessions' streams do not wait
  }
  known = {made, bytes};
  return made;
}

const OpenedLibraries& CudaBackend::libraries() {
  const std::lock_guard lock(mutex_);
  if (!libraries_)
    libraries_ = std::make_shared<const OpenedLibraries>(gpu_.present ? open_conv_libraries()
                                                                      : OpenedLibraries{{}, "there is no GPU"});
  return *libraries_;
}

std::int64_t CudaBackend::packed_bytes() const {
  const std::lock_guard lock(mutex_);
  std::int64_t bytes = 0;
  for (const auto& [key, known] : packed_) bytes += known.memory.expired() ? 0 : known.bytes;
  return bytes;
}

}  // namespace fathom
