// Conv2d over at most 8 input channels, photographs first of all, in halves on tensor cores (conv_taps.cuh). The
// sources, of any type and size, are resized, padded, normalised and gated once per tile; a pixel takes 4 or 8 halves
// there.
#include "conv_taps.cuh"

namespace fathom::gpu {

namespace {

constexpr int kMaxFewSources = 4;

struct LoadSources {
  int sources = 0;
  ConvSource source[kMaxFewSources];
  ConvPrologue prologue;
  Divisor width;  // of the tile

  LoadSources(const ConvMaps& maps, Divisor width) : sources(maps.sources), prologue(maps.prologue), width(width) {
    std::copy_n(maps.source, sources, source);
  }

  __device__ void operator()(const TapsConv& conv, __half* tile, int n, int row, int column, int) const {
    for (int pixel = static_cast<int>(threadIdx.x); pixel < conv.rows * conv.columns; pixel += kTapsThreads) {
      const int r = width.quotient(pixel), i = row + r, j = column + pixel - r * width.divisor;
      __half* const to = tile + pixel * conv.pixel_pitch;
      for (int c = 0; c < conv.pixel_pitch; c += 4) store_vec(to + c, Vec<__half, 4>{});
      for (int k = 0; k < sources; ++k) {
        const ConvSource& x = source[k];
        const Place at_row = x.rows.place(i), at_column = x.columns.place(j);
        if (at_row.low < 0 || at_column.low < 0) continue;
        for (int c = 0; c < x.channels; ++c)
          to[x.first + c] = from_float<__half>(prologue(n, x.first + c, x.load(n, c, at_row, at_column)));
      }
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
             return LoadSources(operands.at(args), width);
           });
}

}  // namespace

std::string fits_few_mma(const ConvTask& task) {
  const ConvGeometry& g = task.geometry;
  if (task.backend.precision() != Precision::fp16) return "not in halves";
  if (g.c > 8) return "more than 8 input channels";
  if (g.groups > 1) return "groups";
  if (task.op.sources.size() > kMaxFewSources) return "more than 4 sources";
  if (const std::string extras = task.extras(); !extras.empty()) return extras;
  if (taps_shared_bytes(few_conv(task)) > 48 * 1024) return "its tile is beyond shared memory";
  return {};
}

void build_few_mma(const ConvTask& task, Step& step) {
  depth_of(task.geometry) == 4 ? build<4>(task, step) : build<8>(task, step);
}

}  // namespace fathom::gpu
