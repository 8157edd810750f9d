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
__device__ inline void activate(const Activation& f, Vec8& v) {
  const auto all = [&](ActivationKind kind) {
#pragma unroll
    for (int i = 0; i < 8; ++i) v[i] = apply({kind, f.alpha}, v[i]);
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

// Eight columns of the product at output (i, j). Returns what is stored, zeros where nothing is.
__device__ inline Vec8 store_eight(const ConvCore& conv, int n, int column, int i, int j, Vec8 v) {
  const ConvEpilogue& e = conv.maps.epilogue;
  const int place = e.shuffle == 1 ? 0 : column / conv.square_channels, c = column - place * conv.square_channels;
  const int h = i * e.shuffle + place / e.shuffle, w = j * e.shuffle + place % e.shuffle;
  if (c >= conv.y_stored) return {};
  if (conv.bias) add(v, load_vec_readonly<8>(conv.bias + column));
  if (e.has_gate) {
#pragma unroll
    for (int k = 0; k < 8; ++k) v[k] *= c + k < conv.channels ? e.gate.load(n, c + k, 0, 0) : 0;
  }
  if (e.residual_last) activate(e.activation, v);
  if (e.has_residual) add(v, ChannelMap{e.residual, conv.y_stored}.load(n, c, h, w));
  if (e.has_addend) add(v, ChannelMap{e.addend, conv.y_stored}.sample(n, c, e.rows.place(h), e.columns.place(w)));
  if (!e.residual_last) activate(e.activation, v);
  if (e.has_result) {
#pragma unroll
    for (int k = 0; k < 8; ++k) v[k] = e.result_of(v[k]);
  }
#pragma unroll
  for (int k = 0; k < 8; ++k) v[k] = c + k < conv.channels ? v[k] : 0;
  ChannelMap{e.y, conv.y_stored}.store(n, c, h, w, v);
  return v;
}

// Rows of sums in shared memory, one per output pixel, are this much longer than the block is wide: a warp's stores of
// fragments then meet no bank twice.
inline constexpr int kSumsPad = 8;

// Everything after the sum. Splits first bring their parts together: each writes its own, and the one that comes last
// adds all of them in their order.
template <class Shape>
__device__ inline void finish_block(const ConvCore& conv, const BlockPlace& block, float* sums) {
  constexpr int kSize = Shape::kM * Shape::kN, kPitch = Shape::kN + kSumsPad;
  static_assert(Shape::kThreads * 8 % Shape::kN == 0 && Shape::kThreads * 8 <= Shape::kM * kPitch);
  const ConvTiling& t = conv.tiling;
  const int splits = t.splits, thread = static_cast<int>(threadIdx.x);
  float* const parts = splits > 1 ? conv.partial + static_cast<std::int64_t>(block.index) * splits * kSize : nullptr;
  if (splits > 1) {
    for (int i = thread * 8; i < kSize; i += Shape::kThreads * 8)
      store_vec(parts + block.split * kSize + i, load_vec<8>(sums + i / Shape::kN * kPitch + i % Shape::kN));
    if (!last_block(conv.counters + block.index, static_cast<unsigned>(splits))) return;
  }
  // f(n, column, i, j, where the sum lies) for every `width` columns of the block, as far as there are `columns`
  const auto for_each = [&](int width, int columns, auto&& f) {
    for (int k = thread * width; k < kSize; k += Shape::kThreads * width) {
      const int output = k / Shape::kN, column = block.channel_block * Shape::kN + k % Shape::kN;
      const int i = block.row + (output >> t.log2_width), j = block.column + (output & ((1 << t.log2_width) - 1));
      if (i >= conv.outputs_h || j >= conv.outputs_w || column >= columns) continue;
      f(block.image, column, i, j, splits > 1 ? parts + k : sums + output * kPitch + k % Shape::kN);
    }
  };
  if (conv.in_eights) {
    Vec8 stored{};  // the sum over pixels: a thread's columns are the same each time
    for_each(8, conv.columns, [&](int n, int column, int i, int j, const float* part) {
      Vec8 sum = load_vec<8>(part);
      for (int split = 1; split < splits; ++split) add(sum, load_vec<8>(part + split * kSize));
      add(stored, store_eight(conv, n, column, i, j, sum));
    });
    if (conv.means.slots > 0) {
      __syncthreads();  // nobody reads the sums any more
      store_vec(sums + thread * 8, stored);
      finish_means<Shape::kThreads, 8>(conv.means, block.image, static_cast<int>(blockIdx.x) / t.channel_blocks,
                                       block.channel_block, Shape::kThreads * 8 / Shape::kN, sums);
    }
  } else {
    for_each(1, max(conv.columns, conv.y_stored), [&](int n, int column, int i, int j, const float* part) {
      if (column >= conv.columns) return conv.maps.epilogue.y.store(n, column, i, j, 0);  // the pixel's padding
      float sum = *part;
      for (int split = 1; split < splits; ++split) sum += part[split * kSize];
      conv.maps.epilogue.store(n, column, i, j, sum);
    });
  }
}

}  // namespace fathom::gpu
