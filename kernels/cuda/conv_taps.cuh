// Convolutions whose outputs each see few input channels, on tensor cores: a product of 16 deep covers several taps.
//   y(pixel, o) = sum over k = (tap, channel) of x(pixel + tap, channel) w(k, o)
//
// A block loads a tile of the input with its halo into shared memory, the channels of a pixel side by side. Four warps
// share out its 8 x 8, 8 x 16 or 8 x 32 outputs and its output channels; a warp makes 8 x 8 pixels of 32 channels, four
// column tiles of 8. It gathers its operand a from the tile in pairs of channels, as the instruction wants them: no
// copy of the tile per tap. The weights lie in memory in the order in which lanes hold them.
// fp16 in, sums in float32.
#pragma once
#include "channel_means.cuh"
#include "chunks.cuh"
#include "conv.cuh"

namespace fathom::gpu {

inline constexpr int kTapsWarps = 4;
inline constexpr int kTapsThreads = kTapsWarps * kWarpSize;
inline constexpr int kTileSide = 8;                            // outputs of a warp, down and along
inline constexpr int kFragments = kTileSide * kTileSide / 16;  // of 2 x 8 pixels
inline constexpr int kColumnTiles = 4;                         // of 8 output channels
inline constexpr int kUnit = kColumnTiles * 8;                 // output channels of a warp

struct TapsConv {
  ConvGeometry g;
  // A column tile sees `depth` input channels, from first_channel(tile) on.
  int taps = 1, steps = 1;  // steps of 16 in k
  Divisor kernel_w, tiles_w;
  int units = 1, units_of_block = 1;
  int rows = 1, columns = 1;           // of the input tile
  int pixel_pitch = 8, row_pitch = 8;  // of the input tile, in halves
  const __half* weight = nullptr;      // (unit, step, column tile, lane, 4)
  const float* bias = nullptr;         // null: none
  Activation f;
  ChunkMap y;
  AnyMap residual;
  bool has_residual = false;
  ChannelMeans means;

