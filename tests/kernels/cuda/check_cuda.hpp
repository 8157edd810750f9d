// One case on the CUDA backend and on the reference, in float32 and in halves.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdlib>

#include "engine/passes/passes.hpp"
#include "fathom/error.hpp"
#include "kernels/cuda/kernels.hpp"
#include "kernels/reference/kernels.hpp"
#include "tests/catch.hpp"
#include "tests/kernels/compare.hpp"
#include "tests/kernels/run_op.hpp"

namespace fathom::test {

// Buffers of the device; what the host knows of them goes through copies.
struct DeviceMemory {
  std::vector<std::shared_ptr<void>> kept;

  void* put(const std::vector<std::byte>& image) {
    void* device = nullptr;
    if (cudaMalloc(&device, std::max<std::size_t>(image.size(), 1)) != cudaSuccess)
      throw std::runtime_error("out of device memory");
    kept.emplace_back(device, [](void* p) { cudaFree(p); });
    cudaMemcpy(device, image.data(), image.size(), cudaMemcpyHostToDevice);
    return device;
  }
  void get(const void* address, std::vector<std::byte>& image) {
    if (cudaMemcpy(image.data(), address, image.size(), cudaMemcpyDeviceToHost) != cudaSuccess)
      throw std::runtime_error(cudaGetErrorString(cudaGetLastError()));
  }
  void* stream() { return nullptr; }
};

// The maps of a case as a GPU stores them in halves: by the engine's own pass.
inline Case in_halves(Case c, Desc& out) {
  Graph graph;
  const auto store = [&](const Desc& d) {
    Graph one;
    const Value x = one.add_input("x", d);
    one.add(Activation{}, {x}, "y");
    return store_halves(std::move(one)).values.back().desc;
  };
  const std::size_t data = data_inputs(c.op, c.in.size());
  for (std::size_t k = 0; k < data; ++k)
    if (c.in[k].dtype == DType::f32) c.in[k] = store(c.in[k]);
  out = store(out);
  return c;
}

// What the reference is compared by: numbers that halves can hold.
inline std::vector<std::vector<float>> rounded(std::vector<std::vector<float>> values) {
  for (std::vector<float>& list : values)
    for (float& v : list) v = half_to_float(float_to_half(v));
  return values;
}

// The device that runs, planned for as if it had so many multiprocessors: for expectations of which kernel is chosen.
inline GpuInfo with_multiprocessors(int count) {
  GpuInfo gpu = GpuInfo::current();
  gpu.multiprocessors = count;
  return gpu;
}

// Returns the step that was run; its kernel is empty where FATHOM_CASE leaves the case out.
inline Step check_reference(const Case& c, Precision precision, const RunOptions& options = {},
                            const GpuInfo& gpu = GpuInfo::current()) {
  if (const char* only = std::getenv("FATHOM_CASE"); only && !c.name.starts_with(only))
    return {};  // for looking into some
  ReferenceBackend reference;
  CudaBackend cuda(gpu, precision);
  const bool halves = precision == Precision::fp16;
  const double tolerance = precision == Precision::fp32 ? 1e-5 : 2e-3;
  const auto values = halves ? rounded(values_of(c)) : values_of(c);
  const RunResult wanted = run_op(c, values, reference);
  Desc out = infer(c.op, c.in);
  const Case stored = halves ? in_halves(c, out) : c;
  const RunResult got = run_op(stored, values, cuda, options, DeviceMemory(), &out);
  for (const auto& [a, b] : {std::pair(got.values, wanted.values), std::pair(got.means, wanted.means)}) {
    const Difference d = compare(a, b);
    INFO(c.name << ", " << to_text(c.op) << ", " << got.step.kernel << (halves ? ", fp16: " : ": ") << to_text(d));
    CHECK(d.within(tolerance));
  }
  return got.step;
}

// The same; what it throws is a failure of the case.
inline Step expect_reference(const Case& c, Precision precision, const RunOptions& options = {},
                             const GpuInfo& gpu = GpuInfo::current()) {
  try {
    return check_reference(c, precision, options, gpu);
  } catch (const std::exception& e) {
    FAIL_CHECK(c.name << ", " << to_text(c.op) << ": " << e.what());
    return {};
  }
}

inline constexpr Precision precisions[] = {Precision::fp32, Precision::fp16};

}  // namespace fathom::test
