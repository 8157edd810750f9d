// The choice "gemm": a Conv2d by the convolution core. What is made once: the plan, packed weights and bias.
#include <algorithm>
#include <bit>

#include "conv_core_product.cuh"
#include "conv_gemm.cuh"

namespace fathom::gpu {

namespace {

int ceil_div(int x, int by) { return (x + by - 1) / by; }

Arithmetic arithmetic_of(const CudaBackend& backend) {
  if (backend.precision() == Precision::fp16) return Arithmetic::half;
  return backend.precision() == Precision::tf32 && backend.gpu().major >= 8 ? Arithmetic::tf32 : Arithmetic::float32;
}

std::string to_text(Arithmetic a) { return a == Arithmetic::half ? "fp16" : a == Arithmetic::tf32 ? "tf32" : "fp32"; }

ConvKernel kernel_of(Arithmetic a, int block) {
  return a == Arithmetic::half   ? half_conv_kernel(block)
         : a == Arithmetic::tf32 ? tf32_conv_kernel(block)
                                 : float_conv_kernel(block);
}

// As to_tf32 rounds on the device: ten bits after the point, ties away from zero.
float rounded_to_tf32(float x) { return std::bit_cast<float>((std::bit_cast<std::uint32_t>(x) + 0x1000u) & ~0x1FFFu); }

// Whether a map's pixels lie in one row without gaps.
bool pixels_in_a_row(const Desc& d) { return d.stride[2] == d.w() * d.stride[3] || d.h() == 1; }
bool images_in_a_row(const Desc& d) { return d.stride[0] == d.h() * d.w() * d.stride[3] || d.n() == 1; }

// A 1x1 convolution of maps as they are sees neither rows nor, without gates and means, images: pixels in a row fill
// its tiles better.
void take_as_one_row(ConvProblem& p, const ConvTask& task) {
  std::vector<const Operand*> maps{&task.io.out};
  for (const Operand& x : task.role.sources) maps.push_back(&x);
  if (task.role.residual) maps.push_back(task.role.residual);
  const auto all = [&](auto f) {
    return std::all_of(maps.begin(), maps.end(), [&](const Operand* o) { return f(o->desc); });
  };
  const auto& sources = task.op.sources;
  const bool resized = std::any_of(sources.begin(), sources.end(), [](const Source& s) {
    return s.resize.mode != ResizeMode::none || s.stride != Size2(1);
  });
  const bool pointwise = p.kernel_h == 1 && p.kernel_w == 1 && p.stride_h == 1 && p.stride_w == 1;
  const bool stored_as_is = task.op.shuffle == 1 && !task.role.addend && task.op.crop == Size2(0);
  p.one_row = pointwise && stored_as_is && !task.op.padding.any() && !resized && all(pixels_in_a_row);
  if (!p.one_row) return;
  p.outputs_w *= p.outputs_h, p.outputs_h = 1;
  const bool small = all([](const Desc& d) { return d.n() * d.h() * d.w() * d.stride[3] < INT32_MAX; });
  const bool by_image = task.op.gate || task.op.output_gate || task.op.mean;
  if (small && !by_image && all(images_in_a_row)) p.outputs_w *= p.images, p.images = 1;
}

}  // namespace

bool stores_in_eights(const ConvTask& task) {
  const auto wide = [](const Operand* o) { return !o || is_wide(o->desc, o->desc.dtype == DType::f16 ? 8 : 4); };
  const bool shuffled = task.op.shuffle != 1;
  return wide(&task.io.out) && wide(task.role.residual) && wide(task.role.addend) &&
         !(shuffled && (task.op.output_gate || task.io.out.desc.c() < 8));
}

namespace {

// The order of the product's columns. A pixel shuffle in eights takes channel by channel what the op takes place by
// place: column (place, c) is the op's output channel c f^2 + place, c filled up to a multiple of `multiple`.
struct Columns {
  int count, square_channels;  // columns of one place
  int places = 1, channels;    // of the square; of y

