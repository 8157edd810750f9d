// The fast CPU backend against the reference, over every case table: dense, as channel slices, in place, in batches,
// with other numbers of threads, and from two threads at once.
#include <cstring>
#include <numeric>
#include <set>
#include <thread>

#include "kernels/cpu/kernels.hpp"
#include "kernels/cpu/simd.hpp"
#include "kernels/cpu/tile.hpp"
#include "kernels/reference/kernels.hpp"
#include "tests/catch.hpp"
#include "tests/kernels/compare.hpp"
#include "tests/kernels/run_op.hpp"

using namespace fathom;
using namespace fathom::test;

namespace {

constexpr double tolerance = 2e-6;

// The tables, and what only these kernels care about: larger maps, shared out to threads and cut into strips.
std::vector<Case> cases() {
  std::vector<Case> list = all_cases();
  for (Case& c : fused_cases())
    if (const auto* conv = std::get_if<Conv2d>(&c.op); conv && conv->low_products) list.push_back(std::move(c));
  const auto map = [](std::int64_t c, std::int64_t h, std::int64_t w) { return Desc::nhwc(1, c, h, w); };
  const Source twice{.resize = {.mode = ResizeMode::nearest, .scale = 2}, .pad_mode = PadMode::reflect}, reflect{.pad_mode = PadMode::reflect};
  const Source blended{.resize = {.mode = ResizeMode::bilinear, .scale = 2}, .pad_mode = PadMode::replicate};
  list.push_back(
      {"conv2d/cpu_fse",
       Conv2d{.bias = true, .sources = {twice, {}, {}}, .gate = true, .activation = {ActivationKind::relu}},
       {map(5, 9, 7), map(6, 18, 14), map(3, 18, 14), map(14, 1, 1), Desc::dense({33, 14, 1, 1}), Desc::dense({33})}});
  list.push_back({"conv2d/cpu_decoder",
                  Conv2d{.padding = 1, .bias = true, .sources = {twice, reflect}, .activation = {ActivationKind::elu}},
                  {map(20, 20, 27), map(7, 40, 54), Desc::dense({43, 27, 3, 3}), Desc::dense({43})}});
  list.push_back(
      {"conv2d/cpu_three_ways",
       Conv2d{.padding = 1, .sources = {twice, blended, reflect}, .gate = true, .residual = true},
       {map(3, 20, 27), map(4, 20, 27), map(5, 40, 54), map(12, 1, 1), map(9, 40, 54), Desc::dense({9, 12, 3, 3})}});
  list.push_back({"conv2d/cpu_gate_on_input",
                  Conv2d{.padding = 1, .sources = {twice, reflect}, .gate = true},
                  {map(33, 2, 2), map(4, 4, 4), map(37, 1, 1), Desc::dense({24, 37, 3, 3})}});
  list.push_back({"conv2d/cpu_means", Conv2d{.padding = 1, .mean = true}, {map(9, 11, 7), Desc::dense({13, 9, 3, 3})}});
  Conv2d gate{.padding = 1, .mean = true};
  gate.excitation = {2, 0, true, {ActivationKind::relu}, {ActivationKind::sigmoid}};
  list.push_back({"conv2d/cpu_gate",
                  gate,
                  {map(9, 11, 7), map(4, 1, 1), Desc::dense({13, 9, 3, 3}), Desc::dense({5, 17}), Desc::dense({5}),
                   Desc::dense({13, 5}), Desc::dense({13})}});
  list.push_back(
      {"conv2d/cpu_head",
       Conv2d{.padding = 1, .bias = true, .sources = {twice, reflect}, .activation = {ActivationKind::sigmoid}},
       {map(16, 10, 11), map(13, 20, 22), Desc::dense({1, 29, 3, 3}), Desc::dense({1})}});
  return list;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void expect_reference(const Case& c, const RunOptions& options, int threads = 2) {
  ReferenceBackend reference;
  CpuBackend cpu(threads);
  const RunResult got = run_case(c, cpu, options);
  const RunResult wanted = run_case(c, reference);
  CHECK(compare(got.means, wanted.means).within(tolerance));
  const Difference d = compare(got.values, wanted.values);
  INFO(c.name << ", " << to_text(c.op) << ", " << got.step.kernel << ": " << to_text(d));
  CHECK(d.within(tolerance));
}

}  // namespace

TEST_CASE("cpu: every case equals the reference", "[kernels]") {
  for (const Case& c : cases()) expect_reference(c, {});
}

TEST_CASE("cpu: channel slices of wider tensors", "[kernels]") {
  for (const Case& c : cases()) expect_reference(c, {.lead = 3, .tail = 2});
}

TEST_CASE("cpu: in place", "[kernels]") {
  for (const Case& c : cases())
    for (int k : in_place_inputs(c)) {
      expect_reference(c, {.in_place = k});
      expect_reference(c, {.lead = 1, .tail = 4, .in_place = k});
    }
}

TEST_CASE("cpu: batches", "[kernels]") {
  for (const Case& c : cases()) expect_reference(with_batch(c, 3), {});
}

TEST_CASE("cpu: one thread and more threads than rows", "[kernels]") {
  for (const Case& c : cases()) expect_reference(c, {}, 1), expect_reference(c, {}, 5);
}

TEST_CASE("cpu: steps shared by threads give equal bits in all of them", "[kernels]") {
  CpuBackend cpu(2);
  for (const Case& c : cases()) {
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
  for (const Case& c : cases_for<Conv2d>()) {
    const RunResult r = run_case(c, cpu);
    for (const std::string& why : r.step.refused) {
      INFO(c.name << " " << why);
      CHECK(why.find(": ") != std::string::npos);
      CHECK(why.find(": ") + 2 < why.size());
    }
  }
  const std::int64_t before = cpu.packed_bytes();
  CHECK(before > 0);
  for (const Case& c : cases_for<Conv2d>()) run_case(c, cpu);
  CHECK(cpu.packed_bytes() == before);
}

TEST_CASE("cpu: every way to convolve is taken by some case", "[kernels]") {
  CpuBackend cpu(2);
  std::string kernels;
  for (const Case& c : cases()) kernels += run_case(c, cpu).step.kernel + "; ";
  for (const char* way :
       {"rows;", "doubled sources in four phases", "doubled sources first", "gathered rows", "gate on the weights"}) {
    INFO(way);
    CHECK(kernels.find(way) != std::string::npos);
  }
}

// Every width, every number of pixels, terms of any length, with and without a residual, for all instruction sets of
// this machine; sentinels behind the lanes that a block does not fill.
TEST_CASE("cpu: tiles sum their terms", "[kernels]") {
  const std::int64_t counts[] = {1, 3, 4, 19};
  std::vector<float> x(4096), w(64 * 32), bias(32), wanted;
  for (std::size_t k = 0; k < x.size(); ++k) x[k] = static_cast<float>((k * 37) % 101) / 50 - 1;
  for (std::size_t k = 0; k < w.size(); ++k) w[k] = static_cast<float>((k * 53) % 97) / 48 - 1;
  for (std::size_t k = 0; k < bias.size(); ++k) bias[k] = static_cast<float>(k) / 16;
  for (cpu::Isa isa : cpu::usable_isas()) {
    const cpu::TileKernels tiles = cpu::tile_kernels(isa);
    for (int width : {32, 16, 8, 1}) {
      if (!tiles.of_width(width)) continue;
      for (std::int64_t pixels = 1; pixels <= 27; ++pixels)
        for (std::int64_t lanes : std::set<std::int64_t>{1, (width + 1) / 2, width})
          for (bool residual : {false, true}) {
            std::vector<cpu::Term> terms;
            std::int64_t at = 0;
            for (std::int64_t count : counts) {
              terms.push_back({x.data() + 7 * at, w.data() + at * width, count + at % 3, count});
              at += count;
            }
            const std::int64_t step = lanes + 3;
            std::vector<float> y(static_cast<std::size_t>(pixels * step), 99.f), r(y.size());
            std::iota(r.begin(), r.end(), 0.f);
            tiles.of_width(width)(
                {terms.data(), 4, bias.data(), y.data(), step, lanes, residual ? r.data() : nullptr, step, pixels});
            double largest = 0;
            bool kept = true;
            for (std::int64_t p = 0; p < pixels; ++p) {
              for (std::int64_t q = 0; q < lanes; ++q) {
                double sum = double(bias[static_cast<std::size_t>(q)]) +
                             (residual ? double(r[static_cast<std::size_t>(p * step + q)]) : 0);
                for (const cpu::Term& t : terms)
                  for (std::int64_t c = 0; c < t.count; ++c)
                    sum += double(t.x[p * t.step + c]) * double(t.w[c * width + q]);
                largest = std::max(largest, std::abs(sum - double(y[static_cast<std::size_t>(p * step + q)])));
              }
              for (std::int64_t q = lanes; q < step; ++q)
                kept = kept && y[static_cast<std::size_t>(p * step + q)] == 99.f;
            }
            if (largest > 1e-4 || !kept) {
              INFO("isa " << int(isa) << " width " << width << " pixels " << pixels << " lanes " << lanes
                          << " residual " << residual);
              CHECK(largest <= 1e-4);
              CHECK(kept);
            }
          }
    }
  }
  SUCCEED();
}

TEST_CASE("cpu: e^x - 1 is right over its range", "[kernels]") {
  double largest = 0;
  for (double x = -90; x <= 88; x += 0.00137) {
    const float v = static_cast<float>(x);
    const double wanted = std::expm1(double(v));
    largest = std::max(
        largest, std::abs(double(cpu::fast_expm1(v)) - wanted) / std::max(std::abs(wanted), std::abs(wanted + 1)));
  }
  CHECK(largest < 2.5e-7);
  CHECK(cpu::fast_expm1(0.f) == 0.f);
}
