// NVIDIA's libraries beside this module, if they are there.
#pragma once

#include <memory>
#include <string>

#include "kernels/libraries/conv_library.hpp"

namespace fathom {

struct OpenedLibraries {
  std::shared_ptr<ConvLibraries> libraries;  // null: there are none
  std::string why_not;                       // then; one sentence
};

// For this thread's GPU. libfathom_libraries.so is looked for where the environment variable FATHOM_LIBRARY_MODULE says
// (a path, or "none"), and beside this module.
OpenedLibraries open_conv_libraries();

}  // namespace fathom
