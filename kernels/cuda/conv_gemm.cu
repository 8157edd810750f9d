// The choice "gemm": a Conv2d by the convolution core. What is made once: the plan, packed weights and bias.
#include <algorithm>

#include "conv_gemm.cuh"

namespace fathom::gpu {

namespace {

int ceil_div(int x, int by) { return (x + by - 1) / by; }

Arithmetic arithmetic_of(const ConvTask& task) {
  return task.backend.precision() == Precision::fp16 ? Arithmetic::half : Arithmetic::float32;
}

// Whether a map's pixels lie in one row without gaps.
bool pixels_in_a_row(const Desc& d) { return d.stride[2] == d.w() * d.stride[3] || d.h() == 1; }
bool images_in_a_row(const Desc& d) { return d.stride[0] == d.h() * d.w() * d.stride[3] || d.n() == 1; }

// A 1x1 convolution of maps as they are sees neither rows nor, without a gate, images: pixels in a row fill its tiles
// better. Says how many images and rows are left.
struct Flattened {
  bool rows = false, images = false;

  explicit Flattened(const ConvTask& task) {
    const ConvGeometry& g = task.geometry;
    std::vector<const Operand*> maps{&task.io.out};
    for (const Operand& x : task.role.sources) maps.push_back(&x);
    if (task.role.residual) maps.push_back(task.role.residual);
    const auto all = [&](bool (*f)(const Desc&)) {
      return std::all_of(maps.begin(), maps.end(), [&](const Operand* o) { return f(o->desc); });
    };
    const bool resized = std::any_of(task.op.sources.begin(), task.op.sources.end(),
                                     [](const Source& s) { return s.resize.mode != ResizeMode::none; });
    const bool small = std::all_of(maps.begin(), maps.end(), [](const Operand* o) {
      return o->desc.n() * o->desc.h() * o->desc.w() * o->desc.stride[3] < INT32_MAX;
    });
    rows = g.kh == 1 && g.kw == 1 && g.stride_h == 1 && g.stride_w == 1 && !task.op.padding.any() && !resized &&
           all(pixels_in_a_row);
    images = rows && small && !task.op.gate && all(images_in_a_row);
  }
};

ConvProblem problem_of(const ConvTask& task, const Flattened& flat) {
  const ConvGeometry& g = task.geometry;
  ConvProblem p;
  p.arithmetic = arithmetic_of(task);
  p.images = static_cast<int>(task.io.out.desc.n());
  p.outputs_h = g.oh, p.outputs_w = g.ow, p.channels = g.o;
  if (flat.rows) p.outputs_w *= p.outputs_h, p.outputs_h = 1;
  if (flat.images) p.outputs_w *= p.images, p.images = 1;
  p.kernel_h = g.kh, p.kernel_w = g.kw, p.stride_h = g.stride_h, p.stride_w = g.stride_w;
  p.dilation_h = g.dilation_h, p.dilation_w = g.dilation_w, p.top = g.top, p.left = g.left;
  for (const Operand& x : task.role.sources)
    p.planes.push_back(ceil_div(static_cast<int>(x.desc.c()), elements_per_step(p.arithmetic)));
  p.gated = task.op.gate;
  return p;
}

// f(place in bytes, o, c, tap) for every element of the packed weights that stands for one of the op's.
template <class F>
void for_each_weight(const ConvTask& task, const ConvProblem& p, const ConvPlan& plan, F&& f) {
  const ConvTiling& t = plan.tiling;
  const int n = plan.size().n, per_step = elements_per_step(p.arithmetic), element = kStepBytes / per_step;
  std::int64_t step = 0;
  for (int block = 0; block < t.channel_blocks; ++block) {
    int first_channel = 0;
    for (std::size_t k = 0; k < p.planes.size(); ++k) {
      const int channels = static_cast<int>(task.role.sources[k].desc.c());
      const auto one_step = [&](int plane, int a, int b) {
        for (int row = 0; row < std::min(n, p.channels - block * n); ++row)
          for (int i = 0; i < std::min(per_step, channels - plane * per_step); ++i)
            f(step * n * kStepBytes + chunk_place(row, i * element / kChunkBytes) + i * element % kChunkBytes,
              block * n + row, first_channel + plane * per_step + i, a * p.kernel_w + b);
        ++step;
      };
      for (int group_h = 0; group_h < t.rows.groups; ++group_h)
        for (int group_w = 0; group_w < t.columns.groups; ++group_w)
          for (int plane = 0; plane < p.planes[k]; ++plane)
            for (int a = 0; a < t.rows.taps; ++a)
              for (int b = 0; b < t.columns.taps; ++b) one_step(plane, group_h + a, group_w + b);
      first_channel += channels;
    }
  }
}

template <class T>
std::shared_ptr<const void> packed_weights(const ConvTask& task, const ConvProblem& p, const ConvPlan& plan) {
  const ConvTiling& t = plan.tiling;
  std::string layout = "k-steps of " + std::to_string(sizeof(T)) + " bytes by " + std::to_string(plan.size().n) +
                       ", taps " + std::to_string(t.rows.taps) + "x" + std::to_string(t.columns.taps) + ", sources";
  for (const Operand& x : task.role.sources) layout += " " + std::to_string(x.desc.c());
  const std::int64_t bytes = std::int64_t{t.channel_blocks} * t.step_count * plan.size().n * kStepBytes;
  const int channels = task.geometry.c, taps = task.geometry.kh * task.geometry.kw;
  return packed<T>(task.backend, task.role.weight, layout, bytes / static_cast<int>(sizeof(T)),
                   [&](const float* from, T* to) {
                     std::fill_n(to, bytes / static_cast<int>(sizeof(T)), T{});
                     for_each_weight(task, p, plan, [&](std::int64_t at, int o, int c, int tap) {
                       const float w = from[(std::int64_t{o} * channels + c) * taps + tap];
                       if constexpr (sizeof(T) == 2) {
                         to[at / 2] = checked_half(w, task.role.weight);
                       } else {
                         to[at / 4] = w;
                       }
                     });
                   });
}

std::shared_ptr<const float> packed_bias(const ConvTask& task, const ConvPlan& plan) {
  if (!task.role.bias) return nullptr;
  const int count = plan.tiling.channel_blocks * plan.size().n;
  return packed<float>(task.backend, *task.role.bias, "filled up to " + std::to_string(count), count,
                       [&](const float* from, float* to) {
                         std::fill_n(to, count, 0.f);
                         std::copy_n(from, task.geometry.o, to);
                       });
}

SourceLoad load_of(const Desc& x, const Source& source, Arithmetic arithmetic) {
  const bool halves = arithmetic == Arithmetic::half;
  SourceLoad load;
  load.planes = ceil_div(static_cast<int>(x.c()), elements_per_step(arithmetic));
  load.stored = stored_channels(x);
  load.wide = x.dtype != DType::u8 && is_wide(x, halves || x.dtype == DType::f16 ? 8 : 4);
  load.kind = LoadKind::compute;
  if (source.resize.mode != ResizeMode::bilinear) {
    if (x.dtype == (halves ? DType::f16 : DType::f32) && load.wide) load.kind = LoadKind::copy_16;
    if (x.dtype == DType::f32 && !halves && !load.wide) load.kind = LoadKind::copy_4;
  }
  return load;
}

}  // namespace

std::string fits_gemm(const ConvTask& task) {
  if (task.op.groups > 1) return "groups";
  if (const std::string extras = task.extras(); !extras.empty()) return extras;
  if (task.backend.precision() == Precision::tf32) return "TF32 is not served yet";
  return {};
}

void build_gemm(const ConvTask& task, Step& step, int only) {
  const Flattened flat(task);
  const ConvProblem problem = problem_of(task, flat);
  const ConvPlan plan = plan_conv(problem, task.backend.gpu(), only);
  const ConvTiling& t = plan.tiling;
  const bool halves = problem.arithmetic == Arithmetic::half;

  ConvCore core;
  core.tiling = t;
  for (std::size_t k = 0, first = 0; k < problem.planes.size(); ++k) {
    core.load[k] = load_of(task.role.sources[k].desc, task.op.sources[k], problem.arithmetic);
    core.load[k].first_plane = static_cast<int>(first), first += static_cast<std::size_t>(problem.planes[k]);
  }
  core.activation = task.op.activation;
  core.outputs_h = problem.outputs_h, core.outputs_w = problem.outputs_w, core.channels = problem.channels;
  const auto wide = [](const Desc& d) { return is_wide(d, d.dtype == DType::f16 ? 8 : 4); };
  core.y_stored = stored_channels(task.io.out.desc), core.y_wide = wide(task.io.out.desc);
  if (task.role.residual) {
    core.residual_stored = stored_channels(task.role.residual->desc);
    core.residual_wide = wide(task.role.residual->desc);
  }
  const auto weight =
      halves ? packed_weights<std::uint16_t>(task, problem, plan) : packed_weights<float>(task, problem, plan);
  const auto bias = packed_bias(task, plan);
  core.weight = static_cast<const unsigned char*>(weight.get()), core.bias = bias.get();

  if (t.splits > 1) {
    step.workspace_bytes = plan.blocks(problem) * t.splits * plan.size().m * plan.size().n * 4;
    step.counters = static_cast<int>(plan.blocks(problem));
  }
  step.kernel = std::string("gemm ") + (halves ? "fp16 " : "fp32 ") + to_text(plan);
  const LaunchShape shape{.grid = dim3(static_cast<unsigned>(t.tiles_h * t.tiles_w * t.channel_blocks),
                                       static_cast<unsigned>(t.splits), static_cast<unsigned>(problem.images)),
                          .block = static_cast<unsigned>(plan.size().threads),
                          .shared_bytes = static_cast<std::size_t>(plan.shared_bytes)};
  const ConvKernel kernel = halves ? half_conv_kernel(plan.block) : float_conv_kernel(plan.block);
  step.run = [=, operands = ConvOperands(task)](const RunArgs& args) {
    ConvCore now = core;
    now.maps = operands.at(args);
    if (flat.rows) {
      for (int k = 0; k < now.maps.sources; ++k) {
        ConvSource& s = now.maps.source[k];
        s.rows.in = s.rows.out = s.rows.every = 1;
          s.columns.in = s.columns.out = s.columns.every = core.outputs_w;
      }
    }
    now.partial = reinterpret_cast<float*>(args.workspace), now.counters = args.counters;
    (void)weight, (void)bias;  // kept for as long as the step is
    launch(kernel, shape, static_cast<cudaStream_t>(args.stream), now);
  };
}

}  // namespace fathom::gpu