  __host__ __device__ int first_channel(int tile) const {
    return g.groups == 1 ? 0 : tile * 8 / g.group_out() * g.group_in();
  }
  __device__ int tap_offset(int tap) const {  // what fills up the last step reads tap 0 and counts for nothing
    if (tap >= taps) tap = 0;
    const int a = kernel_w.quotient(tap), b = tap - a * g.kw;
    return a * g.dilation_h * row_pitch + b * g.dilation_w * pixel_pitch;
  }
};

// Two neighbouring halves as the product takes them.
__device__ inline unsigned pair_at(const __half* p) {
  const Vec<__half, 2> pair = load_vec<2>(p);
  unsigned bits;
  memcpy(&bits, &pair, 4);
  return bits;
}

// sums += the product of a warp. tile: at the warp's first pixel, and the first channel of each group of `Shared`
// column tiles that see the same channels.
template <int Depth, int Shared>
__device__ inline void multiply_taps(const TapsConv& conv, const __half* const (&tile)[kColumnTiles / Shared], int unit,
                                     int live, Accumulator (&sums)[kFragments][kColumnTiles]) {
  const int lane = lane_id(), pair = lane % 4 * 2;
  const int pixel = lane / 4 * conv.g.stride_w * conv.pixel_pitch, next_row = conv.g.stride_h * conv.row_pitch;
  const __half* weight = conv.weight + (std::int64_t{unit} * conv.steps * kColumnTiles * kWarpSize + lane) * 4;
#pragma unroll 1
  for (int step = 0; step < conv.steps; ++step) {
    const int low = step * 16 + pair, high = low + 8;
    const int at_low = pixel + conv.tap_offset(low / Depth) + low % Depth;
    const int at_high = pixel + conv.tap_offset(high / Depth) + high % Depth;
#pragma unroll
    for (int q = 0; q < kColumnTiles / Shared; ++q) {
      if (q * Shared >= live) break;
      unsigned b[Shared][2];
#pragma unroll
      for (int r = 0; r < Shared; ++r) {
        const Vec<__half, 4> w = load_vec_readonly<4>(weight + (step * kColumnTiles + q * Shared + r) * kWarpSize * 4);
        memcpy(b[r], &w, 8);
      }
#pragma unroll
      for (int m = 0; m < kFragments; ++m) {
        const __half* const row = tile[q] + 2 * m * next_row;
        const unsigned a[4] = {pair_at(row + at_low), pair_at(row + next_row + at_low), pair_at(row + at_high),
                               pair_at(row + next_row + at_high)};
#pragma unroll
        for (int r = 0; r < Shared; ++r) mma_m16n8k16(sums[m][q * Shared + r].c, a, b[r], sums[m][q * Shared + r].c);
      }
    }
  }
}

// Four lanes hold two channels each of four column tiles; afterwards each holds all eight channels of one.
__device__ inline void gather_channels(unsigned (&pairs)[kColumnTiles]) {
  const int lane = lane_id();
#pragma unroll
  for (int bit = 1; bit <= 2; bit *= 2) {
    const bool upper = lane & bit;
#pragma unroll
    for (int q = 0; q < kColumnTiles; ++q) {
      if (q & bit) continue;
      const unsigned got = shuffle_xor(upper ? pairs[q] : pairs[q + bit], bit);
      upper ? pairs[q] = got : pairs[q + bit] = got;
    }
  }
}

// y = act(sums + bias + residual) of a warp's pixels from (i0, j0) on. To `stored`, channel 8 q + s of this lane at
// 2 q + s, it adds what is stored.
__device__ inline void finish_taps(const TapsConv& conv, Accumulator (&sums)[kFragments][kColumnTiles], int n, int unit,
                                   int i0, int j0, float (&stored)[kColumnTiles * 2]) {
  const ConvGeometry& g = conv.g;
  const int j = j0 + lane_id() / 4, first = unit * kUnit + Accumulator::column();  // channel first + 8 q + s
  const bool wide = conv.y.dtype == DType::f16 && !conv.y.loose;
  float bias[kColumnTiles * 2];
#pragma unroll
  for (int q = 0; q < kColumnTiles; ++q)
#pragma unroll
    for (int s = 0; s < 2; ++s)
      bias[2 * q + s] = conv.bias && first + 8 * q + s < g.o ? conv.bias[first + 8 * q + s] : 0;
#pragma unroll
  for (int m = 0; m < kFragments; ++m)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int i = i0 + 2 * m + half;
      const bool inside = i < g.oh && j < g.ow;
      float v[kColumnTiles * 2];
#pragma unroll
      for (int q = 0; q < kColumnTiles; ++q)
#pragma unroll
        for (int s = 0; s < 2; ++s) {
          const int o = first + 8 * q + s;
          v[2 * q + s] = sums[m][q].c[2 * half + s] + bias[2 * q + s];
          if (conv.has_residual && inside && o < g.o) v[2 * q + s] += conv.residual.load(n, o, i, j);
        }
      apply(conv.f, v);
      if (inside) {
#pragma unroll
        for (int k = 0; k < kColumnTiles * 2; ++k) stored[k] += v[k];
      }
      unsigned pairs[kColumnTiles];
#pragma unroll
      for (int q = 0; q < kColumnTiles; ++q) {
        const int o = first + 8 * q;
        pairs[q] = pack_halves(o < g.o ? v[2 * q] : 0, o + 1 < g.o ? v[2 * q + 1] : 0);
#pragma unroll
        for (int s = 0; s < 2; ++s)
          if (!wide && inside && o + s < g.o) conv.y.store(n, o + s, i, j, v[2 * q + s]);
      }
      if (!wide) continue;  // of all lanes
      gather_channels(pairs);
      __syncwarp();  // the residual that other lanes have read may be where this one writes
      const int o = unit * kUnit + lane_id() % 4 * 8;
      if (!inside || o >= g.o) continue;
      Vec<__half, 8> channels;
      memcpy(static_cast<void*>(&channels), pairs, 16);
      store_vec(reinterpret_cast<__half*>(conv.y.bytes.data) + conv.y.index(n, o, i, j), channels);
    }
}

// The means of what the warps stored: warps side by side made the same channels.
__device__ inline void finish_means_of_taps(const TapsConv& conv, float (&stored)[kColumnTiles * 2], int n,
                                            float* shared) {
  const int columns = conv.units_of_block * kUnit;
  float* const to = shared + warp_id() / conv.units_of_block * columns + warp_id() % conv.units_of_block * kUnit;
#pragma unroll
  for (int k = 0; k < kColumnTiles * 2; ++k) {
#pragma unroll
    for (int bits = 4; bits < kWarpSize; bits *= 2) stored[k] += shuffle_xor(stored[k], bits);
  }
  __syncthreads();  // nobody reads the tile any more
  if (lane_id() < 4) {
#pragma unroll
    for (int k = 0; k < kColumnTiles * 2; ++k) to[Accumulator::column() + k / 2 * 8 + k % 2] = stored[k];
  }
  finish_means<kTapsThreads, 8>(conv.means, n, static_cast<int>(blockIdx.x), static_cast<int>(blockIdx.y),
                                kTapsWarps / conv.units_of_block, shared);
}

