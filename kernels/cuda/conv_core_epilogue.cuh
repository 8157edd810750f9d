// The epilogue: sums, which lie in shared memory or in parts in the workspace, to the output.
//   y = result(act(shuffle((sum + bias) * gate) + residual + resize(addend))), zeros where the pixel is padded
// A thread takes eight neighbouring channels of a pixel at a time. For a pixel shuffle the columns of the product were
// ordered when the weights were packed: first all channels of the square's first place, then of its second, ...
#pragma once
#include "conv_core.cuh"

namespace fathom::gpu {

using Vec8 = Vec<float, 8>;

// Eight channels, c the first, of a map whose type is known only while running; 16 bytes at a time.
struct ChannelMap {
  const AnyMap& map;
  int stored;

  __device__ Vec8 load(int n, int c, int h, int w) const {
    const std::int64_t at = map.index(n, c, h, w);
    if (map.dtype == DType::f16) return to_float(load_vec<8>(reinterpret_cast<__half*>(map.bytes.data) + at));
    const float* from = reinterpret_cast<float*>(map.bytes.data) + at;
    const Vec<float, 4> low = load_vec<4>(from);
    Vec<float, 4> high = {};
    if (c + 4 < stored) high = load_vec<4>(from + 4);
    return {low[0], low[1], low[2], low[3], high[0], high[1], high[2], high[3]};
  }
  __device__ void store(int n, int c, int h, int w, const Vec8& v) const {
    const std::int64_t at = map.index(n, c, h, w);
    if (map.dtype == DType::f16)
      return store_vec(reinterpret_cast<__half*>(map.bytes.data) + at, from_float<__half>(v));
    float* to = reinterpret_cast<float*>(map.bytes.data) + at;
    store_vec(to, Vec<float, 4>{v[0], v[1], v[2], v[3]});
    if (c + 4 < stored) store_vec(to + 4, Vec<float, 4>{v[4], v[5], v[6], v[7]});
  }

  // Between four pixels.
  __device__ Vec8 sample(int n, int c, const Place& row, const Place& column) const {
    Vec8 above = along(n, c, row.low, column);
    if (row.t != 0) blend(above, along(n, c, row.high, column), row.t);
    return above;
  }

 private:
  __device__ Vec8 along(int n, int c, int h, const Place& column) const {
    Vec8 left = load(n, c, h, column.low);
    if (column.t != 0) blend(left, load(n, c, h, column.high), column.t);
    return left;
  }
};

__device__ inline void add(Vec8& v, const Vec8& other) {
#pragma unroll
  for (int i = 0; i < 8; ++i) v[i] += other[i];
}

// The kind is asked for once, not for each channel.
template <int N>
__device__ inline void activate(const Activation& f, Vec8 (&v)[N]) {
  const auto all = [&](ActivationKind kind) {
#pragma unroll
    for (int i = 0; i < N * 8; ++i) v[i / 8][i % 8] = apply({kind, f.alpha}, v[i / 8][i % 8]);
  };
  switch (f.kind) {
    case ActivationKind::none: return;
    case ActivationKind::relu: return all(ActivationKind::relu);
    case ActivationKind::relu6: return all(ActivationKind::relu6);
    case ActivationKind::leaky_relu: return all(ActivationKind::leaky_relu);
    case ActivationKind::elu: return all(ActivationKind::elu);
    case ActivationKind::sigmoid: return all(ActivationKind::sigmoid);
    case ActivationKind::hard_sigmoid: return all(ActivationKind::hard_sigmoid);
    case ActivationKind::hard_swish: return all(ActivationKind::hard_swish);
  }
}

// Eight columns of the product, of which a thread stores several outputs: what is the same for all of these.
struct EightColumns {
  const ConvCore& conv;
  int n, c, h = 0, w = 0;  // the first channel of y, and the place in the square of a pixel shuffle
  Vec8 bias{}, gate;       // the gate is 0 beyond the last channel

