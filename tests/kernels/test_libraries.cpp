// The modules of NVIDIA's libraries, as far as they go without a GPU: cuDNN's graphs and engines for an H200 that is
// only described, cuBLASLt's descriptors.
#include <dlfcn.h>

#include <filesystem>
#include <set>

#include "engine/module_abi.hpp"
#include "fathom/error.hpp"
#include "kernels/libraries/conv_library.hpp"
#include "tests/catch.hpp"
#include "tests/engine/temporary.hpp"

using namespace fathom;

namespace {

constexpr const char* h200 = R"({"deviceName": "NVIDIA H200", "deviceVer": 900, "driverVer": 13000,
  "multiProcessorCount": 132, "maxGridSize": [2147483647, 65535, 65535], "maxBlockSize": [1024, 1024, 64],
  "regsPerBlock": 65536, "smClockRateKHz": 1980000, "memClockRateKHz": 3201000, "l2CacheSize": 62914560, "warpSize": 32,
  "maxSharedMemoryPerBlock": 49152, "maxSharedMemoryPerBlockOptin": 232448, "reservedSharedMemoryPerBlock": 1024,
  "maxSharedMemoryPerSM": 233472, "maxRegistersPerSM": 65536, "pciDeviceId": 0, "maxCtasPerSM": 32,
  "maxThreadsPerBlock": 1024, "maxThreadsPerSM": 2048, "isTccDriver": 0, "supportCoopLaunch": 1, "smVersion": 900,
  "totalGlobalMem": 141000000000, "cudaDeviceId": 0})";

LibraryConv conv(LibraryConv::Type type) {
  LibraryConv p{.type = type, .x = {1, 64, 48, 160}, .y = {1, 64, 48, 160}};
  p.kernel_h = p.kernel_w = 3, p.top = p.left = p.bottom = p.right = 1;
  p.x_stride = p.y_stride = p.residual_stride = {64 * 48 * 160, 1, 64 * 160, 64};
  return p;
}

// A library's module, if this build has it.
const LibraryModule* module_of(const std::string& name) {
  const std::string path = FATHOM_BINARY_DIR "/libfathom_" + name + ".so";
  if (!std::filesystem::exists(path)) {
    std::printf("skipped: this build has no %s\n", name.c_str());
    return nullptr;
  }
  void* const file = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  INFO((file ? "" : dlerror()));
  REQUIRE(file);
  const auto entry = reinterpret_cast<const LibraryModule* (*)()>(dlsym(file, "fathom_library_module"));
  REQUIRE(entry);
  CHECK(entry()->built_for == module_abi());
  return entry();
}

}  // namespace

TEST_CASE("cuDNN takes the graphs that are made for it", "[kernels]") {
  const LibraryModule* const module = module_of("cudnn");
  if (!module) return;
  CHECK_THROWS_MATCHES(module->open("{}"), Error, Fails(ErrorKind::device, {"cuDNN"}));

  // An older cuDNN asks for a GPU at once.
  std::unique_ptr<ConvLibrary> library;
  try {
    library.reset(module->open(h200));
  } catch (const Error& e) {
    std::printf("skipped: %s\n", e.what());
    return;
  }
  CHECK(library->version().starts_with("cuDNN "));
  using Type = LibraryConv::Type;
  for (const Type type : {Type::half, Type::tf32, Type::float32}) {
    const std::vector<LibraryKernel> kernels = library->kernels(conv(type), 4);
    REQUIRE(!kernels.empty());
    CHECK(kernels.size() <= 4);
    std::set<std::string> names;
    for (const LibraryKernel& k : kernels) names.insert(k.name);
    CHECK(names.size() == kernels.size());
    CHECK(library->kernels(conv(type), 4).front().name == kernels.front().name);
    CHECK_THROWS_MATCHES(kernels.front().run({}, nullptr), Error, Fails(ErrorKind::device, {"cuDNN"}));
    // Most engines of the others are compiled by the driver, so there may be none here; the graphs are accepted.
    for (int variant = 0; variant < 16; ++variant) {
      LibraryConv p = conv(type);
      p.bias = variant & 1, p.residual = variant & 2, p.relu = variant & 4;
      if (variant & 8) p.stride_h = p.stride_w = 2, p.y = {1, 64, 24, 80}, p.y_stride = {64 * 24 * 80, 1, 64 * 80, 64};
      if (variant & 8) p.residual_stride = p.y_stride;
      CHECK_NOTHROW(library->kernels(p, 1));
    }
  }
  LibraryConv wrong = conv(Type::half);
  wrong.y[2] = 7;
  CHECK_THROWS_MATCHES(library->kernels(wrong, 4), Error, Fails(ErrorKind::device, {"cuDNN"}));
}

TEST_CASE("cuBLASLt takes the descriptors that are made for it", "[kernels]") {
  const LibraryModule* const module = module_of("cublaslt");
  if (!module) return;
  const std::unique_ptr<ConvLibrary> library(module->open("{}"));  // to look only
  CHECK(library->version().starts_with("cuBLASLt "));
  using Type = LibraryConv::Type;
  for (const Type type : {Type::half, Type::tf32, Type::float32})
    for (int variant = 0; variant < 16; ++variant) {
      LibraryConv p = conv(type);
      p.kernel_h = p.kernel_w = 1, p.top = p.left = p.bottom = p.right = 0;
      p.bias = variant & 1, p.residual = variant & 2, p.relu = variant & 4;
      if (variant & 8) p.stride_h = p.stride_w = 2, p.y = {1, 64, 24, 80}, p.y_stride = {64 * 24 * 80, 1, 64 * 80, 64};
      if (variant & 8) p.residual_stride = p.y_stride;
      CHECK_NOTHROW(library->kernels(p, 1));
    }
  // With a GPU it starts, and without it says why not.
  try {
    const std::unique_ptr<ConvLibrary> started(module->open(nullptr));
    CHECK(started->version() == library->version());
  } catch (const Error& e) {
    CHECK(e.kind() == ErrorKind::device);
    CHECK_THAT(e.what(), says("cuBLASLt: it does not start"));
  }
}
