// Depthwise Conv2d, 1x1, 3x3 and 5x5: y(n, c, i, j) = act(bias(c) + sum over taps (a, b) of w(c, a, b) x(n, c, i', j')
// + residual)
//
// One thread makes Width neighbouring channels (16 bytes where the maps allow it) of kOutputs neighbouring outputs of a
// row: a tap's input is loaded once for all outputs that see it. With dilation d the outputs of a thread stand d apart,
// so that they share inputs just the same. Bytes from outside the SM: each row of x once, its neighbours hit the cache.
// Weights in the type of the maps, sums in float32: row by row, then by column.
#include <algorithm>

#include "channel_means.cuh"
#include "conv.cuh"

namespace fathom::gpu {

namespace {

constexpr int kOutputs = 4;
constexpr int kThreads = 128;

// Places follow each other along the row, then by rows.
struct DepthwiseGrid {
  ChunkPlaces threads;
  Divisor strips, spacing;  // strips of a row, as many as spacing begin side by side

  DepthwiseGrid(int chunks, int width, int spacing)
      : threads{Divisor(chunks)},
        strips((width + kOutputs * spacing - 1) / (kOutputs * spacing) * spacing),
        spacing(spacing) {}

  struct Place {
    int c, first, i;  // output r of the thread: first + r spacing
  };
  template <int Width>
  __device__ Place at() const {
    const auto [chunk, place] = threads.at<kThreads>();
    const int i = strips.quotient(place), strip = place - i * strips.divisor, turn = spacing.quotient(strip);
    return {chunk * Width, strip + turn * (kOutputs - 1) * spacing.divisor, i};
  }
};

constexpr int kMaxDepthwiseSources = 8;

template <class T>
struct DepthwiseSource {
  View<const T, 4> x;
  Axis rows, columns;
  int first = 0;  // channel
};

template <class T>
struct Depthwise {
  DepthwiseSource<T> source[kMaxDepthwiseSources];
  int sources = 1;
  View<const T, 4> residual;  // null: none
  View<T, 4> y;
  ConvGeometry g;
  DepthwiseGrid grid;
  const T* weight = nullptr;    // (taps, channels in memory)
  const float* bias = nullptr;  // (channels in memory)
  Activation f;
  int stored = 0;  // channels in memory
  ChannelMeans means;