// Load fills the tile: load(conv, tile, n, row, column, channel), the coordinates of its first pixel in the map before
// padding and its first channel.
template <int Depth, int Shared, class Load>
__global__ void __launch_bounds__(kTapsThreads, 3)
    conv_taps_kernel(const __grid_constant__ TapsConv conv, const __grid_constant__ Load load) {
  GPU_DYNAMIC_SHARED(bytes);
  __half* const tile = reinterpret_cast<__half*>(bytes);
  const int tile_row = conv.tiles_w.quotient(static_cast<int>(blockIdx.x));
  const int tile_column = static_cast<int>(blockIdx.x) - tile_row * conv.tiles_w.divisor;
  const int n = static_cast<int>(blockIdx.z), first_unit = static_cast<int>(blockIdx.y) * conv.units_of_block;
  const int beside = kTapsWarps / conv.units_of_block;  // warps side by side, with the same channels
  const int i0 = tile_row * kTileSide, j0 = tile_column * kTileSide * beside;
  const int first_channel = conv.first_channel(first_unit * kColumnTiles);
  load(conv, tile, n, i0 * conv.g.stride_h - conv.g.top, j0 * conv.g.stride_w - conv.g.left, first_channel);
  __syncthreads();

  const int unit = first_unit + warp_id() % conv.units_of_block;
  const int column = warp_id() / conv.units_of_block * kTileSide;  // of the warp's outputs in the block's
  const bool idle = unit >= conv.units || j0 + column >= conv.g.ow;
  if (idle && conv.means.slots == 0) return;  // whole warps; no barrier follows
  float stored[kColumnTiles * 2] = {};
  const int live = (conv.g.o - unit * kUnit + 7) / 8;
  const __half* at[kColumnTiles / Shared];
#pragma unroll
  for (int q = 0; q < kColumnTiles / Shared; ++q)
    at[q] = tile + column * conv.g.stride_w * conv.pixel_pitch - first_channel +
            conv.first_channel(unit * kColumnTiles + q * Shared);
  if (!idle) {
    Accumulator sums[kFragments][kColumnTiles];
    multiply_taps<Depth, Shared>(conv, at, unit, live, sums);
    finish_taps(conv, sums, n, unit, i0, j0 + column, stored);
  }
  if (conv.means.slots > 0) finish_means_of_taps(conv, stored, n, reinterpret_cast<float*>(bytes));
}

// ---- the launcher's part: conv_taps.cu

// The geometry, with tiles of so many channels; 0 channels beside each other where the tile has no more.
TapsConv taps_conv(const ConvTask& task, int depth, int tile_channels, int pixel_pitch);
int taps_shared_bytes(const TapsConv& conv);
LaunchShape taps_launch(const TapsConv& conv, int images);
// Weights in lane order.
std::shared_ptr<const __half> taps_weight(const ConvTask& task, const TapsConv& conv, int depth);

// step.run for a kernel and a `bind` that makes its Load of a run's arguments.
template <class Load, class Bind>
void run_taps(const ConvTask& task, Step& step, TapsConv conv, int depth, void (*kernel)(TapsConv, Load), Bind bind) {
  const auto weight = taps_weight(task, conv, depth);
  const auto bias = task.bias();
  conv.weight = weight.get(), conv.bias = bias.get();
  LaunchShape shape = taps_launch(conv, static_cast<int>(task.io.out.desc.n()));
  if (task.op.mean) shape.shared_bytes = std::max(shape.shared_bytes, std::size_t{kTapsThreads * 8 * 4});
  const MeansOfStep means(task, step, static_cast<int>(shape.grid.x), static_cast<int>(shape.grid.y),
                          conv.units_of_block * kUnit, kTapsThreads * 8);
  step.run = [=, y = task.io.out,
              residual = task.role.residual ? *task.role.residual : Operand{}](const RunArgs& args) {
    TapsConv now = conv;
    (void)weight, (void)bias;  // kept for as long as the step is
    now.y = ChunkMap(y.desc, args.data[y.id], 8);
    if (conv.has_residual) now.residual = AnyMap(residual.desc, args.data[residual.id]);
    now.means = means.at(args);
    launch(kernel, shape, static_cast<cudaStream_t>(args.stream), now, bind(args));
  };
}

}  // namespace fathom::gpu