  explicit Columns(const ConvTask& task, int multiple = 8)
      : count(task.geometry.o), square_channels(count), channels(static_cast<int>(task.io.out.desc.c())) {
    if (task.op.shuffle == 1 || !stores_in_eights(task)) return;
    places = task.op.shuffle * task.op.shuffle, square_channels = ceil_div(channels, multiple) * multiple;
    count = places * square_channels;
  }
  // The op's output channel of a column; -1: none.
  int output(int column) const {
    if (places == 1) return column < count ? column : -1;
    const int place = column / square_channels, c = column % square_channels;
    return column < count && c < channels ? c * places + place : -1;
  }
  // Those of a plan: each block of a plan in phases is of one place.
  Columns(const ConvTask& task, const ConvPlan& plan)
      : Columns(task, plan.tiling.phase_blocks > 0 ? plan.size().n : 8) {}
  std::string text() const { return std::to_string(places) + "x" + std::to_string(square_channels); }
};

// f(place in bytes, o, c, tap) for every element of the packed weights that stands for one of the op's.
template <class F>
void for_each_weight(const ConvTask& task, const ConvProblem& p, const ConvPlan& plan, F&& f) {
  const Columns columns(task, plan);
  const ConvTiling& t = plan.tiling;
  const int n = plan.size().n, per_step = elements_per_step(p.arithmetic), element = kStepBytes / per_step;
  std::int64_t step = 0;
  for (int block = 0; block < t.channel_blocks; ++block) {
    int first_channel = 0;
    for (std::size_t k = 0; k < p.sources.size(); ++k) {
      const int channels = static_cast<int>(task.role.sources[k].desc.c());
      const auto one_step = [&](int plane, int a, int b) {
        if (p.sources[k].centre && (a != p.kernel_h / 2 || b != p.kernel_w / 2)) return;
        for (int row = 0; row < n; ++row) {
          const int o = columns.output(block * n + row);
          for (int i = 0; o >= 0 && i < std::min(per_step, channels - plane * per_step); ++i)
            f(step * n * kStepBytes + chunk_place(row, i * element / kChunkBytes) + i * element % kChunkBytes, o,
              first_channel + plane * per_step + i, a * p.kernel_w + b);
        }
        ++step;
      };
      for (int group_h = 0; group_h < t.rows.groups; ++group_h)
        for (int group_w = 0; group_w < t.columns.groups; ++group_w)
          for (int plane = 0; plane < p.sources[k].planes; ++plane)
            for (int a = 0; a < t.rows.taps; ++a)
              for (int b = 0; b < t.columns.taps; ++b) one_step(plane, group_h + a, group_w + b);
      first_channel += channels;
    }
  }
}

template <class T>
std::shared_ptr<const void> packed_weights(const ConvTask& task, const ConvProblem& p, const ConvPlan& plan) {
  const ConvTiling& t = plan.tiling;
  std::string layout = to_text(p.arithmetic) + " k-steps by " + std::to_string(plan.size().n) + ", taps " +
                       std::to_string(t.rows.taps) + "x" + std::to_string(t.columns.taps) + ", columns " +
                       Columns(task, plan).text() + ", sources";
  for (std::size_t k = 0; k < p.sources.size(); ++k)
    layout += " " + std::to_string(task.role.sources[k].desc.c()) + (p.sources[k].centre ? " in the centre" : "");
  const std::int64_t bytes = std::int64_t{t.channel_blocks} * t.step_count * plan.size().n * kStepBytes;
  const int channels = task.geometry.c, taps = task.geometry.kh * task.geometry.kw;
  return packed<T>(task.backend, task.role.weight, layout, bytes / static_cast<int>(sizeof(T)),
                   [&](const float* from, T* to) {
                     std::fill_n(to, bytes / static_cast<int>(sizeof(T)), T{});
                     for_each_weight(task, p, plan, [&](std::int64_t at, int o, int c, int tap) {
                       const float w = from[(std::int64_t{o} * channels + c) * taps + tap];
                       if constexpr (sizeof(T) == 2) to[at / 2] = checked_half(w, task.role.weight);
                       if constexpr (sizeof(T) == 4)
                         to[at / 4] = p.arithmetic == Arithmetic::tf32 ? rounded_to_tf32(w) : w;
                     });
                   });
}

std::shared_ptr<const float> packed_bias(const ConvTask& task, const ConvPlan& plan) {
  if (!task.role.bias) return nullptr;
  const Columns columns(task, plan);
  const int count = plan.tiling.channel_blocks * plan.size().n;
  return packed<float>(task.backend, *task.role.bias, "columns " + columns.text() + " of " + std::to_string(count),
                       count, [&](const float* from, float* to) {
                         for (int k = 0; k < count; ++k) to[k] = columns.output(k) < 0 ? 0 : from[columns.output(k)];
                       });
}

SourceLoad load_of(const Desc& x, const Source& source, Arithmetic arithmetic) {
  const bool halves = arithmetic == Arithmetic::half;
  SourceLoad load;
  load.stored = static_cast<short>(stored_channels(x));
  const bool same_type = x.dtype == (halves ? DType::f16 : DType::f32);
  const bool wide = x.dtype != DType::u8 && is_wide(x, halves || x.dtype == DType::f16 ? 8 : 4);
  if (same_type && source.resize.mode != ResizeMode::bilinear && (wide || !halves)) {
    load.kind = wide ? LoadKind::copy_16 : LoadKind::copy_4;
  } else {
    load.kind = wide ? LoadKind::vectors : LoadKind::singles;
  }
  return load;
}

}  // namespace

ConvProblem problem_of(const ConvTask& task) {
  const ConvGeometry& g = task.geometry;
  ConvProblem p;
  p.arithmetic = arithmetic_of(task.backend);
  p.images = static_cast<int>(task.io.out.desc.n());
  p.outputs_h = g.oh, p.outputs_w = g.ow, p.columns = Columns(task).count;
  p.kernel_h = g.kh, p.kernel_w = g.kw, p.stride_h = g.stride_h, p.stride_w = g.stride_w;
  p.dilation_h = g.dilation_h, p.dilation_w = g.dilation_w, p.top = g.top, p.left = g.left;
  for (std::size_t k = 0; k < task.role.sources.size(); ++k)
    p.sources.push_back({ceil_div(static_cast<int>(task.role.sources[k].desc.c()), elements_per_step(p.arithmetic)),
                         task.op.sources[k].centre});
  p.prologue_vectors = task.op.affine ? 2 : task.op.gate;
  take_as_one_row(p, task);
  return p;
}

std::string fits_gemm(const ConvTask& task) {
  const Conv2d& op = task.op;
  if (op.groups > 1) return "groups";
  if (!Prologue::takes(op.input_activation.kind)) return "an input's activation that is neither ReLU nor hard swish";
  if (op.input_activation.kind != ActivationKind::none && !op.gate && !op.affine) return "an input's activation alone";
  const Desc& y = task.io.out.desc;
  if (op.shuffle != 1 && !stores_in_eights(task) && stored_channels(y) != y.c())
    return "a pixel shuffle into padded pixels";
  // The prologue meets the padding's zeros too, and must leave them.
  for (const Source& s : op.sources)
    if (op.affine && op.padding.any() && s.pad_mode == PadMode::zeros)
      return "a norm of its input before zeros are padded";
  return {};
}

void build_gemm(const ConvTask& task, Step& step) {
  build_gemm(task, step, best_plan(problem_of(task), task.backend.gpu()));
}

void build_gemm(const ConvTask& task, Step& step, const ConvPlan& plan) {
  const ConvProblem problem = problem_of(task);
  const ConvTiling& t = plan.tiling;
  const bool halves = problem.arithmetic == Arithmetic::half;

  ConvCore core;
  core.tiling = t;
  for (std::size_t k = 0, first = 0; k < problem.sources.size(); first += problem.sources[k++].planes) {
    core.load[k] = load_of(task.role.sources[k].desc, task.op.sources[k], problem.arithmetic);
    core.load[k].centre = problem.sources[k].centre;
    core.load[k].planes = static_cast<short>(problem.sources[k].planes);
    core.load[k].first_plane = static_cast<short>(first);
  }
  const Columns columns(task, plan);
  core.outputs_h = problem.outputs_h, core.outputs_w = problem.outputs_w;
  core.in_eights = stores_in_eights(task);
  core.columns = columns.count, core.square_channels = (columns.square_channels + 7) / 8 * 8;
  core.channels = columns.channels, core.y_stored = stored_channels(task.io.out.desc);
  const auto weight =
      halves ? packed_weights<std::uint16_t>(task, problem, plan) : packed_weights<float>(task, problem, plan);
  const auto bias = packed_bias(task, plan);
  core.weight = static_cast<const unsigned char*>(weight.get()), core.bias = bias.get();

  if (t.splits > 1) {
    step.workspace_bytes = plan.blocks(problem) * t.splits * plan.size().m * plan.size().n * 4;
    step.counters = static_cast<int>(plan.blocks(problem));
  }
  step.kernel = "gemm " + to_text(problem.arithmetic) + " " + to_text(plan);
  const bool adds_up = stores_in_eights(task) && task.op.shuffle == 1;
  const MeansOfStep means(task, step, adds_up ? t.tiles_h * t.tiles_w : 0, t.channel_blocks, plan.size().n,
                          plan.size().threads() * 8);
  const LaunchShape shape{.grid = dim3(static_cast<unsigned>(t.tiles_h * t.tiles_w * t.channel_blocks),
                                       static_cast<unsigned>(t.splits), static_cast<unsigned>(problem.images)),
                          .block = static_cast<unsigned>(plan.size().threads()),
                          .shared_bytes = static_cast<std::size_t>(plan.shared_bytes)};
  const ConvKernel kernel = kernel_of(problem.arithmetic, plan.block);
  step.run = [=, operands = ConvOperands(task)](const RunArgs& args) {
    ConvCore now = core;
    now.maps = operands.at(args);
    if (problem.one_row) {
      for (int k = 0; k < now.maps.sources; ++k) {
        ConvSource& s = now.maps.source[k];
        s.rows.in = s.rows.out = s.rows.every = 1;
        s.columns.in = s.columns.out = s.columns.every = problem.outputs_w;
      }
    }
    now.partial = reinterpret_cast<float*>(args.workspace), now.counters = args.counters;
    now.means = means.at(args);
    (void)weight, (void)bias;  // kept for as long as the step is
    launch(kernel, shape, static_cast<cudaStream_t>(args.stream), now);
  };
}

}  // namespace fathom::gpu
