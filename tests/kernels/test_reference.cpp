// The reference backend by itself: layouts, batches, storage; and against numbers that PyTorch computed.
#include <iomanip>
#include <set>
#include <sstream>

#include "engine/safetensors.hpp"
#include "engine/synthetic.hpp"
#include "kernels/reference/kernels.hpp"
#include "tests/catch.hpp"
#include "tests/kernels/compare.hpp"
#include "tests/kernels/run_op.hpp"

using namespace fathom;
using namespace fathom::test;

namespace {

std::vector<Case> every_case() {
  std::vector<Case> list = all_cases();
  for (Case& c : fused_cases()) list.push_back(std::move(c));
  return list;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace

TEST_CASE("case names are unique", "[kernels]") {
  std::set<std::string> names;
  for (const Case& c : every_case()) {
    INFO(c.name);
    CHECK(names.insert(c.name).second);
  }
}

TEST_CASE("reference: every case runs between sentinels and says what it is", "[kernels]") {
  ReferenceBackend backend;
  for (const Case& c : every_case()) {
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
  for (const Case& c : every_case()) {
    INFO(c.name);
    CHECK(same_bits(run_case(c, backend).values, run_case(c, backend, {.lead = 3, .tail = 2}).values));
  }
}

TEST_CASE("reference: in place gives the same bits", "[kernels]") {
  ReferenceBackend backend;
  int runs = 0;
  for (const Case& c : every_case())
    for (int k : in_place_inputs(c)) {
      INFO(c.name << " on input " << k);
      CHECK(same_bits(run_case(c, backend).values, run_case(c, backend, {.in_place = k}).values));
      ++runs;
    }
  CHECK(runs > 40);
}

TEST_CASE("reference: three images at once are three times one image", "[kernels]") {
  ReferenceBackend backend;
  for (const Case& c : every_case()) {
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

TEST_CASE("reference: PyTorch's numbers", "[kernels]") {
  // Both sum in double and round once, or twice where a fused op rounds what the unfused ops would store.
  constexpr double tolerance = 1e-6;
  ReferenceBackend backend;
  const auto golden = SafetensorsFile::open(FATHOM_SOURCE_DIR "/tests/golden/ops.safetensors");
  double largest = 0;
  std::set<std::string> unused;
  for (const TensorEntry& entry : golden->entries()) unused.insert(entry.name);
  for (const Case& c : every_case()) {
    INFO(c.name << ": if the case is new or was changed, run tests/golden/make_op_goldens.py");
    const TensorEntry* entry = golden->find(c.name);
    if (!entry) {
      FAIL_CHECK("no golden numbers");
      continue;
    }
    unused.erase(c.name);
    std::ostringstream hash;
    hash << std::hex << std::setw(16) << std::setfill('0') << fnv1a64(to_json(c));
    std::istringstream recorded(golden->metadata().at(c.name));
    std::string recorded_hash;
    std::size_t step = 0;
    recorded >> recorded_hash >> step;
    CHECK(recorded_hash == hash.str());
    REQUIRE(step > 0);

    const std::vector<float> all = run_case(c, backend).values;
    std::vector<float> kept;
    for (std::size_t k = 0; k < all.size(); k += step) kept.push_back(all[k]);
    const auto wanted = golden->read_floats(*entry);
    const Difference d = compare(kept, {wanted.get(), static_cast<std::size_t>(entry->desc.elements())});
    INFO(to_text(d));
    CHECK(d.within(tolerance));
    largest = std::max(largest, d.largest);
  }
  CHECK(unused.empty());
  WARN("largest error against PyTorch over " << golden->entries().size() << " cases: " << largest);
}

TEST_CASE("compare: what is not finite and one wrong element fail", "[kernels]") {
  const std::vector<float> wanted(1000, 0.5f), nan{NAN}, inf{INFINITY};
  CHECK(compare(wanted, wanted).within(0));
  std::vector<float> got = wanted;
  got[321] = 0.6f;
  CHECK_FALSE(compare(got, wanted).within(1e-3));
  CHECK(compare(got, wanted).at == 321);
  got = wanted, got[7] = NAN;
  CHECK_FALSE(compare(got, wanted).within(1e9));
  CHECK_FALSE(compare(wanted, got).within(1e9));
  CHECK(compare(nan, nan).within(0));
  CHECK(compare(inf, inf).within(0));
  CHECK_FALSE(compare(inf, nan).within(1e9));
  CHECK_FALSE(compare(std::vector<float>{1e-30f}, std::vector<float>{0.f}).within(1e-3));
  CHECK_FALSE(compare(std::vector<float>{1, 2}, std::vector<float>{1}).within(1e9));
}
