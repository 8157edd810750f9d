// Conv2d: the choices in their order, the general one last.
#include "kernels/cpu/conv.hpp"
#include "kernels/cpu/kernels.hpp"
#include "kernels/in_parts.hpp"

namespace fathom {

namespace cpu {

ConvTask::ConvTask(const Conv2d& op, const NodeIo& io, CpuBackend& backend)
    : op(op), io(io), backend(backend), role(op.inputs(io.inputs())), c(0), h(0), w(0), residual_in_y(false) {
  for (std::size_t k = 0; k < role.sources.size(); ++k) {
    const Desc resized = op.sources[k].resize.infer(Descs(&role.sources[k].desc, 1));
    c += resized.c(), h = resized.h(), w = resized.w();
  }
  residual_in_y = role.residual && io.in_place >= 0 && &io.in[static_cast<std::size_t>(io.in_place)] == role.residual;
}

bool ConvTask::plain() const {
  const Source& s = op.sources.front();
  return op.sources.size() == 1 && !op.gate && s.resize.mode == ResizeMode::none &&
         (s.pad_mode == PadMode::zeros || !op.padding.any());
}

GatheredInput::GatheredInput(const ConvTask& task, std::size_t first_source, std::size_t sources, bool gated) {
  for (std::size_t k = 0; k < first_source; ++k) gate_channel_ += task.role.sources[k].desc.c();
  for (std::size_t k = first_source; k < first_source + sources; ++k) {
    const Source& s = task.op.sources[k];
    sources_.emplace_back(task.role.sources[k], task.backend);
    readers_.emplace_back(sources_.back().desc(), s.resize, s.pad_mode, task.op.padding);
    c_ += sources_.back().desc().c();
  }
  if (gated) gate_.emplace_back(*task.role.gate, task.backend);
}

void GatheredInput::read(const RunArgs& args, std::int64_t n, std::int64_t i, float* y) const {
  const float* gate = gate_.empty() ? nullptr : &gate_[0].view(args)(n, gate_channel_, 0, 0);
  std::int64_t channel = 0;
  for (std::size_t k = 0; k < sources_.size(); ++k) {
    readers_[k].read(sources_[k].view(args), n, i, y + channel, c_, gate ? gate + channel : nullptr);
    channel += sources_[k].desc().c();
  }
}

}  // namespace cpu

using namespace cpu;

Step prepare(const Conv2d& op, const NodeIo& io, CpuBackend& backend) {
  static constexpr ConvChoice choices[] = {
      {"oneDNN", fits_dnnl, build_dnnl},
      {"products at the small size", fits_products, build_products},
      {"rows", [](const ConvTask&) { return std::string(); }, build_rows},
  };
  expect_channels_last(io.out.desc, io.out.name);
  const ConvTask task(op, io, backend);
  Step step = describe(op, io);
  for (const ConvChoice& choice : choices) {
    const std::string reason = choice.fits(task);
    if (reason.empty()) {
      step.kernel = choice.name;
      choice.build(task, step);
      break;
    }
    step.refused.push_back(std::string(choice.name) + ": " + reason);
  }
  return with_second_output(std::move(step), op, io, backend);
}

}  // namespace fathom
