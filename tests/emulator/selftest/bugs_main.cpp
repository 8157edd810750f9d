// bugs NAME good|bad, or bugs all good: runs planted bugs, each in a process of its own since a sanitizer ends it.
// Exit status: 0 the values are right, 1 they are wrong, 2 the emulator refused the kernel, 3 no such bug; a sanitizer
// has its own.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstring>
#include <vector>

#include "tests/emulator/emu.hpp"
#include "tests/emulator/selftest/bugs.hpp"

namespace fathom::bugs {
namespace {

template <class T>
T* to_device(const std::vector<T>& values) {
  void* p = nullptr;
  cudaMalloc(&p, values.size() * sizeof(T));
  cudaMemcpy(p, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice);
  return static_cast<T*>(p);
}

int run(const Case& bug, bool bad) {
  std::vector<float> x(kValues);
  std::vector<__half> x_half(kValues);
  for (int i = 0; i < kValues; ++i) {
    x[static_cast<std::size_t>(i)] = value(i);
    x_half[static_cast<std::size_t>(i)] = __float2half(value(i));
  }
  std::vector<float> y(kValues);
  float* device_x = to_device(x);
  __half* device_x_half = to_device(x_half);
  float* device_y = to_device(y);
  unsigned* counter = to_device(std::vector<unsigned>{0});
  int status = 0;
  try {
    bug.run(bad, {device_x, device_x_half, device_y, counter});
    cudaMemcpy(y.data(), device_y, kValues * sizeof(float), cudaMemcpyDeviceToHost);
    int wrong = 0;
    for (int i = 0; i < kThreads; ++i) wrong += !(y[static_cast<std::size_t>(i)] == bug.expected(i));
    if (wrong) std::printf("%s: %d of %d values are wrong\n", bug.name.c_str(), wrong, kThreads);
    status = wrong ? 1 : 0;
  } catch (const emu::Error& error) {
    std::printf("%s: %s\n", bug.name.c_str(), error.what());
    status = 2;
  }
  for (void* p : {static_cast<void*>(device_x), static_cast<void*>(device_x_half), static_cast<void*>(device_y),
                  static_cast<void*>(counter)}) {
    cudaFree(p);
  }
  return status;
}

int run_named(const std::string& name, bool bad) {
  int status = 3;
  for (const auto& cases : {shared_memory_cases(), global_memory_cases(), async_copy_cases(), divergence_cases()}) {
    for (const Case& bug : cases) {
      if (name != "all" && name != bug.name) continue;
      const int mine = run(bug, bad);
      if (status == 3 || mine != 0) status = mine;
    }
  }
  return status;
}

}  // namespace
}  // namespace fathom::bugs

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: bugs NAME|all good|bad\n"), 3;
  return fathom::bugs::run_named(argv[1], std::strcmp(argv[2], "bad") == 0);
}
