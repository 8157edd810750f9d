// ChannelGate in one launch: y = activation(W2 squeeze_activation(W1 mean + b1) + b2), mean = concat(mean over h, w of
// x_k). Blocks sum strips of pixels of all maps; the last block of each image adds the sums in fixed order and runs
// both layers, a warp per output. Means, weights and sums in float32.
#include "channel_gate.cuh"
#include "chunks.cuh"
#include "constants.hpp"
#include "kernels.hpp"

namespace fathom {

namespace gpu {

inline constexpr int kGateThreads = 256, kGateWarps = kGateThreads / kWarpSize;

struct GateMap {
  ChunkMap x;
  int first = 0, stored = 0;  // channel of the concat, channels in memory
  int pixels = 0, part = 0;   // of an image, of a block
  Divisor columns;            // of a row
};

struct GateTask {
  int maps = 0, channels = 0, hidden = 0, outputs = 0;
  GateMap map[kGateMaps];
  const float *squeeze = nullptr, *squeeze_bias = nullptr, *excite = nullptr, *excite_bias = nullptr;
  Activation squeeze_activation, activation;
  float* partial = nullptr;  // (N, parts, channels), then (N, channels + hidden): what the last block makes of them
  unsigned* counters = nullptr;
  AnyMap y;
};

// Sums of this block's pixels of one map, channel by channel: a thread takes a chunk of channels.
template <int Width>
__device__ void sum_pixels(const GateMap& m, int n, int part, float* sums) {
  const int begin = part * m.part, end = min(begin + m.part, m.pixels);
  for (int c = static_cast<int>(threadIdx.x) * Width; c < m.stored; c += kGateThreads * Width) {
    Vec<float, Width> sum{};
    for (int k = begin; k < end; ++k) {
      const int h = m.columns.quotient(k);
      const Vec<float, Width> v = m.x.load_chunk<Width>({n, c, h, k - h * m.columns.divisor});
#pragma unroll
      for (int i = 0; i < Width; ++i) sum[i] += v[i];
    }
#pragma unroll
    for (int i = 0; i < Width; ++i)
      if (c + i < m.x.bytes.extent[1]) sums[m.first + c + i] = sum[i];
  }
}

// y = f(W x + b) by all warps of the block; W (rows, columns).
template <class Store>
__device__ void dense(const float* weight, const float* bias, const float* x, int rows, int columns,
                      const Activation& f, Store store) {
  for (int r = warp_id(); r < rows; r += kGateWarps) {
    float sum = 0;
    for (int c = lane_id(); c < columns; c += kWarpSize)
      sum += weight[static_cast<std::int64_t>(r) * columns + c] * x[c];
    sum = warp_sum(sum);
    if (lane_id() == 0) store(r, apply(f, sum + (bias ? bias[r] : 0)));
  }
}

// grid (parts, images)
template <int Width>
__global__ void __launch_bounds__(kGateThreads) gate_kernel(const __grid_constant__ GateTask t) {
  const int part = static_cast<int>(blockIdx.x), parts = static_cast<int>(gridDim.x), n = static_cast<int>(blockIdx.y);
  float* const partial = t.partial + static_cast<std::int64_t>(n) * parts * t.channels;
  for (int k = 0; k < t.maps; ++k)
    sum_pixels<Width>(t.map[k], n, part, partial + static_cast<std::int64_t>(part) * t.channels);
  if (!last_block(t.counters + n, static_cast<unsigned>(parts))) return;

  float* const mean = t.partial + static_cast<std::int64_t>(gridDim.y) * parts * t.channels +
                      static_cast<std::int64_t>(n) * (t.channels + t.hidden);
  float* const hidden = mean + t.channels;
  for (int k = 0; k < t.maps; ++k) {
    const GateMap& m = t.map[k];
    for (int c = m.first + static_cast<int>(threadIdx.x); c < m.first + m.x.bytes.extent[1]; c += kGateThreads) {
      float sum = 0;
      for (int p = 0; p < parts; ++p) sum += partial[static_cast<std::int64_t>(p) * t.channels + c];
      mean[c] = sum / static_cast<float>(m.pixels);
    }
  }
  __syncthreads();
  dense(t.squeeze, t.squeeze_bias, mean, t.hidden, t.channels, t.squeeze_activation,
        [&](int r, float v) { hidden[r] = v; });
  __syncthreads();
  dense(t.excite, t.excite_bias, hidden, t.outputs, t.hidden, t.activation,
        [&](int r, float v) { t.y.store(n, r, 0, 0, v); });
}

}  // namespace gpu

Step prepare(const ChannelGate& op, const NodeIo& io, CudaBackend& backend) {
  using namespace gpu;
  Step step = describe(op, io);
  const std::size_t count = op.maps(io.in.size());
  if (count > kGateMaps)
    throw Error(ErrorKind::unsupported,
                "ChannelGate '" + io.name + "' on a GPU takes at most 16 maps, got " + std::to_string(count));
  if (io.out.desc.dtype != DType::f32)
    throw Error(ErrorKind::unsupported, "ChannelGate '" + io.name + "' on a GPU: a gate is stored in float32");
  if (fits_means_gate(op, io)) {
    build_means_gate(op, io, backend, step);
    return step;
  }
  const Operand &squeeze = io.in[count], &excite = io.in[count + 1 + op.bias];
  GateTask task;
  task.maps = static_cast<int>(count);
  task.channels = static_cast<int>(squeeze.desc.extent[1]), task.hidden = static_cast<int>(squeeze.desc.extent[0]);
  task.outputs = static_cast<int>(excite.desc.extent[0]);
  task.squeeze_activation = op.squeeze_activation, task.activation = op.activation;

  // As many blocks as fill the GPU once, but at least so many pixels each that their sums do not outweigh the maps.
  constexpr int fewest_pixels = 16;
  int most_pixels = 0, width = 8;
  for (std::size_t k = 0; k < count; ++k) {
    const Desc& x = io.in[k].desc;
    most_pixels = std::max(most_pixels, static_cast<int>(x.h() * x.w()));
    width = std::min(width, chunk_width({x}));
  }
  const int images = static_cast<int>(io.out.desc.n());
  const int parts = std::max(1, std::min(most_pixels / fewest_pixels, backend.gpu().multiprocessors / images));
  int first = 0;
  for (std::size_t k = 0; k < count; ++k) {
    const Desc& x = io.in[k].desc;
    GateMap& m = task.map[k];
    m.first = first, m.stored = stored_channels(x), m.pixels = static_cast<int>(x.h() * x.w());
    m.part = (m.pixels + parts - 1) / parts, m.columns = Divisor(static_cast<int>(x.w()));
    first += static_cast<int>(x.c());
  }
  step.workspace_bytes = std::int64_t{images} * (std::int64_t{parts + 1} * task.channels + task.hidden) * 4;
  step.counters = images;
  step.kernel = "in " + std::to_string(parts) + (parts == 1 ? " part, " : " parts, ") + chunk_text(width);

  const auto as_is = [&](const Operand& o) {
    return packed<float>(backend, o, "it is", o.desc.elements(),
                         [n = o.desc.elements()](const float* from, float* to) { std::copy_n(from, n, to); });
  };
  const auto w1 = as_is(squeeze), w2 = as_is(excite);
  const auto b1 = op.bias ? as_is(io.in[count + 1]) : nullptr, b2 = op.bias ? as_is(io.in[count + 3]) : nullptr;
  step.run = [=, in = io.in, out = io.out](const RunArgs& args) {
    GateTask t = task;
    for (std::size_t k = 0; k < count; ++k) t.map[k].x = ChunkMap(in[k].desc, args.data[in[k].id], width);
    t.squeeze = w1.get(), t.squeeze_bias = b1.get(), t.excite = w2.get(), t.excite_bias = b2.get();
    t.partial = reinterpret_cast<float*>(args.workspace), t.counters = args.counters;
    t.y = AnyMap(out.desc, args.data[out.id]);
    const LaunchShape shape{.grid = dim3(static_cast<unsigned>(parts), static_cast<unsigned>(images)),
                            .block = dim3(kGateThreads)};
    with_width(width, [&]<int Width>(std::integral_constant<int, Width>) {
      launch(gate_kernel<Width>, shape, static_cast<cudaStream_t>(args.stream), t);
    });
  };
  return step;
}

}  // namespace fathom
