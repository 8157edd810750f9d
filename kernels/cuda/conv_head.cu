// Conv2d with one to four output channels over many input channels, the heads of the networks: 1x1, 3x3 and 5x5.
//   y(n, o, i, j) = epilogue(sum over sources, channels c and taps (a, b) of w(o, c, a, b) x(n, c, i', j'))
//
// A part of a warp (`lanes` threads) makes a strip of 2 x 4 outputs (1 x 4 for 1x1): its lanes share out the input
// channels in chunks of 8, so that an access is 16 bytes of halves; each adds up what its channels give to all outputs
// of the strip, and the lanes' sums are added in fixed order. Weights of the block in shared memory, everything in
// float32. An input is loaded once per row of strips that sees it: (2 + K - 1) (4 + K - 1) / 8 times, all but one from
// the cache.
#include "chunks.cuh"
#include "conv.cuh"

namespace fathom::gpu {

namespace {

constexpr int kThreads = 128;
constexpr int kChunk = 8;    // channels
constexpr int kColumns = 4;  // outputs of a strip
constexpr int kMaxHeadSources = 8;

struct HeadSource {
  ChunkMap x;
  Axis rows, columns;
  int chunks = 0, first_chunk = 0;
  float scale[4] = {}, shift[4] = {};  // of a photograph

  // The chunk from channel c on, at a row and several columns. Element: what all maps hold, where they are neither
  // loose nor enlarged bilinearly: then the loads are all under way before the first is waited for. Or void: any map.
  template <class Element, int N>
  __device__ void load(int n, int c, const Place& row, const Place (&column)[N], Vec<float, kChunk> (&v)[N]) const {
    if constexpr (std::is_void_v<Element>) {
#pragma unroll
      for (int m = 0; m < N; ++m) v[m] = sample(n, c, row, column[m]);
    } else {
      const Element* from = reinterpret_cast<const Element*>(x.bytes.data) + x.index(n, c, row.low, 0);
      Vec<Element, kChunk> loaded[N] = {};
#pragma unroll
      for (int m = 0; m < N; ++m)
        if (column[m].low >= 0) loaded[m] = load_vec_readonly<kChunk>(from + column[m].low * x.bytes.stride[3]);
#pragma unroll
      for (int m = 0; m < N; ++m) v[m] = to_float(loaded[m]);
    }
  }

 private:
  __device__ Vec<float, kChunk> sample(int n, int c, const Place& row, const Place& column) const {
    if (column.low < 0) return {};
    Vec<float, kChunk> v = blend(n, c, row.low, column);
    if (row.t != 0) {
      const Vec<float, kChunk> below = blend(n, c, row.high, column);
#pragma unroll
      for (int i = 0; i < kChunk; ++i) v[i] = (1 - row.t) * v[i] + row.t * below[i];
    }
    if (x.dtype == DType::u8)
#pragma unroll
      for (int i = 0; i < 4; ++i) v[i] = scale[i] * v[i] + shift[i];
    return v;
  }
  __device__ Vec<float, kChunk> blend(int n, int c, int row, const Place& column) const {
    Vec<float, kChunk> v = x.load_chunk<kChunk>({n, c, row, column.low});
    if (column.t == 0) return v;
    const Vec<float, kChunk> right = x.load_chunk<kChunk>({n, c, row, column.high});
#pragma unroll
    for (int i = 0; i < kChunk; ++i) v[i] = (1 - column.t) * v[i] + column.t * right[i];
    return v;
  }
};

struct Head {
  HeadSource source[kMaxHeadSources];
  int sources = 0, chunks = 0;  // chunks of all sources
  int lanes = 1;                // of a strip: a power of two
  Divisor strips;               // of a row
  int height = 0, width = 0, top = 0, left = 0, outputs = 0;
  ConvEpilogue epilogue;
  const float* weight = nullptr;  // (tap, output, half of a chunk, chunk, 4): neighbouring lanes meet in no bank
};

__device__ inline float sum_of_lanes(float value, int lanes) {
  for (int bits = lanes / 2; bits > 0; bits /= 2) value += shuffle_xor(value, bits);
  return value;
}

template <int K, int Outputs>
struct Strip {
  static constexpr int kRows = K == 1 ? 1 : 2;
  static constexpr int kUnder = kColumns + K - 1;  // columns of the input under the strip
  float sum[Outputs][kRows][kColumns] = {};

