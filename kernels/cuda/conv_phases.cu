// A 3x3 convolution of a map enlarged to twice its size by repeating pixels, as four 2x2 convolutions at the small
// size:
//
//   y(2i + p, 2j + q) = sum over taps (a, b) of w(a, b) x((2i + p + a - 1) / 2, (2j + q + b - 1) / 2)
//
// An output at an even row sees the small map's rows i - 1, i, i, one at an odd row i, i, i + 1; the weights of what it
// sees twice are added up beforehand. So 16 products are left of 36. All four are one launch of the convolution core,
// whose output channels stand phase by phase, and its epilogue stores them as a pixel shuffle. A reflection of the
// large map by one pixel is a replication of the small one.
#include <algorithm>

#include "conv_gemm.cuh"

namespace fathom::gpu {

namespace {

// The small convolution as an op: (4 O, C, 2, 2), channel 4 o + 2 p + q for the phase (p, q). Read as such it would be
// something else: what reads farther on by the phase is ConvProblem::phases.
struct Phases {
  Conv2d op;
  NodeIo io;

  explicit Phases(const ConvTask& task) : op(task.op), io(task.io) {
    op.sources[0].resize = {};
    if (op.sources[0].pad_mode == PadMode::reflect) op.sources[0].pad_mode = PadMode::replicate;
    op.padding = {1, 1, 0, 0}, op.shuffle = 2, op.mean = false;  // means, and a gate of them, are with_second_output's
    const auto is_weight = [&](const Operand& o) { return o.constant == task.role.weight.constant; };
    Operand& weight = *std::find_if(io.in.begin(), io.in.end(), is_weight);
    weight = {.desc = Desc::dense({4 * std::int64_t{task.geometry.o}, task.geometry.c, 2, 2}),
              .name = weight.name + " in phases",
              .constant = nullptr};
    weight.constant =
        std::make_shared<Constant>(Constant{weight.desc, [from = task.role.weight.constant] { return summed(*from); }});
    if (!task.role.bias) return;
    const auto is_bias = [&](const Operand& o) { return o.constant == task.role.bias->constant; };
    Operand& bias = *std::find_if(io.in.begin(), io.in.end(), is_bias);
    bias = {.desc = Desc::dense({4 * std::int64_t{task.geometry.o}}),
            .name = bias.name + " in phases",
            .constant = nullptr};
    bias.constant = std::make_shared<Constant>(
        Constant{bias.desc, [from = task.role.bias->constant, outputs = task.geometry.o] {
                   const auto b = from->values();
                   std::shared_ptr<float[]> to(new float[4 * static_cast<std::size_t>(outputs)]);
                   for (int k = 0; k < 4 * outputs; ++k) to[k] = b[k / 4];
                   return std::shared_ptr<const float[]>(to);
                 }});
  }

 private:
  // Which of the two taps of a phase sees what tap a of three sees.
  static int tap_of(int phase, int a) { return (phase + a + 1) / 2 - phase; }

  static std::shared_ptr<const float[]> summed(const Constant& weight) {
    const std::int64_t outputs = weight.desc.extent[0], channels = weight.desc.extent[1];
    const auto w = weight.values();
    std::shared_ptr<float[]> to(new float[static_cast<std::size_t>(outputs * 4 * channels * 4)]);
    for (std::int64_t o = 0; o < outputs; ++o)
      for (int phase = 0; phase < 4; ++phase)
        for (std::int64_t c = 0; c < channels; ++c) {
          double sums[4] = {};
          for (int a = 0; a < 3; ++a)
            for (int b = 0; b < 3; ++b)
              sums[tap_of(phase / 2, a) * 2 + tap_of(phase % 2, b)] += w[((o * channels + c) * 3 + a) * 3 + b];
          for (int t = 0; t < 4; ++t) to[((o * 4 + phase) * channels + c) * 4 + t] = static_cast<float>(sums[t]);
        }
    return to;
  }
};

}  // namespace

ConvProblem phases_problem(const ConvTask& task) {
  const Phases phases(task);
  ConvProblem p = problem_of(ConvTask(phases.op, phases.io, task.backend));
  p.columns = (task.geometry.o + 7) / 8 * 8, p.phases = true;
  return p;
}

std::string may_run_phases(const ConvTask& task) {
  const ConvGeometry& g = task.geometry;
  const Conv2d& op = task.op;
  if (op.sources.size() != 1 || op.sources[0].resize.mode != ResizeMode::nearest)
    return "not one map enlarged by repetition";
  const Desc &x = task.role.sources[0].desc, &y = task.io.out.desc;
  if (g.h != 2 * x.h() || g.w != 2 * x.w()) return "not a map of twice the size";
  if (g.kh != 3 || g.kw != 3 || !(op.padding == Padding(1)) || op.stride != Size2(1) || op.dilation != Size2(1) ||
      g.groups != 1)
    return "not 3x3 with padding 1";
  if (op.sources[0].stride != Size2(1) || op.shuffle != 1 || op.output_gate || op.crop != Size2(0))
    return "a source's stride, a shuffle, a gate or a crop";
  if (!task.role.weight.constant || (task.role.bias && !task.role.bias->constant)) return "weights that are computed";
  const Phases phases(task);
  const ConvTask small(phases.op, phases.io, task.backend);
  if (const std::string reason = fits_gemm(small); !reason.empty()) return reason;
  if (y.c() < 8 || !stores_in_eights(small)) return "an output that is not stored in eights of channels";
  return {};
}

std::string fits_phases(const ConvTask& task) {
  if (const std::string reason = may_run_phases(task); !reason.empty()) return reason;
  const GpuInfo& gpu = task.backend.gpu();
  if (best_plan(phases_problem(task), gpu).cycles >= best_plan(problem_of(task), gpu).cycles)
    return "no faster, as the cost model has it";
  return {};
}

void build_phases(const ConvTask& task, Step& step) {
  build_phases(task, step, best_plan(phases_problem(task), task.backend.gpu()));
}

void build_phases(const ConvTask& task, Step& step, const ConvPlan& plan) {
  const Phases phases(task);
  build_gemm(ConvTask(phases.op, phases.io, task.backend), step, plan);
  step.kernel = "phases, " + step.kernel;
  step.flops *= 4.0 / 9;
}

}  // namespace fathom::gpu
