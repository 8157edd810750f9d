// An inverted residual block in halves, its wide maps never stored:
//
//   y = act(project(depth_activation(depthwise(pad(expand_activation(expand x + b1)), w) + b2)) + b3 (+ x))
//
// A block of 4 warps makes a tile of 8 x 8 outputs of one image. What the tile sees of x, halo and all, is loaded once.
// Then the wide channels follow in chunks of 32: expanded on tensor cores for the tile and its halo, into shared
// memory; made narrow by the depthwise convolution, 8 channels of 2 outputs a thread, into shared memory again; and
// multiplied by the chunk's rows of the projection, whose sums (16 outputs a warp) stay in registers until the last
// chunk. Where there are few tiles, the grid's second axis shares out a tile's chunks among blocks; the one that comes
// last adds up their sums in their order. The weights of the next chunk are copied meanwhile. Halves where maps are in
// shared memory, as the unfused convolutions would store them; all sums in float32.
//
// Shared memory: x | expanded chunk | chunk after the depthwise convolution | two chunks' weights | sums for means
#include <algorithm>

#include "channel_means.cuh"
#include "conv_core.cuh"
#include "divisor.cuh"
#include "kernels.hpp"
#include "kernels/in_parts.hpp"

namespace fathom {

namespace gpu {

constexpr int kTile = 8, kOutputs = kTile * kTile;  // of a block
constexpr int kThreads = 128, kWarps = kThreads / kWarpSize;
constexpr int kWide = 32;      // channels of a chunk
constexpr int kMostParts = 6;  // of a tile's chunks, where their sums must be brought together
static_assert(kOutputs == 16 * kWarps && kWarpSize / (kWide / 8) * 2 == 16);

// Planes of 16 channels, as conv_core.cuh has them, with a gap after each that puts neighbours into other banks.
__host__ __device__ constexpr int plane_bytes(int rows) { return rows * kStepBytes + 32; }

// The pixels under a tile, and their rows in a plane.
template <int K, int Stride>
struct Under {
  static constexpr int kSide = (kTile - 1) * Stride + K, kPixels = kSide * kSide;
  static constexpr int kRows = (kPixels + 15) / 16 * 16;
  static constexpr int kPlane = plane_bytes(kRows);
};

// One chunk's weights, as they stand in shared memory: the expansion's (planes of x, 32 wide channels, 16 of x), the
// projection's (2 planes, outputs, 16 wide channels), the depthwise ones (taps, 32) in halves, then both biases in
// floats.
struct ChunkWeights {
  int project = 0, depthwise = 0, biases = 0, bytes = 0;  // where each begins; the first at 0

  ChunkWeights() = default;
  ChunkWeights(int expanded_planes, int outputs, int taps)
      : project(expanded_planes * kWide * kStepBytes),
        depthwise(project + 2 * outputs * kStepBytes),
        biases(depthwise + taps * kWide * 2),
        bytes(biases + 2 * kWide * 4) {}
};

struct InvertedMaps {
  View<const __half, 4> x;
  View<__half, 4> y;
  bool expand = true, residual = false;
  int planes = 0, x_stored = 0;  // of x
  Divisor x_chunks;              // eights of a pixel in shared memory: two in a plane
  int wide = 0, chunks = 0, y_stored = 0;
  int top = 0, left = 0;
  Divisor tiles_w;
  ChunkWeights layout;
  int expanded_at = 0, narrow_at = 0, weights_at = 0, means_at = 0;  // in shared memory
  const unsigned char* weights = nullptr;              // (chunks, bytes of one)
  const float* project_bias = nullptr;                 // as many as the product has columns
  float* partial = nullptr;                            // sums by block, then as its threads hold them
  unsigned* counters = nullptr;                        // by tile
  Activation expand_activation, depth_activation, activation;
  ChannelMeans means;  // of y, by chunk or, where there is a projection, of all columns at once
};

// The tile of a block, and which pixel of x lies in which row.
template <int K, int Stride>
struct InvertedPlace {
  using Pixels = Under<K, Stride>;
  int n, first_h, first_w, x_h, x_w;  // the first output, and the first pixel under it