  // What 8 channels of one input row give to the strip's outputs; r: the row, counted from the first under the strip.
  __device__ void add(const Vec<float, kChunk> (&under)[kUnder], int r, const float* weight, int chunks) {
#pragma unroll
    for (int p = 0; p < kRows; ++p) {
      const int a = r - p;
      if (a < 0 || a >= K) continue;
#pragma unroll
      for (int b = 0; b < K; ++b)
#pragma unroll
        for (int o = 0; o < Outputs; ++o)
#pragma unroll
          for (int half = 0; half < 2; ++half) {
            const Vec<float, 4> w = load_vec<4>(weight + (((a * K + b) * Outputs + o) * 2 + half) * chunks * 4);
#pragma unroll
            for (int j = 0; j < kColumns; ++j)
#pragma unroll
              for (int i = 0; i < 4; ++i) sum[o][p][j] += under[j + b][half * 4 + i] * w[i];
          }
    }
  }
};

template <class Element, int K, int Outputs>
__global__ void __launch_bounds__(kThreads, 3) conv_head_kernel(const __grid_constant__ Head head) {
  using OfStrip = Strip<K, Outputs>;
  GPU_DYNAMIC_SHARED(bytes);
  float* const weight = reinterpret_cast<float*>(bytes);
  for (int i = static_cast<int>(threadIdx.x) * 4; i < K * K * Outputs * head.chunks * kChunk; i += kThreads * 4)
    store_vec(weight + i, load_vec_readonly<4>(head.weight + i));
  __syncthreads();

  const int lanes = head.lanes, lane = static_cast<int>(threadIdx.x) & (lanes - 1);
  const int strip = (static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x)) / lanes;
  const int strip_row = head.strips.quotient(strip), n = static_cast<int>(blockIdx.y);
  const int i0 = strip_row * OfStrip::kRows, j0 = (strip - strip_row * head.strips.divisor) * kColumns;

  OfStrip s;
  for (int k = 0; k < head.sources && i0 < head.height; ++k) {
    const HeadSource& x = head.source[k];
    Place column[OfStrip::kUnder];
#pragma unroll
    for (int m = 0; m < OfStrip::kUnder; ++m) column[m] = x.columns.place(j0 - head.left + m);
    for (int chunk = lane; chunk < x.chunks; chunk += lanes)
#pragma unroll 1
      for (int r = 0; r < OfStrip::kRows + K - 1; ++r) {
        const Place row = x.rows.place(i0 - head.top + r);
        if (row.low < 0) continue;
        Vec<float, kChunk> under[OfStrip::kUnder];
        x.load<Element>(n, chunk * kChunk, row, column, under);
        s.add(under, r, weight + (x.first_chunk + chunk) * 4, head.chunks);
      }
  }

