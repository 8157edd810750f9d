// The convolution core: what its parts share. Implicit GEMM over a ring of stages in shared memory:
//
//   y(pixel, o) = epilogue(sum over sources, taps, channels of prologue(x(pixel + tap, c)) w(o, c, tap))
//
// A block makes the outputs of a spatial tile of one image times a block of output channels. The sum runs in k-steps of
// 32 bytes of channels (16 halves or 8 floats: a "plane") at one tap, and a stage of the ring holds
// - activations: some planes of all the input pixels that the tile sees, halo and all, each loaded once for all taps;
// - weights: the k-steps that go with them, packed beforehand as they stand in shared memory, so that a stage's are one
//   contiguous copy.
// Stages run over sources, then groups of taps, then planes. A group is all taps along an axis, which share a tile with
// halo, or a single one, where dilation makes the halo large.
//
//   conv_core_load.cuh      loader: sources to shared memory, by asynchronous copies or through registers
//   conv_core_product.cuh   prologue and core: fragments, tensor cores or FFMA
//   conv_core_epilogue.cuh  epilogue: sums to memory
//   conv_core_kernel.cuh    the kernel
//   conv_core_plan.hpp      the choice of tile, stages and splits
#pragma once
#include "channel_means.cuh"
#include "conv.cuh"
#include "conv_core_plan.hpp"

namespace fathom::gpu {

// ---- operands of k-steps: rows (pixels, or output channels) of two chunks of 16 bytes, of which ldmatrix reads one
// chunk of eight rows at once. These eight must lie in different banks. Activations, of which a tap sees other rows
// each time, stand chunk by chunk: the first of all rows, then the second. So a row's place is a sum, and a tap only a
// distance. Weights stand row by row, and every other four rows have their chunks swapped.
inline constexpr int kStepBytes = 32, kChunkBytes = 16;
__host__ __device__ constexpr int chunk_place(int row, int chunk) {
  return row * kStepBytes + (chunk ^ (row >> 2 & 1)) * kChunkBytes;
}

// a = (1 - t) a + t b; without t it stays a, whatever b is
template <int N>
__device__ inline void blend(Vec<float, N>& a, const Vec<float, N>& b, float t) {
#pragma unroll
  for (int i = 0; i < N; ++i) a[i] = t == 0 ? a[i] : (1 - t) * a[i] + t * b[i];
}

// A block's outputs and how its warps share them.
template <int M, int N, int WarpsM, int WarpsN>
struct BlockShape {
  static constexpr int kM = M, kN = N, kThreads = WarpsM * WarpsN * kWarpSize;
  static constexpr int kWarpM = M / WarpsM, kWarpN = N / WarpsN;
  static_assert(kWarpM % 16 == 0 && kWarpN % 16 == 0);
  static __device__ int warp_row() { return warp_id() / WarpsN * kWarpM; }
  static __device__ int warp_column() { return warp_id() % WarpsN * kWarpN; }
};

// How a source comes into shared memory.
enum class LoadKind : unsigned char {
  copy_16,  // cp.async of chunks
  copy_4,   // cp.async of single floats
  vectors,  // through registers: interpolated or converted, a chunk at a time
  singles,  // the same channel by channel, and photographs
};
struct SourceLoad {
  LoadKind kind = LoadKind::copy_16;
  bool centre = false;  // read by the middle tap only
  short planes = 0, first_plane = 0;
  short stored = 0;  // channels that lie in memory
};

// Everything a kernel is told.
struct ConvCore {
  ConvMaps maps;
  SourceLoad load[kMaxSources];
  ConvTiling tiling;
  const unsigned char* weight = nullptr;  // (blocks of output channels, k-steps, channels, 32 bytes)
  int outputs_h = 0, outputs_w = 0;       // before a pixel shuffle
  int columns = 0;                        // of the product: its output channels, in the order of the weights
  // The epilogue in eights of channels, where all maps allow it:
  bool in_eights = false;
  int square_channels = 0;      // columns of one place in the square that a pixel shuffle makes of a pixel
  int channels = 0;             // of y
  int y_stored = 0;             // the same with the pixel's padding
  const float* bias = nullptr;  // by column, filled up to whole blocks; null: none
  // Splits of a sum:
  float* partial = nullptr;
  unsigned* counters = nullptr;
  ChannelMeans means;  // in eights only
};
static_assert(sizeof(ConvCore) <= 4096, "a kernel's parameters, before CUDA 12.1 and on older drivers");

// What this block is to make.
struct BlockPlace {
  int image, row, column;        // the tile's first output
  int phase_h = 0, phase_w = 0;  // how much farther on it reads than the tiling says
  int channel_block, split;
  int index;  // of the block, over everything but splits

  __device__ explicit BlockPlace(const ConvTiling& t) {
    const int tile = static_cast<int>(blockIdx.x) / t.channel_blocks;
    channel_block = static_cast<int>(blockIdx.x) % t.channel_blocks;
    row = tile / t.tiles_w * t.rows.outputs;
    column = tile % t.tiles_w * t.columns.outputs;
    split = static_cast<int>(blockIdx.y);
    image = static_cast<int>(blockIdx.z);
    index = static_cast<int>(blockIdx.z * gridDim.x + blockIdx.x);
    if (t.phase_blocks > 0) phase_h = channel_block / t.phase_blocks / 2, phase_w = channel_block / t.phase_blocks % 2;
  }
};

// Walks the stages in their order: sources, groups of taps, planes.
struct StageCursor {
  int source = 0, group_h = 0, group_w = 0, plane = 0;
  int step = 0;  // k-steps before this stage

  __device__ explicit StageCursor(const ConvCore& conv) { begin_source(conv); }
  __device__ const StageTaps& taps(const ConvCore& conv) const { return conv.tiling.taps[conv.load[source].centre]; }
  __device__ int planes(const ConvCore& conv) const {
    return min(conv.tiling.planes, conv.load[source].planes - plane);
  }
  __device__ int steps(const ConvCore& conv) const { return planes(conv) * taps(conv).steps; }

  __device__ void advance(const ConvCore& conv) {
    step += steps(conv);
    if ((plane += conv.tiling.planes) < conv.load[source].planes) return;
    plane = 0;
    if (++group_w < taps(conv).last_group_w) return;
    group_w = taps(conv).first_group_w;
    if (++group_h < taps(conv).last_group_h) return;
    if (++source < conv.maps.sources) begin_source(conv);
  }
  __device__ void begin_source(const ConvCore& conv) {
    group_h = taps(conv).first_group_h, group_w = taps(conv).first_group_w;
  }
};

}  // namespace fathom::gpu
