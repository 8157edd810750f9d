// Chained residual pooling in one kernel:
//   y = act(w[0] (t_0 + t_1 + ... )), t_0 = x, t_k = w[k] times the largest of t_(k-1) in the window round each pixel
// A block makes a tile of pixels of 32 bytes of channels. It reads the tile once, with as wide a margin as all stages
// see, into shared memory, and works there in place: a thread takes a row of one word (two halves or one float), then a
// column. Each stage leaves a margin that is narrower by one window. What lies outside the map counts as -infinity,
// stage by stage. The stages are stored as x is, the sum of each pixel stays in the registers of one thread, in
// float32.
#include "chunks.cuh"
#include "constants.hpp"
#include "kernels.hpp"

namespace fathom {

namespace gpu {

inline constexpr int kChainRows = 24, kChainColumns = 32, kChainThreads = 512;  // of a tile
inline constexpr int kWords = 8;                                                // of a pixel, 4 bytes each
inline constexpr int kRowStep = kChainThreads / kWords / kChainColumns;  // a thread's pixels lie below each other
inline constexpr int kSums = kChainRows / kRowStep;
static_assert(kRowStep * kWords * kChainColumns == kChainThreads && kSums * kRowStep == kChainRows);

// One word of channels.
template <class Element>
struct Word;
template <>
struct Word<__half> {
  static constexpr int kChannels = 2;
  static constexpr unsigned kLowest = 0xFC00FC00u;  // -infinity, twice
  __device__ static unsigned larger(unsigned a, unsigned b) { return larger_halves(a, b); }
  __device__ static Vec<float, 2> unpack(unsigned word) {
    const float2 v = unpack_halves(word);
    return {v.x, v.y};
  }
  __device__ static unsigned pack(const Vec<float, 2>& v) { return pack_halves(v[0], v[1]); }
};
template <>
struct Word<float> {
  static constexpr int kChannels = 1;
  static constexpr unsigned kLowest = 0xFF800000u;
  __device__ static unsigned larger(unsigned a, unsigned b) {
    const float u = __uint_as_float(a), v = __uint_as_float(b);
    return v > u || v != v ? b : a;
  }
  __device__ static Vec<float, 1> unpack(unsigned word) { return {__uint_as_float(word)}; }
  __device__ static unsigned pack(const Vec<float, 1>& v) { return __float_as_uint(v[0]); }
};

// The largest of each window of 2 Reach + 1 of a line of `count` + 2 Reach words that are `step` words apart, to its
// middle: f(word, which of `count`). A window is the end of one group of 2 Reach words and the beginning of the next.
template <class Element, int Reach, class F>
__device__ inline void slide(unsigned* line, int step, int count, F&& f) {
  constexpr int kGroup = 2 * Reach;
  unsigned ends[kGroup];
#pragma unroll
  for (int q = 0; q < kGroup; ++q) ends[q] = line[q * step];
  for (int first = 0; first < count; first += kGroup) {
    unsigned next[kGroup];
#pragma unroll
    for (int q = 0; q < kGroup; ++q) next[q] = line[(first + kGroup + q) * step];
#pragma unroll
    for (int q = kGroup - 2; q >= 0; --q) ends[q] = Word<Element>::larger(ends[q], ends[q + 1]);
    unsigned beginning = next[0];
#pragma unroll
    for (int q = 0; q < kGroup; ++q) {
      if (q > 0) beginning = Word<Element>::larger(beginning, next[q]);
      line[(first + q + Reach) * step] = f(Word<Element>::larger(ends[q], beginning), first + q);
    }
#pragma unroll
    for (int q = 0; q < kGroup; ++q) ends[q] = next[q];
  }
}

struct PoolChainMaps {
  AnyMap x, y;
  const float* weight;  // (stages + 1, pitch)
  int pitch, stages;
  int x_stored, y_stored;  // channels in memory
  bool wide_x, wide_y;     // x is read 16 bytes at a time, y (halves) written 4 at a time
  Divisor groups;          // of 32 bytes of channels
  Activation f;
};

// grid (images and groups of channels, tiles along a row, rows of tiles): neighbours read the same pixels
template <class Element, int Reach>
__global__ void __launch_bounds__(kChainThreads, 2) pool_chain_kernel(const __grid_constant__ PoolChainMaps chain) {
  using W = Word<Element>;
  GPU_DYNAMIC_SHARED(bytes);
  unsigned* const cells = reinterpret_cast<unsigned*>(bytes);
  const int margin = chain.stages * Reach, rows = kChainRows + 2 * margin, columns = kChainColumns + 2 * margin;
  const int row_words = columns * kWords + kWords;  // four rows of a pixel meet no bank twice
  const int n = chain.groups.quotient(static_cast<int>(blockIdx.x)), own = static_cast<int>(threadIdx.x);
  const int first_c = (static_cast<int>(blockIdx.x) - n * chain.groups.divisor) * kWords * W::kChannels;
  const int top = static_cast<int>(blockIdx.z) * kChainRows - margin,
            left = static_cast<int>(blockIdx.y) * kChainColumns - margin;
  const auto& e = chain.x.bytes.extent;
  const auto inside = [&](int i, int j) { return top + i >= 0 && top + i < e[2] && left + j >= 0 && left + j < e[3]; };

  // half a pixel at a time
  for (int k = own; k < rows * columns * 2; k += kChainThreads) {
    const int i = k / 2 / columns, j = k / 2 % columns, c = first_c + k % 2 * (kWords / 2) * W::kChannels;
    unsigned* const to = cells + i * row_words + j * kWords + k % 2 * (kWords / 2);
    Vec<unsigned, kWords / 2> words{};
    if (!inside(i, j)) {
#pragma unroll
      for (int q = 0; q < kWords / 2; ++q) words[q] = W::kLowest;
    } else if (chain.wide_x) {
      if (c < chain.x_stored)
        words = load_vec<kWords / 2>(reinterpret_cast<unsigned*>(reinterpret_cast<Element*>(chain.x.bytes.data) +
                                                                 chain.x.index(n, c, top + i, left + j)));
    } else {
#pragma unroll
      for (int q = 0; q < kWords / 2; ++q) {
        Vec<float, W::kChannels> v{};
#pragma unroll
        for (int s = 0; s < W::kChannels; ++s)
          if (const int channel = c + q * W::kChannels + s; channel < e[1])
            v[s] = chain.x.load(n, channel, top + i, left + j);
        words[q] = W::pack(v);
      }
    }
    store_vec(to, words);
  }
  __syncthreads();

  // Word `own % kWords` of each pixel is this thread's, in whatever it does.
  const int word = own % kWords, c = first_c + word * W::kChannels;
  const int own_i = margin + own / kWords / kChainColumns, own_j = margin + own / kWords % kChainColumns;
  const unsigned* const own_cells = cells + own_i * row_words + own_j * kWords + word;
  Vec<float, W::kChannels> sum[kSums] = {};
  const auto add_to_sums = [&] {
#pragma unroll
    for (int s = 0; s < kSums; ++s) {
      const Vec<float, W::kChannels> t = W::unpack(own_cells[s * kRowStep * row_words]);
#pragma unroll
      for (int q = 0; q < W::kChannels; ++q) sum[s][q] += t[q];
    }
  };
  add_to_sums();
  for (int stage = 1; stage <= chain.stages; ++stage) {
    __syncthreads();
    const int from = (stage - 1) * Reach;  // where the last stage's margin begins
    for (int i = from + own / kWords; i < rows - from; i += kChainThreads / kWords)
      slide<Element, Reach>(cells + i * row_words + from * kWords + word, kWords, columns - 2 * from - 2 * Reach,
                            [](unsigned largest, int) { return largest; });
    __syncthreads();
    const Vec<float, W::kChannels> factor = load_vec_readonly<W::kChannels>(chain.weight + stage * chain.pitch + c);
    for (int j = from + Reach + own / kWords; j < columns - from - Reach; j += kChainThreads / kWords)
      slide<Element, Reach>(cells + from * row_words + j * kWords + word, row_words, rows - 2 * from - 2 * Reach,
                            [&](unsigned largest, int i) {
                              Vec<float, W::kChannels> t = W::unpack(largest);
#pragma unroll
                              for (int q = 0; q < W::kChannels; ++q) t[q] *= factor[q];
                              return inside(from + Reach + i, j) ? W::pack(t) : W::kLowest;
                            });
    __syncthreads();
    add_to_sums();
  }

  const Vec<float, W::kChannels> factor = load_vec_readonly<W::kChannels>(chain.weight + c);
#pragma unroll
  for (int s = 0; s < kSums; ++s) {
    const int i = own_i + s * kRowStep, j = own_j;
    if (!inside(i, j)) continue;
    Vec<float, W::kChannels> v;
#pragma unroll
    for (int q = 0; q < W::kChannels; ++q) v[q] = c + q < e[1] ? apply(chain.f, factor[q] * sum[s][q]) : 0;
    if (chain.wide_y && c < chain.y_stored) {
      store_vec(reinterpret_cast<__half*>(chain.y.bytes.data) + chain.y.index(n, c, top + i, left + j),
                from_float<__half>(v));
    } else {
#pragma unroll
      for (int q = 0; q < W::kChannels; ++q)
        if (c + q < chain.y_stored) chain.y.store(n, c + q, top + i, left + j, v[q]);
    }
  }
}

}  // namespace gpu

namespace {

using namespace gpu;

using ChainKernel = void (*)(PoolChainMaps);
template <class Element>
ChainKernel chain_kernel(int kernel) {
  return kernel == 3 ? pool_chain_kernel<Element, 1> : pool_chain_kernel<Element, 2>;
}

}  // namespace

Step prepare(const PoolChain& op, const NodeIo& io, CudaBackend& backend) {
  Step step = begin(op, io);
  const Operand x = io.in[0], y = io.out;
  const bool halves = x.desc.dtype == DType::f16;
  const int group = kWords * (halves ? 2 : 1), channels = static_cast<int>(x.desc.c());
  const int groups = (channels + group - 1) / group, pitch = groups * group, rows = op.stages + 1;
  const auto weight = packed<float>(backend, io.in[1], "rows of " + std::to_string(pitch), std::int64_t{rows} * pitch,
                                    [=](const float* from, float* to) {
                                      for (int k = 0; k < rows; ++k, from += channels, to += pitch)
                                        std::fill_n(std::copy_n(from, channels, to), pitch - channels, 0.0f);
                                    });
  const int margin = op.stages * (op.kernel / 2);
  const LaunchShape shape{.grid = dim3(static_cast<unsigned>(y.desc.n() * groups),
                                       static_cast<unsigned>((y.desc.w() + kChainColumns - 1) / kChainColumns),
                                       static_cast<unsigned>((y.desc.h() + kChainRows - 1) / kChainRows)),
                          .block = dim3(kChainThreads),
                          .shared_bytes = static_cast<std::size_t>(kChainRows + 2 * margin) *
                                          static_cast<std::size_t>(kChainColumns + 2 * margin + 1) * kWords *
                                          sizeof(unsigned)};
  step.kernel = std::string("tiles in shared memory, ") + (halves ? "two halves" : "a float") + " a thread";
  const ChainKernel kernel = halves ? chain_kernel<__half>(op.kernel) : chain_kernel<float>(op.kernel);
  step.run = [=, f = op.activation](const RunArgs& args) {
    launch(kernel, shape, static_cast<cudaStream_t>(args.stream),
           PoolChainMaps{.x = AnyMap(x.desc, args.data[x.id]),
                         .y = AnyMap(y.desc, args.data[y.id]),
                         .weight = weight.get(),
                         .pitch = pitch,
                         .stages = op.stages,
                         .x_stored = stored_channels(x.desc),
                         .y_stored = stored_channels(y.desc),
                         .wide_x = is_wide(x.desc, halves ? 8 : 4),
                         .wide_y = y.desc.dtype == DType::f16 && is_wide(y.desc, 8),
                         .groups = Divisor(groups),
                         .f = f});
  };
  return step;
}

}  // namespace fathom
