// Conv2d over at most 8 input channels in float32, without tensor cores.
//   y(n, o, i, j) = act(bias(o) + sum over taps (a, b) and channels c of w(o, c, a, b) x(n, c, i', j') + residual)
//
// A block fills a tile of the input with its halo in shared memory. One thread makes 8 output channels of 8
// neighbouring pixels of a row: of 8 inputs and 8 weights come 64 products. Neighbouring threads make neighbouring
// channels; they read the same inputs, and the weights come through the read-only cache. Sums in float32: rows,
// columns, channels.
#include "channel_means.cuh"
#include "chunks.cuh"
#include "conv_few.cuh"

namespace fathom::gpu {

namespace {

constexpr int kThreads = 128;
constexpr int kPixels = 8, kChannels = 8;  // of a thread
constexpr int kTileWidth = 2 * kPixels;    // of a block

struct FewConv {
  ConvGeometry g;
  int beside = 1;             // threads that share pixels: 2, 4 or 8
  int rows = 1, columns = 1;  // of the input tile
  Divisor width, tiles_w;     // of the input tile; tiles of a row
  int padded_o = 8;
  const float* weight = nullptr;  // (taps, C, padded O)
  const float* bias = nullptr;    // (padded O)
  Activation f;
  ChunkMap y, residual;
  bool has_residual = false;
  ChannelMeans means;