  __device__ explicit InvertedPlace(const InvertedMaps& maps) {
    const int tile = static_cast<int>(blockIdx.x), row = maps.tiles_w.quotient(tile);
    n = static_cast<int>(blockIdx.z);
    first_h = row * kTile, first_w = (tile - row * maps.tiles_w.divisor) * kTile;
    x_h = first_h * Stride - maps.top, x_w = first_w * Stride - maps.left;
  }
  __device__ bool inside(const InvertedMaps& maps, int row) const {
    const int h = x_h + row / Pixels::kSide, w = x_w + row % Pixels::kSide;
    return row < Pixels::kPixels && h >= 0 && h < maps.x.extent[2] && w >= 0 && w < maps.x.extent[3];
  }
};

template <int K, int Stride>
__device__ inline void load_pixels(const InvertedMaps& maps, const InvertedPlace<K, Stride>& at, unsigned char* to) {
  using Pixels = Under<K, Stride>;
  const int chunks = maps.x_chunks.divisor;
  for (int i = static_cast<int>(threadIdx.x); i < Pixels::kRows * chunks; i += kThreads) {
    const int row = maps.x_chunks.quotient(i), chunk = i - row * chunks;
    const bool there = at.inside(maps, row) && chunk * 8 < maps.x_stored;
    const __half* from =
        there ? &maps.x(at.n, chunk * 8, at.x_h + row / Pixels::kSide, at.x_w + row % Pixels::kSide) : maps.x.data;
    cp_async<16>(to + chunk / 2 * Pixels::kPlane + chunk_place(row, chunk % 2), from, there ? 16 : 0);
  }
}

__device__ inline void load_chunk_weights(const InvertedMaps& maps, int chunk, unsigned char* to) {
  const unsigned char* const from = maps.weights + static_cast<std::int64_t>(chunk) * maps.layout.bytes;
  for (int i = static_cast<int>(threadIdx.x) * 16; i < maps.layout.bytes; i += kThreads * 16)
    cp_async<16>(to + i, from + i);
}

// expanded = expand_activation(expand x + b1), zeros where the depthwise convolution pads.
template <int K, int Stride>
__device__ inline void expand(const InvertedMaps& maps, const InvertedPlace<K, Stride>& at, const unsigned char* x,
                              const unsigned char* weights, unsigned char* expanded) {
  using Pixels = Under<K, Stride>;
  const float* const bias = reinterpret_cast<const float*>(weights + maps.layout.biases);
  for (int first = warp_id() * 16; first < Pixels::kRows; first += kWarps * 16) {
    Accumulator sum[kWide / 8];
    for (int p = 0; p < maps.planes; ++p) {
      FragmentA a;
      ldmatrix(a.r, x + p * Pixels::kPlane + chunk_place(first + lane_id() % 16, lane_id() / 16));
#pragma unroll
      for (int j = 0; j < kWide / 8; j += 2) {
        unsigned r[4];
        ldmatrix(r, weights + p * kWide * kStepBytes +
                        chunk_place(8 * j + lane_id() % 8 + lane_id() / 16 * 8, lane_id() / 8 % 2));
        sum[j].add_product(a, {{r[0], r[1]}});
        sum[j + 1].add_product(a, {{r[2], r[3]}});
      }
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = first + Accumulator::row(half);
      const bool inside = at.inside(maps, row);
      float v[kWide / 4];
#pragma unroll
      for (int j = 0; j < kWide / 8; ++j) {
        v[2 * j] = sum[j].first(half) + bias[8 * j + Accumulator::column()];
        v[2 * j + 1] = sum[j].second(half) + bias[8 * j + Accumulator::column() + 1];
      }
      apply(maps.expand_activation, v);
#pragma unroll
      for (int j = 0; j < kWide / 8; ++j)
        *reinterpret_cast<unsigned*>(expanded + j / 2 * Pixels::kPlane + chunk_place(row, j % 2) +
                                     Accumulator::column() * 2) = inside ? pack_halves(v[2 * j], v[2 * j + 1]) : 0;
    }
  }
}

// What a thread makes of a chunk after the depthwise convolution: 8 channels of two neighbouring outputs of the tile.
struct DepthwiseItem {
  int c, row, column;

