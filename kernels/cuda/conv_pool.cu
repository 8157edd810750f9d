// A first convolution over at most 8 channels and the pooling of maxima behind it, in halves on tensor cores
// (conv_taps.cuh); the map between is never stored.
//   y = act(b + the largest conv(x) of each window of 3x3, 2 apart)
// as act, which never falls, and rounding to halves can as well come after the maximum.
//
// A block goes down a strip of the convolution, 8 rows a pass; what it sees of the sources is loaded once. The rows of a
// window lie in one lane's registers: each even row ends one window and begins the next, which may go on in the pass
// after. Of what a pass ends, 4 rows, three columns each are brought together through shared memory. Strips overlap by
// the column, and by the row, that windows of both see.
//
// Shared memory: maxima down the columns (row, 8 channels, column) | tile
#include "conv_few_taps.cuh"
#include "kernels/in_parts.hpp"

namespace fathom {

namespace gpu {

namespace {

constexpr int kEnded = kTileSide / 2;  // rows of windows that a pass ends
constexpr int kHalvesOfChunk = 8;

struct PooledTaps {
  TapsConv conv;          // its y is the pooled map
  int passes = 1;
  int top = 0, left = 0;  // the pool's padding

  // Chunks of 8 channels that a block makes, and columns of the convolution.
  __host__ __device__ int chunks() const { return kColumnTiles * conv.units_of_block; }
  __host__ __device__ int columns() const { return kTileSide * (kTapsWarps / conv.units_of_block); }
  // Of the pooled map.
  __host__ __device__ int rows_made() const { return kEnded * passes - 1; }
  __host__ __device__ int columns_made() const { return columns() / 2 - 1; }
  // Where a chunk of the maxima lies. A column more than there are puts neighbouring chunks into other banks.
  __host__ __device__ int place(int row, int chunk, int column) const {
    return ((row * chunks() + chunk) * (columns() + 1) + column) * kHalvesOfChunk;
  }
  __host__ __device__ int maxima_bytes() const { return place(kEnded, 0, 0) * 2; }
};

// Ends a window of each row pair: to `maxima`, at the warp's first chunk and column, the largest of three rows.
// `begun`: of the window that the pass before began; afterwards of the one that the next goes on with.
__device__ inline void fold_rows(const PooledTaps& pool, const Accumulator (&sums)[kFragments][kColumnTiles], int unit,
                                 int i0, int j, const float (&bias)[kColumnTiles * 2],
                                 float (&begun)[kColumnTiles * 2], __half* maxima) {
  const ConvGeometry& g = pool.conv.g;
  const int first = unit * kUnit + Accumulator::column();  // channel first + 8 q + s
#pragma unroll
  for (int m = 0; m < kFragments; ++m) {
    float ended[kColumnTiles * 2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int i = i0 + 2 * m + half;
      const bool inside = i >= 0 && i < g.oh && j >= 0 && j < g.ow;
#pragma unroll
      for (int k = 0; k < kColumnTiles * 2; ++k) {
        const float v = inside ? sums[m][k / 2].c[2 * half + k % 2] : -INFINITY;
        if (half == 0) ended[k] = larger(begun[k], v) + bias[k];
        begun[k] = half == 0 ? v : larger(begun[k], v);
      }
    }
    apply(pool.conv.f, ended);
    unsigned pairs[kColumnTiles];
#pragma unroll
    for (int q = 0; q < kColumnTiles; ++q) {
      const int o = first + 8 * q;
      pairs[q] = pack_halves(o < g.o ? ended[2 * q] : 0, o + 1 < g.o ? ended[2 * q + 1] : 0);
    }
    gather_channels(pairs);
    Vec<unsigned, 4> channels;
    memcpy(static_cast<void*>(&channels), pairs, sizeof channels);
    store_vec(reinterpret_cast<unsigned*>(maxima + pool.place(m, lane_id() % 4, lane_id() / 4)), channels);
  }
}

// Rows of maxima, one a warp, to rows of y: p0 is the first one's, of which those before `first` are another strip's.
__device__ inline void store_windows(const PooledTaps& pool, const __half* maxima, int n, int first_unit, int first,
                                     int p0, int q0) {
  static_assert(kTapsWarps == kEnded);
  const ChunkMap& y = pool.conv.y;
  const int p = p0 + warp_id();
  if (p < first || p >= y.bytes.extent[2]) return;
  for (int k = lane_id(); k < pool.columns_made() * pool.chunks(); k += kWarpSize) {
    const int chunk = k & (pool.chunks() - 1), column = k / pool.chunks();
    const int o = first_unit * kUnit + chunk * kHalvesOfChunk, q = q0 + column;
    if (o >= pool.conv.g.o || q >= y.bytes.extent[3]) continue;
    Vec<unsigned, 4> v{};
#pragma unroll
    for (int b = 0; b < 3; ++b) {
      const auto* const from = reinterpret_cast<const unsigned*>(maxima + pool.place(warp_id(), chunk, 2 * column + b));
      const Vec<unsigned, 4> x = load_vec<4>(from);
#pragma unroll
      for (int i = 0; i < 4; ++i) v[i] = b == 0 ? x[i] : larger_halves(v[i], x[i]);
    }
    store_vec(reinterpret_cast<unsigned*>(reinterpret_cast<__half*>(y.bytes.data) + y.index(n, o, p, q)), v);
  }
}

template <int Depth>
__global__ void __launch_bounds__(kTapsThreads, 3)
    conv_pool_kernel(const __grid_constant__ PooledTaps pool, const __grid_constant__ LoadSources load) {
  GPU_DYNAMIC_SHARED(bytes);
  const TapsConv& conv = pool.conv;
  __half* const maxima = reinterpret_cast<__half*>(bytes);
  __half* const tile = reinterpret_cast<__half*>(bytes + pool.maxima_bytes());
  const int strip = conv.tiles_w.quotient(static_cast<int>(blockIdx.x));
  const int p0 = strip * pool.rows_made();
  const int q0 = (static_cast<int>(blockIdx.x) - strip * conv.tiles_w.divisor) * pool.columns_made();
  const int i0 = 2 * p0 - pool.top, j0 = 2 * q0 - pool.left, n = static_cast<int>(blockIdx.z);
  load(conv, tile, n, i0 * conv.g.stride_h - conv.g.top, j0 * conv.g.stride_w - conv.g.left, 0);
  __syncthreads();

  const int first_unit = static_cast<int>(blockIdx.y) * conv.units_of_block;
  const int unit_of_block = warp_id() % conv.units_of_block, unit = first_unit + unit_of_block;
  const int column = warp_id() / conv.units_of_block * kTileSide;  // of the warp's outputs in the block's
  const int live = (conv.g.o - unit * kUnit + 7) / 8;              // chunks of this warp, none where it has no unit
  float bias[kColumnTiles * 2], begun[kColumnTiles * 2];
#pragma unroll
  for (int k = 0; k < kColumnTiles * 2; ++k) {
    const int o = unit * kUnit + Accumulator::column() + k / 2 * 8 + k % 2;
    bias[k] = o < conv.g.o ? conv.bias[o] : 0;
    begun[k] = -INFINITY;
  }
#pragma unroll 1
  for (int pass = 0; pass < pool.passes; ++pass) {
    const int ended = p0 + pass * kEnded - 1;  // the first row of windows that ends here: none of this strip at first
    if (ended >= conv.y.bytes.extent[2]) break;
    Accumulator sums[kFragments][kColumnTiles];
    const __half* const at[] = {tile + (pass * kTileSide * conv.g.stride_h) * conv.row_pitch +
                                column * conv.g.stride_w * conv.pixel_pitch};
    if (live > 0) multiply_taps<Depth, kColumnTiles>(conv, at, unit, live, sums);
    __syncthreads();  // nobody reads the maxima of the pass before any more
    if (live > 0)
      fold_rows(pool, sums, unit, i0 + pass * kTileSide, j0 + column + lane_id() / 4, bias, begun,
                maxima + pool.place(0, unit_of_block * kColumnTiles, column));
    __syncthreads();
    store_windows(pool, maxima, n, first_unit, p0, ended, q0);
  }
}

// ---- the launcher

int ceil_div(std::int64_t x, std::int64_t by) { return static_cast<int>((x + by - 1) / by); }

int shared_bytes(const PooledTaps& pool) { return pool.maxima_bytes() + taps_shared_bytes(pool.conv); }

// Of shared memory, so that a multiprocessor holds three blocks, as the kernel's registers allow; small GPUs hold fewer.
int most_bytes(const GpuInfo& gpu) { return std::max(32 << 10, static_cast<int>(gpu.shared_bytes) / 3 - 2048); }

// Long strips compute less of their borders twice, short ones are more blocks.
PooledTaps pooled_taps(const ConvPool& op, const ConvTask& task, const Desc& y) {
  const ConvGeometry& g = task.geometry;
  const int depth = taps_depth(g), units = taps_units(g);
  PooledTaps pool{.conv = taps_conv(task, depth, units, depth), .top = op.pool.padding.top, .left = op.pool.padding.left};
  const int tiles_w = ceil_div(y.w(), pool.columns_made());
  pool.conv.tiles_w = Divisor(tiles_w);
  for (pool.passes = 4;; pool.passes /= 2) {
    pool.conv.rows = (kTileSide * pool.passes - 1) * g.stride_h + (g.kh - 1) * g.dilation_h + 1;
    const std::int64_t blocks = y.n() * tiles_w * ceil_div(y.h(), pool.rows_made()) * ceil_div(g.o, kUnit * units);
    const bool enough = blocks >= 2 * task.backend.gpu().multiprocessors && shared_bytes(pool) <= most_bytes(task.backend.gpu());
    if (enough || pool.passes == 1) return pool;
  }
}

// Why it is not for this kernel; empty: it is.
std::string refuse(const ConvPool& op, const ConvTask& conv, const Desc& y) {
  if (conv.backend.precision() != Precision::fp16 || y.dtype != DType::f16) return "not in halves";
  if (op.pool.kernel != Size2(3) || op.pool.stride != Size2(2)) return "windows other than 3x3, 2 apart";
  if (!op.activation.never_falls()) return "an activation that also falls";
  if (!is_wide(y, kHalvesOfChunk)) return "fewer than 8 channels";
  if (const std::string why = not_few(conv); !why.empty()) return why;
  if (shared_bytes(pooled_taps(op, conv, y)) > most_bytes(conv.backend.gpu())) return "its tile is beyond shared memory";
  // A strip begins above the map, where it would ask for more than is reflected.
  const ConvGeometry& g = conv.geometry;
  for (const Source& s : op.sources)
    if (s.pad_mode == PadMode::reflect && (g.h <= g.stride_h + g.top || g.w <= g.stride_w + g.left))
      return "a map too small to reflect";
  return {};
}

// Along one axis, how many outputs of the convolution are computed for so many windows, each time they are.
std::int64_t computed(std::int64_t windows, int made, int outputs, int before, std::int64_t extent) {
  std::int64_t sum = 0;
  for (std::int64_t first = 0; first < windows; first += made) {
    const std::int64_t begin = 2 * first - before;
    sum += std::min(begin + outputs, extent) - std::max<std::int64_t>(begin, 0);
  }
  return sum;
}

void build(const ConvPool& op, const ConvTask& task, const Operand& y, Step& step) {
  const ConvGeometry& g = task.geometry;
  PooledTaps pool = pooled_taps(op, task, y.desc);
  const int depth = taps_depth(g), rows = kTileSide * pool.passes;
  step.kernel = "pooled, " + std::to_string(pool.passes) + (pool.passes == 1 ? " pass, " : " passes, ") +
                std::to_string(depth) + " deep";
  step.flops *= static_cast<double>(computed(y.desc.h(), pool.rows_made(), rows, pool.top, g.oh) *
                                    computed(y.desc.w(), pool.columns_made(), pool.columns(), pool.left, g.ow)) /
                (static_cast<double>(g.oh) * g.ow);
  const LaunchShape shape{
      .grid = dim3(static_cast<unsigned>(pool.conv.tiles_w.divisor * ceil_div(y.desc.h(), pool.rows_made())),
                   static_cast<unsigned>(ceil_div(pool.conv.units, pool.conv.units_of_block)),
                   static_cast<unsigned>(y.desc.n())),
      .block = kTapsThreads,
      .shared_bytes = static_cast<std::size_t>(shared_bytes(pool))};
  const auto weight = taps_weight(task, pool.conv, depth);
  const auto bias = task.bias();
  pool.conv.weight = weight.get(), pool.conv.bias = bias.get();
  const auto kernel = depth == 4 ? conv_pool_kernel<4> : conv_pool_kernel<8>;
  step.run = [=, operands = ConvOperands(task), width = Divisor(pool.conv.columns)](const RunArgs& args) {
    PooledTaps now = pool;
    (void)weight, (void)bias;  // kept for as long as the step is
    now.conv.y = ChunkMap(y.desc, args.data[y.id], kHalvesOfChunk);
    launch(kernel, shape, static_cast<cudaStream_t>(args.stream), now, LoadSources{FewSources(operands.at(args)), width});
  };
}

}  // namespace

}  // namespace gpu

Step prepare(const ConvPool& op, const NodeIo& io, CudaBackend& backend) {
  const Conv2d conv = op.conv();
  NodeIo between = io;  // the convolution's, whose map nobody stores
  between.out.desc = in_halves(conv.infer(io.input_descs()));
  const gpu::ConvTask task(conv, between, backend);
  if (const std::string why = gpu::refuse(op, task, io.out.desc); !why.empty()) {
    Step step = in_parts(op, io, backend, map_between(io));
    step.refused.push_back("pooled: " + why);
    return step;
  }
  Step step = describe(op, io);
  gpu::build(op, task, io.out, step);
  return step;
}

}  // namespace fathom