  __device__ const DepthwiseSource<T>& source_of(int c) const {
    int k = 0;
    while (k + 1 < sources && c >= source[k + 1].first) ++k;
    return source[k];
  }
};

// A thread's outputs; `stored` is the sum of what is stored.
template <class T, int Width, int K, int Stride>
__device__ inline void make(const Depthwise<T>& conv, int n, int c, int first, int i, Vec<float, Width>& stored) {
  constexpr int kColumns = (kOutputs - 1) * Stride + K;  // of the input, under the outputs of a thread
  const ConvGeometry& g = conv.g;
  const DepthwiseSource<T>& x = conv.source_of(c);

  int column[kColumns];
#pragma unroll
  for (int k = 0; k < kColumns; ++k) column[k] = x.columns.whole_place(first * Stride - g.left + k * g.dilation_w);

  Vec<float, Width> sum[kOutputs];
#pragma unroll
  for (int r = 0; r < kOutputs; ++r)
#pragma unroll
    for (int v = 0; v < Width; ++v) sum[r][v] = conv.bias[c + v];

#pragma unroll 1
  for (int a = 0; a < g.kh; ++a) {
    const int row = x.rows.whole_place(i * g.stride_h - g.top + a * g.dilation_h);
    if (row < 0) continue;
    const T* from = &x.x(n, c - x.first, row, 0);
    Vec<T, Width> under[kColumns] = {};
#pragma unroll
    for (int k = 0; k < kColumns; ++k)
      if (column[k] >= 0) under[k] = load_vec_readonly<Width>(from + column[k] * x.x.stride[3]);
#pragma unroll
    for (int b = 0; b < K; ++b) {
      const Vec<float, Width> w = to_float(load_vec_readonly<Width>(conv.weight + (a * K + b) * conv.stored + c));
#pragma unroll
      for (int r = 0; r < kOutputs; ++r) {
        const Vec<float, Width> value = to_float(under[r * Stride + b]);
#pragma unroll
        for (int v = 0; v < Width; ++v) sum[r][v] += value[v] * w[v];
      }
    }
  }

#pragma unroll
  for (int r = 0; r < kOutputs; ++r) {
    const int j = first + r * g.dilation_w;
    if (j >= g.ow) continue;
    if (conv.residual.data) {
      const Vec<float, Width> add = to_float(load_vec<Width>(&conv.residual(n, c, i, j)));
#pragma unroll
      for (int v = 0; v < Width; ++v) sum[r][v] += add[v];
    }
    apply(conv.f, sum[r].v);
#pragma unroll
    for (int v = 0; v < Width; ++v)
      if (c + v >= g.o) sum[r][v] = 0;  // the padding stays zero, whatever f(0) is
    store_vec(&conv.y(n, c, i, j), from_float<T>(sum[r]));
#pragma unroll
    for (int v = 0; v < Width; ++v) stored[v] += sum[r][v];
  }
}

template <class T, int Width, int K, int Stride>
__global__ void __launch_bounds__(kThreads, 3) conv_depthwise_kernel(const __grid_constant__ Depthwise<T> conv) {
  const int n = static_cast<int>(blockIdx.y);
  const auto [c, first, i] = conv.grid.template at<Width>();
  Vec<float, Width> stored{};  // the sum over pixels
  if (i < conv.g.oh && c < conv.stored) make<T, Width, K, Stride>(conv, n, c, first, i, stored);
  if (conv.means.slots == 0) return;
  GPU_DYNAMIC_SHARED(bytes);
  float* const shared = reinterpret_cast<float*>(bytes);
  store_vec(shared + threadIdx.x * Width, stored);
  finish_means<kThreads, Width>(conv.means, n, static_cast<int>(blockIdx.x), static_cast<int>(blockIdx.z),
                                kThreads / conv.grid.threads.beside, shared);
}

template <class T>
T from_weight(float value, const Operand& weight) {
  if constexpr (std::is_same_v<T, float>)
    return value;
  else
    return __ushort_as_half(checked_half(value, weight));
}

template <class T, int Width, int K, int Stride>
void build(const ConvTask& task, Step& step) {
  const ConvGeometry g = task.geometry;
  const Operand y = task.io.out, residual = task.role.residual ? *task.role.residual : Operand{};
  const int stored = stored_channels(y.desc), taps = g.kh * K;
  const auto weight =
      packed<T>(task.backend, task.role.weight, "taps, channels in " + std::string(to_string(y.desc.dtype)),
                std::int64_t{taps} * stored, [&](const float* from, T* to) {
                  for (int t = 0; t < taps; ++t)
                    for (int c = 0; c < stored; ++c)
                      *to++ = from_weight<T>(c < g.o ? from[c * taps + t] : 0, task.role.weight);
                });
  Depthwise<T> conv{.g = g, .grid = DepthwiseGrid(stored / Width, g.ow, g.dilation_w), .stored = stored};
  conv.sources = static_cast<int>(task.role.sources.size()), conv.f = task.op.activation;
  for (int k = 0, first = 0; k < conv.sources; ++k) {
    const Source& how = task.op.sources[static_cast<std::size_t>(k)];
    const Desc& x = task.role.sources[static_cast<std::size_t>(k)].desc;
    conv.source[k].rows = Axis(how, x.h(), g.h), conv.source[k].columns = Axis(how, x.w(), g.w);
    conv.source[k].first = first, first += static_cast<int>(x.c());
  }
  ChunkPlaces& threads = conv.grid.threads;
  if (task.op.mean) threads.beside = chunks_beside(threads.chunks.divisor);
  const std::int64_t places = std::int64_t{conv.grid.strips.divisor} * g.oh;
  const LaunchShape shape = chunk_places_launch(threads, places, static_cast<int>(y.desc.n()), kThreads, Width);
  step.kernel += ", " + std::to_string(Width * sizeof(T)) + " bytes";
  const MeansOfStep means(task, step, threads, places, kThreads, Width);
  step.run = [=, bias = task.bias(stored),
              sources = std::vector<Operand>(task.role.sources.begin(), task.role.sources.end())](const RunArgs& args) {
    Depthwise<T> now = conv;
    for (std::size_t k = 0; k < sources.size(); ++k)
      now.source[k].x = map_view<const T>(sources[k].desc, args.data[sources[k].id]);
    if (residual.id >= 0) now.residual = map_view<const T>(residual.desc, args.data[residual.id]);
    now.y = map_view<T>(y.desc, args.data[y.id]);
    now.weight = weight.get(), now.bias = bias.get();
    now.means = means.at(args);
    launch(conv_depthwise_kernel<T, Width, K, Stride>, shape, static_cast<cudaStream_t>(args.stream), now);
  };
}

}  // namespace

std::string fits_depthwise(const ConvTask& task) {
  const ConvGeometry& g = task.geometry;
  if (g.groups != g.c || g.c != g.o) return "not one channel per group";
  if (g.kw != 1 && g.kw != 3 && g.kw != 5) return "kernel not 1, 3 or 5 wide";
  if (g.stride_w > 2 || (g.kw == 1 && g.stride_w > 1)) return "stride above 2, or above 1 of one column";
  if (g.stride_w > 1 && g.dilation_w > 1) return "stride and dilation at once";
  if (task.op.sources.size() > kMaxDepthwiseSources) return "more than 8 sources";
  if (task.op.gate) return "a gate";
  if (const std::string extras = task.extras(); !extras.empty()) return extras;
  for (const Source& s : task.op.sources)
    if (s.resize.mode == ResizeMode::bilinear) return "a bilinear source";
  return task.types_differ();
}

void build_depthwise(const ConvTask& task, Step& step) {
  with_type(task.io.out.desc.dtype, [&]<class T>(T) {
    constexpr int wide = kPerAccess<T>;
    const auto build_width = [&]<int Width>(std::integral_constant<int, Width>) {
      const bool two = task.geometry.stride_w == 2;
      switch (task.geometry.kw) {
        case 1: return build<T, Width, 1, 1>(task, step);
        case 3: return two ? build<T, Width, 3, 2>(task, step) : build<T, Width, 3, 1>(task, step);
        default: return two ? build<T, Width, 5, 2>(task, step) : build<T, Width, 5, 1>(task, step);
      }
    };
    const auto& sources = task.role.sources;
    const bool whole = sources.size() == 1 || std::all_of(sources.begin(), sources.end(), [](const Operand& x) {
                         return x.desc.c() % wide == 0;  // no access of a thread reaches into the next source
                       });
    task.wide(wide) && whole ? build_width(std::integral_constant<int, wide>())
                             : build_width(std::integral_constant<int, 1>());
  });
}

}  // namespace fathom::gpu
