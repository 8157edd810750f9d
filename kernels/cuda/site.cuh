// Where in a source something was called. A default argument `Site site = Site::here()` names the caller, so that an
// error, on the host or in the emulator, points at the kernel's line and not at the vocabulary's.
#pragma once
#include <cuda_runtime_api.h>

namespace fathom::gpu {

struct Site {
  const char* file;
  int line;

  // Not std::source_location: clang 14 has no builtin for it.
  static constexpr __host__ __device__ Site here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
};

}  // namespace fathom::gpu
