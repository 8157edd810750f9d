// Grouped Conv2d without tensor cores: float32 maps, and halves whose groups fit no product.
//   y(n, o, i, j) = act(bias(o) + sum over taps (a, b) and the channels c of o's group of w(o, c, a, b) x(n, c, i', j')
//   + residual)
//
// One thread makes Width neighbouring channels of one group for kOutputs neighbouring outputs of a row. Neighbouring
// threads make neighbouring channels, so that those of a group read the same inputs in the same instruction. An input
// that is loaded counts for Width channels and up to three taps. Weights and sums in float32: channels, rows, columns.
#include "channel_means.cuh"
#include "chunks.cuh"
#include "conv.cuh"

namespace fathom::gpu {

namespace {

constexpr int kOutputs = 4;
constexpr int kThreads = 128;

struct Grouped {
  ConvGeometry g;
  Axis rows, columns;
  ChunkPlaces grid;  // a place is a strip
  Divisor strips;    // of a row
  int stored = 0;    // channels of y in memory
  ChunkMap y, residual;
  bool has_residual = false;
  const float* weight = nullptr;  // (taps, C / groups, O)
  const float* bias = nullptr;
  Activation f;
  ChannelMeans means;
};

template <class T, int Width, int Stride>
__global__ void __launch_bounds__(kThreads, 4)
    conv_grouped_direct_kernel(const __grid_constant__ Grouped conv, const View<const T, 4> x) {
  constexpr int K = 3, kUnder = (kOutputs - 1) * Stride + K;
  const ConvGeometry& g = conv.g;
  const auto [chunk, place] = conv.grid.at<kThreads>();
  const int i = conv.strips.quotient(place), n = static_cast<int>(blockIdx.y);
  const int o = chunk * Width, j0 = (place - i * conv.strips.divisor) * kOutputs;
  const bool idle = i >= g.oh || o >= conv.stored;
  if (idle && conv.means.slots == 0) return;
  const int group_in = g.group_in(), first = min(o, g.o - 1) / g.group_out() * group_in;

  int column[kUnder];
#pragma unroll
  for (int k = 0; k < kUnder; ++k) column[k] = conv.columns.whole_place(j0 * Stride - g.left + k) * x.stride[3];

  Vec<float, Width> sum[kOutputs] = {};
#pragma unroll 1
  for (int a = 0; a < K && !idle && o < g.o; ++a) {
    const int row = conv.rows.whole_place(i * g.stride_h - g.top + a * g.dilation_h);
    if (row < 0) continue;
    const T* from = &x(n, first, row, 0);
    const float* weight = conv.weight + std::int64_t{a * K} * group_in * g.o + o;
    for (int c = 0; c < group_in; ++c) {
      T loaded[kUnder] = {};
#pragma unroll
      for (int k = 0; k < kUnder; ++k)
        if (column[k] >= 0) loaded[k] = from[column[k] + c];
#pragma unroll
      for (int b = 0; b < K; ++b) {
        const Vec<float, Width> w = load_vec_readonly<Width>(weight + (b * group_in + c) * g.o);
#pragma unroll
        for (int r = 0; r < kOutputs; ++r)
#pragma unroll
          for (int v = 0; v < Width; ++v) sum[r][v] += to_float(loaded[r * Stride + b]) * w[v];
      }
    }
  }

  Vec<float, Width> stored{};  // the sum over pixels
#pragma unroll
  for (int r = 0; r < kOutputs; ++r) {
    if (idle || j0 + r >= g.ow) continue;
    const Chunk at{n, o, i, j0 + r};
    if (conv.has_residual) {
      const Vec<float, Width> add = conv.residual.load_chunk<Width>(at);
#pragma unroll
      for (int v = 0; v < Width; ++v) sum[r][v] += add[v];
    }
    if (conv.bias && o < g.o)
#pragma unroll
      for (int v = 0; v < Width; ++v) sum[r][v] += conv.bias[o + v];
    apply(conv.f, sum[r].v);
    conv.y.store_chunk<Width>(at, sum[r]);
#pragma unroll
    for (int v = 0; v < Width; ++v) stored[v] += sum[r][v];
  }
  if (conv.means.slots == 0) return;
  GPU_DYNAMIC_SHARED(bytes);
  float* const shared = reinterpret_cast<float*>(bytes);
  store_vec(shared + threadIdx.x * Width, stored);
  finish_means<kThreads, Width>(conv.means, n, static_cast<int>(blockIdx.x), static_cast<int>(blockIdx.z),
                                kThreads / conv.grid.beside, shared);
}

template <class T, int Width, int Stride>
void build(const ConvTask& task, Step& step) {
  const ConvGeometry& g = task.geometry;
  const Operand x = task.role.sources[0], y = task.io.out,
                residual = task.role.residual ? *task.role.residual : Operand{};
  const Source& how = task.op.sources[0];
  Grouped conv{.g = g, .rows = Axis(how, x.desc.h(), g.h), .columns = Axis(how, x.desc.w(), g.w)};
  conv.stored = stored_channels(y.desc), conv.grid.chunks = Divisor((conv.stored + Width - 1) / Width);
  if (task.op.mean) conv.grid.beside = chunks_beside(conv.grid.chunks.divisor);
  conv.strips = Divisor((g.ow + kOutputs - 1) / kOutputs);
  conv.has_residual = task.role.residual, conv.f = task.op.activation;
  const std::int64_t places = std::int64_t{conv.strips.divisor} * g.oh;
  const LaunchShape shape = chunk_places_launch(conv.grid, places, static_cast<int>(y.desc.n()), kThreads, Width);
  step.kernel += ", " + std::to_string(Width) + " channels a thread";
  const MeansOfStep means(task, step, conv.grid, places, kThreads, Width);
  step.run = [=, weight = task.weight_by_taps(), bias = task.bias()](const RunArgs& args) {
    Grouped now = conv;
    now.weight = weight.get(), now.bias = bias.get();
    now.y = ChunkMap(y.desc, args.data[y.id], Width);
    if (conv.has_residual) now.residual = ChunkMap(residual.desc, args.data[residual.id], Width);
    now.means = means.at(args);
    launch(conv_grouped_direct_kernel<T, Width, Stride>, shape, static_cast<cudaStream_t>(args.stream), now,
           map_view<const T>(x.desc, args.data[x.id]));
  };
}

}  // namespace

std::string fits_grouped_direct(const ConvTask& task) {
  const ConvGeometry& g = task.geometry;
  if (g.groups == 1) return "no groups";
  if (g.kh != 3 || g.kw != 3) return "kernel not 3x3";
  if (g.stride_w > 2 || g.dilation_w > 1) return "stride above 2 or dilation";
  if (task.op.sources.size() > 1) return "several sources";
  if (task.op.gate) return "a gate";
  if (const std::string extras = task.extras(); !extras.empty()) return extras;
  if (task.op.sources[0].resize.mode == ResizeMode::bilinear) return "a bilinear source";
  if (task.role.sources[0].desc.dtype == DType::u8) return "a photograph";
  return {};
}

void build_grouped_direct(const ConvTask& task, Step& step) {
  with_type(task.role.sources[0].desc.dtype, [&]<class T>(T) {
    const bool four = task.geometry.group_out() % 4 == 0;
    if (task.geometry.stride_w == 1)
      four ? build<T, 4, 1>(task, step) : build<T, 1, 1>(task, step);
    else
      four ? build<T, 4, 2>(task, step) : build<T, 1, 2>(task, step);
  });
}

}  // namespace fathom::gpu