  __device__ DepthwiseItem() {
    const int thread = static_cast<int>(threadIdx.x), pair = thread / (kWide / 8);
    c = thread % (kWide / 8) * 8, row = pair / (kTile / 2), column = pair % (kTile / 2) * 2;
  }
};

// sum = depth_activation(depthwise(expanded) + b2)
template <int K, int Stride>
__device__ inline void convolve(const InvertedMaps& maps, const DepthwiseItem& item, const unsigned char* expanded,
                                const unsigned char* weights, Vec<float, 8> (&sum)[2]) {
  using Pixels = Under<K, Stride>;
  constexpr int kColumns = Stride + K;  // under both outputs
  const __half* const w = reinterpret_cast<const __half*>(weights + maps.layout.depthwise) + item.c;
  const Vec<float, 8> bias = load_vec<8>(reinterpret_cast<const float*>(weights + maps.layout.biases) + kWide + item.c);
  sum[0] = sum[1] = bias;
  const unsigned char* const plane = expanded + item.c / 16 * Pixels::kPlane;
#pragma unroll 1
  for (int a = 0; a < K; ++a) {
    const int first = (item.row * Stride + a) * Pixels::kSide + item.column * Stride;
    Vec<__half, 8> under[kColumns];
#pragma unroll
    for (int k = 0; k < kColumns; ++k)
      under[k] = load_vec<8>(reinterpret_cast<const __half*>(plane + chunk_place(first + k, item.c / 8 % 2)));
#pragma unroll
    for (int b = 0; b < K; ++b) {
      const Vec<float, 8> tap = to_float(load_vec<8>(w + (a * K + b) * kWide));
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const Vec<float, 8> value = to_float(under[r * Stride + b]);
#pragma unroll
        for (int v = 0; v < 8; ++v) sum[r][v] += value[v] * tap[v];
      }
    }
  }
#pragma unroll
  for (int r = 0; r < 2; ++r) apply(maps.depth_activation, sum[r].v);
}

// Without a projection these are the outputs, whose sum over pixels goes to `stored`.
template <int K, int Stride>
__device__ inline void store_narrow(const InvertedMaps& maps, const InvertedPlace<K, Stride>& at,
                                    const DepthwiseItem& item, int chunk, Vec<float, 8> (&sum)[2],
                                    Vec<float, 8>& stored) {
  const int c = chunk * kWide + item.c, i = at.first_h + item.row;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int j = at.first_w + item.column + r;
    if (c >= maps.y_stored || i >= maps.y.extent[2] || j >= maps.y.extent[3]) continue;
#pragma unroll
    for (int v = 0; v < 8; ++v)
      if (c + v >= maps.wide) sum[r][v] = 0;  // the padding stays zero, whatever the activation of 0 is
    store_vec(&maps.y(at.n, c, i, j), from_float<__half>(sum[r]));
#pragma unroll
    for (int v = 0; v < 8; ++v) stored[v] += sum[r][v];
  }
}

// sum += a chunk of the projection, 16 outputs a warp.
template <int N>
__device__ inline void project(const unsigned char* narrow, const unsigned char* weights, Accumulator (&sum)[N / 8]) {
#pragma unroll
  for (int p = 0; p < kWide / 16; ++p) {
    FragmentA a;
    ldmatrix(a.r, narrow + p * plane_bytes(kOutputs) + chunk_place(warp_id() * 16 + lane_id() % 16, lane_id() / 16));
#pragma unroll
    for (int j = 0; j < N / 8; j += 2) {
      unsigned r[4];
      ldmatrix(
          r, weights + p * N * kStepBytes + chunk_place(8 * j + lane_id() % 8 + lane_id() / 16 * 8, lane_id() / 8 % 2));
      sum[j].add_product(a, {{r[0], r[1]}});
      sum[j + 1].add_product(a, {{r[2], r[3]}});
    }
  }
}

