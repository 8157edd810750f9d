// Conv2d by NVIDIA's libraries: a choice where kernels are timed, and what ours are measured against.
#include <algorithm>

#include "conv.cuh"
#include "engine/cuda/libraries.hpp"

namespace fathom::gpu {

namespace {

LibraryConv::Type type_of(const ConvTask& task) {
  if (task.io.out.desc.dtype == DType::f16) return LibraryConv::Type::half;
  const bool tf32 = task.backend.precision() == Precision::tf32 && task.backend.gpu().major >= 8;
  return tf32 ? LibraryConv::Type::tf32 : LibraryConv::Type::float32;
}

LibraryConv problem_of(const ConvTask& task) {
  const auto four = [](const auto& list) { return LibraryConv::Four{list[0], list[1], list[2], list[3]}; };
  const ConvGeometry& g = task.geometry;
  const Desc &x = task.role.sources[0].desc, &y = task.io.out.desc;
  const Padding& pad = task.op.padding;
  LibraryConv p{.type = type_of(task), .x = four(x.extent), .y = four(y.extent), .x_stride = four(x.stride)};
  p.y_stride = four(y.stride);
  p.kernel_h = g.kh, p.kernel_w = g.kw, p.stride_h = g.stride_h, p.stride_w = g.stride_w;
  p.dilation_h = g.dilation_h, p.dilation_w = g.dilation_w, p.groups = g.groups;
  p.top = pad.top, p.left = pad.left, p.bottom = pad.bottom, p.right = pad.right;
  p.bias = task.role.bias, p.relu = task.op.activation.kind == ActivationKind::relu;
  if ((p.residual = task.role.residual)) p.residual_stride = four(task.role.residual->desc.stride);
  return p;
}

// (O, kh, kw, C / groups) in the maps' type.
std::shared_ptr<const void> packed_weights(const ConvTask& task) {
  const ConvGeometry& g = task.geometry;
  const int taps = g.kh * g.kw, group_in = g.group_in(), o = g.o;
  const std::int64_t count = std::int64_t{o} * taps * group_in;
  const auto pack = [=](const float* from, auto* to, const auto& convert) {
    for (std::int64_t k = 0; k < o; ++k)
      for (int tap = 0; tap < taps; ++tap)
        for (int c = 0; c < group_in; ++c) *to++ = convert(from[(k * group_in + c) * taps + tap]);
  };
  const Operand& weight = task.role.weight;
  if (type_of(task) == LibraryConv::Type::half)
    return packed<std::uint16_t>(task.backend, weight, "halves by outputs, taps, inputs", count,
                                 [&](const float* from, std::uint16_t* to) {
                                   pack(from, to, [&](float w) { return checked_half(w, weight); });
                                 });
  return packed<float>(task.backend, weight, "outputs, taps, inputs", count,
                       [&](const float* from, float* to) { pack(from, to, [](float w) { return w; }); });
}

std::shared_ptr<const void> packed_bias(const ConvTask& task, const LibraryKernel& kernel) {
  if (!task.role.bias || !kernel.bias_as_maps || type_of(task) != LibraryConv::Type::half) return task.bias();
  const Operand& bias = *task.role.bias;
  return packed<std::uint16_t>(task.backend, bias, "halves", task.geometry.o,
                               [&, o = task.geometry.o](const float* from, std::uint16_t* to) {
                                 std::transform(from, from + o, to, [&](float b) { return checked_half(b, bias); });
                               });
}

}  // namespace

std::string fits_library(const ConvTask& task) {
  const Activation& act = task.op.activation;
  if (!task.plain()) return "more than one plain source";
  if (const std::string reason = task.extras(); !reason.empty()) return reason;
  if (task.op.gate) return "a gate";
  if (const std::string reason = task.types_differ(); !reason.empty()) return reason;
  if (act.kind != ActivationKind::none && act.kind != ActivationKind::relu) return "an activation other than ReLU";
  if (!task.role.weight.constant) return "weights that are computed";
  if (task.residual_in_y) return "a residual that its result replaces";
  const auto odd = [](const Operand* o) { return o && o->desc.c() % 8 != 0; };
  if (odd(&task.role.sources[0]) || odd(&task.io.out) || !task.wide(8)) return "channels that are no multiple of 8";
  if (task.op.crop != Size2(0)) return "a crop";
  return {};
}

std::vector<LibraryKernel> library_kernels(const ConvTask& task) {
  constexpr int most = 4;  // of each library
  std::vector<LibraryKernel> all;
  if (!fits_library(task).empty()) return all;
  for (const std::shared_ptr<ConvLibrary>& library : task.backend.libraries().list) {
    std::vector<LibraryKernel> kernels;
    try {
      kernels = library->kernels(problem_of(task), most);
    } catch (const Error&) {  // it is not one that it knows
    }
    for (LibraryKernel& kernel : kernels) {  // a library stays for as long as one of its kernels does
      kernel.run = [run = std::move(kernel.run), library](const LibraryData& data, void* stream) { run(data, stream); };
      all.push_back(std::move(kernel));
    }
  }
  return all;
}

std::string library_versions(const ConvTask& task) {
  return fits_library(task).empty() ? task.backend.libraries().versions() : "";
}

void build_library(const ConvTask& task, Step& step, const LibraryKernel& kernel) {
  constexpr std::int64_t alignment = 256;
  step.kernel = kernel.name;
  step.workspace_bytes = kernel.workspace_bytes > 0 ? kernel.workspace_bytes + alignment : 0;
  const auto weight = packed_weights(task);
  const auto bias = packed_bias(task, kernel);
  const int x = task.role.sources[0].id, y = task.io.out.id,
            residual = task.role.residual ? task.role.residual->id : -1;
  step.run = [=, run = kernel.run](const RunArgs& args) {
    const auto address = reinterpret_cast<std::uintptr_t>(args.workspace);
    auto* const workspace = reinterpret_cast<void*>((address + alignment - 1) / alignment * alignment);
    run({args.data[x], weight.get(), bias.get(), residual < 0 ? nullptr : args.data[residual], args.data[y], workspace},
        args.stream);
  };
}

}  // namespace fathom::gpu

namespace fathom {

std::vector<Step> library_steps(const Conv2d& op, const NodeIo& io, CudaBackend& backend) {
  const gpu::ConvTask task(op, io, backend);
  std::vector<Step> steps;
  for (const LibraryKernel& kernel : gpu::library_kernels(task)) {
    steps.push_back(describe(op, io));
    gpu::build_library(task, steps.back(), kernel);
  }
  return steps;
}

}  // namespace fathom