  __device__ EightColumns(const ConvCore& conv, int n, int column) : conv(conv), n(n), c(column) {
    const ConvEpilogue& e = conv.maps.epilogue;
    if (e.shuffle != 1) {
      const int place = column / conv.square_channels;
      c = column - place * conv.square_channels, h = place / e.shuffle, w = place % e.shuffle;
    }
    if (conv.bias && stored()) bias = load_vec_readonly<8>(conv.bias + column);
#pragma unroll
    for (int k = 0; k < 8; ++k)
      gate[k] = c + k >= conv.channels ? 0 : e.has_gate && stored() ? e.gate.load(n, c + k, 0, 0) : 1;
  }
  __device__ bool stored() const { return c < conv.y_stored; }

  // What is added to output (i, j) besides.
  __device__ Vec8 added(int i, int j) const {
    const ConvEpilogue& e = conv.maps.epilogue;
    const int row = i * e.shuffle + h, column = j * e.shuffle + w;
    Vec8 sum{};
    if (e.has_residual) sum = ChannelMap{e.residual, conv.y_stored}.load(n, c, row, column);
    if (e.has_addend)
      add(sum, ChannelMap{e.addend, conv.y_stored}.sample(n, c, e.rows.place(row), e.columns.place(column)));
    return sum;
  }
  // From sums to what is stored, of some outputs; `added` as above.
  template <int N>
  __device__ void finish(Vec8 (&v)[N], const Vec8 (&added)[N]) const {
    const ConvEpilogue& e = conv.maps.epilogue;
    const auto each = [&](auto&& f) {
#pragma unroll
      for (int i = 0; i < N * 8; ++i) f(v[i / 8][i % 8], added[i / 8][i % 8], i % 8);
    };
    each([&](float& x, float more, int k) { x = (x + bias[k]) * gate[k] + (e.residual_last ? 0 : more); });
    activate(e.activation, v);
    if (e.residual_last) each([&](float& x, float more, int) { x += more; });
    if (e.has_result) each([&](float& x, float, int) { x = e.result_of(x); });
    each([&](float& x, float, int k) { x = c + k < conv.channels ? x : 0; });
  }
  __device__ void store(int i, int j, const Vec8& v) const {
    const ConvEpilogue& e = conv.maps.epilogue;
    ChannelMap{e.y, conv.y_stored}.store(n, c, i * e.shuffle + h, j * e.shuffle + w, v);
  }
};

// Rows of sums in shared memory, one per output pixel, are this much longer than the block is wide: a warp's stores of
// fragments then meet no bank twice.
inline constexpr int kSumsPad = 8;

// The sums of eight neighbouring columns, the k-th of the block the first. Eight threads read at once, 16 bytes each:
// half of them begin with the upper four columns, or each bank would be met twice.
template <class Shape>
__device__ inline Vec8 load_sums(const float* sums, int k) {
  constexpr int kPitch = Shape::kN + kSumsPad;
  const float* const from = sums + k / Shape::kN * kPitch + k % Shape::kN;
  const bool upper = k / (Shape::kN < 32 ? Shape::kN : 32) % 2;
  const Vec<float, 4> a = load_vec<4>(from + 4 * upper), b = load_vec<4>(from + 4 - 4 * upper);
  Vec8 v;
#pragma unroll
  for (int i = 0; i < 4; ++i) v[i] = upper ? b[i] : a[i], v[4 + i] = upper ? a[i] : b[i];
  return v;
}

// Where the sums of a block lie, or the parts of them, and which outputs they are of.
template <class Shape>
struct BlockSums {
  static constexpr int kSize = Shape::kM * Shape::kN;
  const ConvCore& conv;
  const BlockPlace& block;
  const float *sums, *parts;  // parts: of splits; null where there are none

