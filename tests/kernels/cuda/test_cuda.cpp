// The CUDA kernels against the reference, over every case table, in float32 and in halves: dense, as channel slices, in
// place, in batches. The same program runs on a GPU, or on the emulator of tests/emulator.
#include <cuda_runtime_api.h>

#include <cstdlib>

#include "engine/passes/passes.hpp"
#include "fathom/error.hpp"
#include "kernels/cuda/kernels.hpp"
#include "kernels/reference/kernels.hpp"
#include "tests/catch.hpp"
#include "tests/kernels/compare.hpp"
#include "tests/kernels/run_op.hpp"

using namespace fathom;
using namespace fathom::test;

namespace {

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
Case in_halves(Case c, Desc& out) {
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
std::vector<std::vector<float>> rounded(std::vector<std::vector<float>> values) {
  for (std::vector<float>& list : values)
    for (float& v : list) v = half_to_float(float_to_half(v));
  return values;
}

void check_reference(const Case& c, Precision precision, const RunOptions& options) {
  if (const char* only = std::getenv("FATHOM_CASE"); only && !c.name.starts_with(only))
    return;  // for looking into some
  ReferenceBackend reference;
  CudaBackend cuda(GpuInfo::current(), precision);
  const bool halves = precision == Precision::fp16;
  const double tolerance = precision == Precision::fp32 ? 1e-5 : 2e-3;
  const auto values = halves ? rounded(values_of(c)) : values_of(c);
  const std::vector<float> wanted = run_op(c, values, reference).values;
  Desc out = infer(c.op, c.in);
  const Case stored = halves ? in_halves(c, out) : c;
  const RunResult got = run_op(stored, values, cuda, options, DeviceMemory(), &out);
  const Difference d = compare(got.values, wanted);
  INFO(c.name << ", " << to_text(c.op) << ", " << got.step.kernel << (halves ? ", fp16: " : ": ") << to_text(d));
  CHECK(d.within(tolerance));
}

void expect_reference(const Case& c, Precision precision, const RunOptions& options = {}) {
  try {
    check_reference(c, precision, options);
  } catch (const std::exception& e) {
    FAIL_CHECK(c.name << ", " << to_text(c.op) << ": " << e.what());
  }
}

constexpr Precision precisions[] = {Precision::fp32, Precision::fp16};

std::vector<Case> cases() {
  std::vector<Case> list = all_cases();
  for (Case& c : photograph_cases()) list.push_back(std::move(c));
  return list;
}

}  // namespace

TEST_CASE("cuda: every case equals the reference", "[cuda]") {
  for (const Case& c : cases())
    for (Precision precision : precisions) expect_reference(c, precision);
}

TEST_CASE("cuda: channel slices of wider tensors", "[cuda]") {
  for (const Case& c : cases())
    for (Precision precision : precisions) expect_reference(c, precision, {.lead = 8, .tail = 16, .slice_channels = 8});
}

TEST_CASE("cuda: in place", "[cuda]") {
  for (const Case& c : cases())
    for (Precision precision : precisions)
      for (int k : in_place_inputs(c)) {
        Desc out = infer(c.op, c.in);
        const Case stored = precision == Precision::fp16 ? in_halves(c, out) : c;
        if (!(stored.in[static_cast<std::size_t>(k)] == out)) continue;
        expect_reference(c, precision, {.in_place = k});
        expect_reference(c, precision, {.lead = 8, .tail = 8, .in_place = k, .slice_channels = 8});
      }
}

TEST_CASE("cuda: batches", "[cuda]") {
  for (const Case& c : cases())
    for (Precision precision : precisions) expect_reference(with_batch(c, 3), precision);
}

TEST_CASE("cuda: weights are packed once", "[cuda]") {
  CudaBackend cuda(GpuInfo::current(), Precision::fp32);
  for (const Case& c : cases_for<Conv2d>()) run_op(c, values_of(c), cuda, {}, DeviceMemory());
  const std::int64_t before = cuda.packed_bytes();
  CHECK(before > 0);
  for (const Case& c : cases_for<Conv2d>()) run_op(c, values_of(c), cuda, {}, DeviceMemory());
  CHECK(cuda.packed_bytes() == before);
}
