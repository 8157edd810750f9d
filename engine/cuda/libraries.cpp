#include "engine/cuda/libraries.hpp"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "engine/module_abi.hpp"
#include "fathom/error.hpp"

namespace fathom {

namespace {

namespace fs = std::filesystem;

void join(std::string& text, const char* between, const std::string& more) {
  text += (text.empty() ? "" : between) + more;
}

std::vector<fs::path> module_paths() {
  std::vector<fs::path> paths;
  if (const char* chosen = std::getenv("FATHOM_LIBRARY_MODULE"); chosen && *chosen) {
    std::istringstream text(chosen);
    for (std::string path; std::getline(text, path, ':');) paths.emplace_back(path);
    return paths;
  }
  Dl_info self{};
  std::error_code none;
  if (!dladdr(reinterpret_cast<void*>(&module_paths), &self) || !self.dli_fname) return {};
  const fs::path folder = fs::absolute(self.dli_fname, none).parent_path();
  return {folder / "libfathom_cudnn.so", folder / "libfathom_cublaslt.so"};
}

std::shared_ptr<ConvLibrary> open_module(const fs::path& path) {
  const auto refuse = [](const std::string& why) { throw Error(ErrorKind::device, why); };
  std::error_code none;
  if (!fs::exists(path, none)) refuse(path.string() + " is not there: this build was made without it");
  // Never closed: what it makes may live as long as the program.
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!library) refuse(std::string("a library's module cannot be opened (") + dlerror() + ")");
  const auto entry = reinterpret_cast<const LibraryModule* (*)()>(dlsym(library, "fathom_library_module"));
  if (!entry || entry()->built_for != module_abi()) refuse(path.string() + " was built for another version of Fathom");
  return std::shared_ptr<ConvLibrary>(entry()->open(nullptr));
}

}  // namespace

std::string OpenedLibraries::versions() const {
  std::string text;
  for (const auto& library : list) join(text, ", ", library->version());
  return text;
}

OpenedLibraries open_conv_libraries() {
  OpenedLibraries found;
  for (const fs::path& path : module_paths()) {
    if (path == "none") {
      found.missing = "FATHOM_LIBRARY_MODULE is 'none'";
      continue;
    }
    try {
      found.list.push_back(open_module(path));
    } catch (const Error& e) {
      join(found.missing, "; ", e.what());
    }
  }
  return found;
}

}  // namespace fathom
