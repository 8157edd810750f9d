// How the convolution core cuts up problems: on three GPUs, for the convolutions that these networks have.
#include "fathom/error.hpp"
#include "kernels/cuda/conv_core_plan.hpp"
#include "tests/catch.hpp"

namespace fathom::test {

namespace {

using namespace gpu;

const GpuInfo h200;
const GpuInfo a100{.name = "A100", .major = 8, .minor = 0, .multiprocessors = 108, .shared_bytes = 163 * 1024};
const GpuInfo t4{.name = "T4", .major = 7, .minor = 5, .multiprocessors = 40, .shared_bytes = 64 * 1024};

ConvProblem square(int images, int h, int w, int in, int out, int kernel, int stride = 1, int dilation = 1) {
  ConvProblem p;
  p.images = images, p.outputs_h = h, p.outputs_w = w, p.columns = out;
  p.kernel_h = p.kernel_w = kernel, p.stride_h = p.stride_w = stride, p.dilation_h = p.dilation_w = dilation;
  p.top = p.left = dilation * (kernel / 2);
  p.sources = {{(in + 15) / 16, false}};
  return p;
}

std::vector<ConvProblem> problems() {
  std::vector<ConvProblem> list = {
      square(1, 48, 160, 64, 64, 3),
      square(1, 6, 20, 512, 512, 3),
      square(1, 15, 20, 2048, 512, 1),
      square(1, 192, 640, 32, 16, 3),
      square(1, 30, 40, 2048, 256, 3, 1, 18),
      square(32, 48, 160, 64, 64, 3),
      square(8, 24, 80, 64, 128, 3, 2),
      square(1, 1, 1, 512, 1, 1),
      square(3, 1, 17, 9, 260, 5),
      square(1, 240, 320, 3, 64, 7, 2),
  };
  list.push_back(square(1, 48, 160, 64, 64, 3));
  list.back().sources = {{8, false}, {4, true}, {1, false}};
  list.back().prologue_vectors = 2;
  for (std::size_t k = list.size(); k-- > 0;) list.push_back(list[k]), list.back().arithmetic = Arithmetic::float32;
  return list;
}

void check_plan(const ConvPlan& plan, const ConvProblem& p, const GpuInfo& gpu) {
  const ConvTiling& t = plan.tiling;
  INFO(gpu.name << ": " << to_text(plan));
  CHECK(plan.shared_bytes + 1024 <= gpu.shared_bytes);
  CHECK(t.rows.outputs * t.columns.outputs == plan.size().m);
  CHECK(t.columns.outputs == 1 << t.log2_width);
  CHECK(t.planes == 1 << t.log2_planes);
  CHECK(t.tiles_h * t.rows.outputs >= p.outputs_h);
  CHECK((t.tiles_h - 1) * t.rows.outputs < p.outputs_h);
  CHECK(t.tiles_w * t.columns.outputs >= p.outputs_w);
  CHECK(t.channel_blocks * plan.size().n >= p.columns);
  CHECK(t.rows.taps * t.rows.groups == p.kernel_h);
  CHECK(t.columns.taps * t.columns.groups == p.kernel_w);
  CHECK(t.splits <= t.stage_count);
  CHECK(t.stages * t.stage_bytes + t.ring_offset <= plan.shared_bytes);
  int steps = 0;
  for (const ConvProblem::Source& s : p.sources) steps += s.planes * (s.centre ? 1 : p.kernel_h * p.kernel_w);
  CHECK(t.step_count == steps);
}

}  // namespace

TEST_CASE("cuda: every plan of a convolution covers it and fits into shared memory", "[cuda]") {
  for (const GpuInfo& gpu : {h200, a100, t4})
    for (const ConvProblem& p : problems()) {
      int count = 0;
      for_each_plan(p, gpu, [&](const ConvPlan& plan) {
        if (count++ % 7 == 0) check_plan(plan, p, gpu);
      });
      CHECK(count > 0);
      check_plan(best_plan(p, gpu), p, gpu);
    }
}

TEST_CASE("cuda: small maps are split until they fill the GPU, large ones are not", "[cuda]") {
  const auto all_blocks = [](const ConvProblem& p) {
    const ConvPlan plan = best_plan(p, h200);
    return static_cast<double>(plan.blocks(p)) * plan.tiling.splits;
  };
  CHECK(all_blocks(square(1, 6, 20, 512, 512, 3)) >= 0.7 * h200.multiprocessors);
  CHECK(all_blocks(square(1, 12, 40, 256, 256, 3)) >= 0.7 * h200.multiprocessors);
  CHECK(all_blocks(square(1, 15, 20, 2048, 512, 1)) >= 0.7 * h200.multiprocessors);
  CHECK(best_plan(square(32, 48, 160, 64, 64, 3), h200).tiling.splits == 1);
  CHECK(best_plan(square(32, 48, 160, 64, 64, 3), h200).size().m == 128);
}

TEST_CASE("cuda: a halo that is mostly unused is not loaded", "[cuda]") {
  const ConvTiling t = best_plan(square(1, 30, 40, 2048, 256, 3, 1, 18), h200).tiling;
  CHECK(t.rows.places * t.columns.places <= 4 * t.rows.outputs * t.columns.outputs);
}

TEST_CASE("cuda: a convolution that fits into no shared memory is refused", "[cuda]") {
  ConvProblem p = square(1, 8, 8, 16, 16, 3);
  p.prologue_vectors = 2;
  p.sources.assign(16, {100, false});
  CHECK_THROWS_AS(best_plan(p, t4), Error);
}

}  // namespace fathom::test
