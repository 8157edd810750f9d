#include "engine/cuda_module.hpp"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "engine/module_abi.hpp"
#include "fathom/error.hpp"

namespace fathom {

namespace {

namespace fs = std::filesystem;
using Entry = const CudaModule* (*)();

constexpr const char* file_name = "libfathom_cuda.so";
constexpr const char* entry_name = "fathom_cuda_module";

[[noreturn]] void refuse(const std::string& why) {
  throw Error(ErrorKind::device, "no GPU: " + why + "; use the device 'cpu'");
}

// Never closed: the code of a backend must outlive everything that it has made.
Entry open_file(const std::string& path) {
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!library) refuse(std::string("the CUDA module cannot be opened (") + dlerror() + ")");
  const auto entry = reinterpret_cast<Entry>(dlsym(library, entry_name));
  if (!entry) refuse(path + " is not Fathom's CUDA module");
  return entry;
}

// Folders in which a build or an installation has the module.
std::vector<fs::path> folders() {
  std::vector<fs::path> near;
  std::error_code none;
  Dl_info self{};
  if (dladdr(reinterpret_cast<void*>(&open_file), &self) && self.dli_fname)
    near.push_back(fs::absolute(self.dli_fname, none).parent_path());
  if (const fs::path program = fs::read_symlink("/proc/self/exe", none); !program.empty())
    near.push_back(program.parent_path());
  std::vector<fs::path> list;
  for (const fs::path& folder : near)
    for (const char* further : {"", "..", "../lib", "../" FATHOM_LIBRARY_FOLDER}) list.push_back(folder / further);
  return list;
}

Entry find_entry() {
  if (const char* chosen = std::getenv("FATHOM_CUDA_MODULE"); chosen && *chosen) {
    if (std::string(chosen) == "none") refuse("FATHOM_CUDA_MODULE is 'none'");
    return open_file(chosen);
  }
  if (const auto linked_in = reinterpret_cast<Entry>(dlsym(RTLD_DEFAULT, entry_name))) return linked_in;
  std::error_code none;
  for (const fs::path& folder : folders())
    if (fs::exists(folder / file_name, none)) return open_file((folder / file_name).string());
  if (void* const library = dlopen(file_name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE))
    if (const auto entry = reinterpret_cast<Entry>(dlsym(library, entry_name))) return entry;
  refuse(std::string(file_name) +
         " was not found: this build has no CUDA backend, or FATHOM_CUDA_MODULE must say where it is");
}

}  // namespace

std::unique_ptr<Backend> open_cuda_backend(const CudaRequest& request) {
  const CudaModule* const module = find_entry()();
  const std::string ours = module_abi();
  if (module->built_for != ours)
    refuse("the CUDA module was built for another engine ('" + std::string(module->built_for) + "', not '" + ours +
           "')");
  return std::unique_ptr<Backend>(module->open(request));
}

}  // namespace fathom