// The sum of all parts of a tile's chunks, in the block that comes here last; false in the others.
template <int N>
__device__ inline bool add_parts(const InvertedMaps& maps, Accumulator (&sum)[N / 8]) {
  const int parts = static_cast<int>(gridDim.y), tile = static_cast<int>(blockIdx.z * gridDim.x + blockIdx.x);
  if (parts == 1) return true;
  const auto place = [&](int part, int k) {
    return maps.partial + (std::int64_t{tile} * parts + part) * (kOutputs * N) +
           (k * kThreads + static_cast<int>(threadIdx.x)) * 4;
  };
#pragma unroll
  for (int k = 0; k < N / 8; ++k)
    store_vec(place(static_cast<int>(blockIdx.y), k),
              Vec<float, 4>{sum[k].c[0], sum[k].c[1], sum[k].c[2], sum[k].c[3]});
  if (!last_block(maps.counters + tile, static_cast<unsigned>(parts))) return false;
#pragma unroll
  for (int k = 0; k < N / 8; ++k) sum[k] = {};
  for (int part = 0; part < parts; ++part) {
#pragma unroll
    for (int k = 0; k < N / 8; ++k) {
      const Vec<float, 4> v = load_vec<4>(place(part, k));
#pragma unroll
      for (int i = 0; i < 4; ++i) sum[k].c[i] += v[i];
    }
  }
  return true;
}

// y = act(sum + b3 (+ x)), two channels at a time. What is stored takes the sums' place, with zeros for what is not.
template <int K, int Stride, int N>
__device__ inline void store_projected(const InvertedMaps& maps, const InvertedPlace<K, Stride>& at,
                                       Accumulator (&sum)[N / 8]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int output = warp_id() * 16 + Accumulator::row(half);
    const int i = at.first_h + output / kTile, j = at.first_w + output % kTile;
    const bool inside = i < maps.y.extent[2] && j < maps.y.extent[3];
#pragma unroll
    for (int k = 0; k < N / 8; ++k) {
      const int o = 8 * k + Accumulator::column();
      float v[2] = {sum[k].first(half) + maps.project_bias[o], sum[k].second(half) + maps.project_bias[o + 1]};
      sum[k].c[2 * half] = sum[k].c[2 * half + 1] = 0;
      if (!inside || o >= maps.y_stored) continue;
      if (maps.residual) {
        const Vec<float, 2> x = to_float(load_vec_readonly<2>(&maps.x(at.n, o, i, j)));
        v[0] += x[0], v[1] += x[1];
      }
      apply(maps.activation, v);
      Vec<__half, 2> halves;
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        sum[k].c[2 * half + c] = o + c < maps.y.extent[1] ? v[c] : 0;
        halves[c] = from_float<__half>(sum[k].c[2 * half + c]);
      }
      store_vec(&maps.y(at.n, o, i, j), halves);
    }
  }
}

// The means of what store_projected has left: a warp's 16 outputs first.
template <int N>
__device__ inline void finish_means_of_projected(const ChannelMeans& means, int n, const Accumulator (&stored)[N / 8],
                                                 float* shared) {
#pragma unroll
  for (int k = 0; k < N / 8; ++k)
#pragma unroll
    for (int s = 0; s < 2; ++s) {
      float sum = stored[k].c[s] + stored[k].c[2 + s];
#pragma unroll
      for (int bits = 4; bits < kWarpSize; bits *= 2) sum += shuffle_xor(sum, bits);
      if (lane_id() < 4) shared[warp_id() * N + 8 * k + Accumulator::column() + s] = sum;
    }
  finish_means<kThreads, 8>(means, n, static_cast<int>(blockIdx.x), 0, kWarps, shared);
}

