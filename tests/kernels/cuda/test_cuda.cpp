// The CUDA kernels against the reference, over every case table, in float32 and in halves: dense, as channel slices, in
// place, in batches. The same program runs on a GPU, or on the emulator of tests/emulator.
#include "tests/kernels/cuda/check_cuda.hpp"

using namespace fathom;
using namespace fathom::test;

namespace {

std::vector<Case> cases() {
  std::vector<Case> list = all_cases();
  for (Case& c : fused_cases()) list.push_back(std::move(c));
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

TEST_CASE("cuda: weights are packed once, and kept for as long as a step has them", "[cuda]") {
  CudaBackend cuda(GpuInfo::current(), Precision::fp32);
  std::vector<Step> steps;
  const auto prepare_all = [&] {
    for (const Case& c : cases_for<Conv2d>()) steps.push_back(run_op(c, values_of(c), cuda, {}, DeviceMemory()).step);
  };
  prepare_all();
  const std::int64_t once = cuda.packed_bytes();
  CHECK(once > 0);
  prepare_all();
  CHECK(cuda.packed_bytes() == once);
  steps.resize(steps.size() / 2);
  CHECK(cuda.packed_bytes() == once);
  steps.resize(1);
  CHECK(cuda.packed_bytes() > 0);
  CHECK(cuda.packed_bytes() < once);
  steps.clear();
  CHECK(cuda.packed_bytes() == 0);
}
