// The CUDA backend: the GPU, the precision, and the packed weights in its memory that all programs of an engine share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "fathom/device.hpp"

namespace fathom {

// What kernels are chosen by. The defaults are an H200, for planning where there is no GPU.
struct GpuInfo {
  std::string name = "NVIDIA H200";
  int major = 9, minor = 0;  // compute capability
  int multiprocessors = 132;
  std::int64_t shared_bytes = 227 * 1024;  // of one block, at most
  std::int64_t total_bytes = std::int64_t{141} * 1000 * 1000 * 1000;
  std::int64_t l2_bytes = 0;  // 0: not known
  bool present = false;  // it was found, not assumed

  static GpuInfo current();  // the device that this thread uses; throws Error{device}
};

class Tuning;
struct OpenedLibraries;

// What becomes of constants: packed as steps need them; left out, where steps are prepared, described and placed, but
// cannot run; or made up, for steps whose time alone counts.
enum class Constants { packed, left_out, made_up };

class CudaBackend {
 public:
  CudaBackend(GpuInfo gpu, Precision precision, Constants constants = Constants::packed,
              std::shared_ptr<Tuning> tuning = nullptr);

  const GpuInfo& gpu() const { return gpu_; }
  Precision precision() const { return precision_; }
  Constants constants() const { return constants_; }
  Tuning* tuning() const { return tuning_.get(); }  // null: kernels are chosen by the cost model

  const OpenedLibraries& libraries();  // opened when first asked for. Thread-safe

  // Device memory that holds what a kernel made of constants (weights in the kernel's own layout), made once per key
  // and shared, for as long as a step keeps the pointer: what only steps used that are gone, as of frames that are no
  // longer run, or of kernels that were only measured, is given back. The pointer is null where constants are left
  // out. The key is the constants' names and what was done to them. `fill` writes all `bytes` into host memory.
  // Thread-safe. Throws Error{memory}.
  std::shared_ptr<const void> packed(const std::string& key, std::int64_t bytes,
                                     const std::function<void(std::byte*)>& fill);
  std::int64_t packed_bytes() const;  // of what is kept now

 private:
  struct Packed {
    std::weak_ptr<const void> memory;
    std::int64_t bytes = 0;
  };

  GpuInfo gpu_;
  Precision precision_;
  Constants constants_;
  std::shared_ptr<Tuning> tuning_;
  std::shared_ptr<const OpenedLibraries> libraries_;
  mutable std::mutex mutex_;
  std::map<std::string, Packed> packed_;
};

}  // namespace fathom