// N: columns of the projection; 0: there is none.
template <int K, int Stride, int N>
__global__ void __launch_bounds__(kThreads, N <= 64 ? 4 : 3)
    inverted_residual_kernel(const __grid_constant__ InvertedMaps maps) {
  using Pixels = Under<K, Stride>;
  GPU_DYNAMIC_SHARED(shared);
  const InvertedPlace<K, Stride> at(maps);
  const DepthwiseItem item;
  unsigned char* const expanded = shared + maps.expanded_at;
  unsigned char* const narrow = shared + maps.narrow_at;
  float* const sums = reinterpret_cast<float*>(shared + maps.means_at);
  const int parts = static_cast<int>(gridDim.y), part = static_cast<int>(blockIdx.y);
  const int first = maps.chunks * part / parts, last = maps.chunks * (part + 1) / parts;

  load_pixels(maps, at, shared);
  load_chunk_weights(maps, first, shared + maps.weights_at);
  cp_async_commit();
  Accumulator projected[N / 8 + (N == 0)];
  for (int chunk = first; chunk < last; ++chunk) {
    const unsigned char* const weights = shared + maps.weights_at + (chunk - first) % 2 * maps.layout.bytes;
    cp_async_wait<0>();
    __syncthreads();  // this chunk's weights are there, and nobody is at the last chunk any more
    if (chunk + 1 < last)
      load_chunk_weights(maps, chunk + 1, shared + maps.weights_at + (chunk + 1 - first) % 2 * maps.layout.bytes);
    cp_async_commit();
    const unsigned char* wide = shared + chunk * 2 * Pixels::kPlane;  // of x itself
    if (maps.expand) {
      expand(maps, at, shared, weights, expanded);
      __syncthreads();  // the expanded chunk is there
      wide = expanded;
    }
    Vec<float, 8> sum[2];
    convolve<K, Stride>(maps, item, wide, weights, sum);
    if constexpr (N == 0) {
      Vec<float, 8> stored{};
      store_narrow(maps, at, item, chunk, sum, stored);
      if (maps.means.slots > 0) {
        constexpr int kPairs = kThreads / (kWide / 8);  // threads that share channels
        store_vec(sums + static_cast<int>(threadIdx.x) * 8, stored);
        finish_means<kThreads, 8>(maps.means, at.n, static_cast<int>(blockIdx.x), chunk, kPairs, sums);
      }
    } else {
#pragma unroll
      for (int r = 0; r < 2; ++r)
        store_vec(reinterpret_cast<__half*>(narrow + item.c / 16 * plane_bytes(kOutputs) +
                                            chunk_place(item.row * kTile + item.column + r, item.c / 8 % 2)),
                  from_float<__half>(sum[r]));
      __syncwarp();  // a warp projects the 16 outputs that it has convolved itself
      project<N>(narrow, weights + maps.layout.project, projected);
    }
  }
  if constexpr (N > 0) {
    if (!add_parts<N>(maps, projected)) return;
    store_projected<K, Stride, N>(maps, at, projected);
    if (maps.means.slots > 0) finish_means_of_projected<N>(maps.means, at.n, projected, sums);
  }
}

}  // namespace gpu

