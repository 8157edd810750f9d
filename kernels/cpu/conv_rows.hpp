// A convolution as runs of output pixels, each a list of terms (tile.hpp) that point into the sources where they lie:
// no joined, padded or enlarged map is ever stored. Plain data and how it is laid out; conv_rows.cpp walks it.
//
// A source enlarged twice by nearest neighbours is read where it is small. Then output pixels go by the parity of their
// row and column (four phases), because pixels of one parity see the small map alike: taps that fall on the same small
// pixel become one, with weights summed beforehand, 4 instead of 9 of a 3x3.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "kernels/cpu/conv.hpp"
#include "kernels/cpu/tile.hpp"

namespace fathom::cpu {

// Taps of a kernel, along one axis, that read the same place: all alone, but for a doubled source.
using TapGroup = std::vector<int>;

struct RowSource {
  enum class Kind { direct, doubled, gathered };
  Kind kind = Kind::direct;
  std::vector<Input> map;             // one, unless gathered
  std::vector<GatheredInput> gather;  // one, if gathered: padded rows, copied before they are read
  PadMode mode = PadMode::zeros;
  int phases = 1;  // along each axis, of its weights: 2 if doubled
  std::int64_t c = 0, first_channel = 0;
  std::array<std::vector<TapGroup>, 2> rows, columns;  // by the parity of the output row or column
  std::int64_t weights = 0;                            // where its weights begin: [phase][block][row][column][c][width]
  std::array<std::int64_t, 4> phase_weights{};         // where those of a phase begin, from there
};

// Output channels side by side, and the input channels of their groups.
struct RowBlock {
  std::int64_t o, lanes, width;
  std::int64_t c, channels;  // of the input
  std::int64_t before;  // the widths of the blocks before it times their channels: where its weights begin, per tap
  std::int64_t bias;
};

struct RowConv {
  Conv2d op;
  std::int64_t h, w, oh, ow, kh, kw;
  int phases = 1;  // along each axis, of the output
  // A 1x1 over doubled and other sources: the doubled ones' share is computed where they are small, once for four
  // pixels.
  bool low_first = false;
  TileKernels tiles;
  bool depthwise = false;
  bool gate_on_weights = false;  // else on the input, where it is gathered
  std::vector<RowSource> sources;
  std::vector<RowBlock> blocks;
  std::int64_t weight_floats = 0;
  int max_terms = 0;
  // Output rows and columns whose taps all lie inside, so that neighbours read neighbours.
  std::int64_t inner_top = 0, inner_bottom = 0, inner_left = 0, inner_right = 0;
  Packed weight, bias, no_bias;  // no_bias: zeros for one block
};

RowConv lay_out(const ConvTask& task);

}  // namespace fathom::cpu
