// How the convolution core cuts up a problem: tile, taps per stage, planes, stages, splits. Plain data and pure
// functions: no device is asked.
#pragma once

#include <cstdint>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "engine/cuda/backend_cuda.hpp"
#include "engine/tensor.hpp"

namespace fathom::gpu {

// One dimension of a block's tile of outputs, and of the tile of input pixels ("places") that they see.
struct TapAxis {
  int outputs = 1;           // of the tile: a power of two
  int taps = 1, groups = 1;  // taps that one stage holds, and how many such groups there are
  int pitch = 1;             // places between what neighbouring outputs see
  int tap_pitch = 0;         // places between neighbouring taps of a group
  int unit = 1;              // input pixels between neighbouring places
  int stride = 1, dilation = 1, before = 0;
  int last = 0;    // the last input pixel that any output sees
  int places = 1;  // of the tile

  FATHOM_BOTH int input(int first_output, int group, int place) const {
    return first_output * stride - before + group * dilation + place * unit;
  }
};

// What a stage holds of a source, and how its k-steps walk through it: planes, then rows, then columns of taps. A walk
// is a sum of these distances, each after the ones before it: to the next column, from a row's end to the next row,
// from a plane's end to the next plane.
struct StageTaps {
  int first_group_h = 0, last_group_h = 1, first_group_w = 0, last_group_w = 1;  // last not included
  int rows = 1, columns = 1, steps = 1;                                          // taps; steps of one plane
  int first_bytes = 0, column_bytes = 0, row_bytes = 0, plane_bytes = 0;
};

struct ConvTiling {
  TapAxis rows, columns;
  StageTaps taps[2];   // all of them, and for sources that only the middle tap reads
  int log2_width = 0;  // of the tile
  int tiles_h = 1, tiles_w = 1, channel_blocks = 1;
  int planes = 1, log2_planes = 0;  // 32-byte planes of channels in a stage, at most
  int chunk_bytes = 0;              // a stage's activations: from the first 16 bytes of all places to the next 16
  int weight_offset = 0, stage_bytes = 0;
  int stages = 2;                            // of the ring
  int stage_count = 0;                       // of the whole sum
  int step_count = 0;                        // k-steps of the whole sum
  int splits = 1;                            // blocks that share one sum
  int phase_blocks = 0;                      // channel blocks of each phase (ConvProblem::phases); 0: there are none
  int prologue_offset = 0, ring_offset = 0;  // in shared memory, behind the tables of places
};

// The block shapes there are, by number: outputs by channels, and how many warps share each. The kernels are
// instantiated for these.
struct BlockSize {
  int m, n, warps_m, warps_n;
  constexpr int warps() const { return warps_m * warps_n; }
  constexpr int threads() const { return warps() * 32; }
};
inline constexpr BlockSize block_sizes[] = {
    {128, 128, 2, 2}, {128, 64, 2, 2}, {128, 32, 4, 1}, {64, 64, 2, 2},
    {64, 32, 2, 2},   {32, 64, 1, 4},  {16, 64, 1, 4},  {128, 16, 4, 1},
};
inline constexpr int kBlockSizes = static_cast<int>(std::size(block_sizes));

// What the products are made of.
enum class Arithmetic { half, tf32, float32 };
constexpr int elements_per_step(Arithmetic a) { return a == Arithmetic::half ? 16 : 8; }

struct ConvProblem {
  Arithmetic arithmetic = Arithmetic::half;
  int images = 1, outputs_h = 1, outputs_w = 1;
  int columns = 1;  // output channels
  int kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1, top = 0, left = 0;
  struct Source {
    int planes;
    bool centre;  // read by the middle tap only
  };
  std::vector<Source> sources;
  int prologue_vectors = 0;  // by channel: scale or gate, shift
  bool one_row = false;      // a 1x1 convolution whose pixels are taken as one long row
  // A 2x2 convolution for each place of a 2x2 pixel shuffle, with `columns` channels: that of place (i, j) reads i rows
  // and j columns farther on.
  bool phases = false;
};

struct ConvPlan {
  int block = 0;  // of block_sizes
  ConvTiling tiling;
  std::int64_t shared_bytes = 0;
  double cycles = 0;  // the cost model's guess

  const BlockSize& size() const { return block_sizes[block]; }
  std::int64_t blocks(const ConvProblem& p) const {
    return std::int64_t{tiling.tiles_h} * tiling.tiles_w * tiling.channel_blocks * p.images;
  }
};

// How often ldmatrix meets a bank of shared memory as it reads what eight neighbouring outputs see: more than once
// where they lie apart, for a stride or for a tile narrower than eight.
int bank_turns(const ConvTiling& tiling);

// "128x64 outputs (8x16 pixels), 3x3 taps, 2 planes, 3 stages, split 4"
std::string to_text(const ConvPlan& plan);

// Every plan that fits into the GPU's shared memory, with its cost, in a fixed order.
void for_each_plan(const ConvProblem& problem, const GpuInfo& gpu, const std::function<void(const ConvPlan&)>& f);
// The one of least cost, without splits if they gain little. Throws Error{unsupported} if there is none.
ConvPlan best_plan(const ConvProblem& problem, const GpuInfo& gpu);

}  // namespace fathom::gpu
