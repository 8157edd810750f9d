// Few input channels on tensor cores (conv_taps.cuh): the sources, of any type and size, are made into halves once per
// tile; a pixel takes 4 or 8 of them there.
#pragma once
#include "conv_few.cuh"
#include "conv_taps.cuh"

namespace fathom::gpu {

inline int taps_depth(const ConvGeometry& g) { return g.c <= 4 ? 4 : 8; }

// Warps of a block that make different output channels of the same pixels.
inline int taps_units(const ConvGeometry& g) {
  const int units = (g.o + kUnit - 1) / kUnit;
  return units >= 4 ? 4 : units >= 2 ? 2 : 1;
}

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

}  // namespace fathom::gpu
