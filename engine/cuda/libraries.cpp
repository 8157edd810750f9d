#include "engine/cuda/libraries.hpp"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>

#include "engine/module_abi.hpp"
#include "fathom/error.hpp"

namespace fathom {

namespace {

namespace fs = std::filesystem;

fs::path module_path() {
  if (const char* chosen = std::getenv("FATHOM_LIBRARY_MODULE"); chosen && *chosen) return chosen;
  Dl_info self{};
  std::error_code none;
  if (!dladdr(reinterpret_cast<void*>(&module_path), &self) || !self.dli_fname) return {};
  return fs::absolute(self.dli_fname, none).parent_path() / "libfathom_libraries.so";
}

}  // namespace

OpenedLibraries open_conv_libraries() {
  const fs::path path = module_path();
  std::error_code none;
  if (path == "none") return {nullptr, "FATHOM_LIBRARY_MODULE is 'none'"};
  if (!fs::exists(path, none)) return {nullptr, path.string() + " is not there: this build has no cuDNN"};
  // Never closed: what it makes may live as long as the program.
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!library) return {nullptr, std::string("it cannot be opened (") + dlerror() + ")"};
  const auto entry = reinterpret_cast<const LibraryModule* (*)()>(dlsym(library, "fathom_library_module"));
  if (!entry || entry()->built_for != module_abi())
    return {nullptr, path.string() + " was built for another version of Fathom"};
  try {
    return {std::shared_ptr<ConvLibraries>(entry()->open(nullptr)), ""};
  } catch (const Error& e) {
    return {nullptr, e.what()};
  }
}

}  // namespace fathom
