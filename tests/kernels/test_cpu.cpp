// The fast CPU backend against the reference, over every case table: dense, as channel slices, in place, in batches,
// with other numbers of threads, and from two threads at once.
#include <cstring>
#include <thread>

#include "kernels/cpu/kernels.hpp"
#include "kernels/reference/kernels.hpp"
#include "tests/catch.hpp"
#include "tests/kernels/compare.hpp"
#include "tests/kernels/run_op.hpp"

using namespace fathom;
using namespace fathom::test;

namespace {

constexpr double tolerance = 2e-6;

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void expect_reference(const Case& c, const RunOptions& options, int threads = 2) {
  ReferenceBackend reference;
  CpuBackend cpu(threads);
  const RunResult got = run_case(c, cpu, options);
  const Difference d = compare(got.values, run_case(c, reference).values);
  INFO(c.name << ", " << to_text(c.op) << ", " << got.step.kernel << ": " << to_text(d));
  CHECK(d.within(tolerance));
}

}  // namespace

TEST_CASE("cpu: every case equals the reference", "[kernels]") {
  for (const Case& c : all_cases()) expect_reference(c, {});
}

TEST_CASE("cpu: channel slices of wider tensors", "[kernels]") {
  for (const Case& c : all_cases()) expect_reference(c, {.lead = 3, .tail = 2});
}

TEST_CASE("cpu: in place", "[kernels]") {
  for (const Case& c : all_cases())
    for (int k : in_place_inputs(c)) {
      expect_reference(c, {.in_place = k});
      expect_reference(c, {.lead = 1, .tail = 4, .in_place = k});
    }
}

TEST_CASE("cpu: batches", "[kernels]") {
  for (const Case& c : all_cases()) expect_reference(with_batch(c, 3), {});
}

TEST_CASE("cpu: one thread and more threads than rows", "[kernels]") {
  for (const Case& c : all_cases()) expect_reference(c, {}, 1), expect_reference(c, {}, 5);
}

TEST_CASE("cpu: steps shared by threads give equal bits in all of them", "[kernels]") {
  CpuBackend cpu(2);
  for (const Case& c : all_cases()) {
    const std::vector<float> alone = run_case(c, cpu).values;
    std::vector<float> together[2];
    std::thread other([&] { together[1] = run_case(c, cpu).values; });
    together[0] = run_case(c, cpu).values;
    other.join();
    INFO(c.name);
    CHECK(same_bits(alone, together[0]));
    CHECK(same_bits(alone, together[1]));
  }
}

TEST_CASE("cpu: refusals say why, and packed weights are shared", "[kernels]") {
  CpuBackend cpu(2);
  const std::vector<Case> cases = cases_for<Conv2d>();
  for (const Case& c : cases) {
    const RunResult r = run_case(c, cpu);
    for (const std::string& why : r.step.refused) {
      INFO(c.name << " " << why);
      CHECK(why.find(": ") != std::string::npos);
      CHECK(why.find(": ") + 2 < why.size());
    }
  }
  const std::int64_t before = cpu.packed_bytes();
  CHECK(before > 0);
  for (const Case& c : cases) run_case(c, cpu);
  CHECK(cpu.packed_bytes() == before);
}
