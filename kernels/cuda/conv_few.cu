// Conv2d over at most 8 input channels, photographs first of all, in halves on tensor cores (conv_taps.cuh). The
// sources, of any type and size, are made into halves once per tile; a pixel takes 4 or 8 of them there.
#include "conv_few.cuh"

#include "conv_taps.cuh"

namespace fathom::gpu {

namespace {

struct LoadSources {
  FewSources sources;
  Divisor width;  // of the tile

  __device__ void operator()(const TapsConv& conv, __half* tile, int n, int row, int column, int) const {
    for (int pixel = static_cast<int>(threadIdx.x); pixel < conv.rows * conv.columns; pixel += kTapsThreads) {
      const int r = width.quotient(pixel);
      __half* const to = tile + pixel * conv.pixel_pitch;
      for (int c = 0; c < conv.pixel_pitch; c += 4) store_vec(to + c, Vec<__half, 4>{});
      sources.load(to, n, row + r, column + pixel - r * width.divisor);
    }
  }
};

int depth_of(const ConvGeometry& g) { return g.c <= 4 ? 4 : 8; }

TapsConv few_conv(const ConvTask& task) {
  const int units = (task.geometry.o + kUnit - 1) / kUnit, depth = depth_of(task.geometry);
  return taps_conv(task, depth, units >= 4 ? 4 : units >= 2 ? 2 : 1, depth);
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
  depth_of(task.geometry) == 4 ? build<4>(task, step) : build<8>(task, step);
}

}  // namespace fathom::gpu
