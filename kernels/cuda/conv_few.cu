// Conv2d over at most 8 input channels, photographs first of all, in halves on tensor cores.
#include "conv_few_taps.cuh"

namespace fathom::gpu {

namespace {

TapsConv few_conv(const ConvTask& task) {
  const int depth = taps_depth(task.geometry);
  return taps_conv(task, depth, taps_units(task.geometry), depth);
}

template <int Depth>
void build(const ConvTask& task, Step& step) {
  const TapsConv conv = few_conv(task);
  step.kernel += ", " + std::to_string(Depth) + " deep";
  run_taps(task, step, conv, Depth, conv_taps_kernel<Depth, kColumnTiles, LoadSources>,
           [operands = ConvOperands(task), width = Divisor(conv.columns)](const RunArgs& args) {
             return LoadSources{FewSources(operands.at(args)), width};
           });
}

}  // namespace

std::string fits_few_mma(const ConvTask& task) {
  if (task.backend.precision() != Precision::fp16) return "not in halves";
  if (const std::string reason = not_few(task); !reason.empty()) return reason;
  if (taps_shared_bytes(few_conv(task)) > 48 * 1024) return "its tile is beyond shared memory";
  return {};
}

void build_few_mma(const ConvTask& task, Step& step) {
  taps_depth(task.geometry) == 4 ? build<4>(task, step) : build<8>(task, step);
}

}  // namespace fathom::gpu
