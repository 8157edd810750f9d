// NVIDIA's libraries beside this module, those that are there.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/libraries/conv_library.hpp"

namespace fathom {

struct OpenedLibraries {
  std::vector<std::shared_ptr<ConvLibrary>> list;
  std::string missing;  // why each of the others is not there

  std::string versions() const;  // "cuDNN 9.19.0, cuBLASLt 13.1.0"
};

// For this thread's GPU. Modules are looked for where the environment variable FATHOM_LIBRARY_MODULE says (paths with
// colons between them, or "none"); without it libfathom_cudnn.so and libfathom_cublaslt.so beside this module.
OpenedLibraries open_conv_libraries();

}  // namespace fathom
