// The inner loops of convolutions: a run of output pixels times a block of output channels, summed in registers over a
// list of terms. A term is a stretch of neighbouring floats under each pixel (the channels of a tap, or of a row of
// taps), so that borders, strides, dilation, groups and joined or enlarged inputs are only a matter of which terms are
// listed.
#pragma once

#include <cstdint>
#include <vector>

namespace fathom::cpu {

struct Term {
  const float* x;      // under the first pixel
  const float* w;      // (count, width of the block)
  std::int64_t step;   // floats from one pixel to the next
  std::int64_t count;  // floats
};

// y[p] = bias + sum over terms of x[p] w (+ residual[p]), for `pixels` pixels and `lanes` channels of a block.
struct Tile {
  const Term* terms;
  int term_count;
  const float* bias;  // as many as the block is wide
  float* y;
  std::int64_t y_step;
  std::int64_t lanes;
  const float* residual;  // null: none; may be y
  std::int64_t residual_step;
  std::int64_t pixels;
};

using TileFunction = void (*)(const Tile&);

enum class Isa { any, avx2, avx512 };
std::vector<Isa> usable_isas();  // of this machine, the best last

// Blocks of so many output channels. What a block does not fill is padded with weights of zero.
struct TileKernels {
  Isa isa;
  TileFunction wide32;  // null where there are too few registers
  TileFunction wide16;
  TileFunction wide8;
  TileFunction dot;        // one output channel: products along x are summed in vectors
  TileFunction depthwise;  // 16 channels by themselves: a term is one tap, x and w advance together; its count is 1

  TileFunction of_width(int width) const {
    return width == 32 ? wide32 : width == 16 ? wide16 : width == 8 ? wide8 : dot;
  }
  // The blocks that `channels` output channels are cut into.
  std::vector<int> widths(std::int64_t channels) const;
};
TileKernels tile_kernels(Isa isa);

}  // namespace fathom::cpu
