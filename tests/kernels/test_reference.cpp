// The reference backend by itself: layouts, batches, storage; and against numbers that PyTorch computed.
#include <set>

#include "kernels/reference/kernels.hpp"
#include "tests/catch.hpp"
#include "tests/kernels/compare.hpp"
#include "tests/kernels/run_op.hpp"

using namespace fathom;
using namespace fathom::test;

namespace {

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace

TEST_CASE("case names are unique", "[kernels]") {
  std::set<std::string> names;
  for (const Case& c : all_cases()) {
    INFO(c.name);
    CHECK(names.insert(c.name).second);
  }
}

TEST_CASE("reference: every case runs between sentinels and says what it is", "[kernels]") {
  ReferenceBackend backend;
  for (const Case& c : all_cases()) {
    INFO(c.name);
    const RunResult r = run_case(c, backend);
    CHECK(r.step.name == c.name);
    CHECK(r.step.op == to_text(c.op));
    CHECK(r.step.kernel == "reference");
    CHECK(r.step.bytes > 0);
    for (float v : r.values)
      if (!std::isfinite(v)) {
        FAIL_CHECK("an element was never written, or made from memory that is not its own");
        break;
      }
  }
}

TEST_CASE("reference: channel slices of wider tensors give the same bits", "[kernels]") {
  ReferenceBackend backend;
  for (const Case& c : all_cases()) {
    INFO(c.name);
    CHECK(same_bits(run_case(c, backend).values, run_case(c, backend, {.lead = 3, .tail = 2}).values));
  }
}

TEST_CASE("reference: in place gives the same bits", "[kernels]") {
  ReferenceBackend backend;
  int runs = 0;
  for (const Case& c : all_cases())
    for (int k : in_place_inputs(c)) {
      INFO(c.name << " on input " << k);
      CHECK(same_bits(run_case(c, backend).values, run_case(c, backend, {.in_place = k}).values));
      ++runs;
    }
  CHECK(runs > 40);
}

TEST_CASE("reference: three images at once are three times one image", "[kernels]") {
  ReferenceBackend backend;
  for (const Case& c : all_cases()) {
    if (const auto* slice = std::get_if<Slice>(&c.op); slice && slice->axis == 0) continue;  // it chooses among images
    INFO(c.name);
    const Case three = with_batch(c, 3), one = with_batch(c, 1);
    const std::vector<std::vector<float>> values = values_of(three);
    const std::vector<float> together = run_op(three, values, backend).values;
    for (std::size_t n = 0; n < 3; ++n) {
      std::vector<std::vector<float>> image = values;
      for (std::size_t k = 0; k < data_inputs(c.op, c.in.size()); ++k) {
        const std::size_t size = values[k].size() / 3;
        image[k] = {values[k].begin() + static_cast<std::ptrdiff_t>(n * size),
                    values[k].begin() + static_cast<std::ptrdiff_t>((n + 1) * size)};
      }
      const std::vector<float> alone = run_op(one, image, backend).values;
      const std::size_t size = together.size() / 3;
      const std::vector<float> part(together.begin() + static_cast<std::ptrdiff_t>(n * size),
                                    together.begin() + static_cast<std::ptrdiff_t>((n + 1) * size));
      CHECK(same_bits(part, alone));
    }
  }
}