  constexpr int kValues = Outputs * OfStrip::kRows * kColumns;
  float* const sums = &s.sum[0][0][0];
#pragma unroll
  for (int v = 0; v < kValues; ++v) sums[v] = sum_of_lanes(sums[v], lanes);
#pragma unroll 1
  for (int mine = lane; mine < kValues; mine += lanes) {  // each lane finishes some of the outputs
    float value = 0;
#pragma unroll
    for (int v = 0; v < kValues; ++v) value = v == mine ? sums[v] : value;
    const int j = j0 + mine % kColumns, i = i0 + mine / kColumns % OfStrip::kRows, o = mine / kColumns / OfStrip::kRows;
    if (o >= head.outputs || i >= head.height || j >= head.width) continue;
    head.epilogue.store(n, o, i, j, value);
  }
}

int chunks_of(const Desc& x) { return (static_cast<int>(x.c()) + kChunk - 1) / kChunk; }
int chunks_of(const ConvTask& task) {
  int chunks = 0;
  for (const Operand& x : task.role.sources) chunks += chunks_of(x.desc);
  return chunks;
}
int weights_bytes(const ConvTask& task) {
  const int outputs = task.geometry.o == 1 ? 1 : 4;
  return task.geometry.kh * task.geometry.kw * outputs * chunks_of(task) * kChunk * 4;
}

// (tap, output, half of a chunk, chunk, 4), filled up with zeros
std::shared_ptr<const float> packed_weight(const ConvTask& task, int outputs) {
  const ConvGeometry& g = task.geometry;
  const int taps = g.kh * g.kw, chunks = chunks_of(task);
  std::string layout = "taps, " + std::to_string(outputs) + " outputs, chunks of";
  for (const Operand& x : task.role.sources) layout += " " + std::to_string(x.desc.c());
  return packed<float>(
      task.backend, task.role.weight, layout, weights_bytes(task) / 4, [&](const float* from, float* to) {
        std::fill_n(to, weights_bytes(task) / 4, 0.f);
        int channel = 0, chunk = 0;
        for (const Operand& x : task.role.sources) {
          for (int c = 0; c < x.desc.c(); ++c)
            for (int o = 0; o < g.o; ++o)
              for (int t = 0; t < taps; ++t)
                to[(((t * outputs + o) * 2 + c % kChunk / 4) * chunks + chunk + c / kChunk) * 4 + c % 4] =
                    from[(o * g.c + channel + c) * taps + t];
          channel += static_cast<int>(x.desc.c()), chunk += chunks_of(x.desc);
        }
      });
}

template <class Element, int K, int Outputs>
void build_of(const ConvTask& task, Step& step) {
  const ConvGeometry& g = task.geometry;
  Head head;
  int widest = 1;
  for (std::size_t k = 0; k < task.role.sources.size(); ++k) {
    const Desc& x = task.role.sources[k].desc;
    HeadSource& s = head.source[k];
    const Source& how = task.op.sources[k];
    const Desc resized = how.resize.infer(Descs(&x, 1));
    s.rows = Axis(how, x.h(), resized.h(), how.stride.h), s.columns = Axis(how, x.w(), resized.w(), how.stride.w);
    s.chunks = chunks_of(x), s.first_chunk = head.chunks;
    head.chunks += s.chunks, widest = std::max(widest, s.chunks);
  }
  head.sources = static_cast<int>(task.role.sources.size());
  while (head.lanes * 2 <= std::min(widest, kWarpSize)) head.lanes *= 2;
  head.strips = Divisor((g.ow + kColumns - 1) / kColumns);
  head.height = g.oh, head.width = g.ow, head.top = g.top, head.left = g.left, head.outputs = g.o;

  constexpr int kRows = Strip<K, Outputs>::kRows;
  const std::int64_t threads = std::int64_t{head.strips.divisor} * ((g.oh + kRows - 1) / kRows) * head.lanes;
  const LaunchShape shape{.grid = dim3(static_cast<unsigned>((threads + kThreads - 1) / kThreads),
                                       static_cast<unsigned>(task.io.out.desc.n())),
                          .block = kThreads,
                          .shared_bytes = static_cast<std::size_t>(weights_bytes(task))};
  step.kernel += ", " + std::to_string(head.lanes) + " lanes a strip";
  step.run = [=, weight = packed_weight(task, Outputs), operands = ConvOperands(task),
              sources = std::vector<Operand>(task.role.sources.begin(), task.role.sources.end())](const RunArgs& args) {
    Head now = head;
    const ConvMaps maps = operands.at(args);
    for (std::size_t k = 0; k < sources.size(); ++k) {
      HeadSource& x = now.source[k];
      x.x = ChunkMap(sources[k].desc, args.data[sources[k].id], kChunk);
      if (x.x.dtype == DType::u8) x.x.loose = true;
      std::copy_n(maps.source[k].scale, 4, x.scale), std::copy_n(maps.source[k].shift, 4, x.shift);
    }
    now.epilogue = maps.epilogue;
    now.weight = weight.get();
    launch(conv_head_kernel<Element, K, Outputs>, shape, static_cast<cudaStream_t>(args.stream), now);
  };
}

template <int K>
void build(const ConvTask& task, Step& step) {
  if (task.geometry.o > 1) return build_of<void, K, 4>(task, step);
  const auto all_of_type = [&](DType type) {
    bool all = true;
    for (std::size_t k = 0; k < task.role.sources.size(); ++k) {
      const Desc& x = task.role.sources[k].desc;
      all = all && x.dtype == type && is_wide(x, kChunk) && task.op.sources[k].resize.mode != ResizeMode::bilinear;
    }
    return all;
  };
  if (all_of_type(DType::f16)) return build_of<__half, K, 1>(task, step);
  if (all_of_type(DType::f32)) return build_of<float, K, 1>(task, step);
  return build_of<void, K, 1>(task, step);
}

}  // namespace

std::string fits_head(const ConvTask& task) {
  const ConvGeometry& g = task.geometry;
  if (g.o > 4) return "more than 4 output channels";
  if (g.c < 16 && task.extras().empty()) return "fewer than 16 input channels, and nothing but a convolution";
  if (g.groups > 1) return "groups";
  if (g.kh != g.kw || (g.kw != 1 && g.kw != 3 && g.kw != 5)) return "kernel not 1x1, 3x3 or 5x5";
  if (g.stride_h > 1 || g.stride_w > 1 || g.dilation_h > 1 || g.dilation_w > 1) return "stride or dilation";
  if (task.op.gate) return "a gate";
  if (task.op.affine || task.op.input_activation.kind != ActivationKind::none)
    return "a norm or an activation of its input";
  for (const Source& s : task.op.sources)
    if (s.centre) return "a source of its own kernel";
  if (task.op.sources.size() > kMaxHeadSources) return "more than 8 sources";
  if (weights_bytes(task) > std::min<std::int64_t>(64 * 1024, task.backend.gpu().shared_bytes))
    return "weights beyond shared memory";
  return {};
}

void build_head(const ConvTask& task, Step& step) {
  switch (task.geometry.kw) {
    case 1: return build<1>(task, step);
    case 3: return build<3>(task, step);
    default: return build<5>(task, step);
  }
}

}  // namespace fathom::gpu