  __device__ int column(int k) const { return block.channel_block * Shape::kN + k % Shape::kN; }
  __device__ int row(int k) const { return block.row + (k / Shape::kN >> conv.tiling.log2_width); }
  __device__ int output_column(int k) const {
    return block.column + (k / Shape::kN & ((1 << conv.tiling.log2_width) - 1));
  }
  __device__ bool inside(int k) const { return row(k) < conv.outputs_h && output_column(k) < conv.outputs_w; }
  __device__ Vec8 eight(int k) const {
    if (!parts) return load_sums<Shape>(sums, k);
    Vec8 sum = load_vec<8>(parts + k);
    for (int split = 1; split < conv.tiling.splits; ++split) add(sum, load_vec<8>(parts + k + split * kSize));
    return sum;
  }
  __device__ float one(int k) const {
    if (!parts) return sums[k / Shape::kN * (Shape::kN + kSumsPad) + k % Shape::kN];
    float sum = parts[k];
    for (int split = 1; split < conv.tiling.splits; ++split) sum += parts[k + split * kSize];
    return sum;
  }
};

// Eight columns at a time, and several outputs: what is read for them is asked for together. Returns the sum of what
// this thread has stored.
template <class Shape>
__device__ inline Vec8 store_eights(const ConvCore& conv, const BlockSums<Shape>& from) {
  constexpr int kStep = Shape::kThreads * 8, kOutputs = BlockSums<Shape>::kSize / kStep;
  constexpr int kTogether = kOutputs < 2 ? 1 : kOutputs < 8 ? 2 : 4;  // as registers allow
  static_assert(kStep % Shape::kN == 0, "a thread's columns are the same each time");
  const int first = static_cast<int>(threadIdx.x) * 8;
  const EightColumns columns(conv, from.block.image, from.column(first));
  Vec8 stored{};
  if (from.column(first) >= conv.columns || !columns.stored()) return stored;
#pragma unroll 1
  for (int k = first; k < from.kSize; k += kStep * kTogether) {
    Vec8 v[kTogether] = {}, added[kTogether] = {};
#pragma unroll
    for (int t = 0; t < kTogether; ++t) {
      const int at = k + t * kStep;
      if (from.inside(at)) added[t] = columns.added(from.row(at), from.output_column(at)), v[t] = from.eight(at);
    }
    columns.finish(v, added);
#pragma unroll
    for (int t = 0; t < kTogether; ++t) {
      const int at = k + t * kStep;
      if (from.inside(at)) columns.store(from.row(at), from.output_column(at), v[t]), add(stored, v[t]);
    }
  }
  return stored;
}

// Column by column, where the maps do not allow more.
template <class Shape>
__device__ inline void store_singles(const ConvCore& conv, const BlockSums<Shape>& from) {
  for (int k = static_cast<int>(threadIdx.x); k < from.kSize; k += Shape::kThreads) {
    const int column = from.column(k), n = from.block.image, i = from.row(k), j = from.output_column(k);
    if (!from.inside(k)) continue;
    if (column < conv.columns) {
      conv.maps.epilogue.store(n, column, i, j, from.one(k));
    } else if (column < conv.y_stored) {
      conv.maps.epilogue.y.store(n, column, i, j, 0);  // the pixel's padding
    }
  }
}

// Everything after the sum. Splits first bring their parts together: each writes its own, and the one that comes last
// adds all of them in their order.
template <class Shape>
__device__ inline void finish_block(const ConvCore& conv, const BlockPlace& block, float* sums) {
  constexpr int kSize = BlockSums<Shape>::kSize;
  static_assert(Shape::kThreads * 8 <= Shape::kM * (Shape::kN + kSumsPad));
  const int splits = conv.tiling.splits, thread = static_cast<int>(threadIdx.x);
  float* const parts = splits > 1 ? conv.partial + static_cast<std::int64_t>(block.index) * splits * kSize : nullptr;
  if (splits > 1) {
    for (int k = thread * 8; k < kSize; k += Shape::kThreads * 8)
      store_vec(parts + block.split * kSize + k, load_sums<Shape>(sums, k));
    if (!last_block(conv.counters + block.index, static_cast<unsigned>(splits))) return;
  }
  const BlockSums<Shape> from{conv, block, sums, parts};
  if (!conv.in_eights) return store_singles(conv, from);
  const Vec8 stored = store_eights(conv, from);
  if (conv.means.slots == 0) return;
  __syncthreads();  // nobody reads the sums any more
  store_vec(sums + thread * 8, stored);
  finish_means<Shape::kThreads, 8>(conv.means, block.image, static_cast<int>(blockIdx.x) / conv.tiling.channel_blocks,
                                   block.channel_block, Shape::kThreads * 8 / Shape::kN, sums);
}

}  // namespace fathom::gpu
