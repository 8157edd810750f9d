// Conv2d: the choices in their order, the general one last.
#include <algorithm>
#include <cstring>

#include "conv.cuh"
#include "conv_gemm.cuh"
#include "kernels/in_parts.hpp"

namespace fathom {

namespace gpu {

namespace {

[[noreturn]] void refuse(const NodeIo& io, const std::string& what) {
  throw Error(ErrorKind::unsupported, "Conv2d '" + io.name + "' on a GPU: " + what);
}

float per_channel(const std::vector<float>& list, std::size_t c) { return list[list.size() == 1 ? 0 : c]; }

}  // namespace

ConvTask::ConvTask(const Conv2d& op, const NodeIo& io, CudaBackend& backend)
    : op(op), io(io), backend(backend), role(op.inputs(io.inputs())), residual_in_y(false) {
  const auto need_computed = [&](const Operand* o) {
    if (o && o->constant) refuse(io, "input '" + o->name + "' is a constant; only computed maps can be read");
  };
  for (const Operand& x : role.sources) need_computed(&x);
  for (const Operand* o : {role.gate, role.residual, role.addend, role.output_gate}) need_computed(o);
  ConvGeometry& g = geometry;
  for (std::size_t k = 0; k < role.sources.size(); ++k) {
    const Desc resized = op.sources[k].infer(Descs(&role.sources[k].desc, 1));
    g.c += static_cast<int>(resized.c()), g.h = static_cast<int>(resized.h()), g.w = static_cast<int>(resized.w());
  }
  const Desc &w = role.weight.desc, &y = io.out.desc;
  g.o = static_cast<int>(w.extent[0]);
  g.oh = static_cast<int>(y.h()) / op.shuffle, g.ow = static_cast<int>(y.w()) / op.shuffle;
  g.kh = static_cast<int>(w.extent[2]), g.kw = static_cast<int>(w.extent[3]);
  g.stride_h = op.stride.h, g.stride_w = op.stride.w, g.top = op.padding.top, g.left = op.padding.left;
  g.dilation_h = op.dilation.h, g.dilation_w = op.dilation.w, g.groups = op.groups;
  residual_in_y = role.residual && io.in_place >= 0 && &io.in[static_cast<std::size_t>(io.in_place)] == role.residual;
}

bool ConvTask::plain() const {
  const Source& s = op.sources.front();
  return op.sources.size() == 1 && !op.gate && !op.affine && op.input_activation.kind == ActivationKind::none &&
         s.resize.mode == ResizeMode::none && s.stride == Size2(1) && !s.centre && s.mean.empty() &&
         (s.pad_mode == PadMode::zeros || !op.padding.any());
}

std::string ConvTask::extras() const {
  if (op.affine || op.input_activation.kind != ActivationKind::none) return "a norm or an activation of its input";
  if (op.addend.mode != ResizeMode::none || op.output_gate || op.shuffle != 1)
    return "an addend, a gate or a pixel shuffle of its output";
  if (op.residual_last) return "a residual behind its activation";
  if (!(op.result == Affine{}) || op.reciprocal) return "a scale, a shift or a reciprocal of its output";
  for (const Source& s : op.sources)
    if (s.centre || s.stride != Size2(1)) return "a source of its own stride or kernel";
  return {};
}

std::string ConvTask::types_differ() const {
  const DType type = io.out.desc.dtype;
  for (const Operand& x : role.sources)
    if (x.desc.dtype != type) return std::string("reads ") + to_string(x.desc.dtype) + ", writes " + to_string(type);
  if (role.residual && role.residual->desc.dtype != type) return "a residual of another type than the output";
  return {};
}

bool ConvTask::wide(int channels) const {
  for (const Operand& x : role.sources)
    if (!is_wide(x.desc, channels)) return false;
  return is_wide(io.out.desc, channels) && (!role.residual || is_wide(role.residual->desc, channels));
}

std::shared_ptr<const float> ConvTask::bias(int stored) const {
  const int o = geometry.o, count = std::max(o, stored);
  const std::string layout = "bias of " + std::to_string(count);
  if (role.bias)
    return packed<float>(backend, *role.bias, layout, count,
                         [=](const float* from, float* to) { std::fill_n(std::copy_n(from, o, to), count - o, 0.f); });
  if (!stored) return nullptr;
  return std::static_pointer_cast<const float>(
      backend.packed("no " + layout, count * std::int64_t{4}, [=](std::byte* to) { std::memset(to, 0, count * 4u); }));
}

std::shared_ptr<const float> ConvTask::weight_by_taps(int padded_o) const {
  const int taps = geometry.kh * geometry.kw, group_in = geometry.group_in(), o = geometry.o;
  const int width = std::max(o, padded_o);
  return packed<float>(backend, role.weight, "taps, inputs, outputs filled up to " + std::to_string(width),
                       std::int64_t{taps} * group_in * width, [=](const float* from, float* to) {
                         for (int t = 0; t < taps; ++t)
                           for (int c = 0; c < group_in; ++c)
                             for (int k = 0; k < width; ++k)
                               *to++ = k < o ? from[(std::int64_t{k} * group_in + c) * taps + t] : 0;
                       });
}

ConvOperands::ConvOperands(const ConvTask& task) {
  const auto map = [&](const Operand& o) {
    data_.push_back(o);
    return AnyMap(o.desc, nullptr);
  };
  const auto& sources = task.role.sources;
  if (sources.size() > kMaxSources) refuse(task.io, "more than " + std::to_string(kMaxSources) + " sources; join some of them by a Concat that is kept");
  for (std::size_t k = 0; k < sources.size(); ++k) {
    const Source& how = task.op.sources[k];
    const Desc& x = sources[k].desc;
    ConvSource& s = maps_.source[k];
    s.x = map(sources[k]);
    s.first = k == 0 ? 0 : maps_.source[k - 1].first + maps_.source[k - 1].channels;
    s.channels = static_cast<int>(x.c());
    s.centre = how.centre;
    const Desc resized = how.resize.infer(Descs(&x, 1));
    s.rows = Axis(how, x.h(), resized.h(), how.stride.h);
    s.columns = Axis(how, x.w(), resized.w(), how.stride.w);
    if (how.mean.empty()) continue;
    if (x.c() > 4) refuse(task.io, "photograph '" + sources[k].name + "' has more than 4 channels");
    for (std::size_t c = 0; c < static_cast<std::size_t>(x.c()); ++c) {
      s.scale[c] = 1 / (255 * per_channel(how.std, c));
      s.shift[c] = -per_channel(how.mean, c) / per_channel(how.std, c);
    }
  }
  maps_.sources = static_cast<int>(sources.size());
  const auto& role = task.role;
  const auto optional = [&](const Operand* o, bool& has, AnyMap& to) {
    if ((has = o != nullptr)) to = map(*o);
  };
  const auto vector = [&](const Operand* o) {
    return !o ? nullptr
              : packed<float>(task.backend, *o, "it is", o->desc.elements(),
                              [n = o->desc.elements()](const float* from, float* to) { std::copy_n(from, n, to); });
  };
  ConvPrologue& before = maps_.prologue;
  ConvEpilogue& after = maps_.epilogue;
  optional(role.gate, before.has_gate, before.gate);
  optional(role.residual, after.has_residual, after.residual);
  optional(role.addend, after.has_addend, after.addend);
  optional(role.output_gate, after.has_gate, after.gate);
  if (role.addend) {
    const Source how{.resize = task.op.addend};
    const Desc resized = task.op.addend.infer({&role.addend->desc, 1});  // y before its crop
    after.rows = Axis(how, role.addend->desc.h(), resized.h());
    after.columns = Axis(how, role.addend->desc.w(), resized.w());
  }
  after.y = map(task.io.out);
  bias_ = task.bias(), scale_ = vector(role.scale), shift_ = vector(role.shift);
  after.bias = bias_.get(), before.scale = scale_.get(), before.shift = shift_.get();
  before.activation = task.op.input_activation, after.activation = task.op.activation;
  after.shuffle = task.op.shuffle, after.residual_last = task.op.residual_last;
  after.result = task.op.result, after.reciprocal = task.op.reciprocal;
  after.has_result = !(task.op.result == Affine{}) || task.op.reciprocal;
}

ConvMaps ConvOperands::at(const RunArgs& args) const {
  ConvMaps maps = maps_;
  auto operand = data_.begin();
  const auto bind = [&](AnyMap& map) { map.bytes.data = static_cast<unsigned char*>(args.data[(operand++)->id]); };
  for (int k = 0; k < maps.sources; ++k) bind(maps.source[k].x);
  if (maps.prologue.has_gate) bind(maps.prologue.gate);
  ConvEpilogue& after = maps.epilogue;
  if (after.has_residual) bind(after.residual);
  if (after.has_addend) bind(after.addend);
  if (after.has_gate) bind(after.gate);
  bind(after.y);
  return maps;
}

Step with_means_asked(const ConvTask& task, Step step) {
  return with_second_output(std::move(step), task.op, task.io, task.backend);
}

}  // namespace gpu

using namespace gpu;

namespace {

constexpr ConvChoice choices[] = {
    {"products", fits_products, build_products},
    {"depthwise", fits_depthwise, build_depthwise},
    {"head", fits_head, build_head},
    {"grouped mma", fits_grouped_mma, build_grouped_mma},
    {"grouped direct", fits_grouped_direct, build_grouped_direct},
    {"few channels mma", fits_few_mma, build_few_mma},
    {"few channels direct", fits_few_direct, build_few_direct},
    {"phases", fits_phases, build_phases, phases_problem, build_phases, may_run_phases},
    {"gemm", fits_gemm, build_gemm, problem_of, build_gemm},
    {"general", [](const ConvTask&) { return std::string(); }, build_general},
};

}  // namespace

std::vector<std::string> conv_choices() {
  std::vector<std::string> names;
  for (const ConvChoice& choice : choices) names.emplace_back(choice.name);
  return names;
}

Step prepare(const Conv2d& op, const NodeIo& io, CudaBackend& backend) {
  const ConvTask task(op, io, backend);
  Step step = describe(op, io);
  if (build_timed(choices, task, step)) return with_means_asked(task, std::move(step));
  for (const ConvChoice& choice : choices) {
    const std::string reason = choice.fits(task);
    if (reason.empty()) {
      step.kernel = choice.name;
      choice.build(task, step);
      break;
    }
    step.refused.push_back(std::string(choice.name) + ": " + reason);
  }
  return with_means_asked(task, std::move(step));
}

}  // namespace fathom