namespace {

using namespace gpu;

using InvertedKernel = void (*)(InvertedMaps);

template <int K, int Stride>
InvertedKernel kernel_for(int columns) {
  switch (columns) {
    case 0: return inverted_residual_kernel<K, Stride, 0>;
    case 32: return inverted_residual_kernel<K, Stride, 32>;
    case 64: return inverted_residual_kernel<K, Stride, 64>;
    default: return inverted_residual_kernel<K, Stride, 128>;
  }
}

int ceil_div(int x, int by) { return (x + by - 1) / by; }

// What a launch is made of.
struct InvertedPlan {
  std::string refused;  // why there is none
  InvertedMaps maps;
  InvertedKernel kernel = nullptr;
  LaunchShape shape;
  int columns = 0;  // of the projection
};

InvertedPlan plan_of(const InvertedResidual& op, const NodeIo& io, const CudaBackend& backend) {
  const auto role = op.inputs(io.inputs());
  const Desc &x = role.x.desc, &w = role.weight.desc, &y = io.out.desc;
  InvertedPlan plan;
  const auto refuse = [&](const std::string& why) {
    plan.refused = why;
    return plan;
  };
  const int k = static_cast<int>(w.extent[2]), stride = op.stride.h;
  if (x.dtype != DType::f16 || y.dtype != DType::f16) return refuse("it reads and writes halves");
  if (w.extent[2] != w.extent[3] || (k != 3 && k != 5)) return refuse("its kernel is 3x3 or 5x5");
  if (op.stride.h != op.stride.w || stride > 2) return refuse("its stride is 1 or 2");
  if (!is_wide(x, 8) || !is_wide(y, 8)) return refuse("pixels are no eights of channels");
  const int outputs = op.project ? static_cast<int>(y.c()) : 0;
  if (outputs > 128) return refuse("its projection has at most 128 channels");

  InvertedMaps& maps = plan.maps;
  plan.columns = outputs == 0 ? 0 : outputs <= 32 ? 32 : outputs <= 64 ? 64 : 128;
  maps.expand = op.expand, maps.residual = op.residual;
  maps.x_stored = stored_channels(x), maps.y_stored = stored_channels(y);
  maps.wide = static_cast<int>(w.extent[0]), maps.chunks = ceil_div(maps.wide, kWide);
  maps.planes = op.expand ? ceil_div(maps.x_stored, 16) : maps.chunks * 2;
  maps.x_chunks = Divisor(maps.planes * 2);
  maps.top = op.padding.top, maps.left = op.padding.left;
  const int tiles_w = ceil_div(static_cast<int>(y.w()), kTile),
            tiles = tiles_w * ceil_div(static_cast<int>(y.h()), kTile);
  maps.tiles_w = Divisor(tiles_w);
  maps.layout = ChunkWeights(op.expand ? maps.planes : 0, plan.columns, k * k);
  maps.expand_activation = op.expand_activation, maps.depth_activation = op.depth_activation;
  maps.activation = op.activation;
  const int plane = k == 3 ? (stride == 1 ? Under<3, 1>::kPlane : Under<3, 2>::kPlane)
                           : (stride == 1 ? Under<5, 1>::kPlane : Under<5, 2>::kPlane);
  maps.expanded_at = maps.planes * plane;
  maps.narrow_at = maps.expanded_at + (op.expand ? 2 * plane : 0);
  maps.weights_at = maps.narrow_at + (op.project ? 2 * plane_bytes(kOutputs) : 0);
  maps.means_at = maps.weights_at + 2 * maps.layout.bytes;
  plan.shape.shared_bytes = static_cast<std::size_t>(maps.means_at + (op.mean ? kThreads * 8 * 4 : 0));
  constexpr std::int64_t declared_bytes = 1024;  // by the kernel itself
  if (static_cast<std::int64_t>(plan.shape.shared_bytes) + declared_bytes > backend.gpu().shared_bytes)
    return refuse("what a tile sees of its input, " + std::to_string(plan.shape.shared_bytes) + " bytes, has no room");
  plan.kernel = k == 3 ? (stride == 1 ? kernel_for<3, 1>(plan.columns) : kernel_for<3, 2>(plan.columns))
                       : (stride == 1 ? kernel_for<5, 1>(plan.columns) : kernel_for<5, 2>(plan.columns));
  // Chunks of a tile are shared out among blocks until each multiprocessor has two; but to bring sums together takes
  // their time, too.
  const int whole = tiles * static_cast<int>(y.n());
  const int most = op.project ? std::min(maps.chunks, kMostParts) : maps.chunks;
  const int parts = std::clamp(ceil_div(2 * backend.gpu().multiprocessors, whole), 1, most);
  plan.shape.grid = dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(parts), static_cast<unsigned>(y.n()));
  plan.shape.block = kThreads;
  return plan;
}

// Along one axis, how many pixels of x all tiles see: those that two see are expanded twice.
std::int64_t seen(std::int64_t outputs, std::int64_t extent, int stride, int before, int kernel) {
  std::int64_t sum = 0;
  for (std::int64_t first = 0; first < outputs; first += kTile) {
    const std::int64_t begin = first * stride - before, end = begin + (kTile - 1) * stride + kernel;
    sum += std::max<std::int64_t>(0, std::min(end, extent) - std::max<std::int64_t>(begin, 0));
  }
  return sum;
}

