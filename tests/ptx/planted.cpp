// Every bug that is planted in tests/emulator/selftest/bugs_*.cu, compiled by nvcc, must be seen, and nothing in its right twin.
#include <cuda_runtime_api.h>

#include <cstdio>

#include "tests/emulator/selftest/bugs.hpp"
#include "vm.hpp"

using namespace fathom::bugs;

namespace {
std::string run(const Case& bug, bool bad) {
  const auto device = [](const void* from, std::size_t bytes) {
    void* p = nullptr;
    cudaMalloc(&p, bytes);
    cudaMemcpy(p, from, bytes, cudaMemcpyHostToDevice);
    return p;
  };
  std::vector<float> x(kValues), y(kValues);
  std::vector<__half> x_half(kValues);
  for (int i = 0; i < kValues; ++i) x[i] = value(i), x_half[i] = __float2half(value(i));
  const unsigned zero = 0;
  void* all[] = {device(x.data(), kValues * 4), device(x_half.data(), kValues * 2), device(y.data(), kValues * 4), device(&zero, 4)};
  const auto before = ptx::totals();
  std::string seen;
  try {
    bug.run(bad, {static_cast<float*>(all[0]), static_cast<__half*>(all[1]), static_cast<float*>(all[2]), static_cast<unsigned*>(all[3])});
  } catch (const std::exception&) {
    seen += " refused";
  }
  cudaMemcpy(y.data(), all[2], kValues * 4, cudaMemcpyDeviceToHost);
  for (void* p : all) cudaFree(p);
  if (ptx::totals().faults > before.faults) seen += " fault";
  if (ptx::totals().notes > before.notes) seen += " note";
  int wrong = 0;
  for (int i = 0; i < kThreads; ++i) wrong += !(y[i] == bug.expected(i));
  if (wrong) seen += " values";
  return seen;
}
}  // namespace

int main() {
  ptx::settings().global_races = true;
  int missed = 0, alarms = 0, count = 0;
  for (const auto& cases : {shared_memory_cases(), global_memory_cases(), async_copy_cases(), divergence_cases()})
    for (const Case& bug : cases) {
      const std::string good = run(bug, false), bad = run(bug, true);
      std::printf("%-26s good:%s  bad:%s\n", bug.name.c_str(), good.empty() ? " right" : good.c_str(), bad.empty() ? " NOT SEEN" : bad.c_str());
      ++count, missed += bad.empty(), alarms += !good.empty();
    }
  std::printf("%d planted bugs, %d not seen, %d false alarms\n", count, missed, alarms);
  return missed || alarms || !count;
}