  __host__ __device__ int tile_height() const { return kThreads / beside / 2; }
};

// sum[p] += x w over all taps; x: the tile at the thread's first pixel, w: at its first channel.
__device__ inline void multiply(const FewConv& conv, const float* x, const float* w,
                                Vec<float, kChannels> (&sum)[kPixels]) {
  const ConvGeometry& g = conv.g;
  const int pixel = g.stride_w * g.c;
  for (int a = 0; a < g.kh; ++a)
    for (int b = 0; b < g.kw; ++b) {
      const float* from = x + (a * g.dilation_h * conv.columns + b * g.dilation_w) * g.c;
#pragma unroll 1
      for (int c = 0; c < g.c; ++c, w += conv.padded_o) {
        const Vec<float, kChannels> weight = load_vec_readonly<kChannels>(w);
#pragma unroll
        for (int p = 0; p < kPixels; ++p) {
          const float value = from[p * pixel + c];
#pragma unroll
          for (int v = 0; v < kChannels; ++v) sum[p][v] += value * weight[v];
        }
      }
    }
}

// A thread's outputs, from pixel (i, j) on. `x`: the tile at the first of them; `stored`: the sum of what is stored.
__device__ inline void make(const FewConv& conv, const float* x, int n, int o, int i, int j,
                            Vec<float, kChannels>& stored) {
  Vec<float, kChannels> sum[kPixels];
#pragma unroll
  for (int p = 0; p < kPixels; ++p) sum[p] = load_vec_readonly<kChannels>(conv.bias + o);
  multiply(conv, x, conv.weight + o, sum);
#pragma unroll
  for (int p = 0; p < kPixels; ++p) {
    if (j + p >= conv.g.ow) continue;
    const Chunk at{n, o, i, j + p};
    if (conv.has_residual) {
      const Vec<float, kChannels> add = conv.residual.load_chunk<kChannels>(at);
#pragma unroll
      for (int v = 0; v < kChannels; ++v) sum[p][v] += add[v];
    }
    apply(conv.f, sum[p].v);
#pragma unroll
    for (int v = 0; v < kChannels; ++v) stored[v] += sum[p][v];
    conv.y.store_chunk<kChannels>(at, sum[p]);
  }
}

__global__ void __launch_bounds__(kThreads, 4)
    conv_few_direct_kernel(const __grid_constant__ FewConv conv, const __grid_constant__ FewSources sources) {
  GPU_DYNAMIC_SHARED(bytes);
  float* const tile = reinterpret_cast<float*>(bytes);
  const ConvGeometry& g = conv.g;
  const int tile_row = conv.tiles_w.quotient(static_cast<int>(blockIdx.x));
  const int i0 = tile_row * conv.tile_height();
  const int j0 = (static_cast<int>(blockIdx.x) - tile_row * conv.tiles_w.divisor) * kTileWidth;
  const int n = static_cast<int>(blockIdx.z);
  for (int pixel = static_cast<int>(threadIdx.x); pixel < conv.rows * conv.columns; pixel += kThreads) {
    const int r = conv.width.quotient(pixel);
    for (int c = 0; c < g.c; ++c) tile[pixel * g.c + c] = 0;
    sources.load(tile + pixel * g.c, n, i0 * g.stride_h - g.top + r,
                 j0 * g.stride_w - g.left + pixel - r * conv.columns);
  }
  __syncthreads();

  const int thread = static_cast<int>(threadIdx.x), channels = thread & (conv.beside - 1), place = thread / conv.beside;
  const int o = (static_cast<int>(blockIdx.y) * conv.beside + channels) * kChannels;
  const int i = place / 2, j = place % 2 * kPixels;  // in the tile
  const bool idle = o >= conv.padded_o || i0 + i >= g.oh || j0 + j >= g.ow;
  if (idle && conv.means.slots == 0) return;
  Vec<float, kChannels> stored{};  // the sum over pixels
  if (!idle) make(conv, tile + (i * g.stride_h * conv.columns + j * g.stride_w) * g.c, n, o, i0 + i, j0 + j, stored);
  if (conv.means.slots == 0) return;
  __syncthreads();  // nobody reads the tile any more
  store_vec(tile + thread * kChannels, stored);
  finish_means<kThreads, kChannels>(conv.means, n, static_cast<int>(blockIdx.x), static_cast<int>(blockIdx.y),
                                    kThreads / conv.beside, tile);
}

FewConv few_conv(const ConvTask& task) {
  const ConvGeometry& g = task.geometry;
  FewConv conv{.g = g};
  conv.padded_o = (g.o + kChannels - 1) / kChannels * kChannels;
  for (conv.beside = 2; conv.beside < 8 && conv.beside * kChannels < g.o;) conv.beside *= 2;
  conv.rows = (conv.tile_height() - 1) * g.stride_h + (g.kh - 1) * g.dilation_h + 1;
  conv.columns = (kTileWidth - 1) * g.stride_w + (g.kw - 1) * g.dilation_w + 1;
  conv.width = Divisor(conv.columns), conv.tiles_w = Divisor((g.ow + kTileWidth - 1) / kTileWidth);
  conv.f = task.op.activation, conv.has_residual = task.role.residual;
  return conv;
}

int shared_bytes(const FewConv& conv) { return conv.rows * conv.columns * conv.g.c * 4; }

}  // namespace

std::string fits_few_direct(const ConvTask& task) {
  if (const std::string reason = not_few(task); !reason.empty()) return reason;
  if (shared_bytes(few_conv(task)) > 48 * 1024) return "its tile is beyond shared memory";
  return {};
}

void build_few_direct(const ConvTask& task, Step& step) {
  const FewConv conv = few_conv(task);
  const int height = conv.tile_height(), block_channels = conv.beside * kChannels;
  LaunchShape shape{.grid = dim3(static_cast<unsigned>(conv.tiles_w.divisor * ((conv.g.oh + height - 1) / height)),
                                 static_cast<unsigned>((conv.padded_o + block_channels - 1) / block_channels),
                                 static_cast<unsigned>(task.io.out.desc.n())),
                    .block = kThreads,
                    .shared_bytes = static_cast<std::size_t>(shared_bytes(conv))};
  if (task.op.mean) shape.shared_bytes = std::max(shape.shared_bytes, std::size_t{kThreads * kChannels * 4});
  const MeansOfStep means(task, step, static_cast<int>(shape.grid.x), static_cast<int>(shape.grid.y), block_channels,
                          kThreads * kChannels);
  step.run = [=, weight = task.weight_by_taps(conv.padded_o), bias = task.bias(conv.padded_o),
              operands = ConvOperands(task), y = task.io.out,
              residual = task.role.residual ? *task.role.residual : Operand{}](const RunArgs& args) {
    FewConv now = conv;
    now.weight = weight.get(), now.bias = bias.get();
    now.y = ChunkMap(y.desc, args.data[y.id], kChannels);
    if (conv.has_residual) now.residual = ChunkMap(residual.desc, args.data[residual.id], kChannels);
    now.means = means.at(args);
    launch(conv_few_direct_kernel, shape, static_cast<cudaStream_t>(args.stream), now, FewSources(operands.at(args)));
  };
}

}  // namespace fathom::gpu