// (chunks, bytes of one): see ChunkWeights.
std::shared_ptr<const void> packed_chunks(const InvertedResidual& op, const NodeIo& io, CudaBackend& backend,
                                          const InvertedPlan& plan) {
  const auto role = op.inputs(io.inputs());
  const InvertedMaps& maps = plan.maps;
  const ChunkWeights& layout = maps.layout;
  std::string key = role.weight.name + ", " + role.bias.name;
  for (const Operand* o : {role.expand_weight, role.expand_bias, role.project_weight})
    if (o) key += ", " + o->name;
  key += " in chunks of an inverted residual by " + std::to_string(plan.columns);
  return backend.packed(key, std::int64_t{maps.chunks} * layout.bytes, [&](std::byte* to) {
    std::memset(to, 0, static_cast<std::size_t>(maps.chunks) * static_cast<std::size_t>(layout.bytes));
    const auto depthwise = constant_values(role.weight), bias = constant_values(role.bias);
    const auto values = [](const Operand* o) { return o ? constant_values(*o) : nullptr; };
    const auto expand = values(role.expand_weight), expand_bias = values(role.expand_bias),
               project = values(role.project_weight);
    const int taps = static_cast<int>(role.weight.desc.extent[2] * role.weight.desc.extent[3]);
    const int inputs = static_cast<int>(role.x.desc.c()), outputs = op.project ? static_cast<int>(io.out.desc.c()) : 0;
    const auto put = [](std::byte* at, float value, const Operand& o) {
      const std::uint16_t half = checked_half(value, o);
      std::memcpy(at, &half, 2);
    };
    const auto in_step = [](int row, int c) { return chunk_place(row, c / 8) + c % 8 * 2; };
    for (int m = 0; m < maps.wide; ++m) {
      std::byte* const chunk = to + static_cast<std::ptrdiff_t>(m / kWide) * layout.bytes;
      const int row = m % kWide;
      for (int c = 0; expand && c < inputs; ++c)
        put(chunk + c / 16 * kWide * kStepBytes + in_step(row, c % 16), expand[m * inputs + c], *role.expand_weight);
      for (int o = 0; o < outputs; ++o)
        put(chunk + layout.project + row / 16 * plan.columns * kStepBytes + in_step(o, row % 16),
            project[std::int64_t{o} * maps.wide + m], *role.project_weight);
      for (int t = 0; t < taps; ++t)
        put(chunk + layout.depthwise + (t * kWide + row) * 2, depthwise[m * taps + t], role.weight);
      if (expand) std::memcpy(chunk + layout.biases + row * 4, &expand_bias[m], 4);
      std::memcpy(chunk + layout.biases + (kWide + row) * 4, &bias[m], 4);
    }
  });
}

}  // namespace

Step prepare(const InvertedResidual& op, const NodeIo& io, CudaBackend& backend) {
  const InvertedPlan plan = plan_of(op, io, backend);
  if (!plan.refused.empty()) {
    Step step = in_parts(op, io, backend, map_between(io));
    step.refused.push_back("inverted residual: " + plan.refused);
    return step;
  }
  Step step = describe(op, io);
  step.kernel =
      "inverted residual, " + std::to_string(plan.shape.grid.y) + (plan.shape.grid.y == 1 ? " part" : " parts");
  if (op.expand) {
    const Desc &in = io.in[0].desc, &out = io.out.desc;
    const int kernel = static_cast<int>(op.inputs(io.inputs()).weight.desc.extent[2]);
    const std::int64_t expanded = seen(out.h(), in.h(), op.stride.h, op.padding.top, kernel) *
                                  seen(out.w(), in.w(), op.stride.w, op.padding.left, kernel);
    step.flops += 2 * static_cast<double>((expanded - in.h() * in.w()) * in.n() * in.c() * plan.maps.wide);
  }
  const unsigned blocks = plan.shape.grid.x * plan.shape.grid.z;
  if (op.project && plan.shape.grid.y > 1) {
    step.workspace_bytes = std::int64_t{blocks} * plan.shape.grid.y * kOutputs * plan.columns * 4;
    step.counters = static_cast<int>(blocks);
  }
  const int tiles = static_cast<int>(plan.shape.grid.x), groups = op.project ? 1 : plan.maps.chunks;
  const MeansOfStep means(op, io, backend, step, tiles, groups, op.project ? plan.columns : kWide, kThreads * 8);
  const auto weights = packed_chunks(op, io, backend, plan);
  const Operand x = io.in[0], y = io.out, *bias = op.inputs(io.inputs()).project_bias;
  const auto project_bias = !bias
                                ? nullptr
                                : packed<float>(backend, *bias, "bias of " + std::to_string(plan.columns), plan.columns,
                                                [n = y.desc.c(), columns = plan.columns](const float* from, float* to) {
                                                  std::fill_n(std::copy_n(from, n, to), columns - n, 0.f);
                                                });
  step.run = [=](const RunArgs& args) {
    InvertedMaps now = plan.maps;
    now.x = map_view<const __half>(x.desc, args.data[x.id]), now.y = map_view<__half>(y.desc, args.data[y.id]);
    now.weights = static_cast<const unsigned char*>(weights.get()), now.project_bias = project_bias.get();
    now.partial = reinterpret_cast<float*>(args.workspace), now.counters = args.counters;
    now.means = means.at(args);
    launch(plan.kernel, plan.shape, static_cast<cudaStream_t>(args.stream), now);
  };
  return with_second_output(std::move(step), op, io, backend);
}

}  // namespace fathom
