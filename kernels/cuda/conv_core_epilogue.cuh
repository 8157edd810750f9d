// The epilogue: sums, which lie in shared memory or in parts in the workspace, to the output. A thread takes eight
// neighbouring channels of a pixel at a time:  y = act(sum + bias + residual), zeros where the pixel is padded.
#pragma once
#include "conv_core.cuh"

namespace fathom::gpu {

using Vec8 = Vec<float, 8>;

// Eight channels of a map whose type and alignment are known only while running, c the first.
struct ChannelMap {
  const AnyMap& map;
  int stored;
  bool wide;

  __device__ Vec8 load(int n, int c, int h, int w) const {
    Vec8 v = {};
    const std::int64_t at = map.index(n, c, h, w);
    if (wide && map.dtype == DType::f16) return to_float(load_vec<8>(reinterpret_cast<__half*>(map.bytes.data) + at));
#pragma unroll
    for (int i = 0; i < 8; i += 4) {
      if (wide && c + i < stored) {
        const Vec<float, 4> four = load_vec<4>(reinterpret_cast<float*>(map.bytes.data) + at + i);
        for (int k = 0; k < 4; ++k) v[i + k] = four[k];
      }
    }
    if (wide) return v;
#pragma unroll
    for (int i = 0; i < 8; ++i)
      if (c + i < stored) v[i] = map.load(n, c + i, h, w);
    return v;
  }
  __device__ void store(int n, int c, int h, int w, const Vec8& v) const {
    const std::int64_t at = map.index(n, c, h, w);
    if (wide && map.dtype == DType::f16)
      return store_vec(reinterpret_cast<__half*>(map.bytes.data) + at, from_float<__half>(v));
#pragma unroll
    for (int i = 0; i < 8; i += 4) {
      if (wide && c + i < stored)
        store_vec(reinterpret_cast<float*>(map.bytes.data) + at + i, Vec<float, 4>{v[i], v[i + 1], v[i + 2], v[i + 3]});
    }
    if (wide) return;
#pragma unroll
    for (int i = 0; i < 8; ++i)
      if (c + i < stored) map.store(n, c + i, h, w, v[i]);
  }
};

struct Epilogue {
  const ConvCore& conv;

  __device__ void finish(Vec8 v, int n, int c, int h, int w) const {
    if (conv.bias) add(v, load_vec_readonly<8>(conv.bias + c));
    if (conv.maps.epilogue.has_residual)
      add(v, ChannelMap{conv.maps.epilogue.residual, conv.residual_stored, conv.residual_wide}.load(n, c, h, w));
#pragma unroll
    for (int i = 0; i < 8; ++i) v[i] = c + i < conv.channels ? apply(conv.activation, v[i]) : 0;
    ChannelMap{conv.maps.epilogue.y, conv.y_stored, conv.y_wide}.store(n, c, h, w, v);
  }
  static __device__ void add(Vec8& v, const Vec8& other) {
#pragma unroll
    for (int i = 0; i < 8; ++i) v[i] += other[i];
  }
};

// Rows of sums in shared memory, one per output pixel, are this much longer than the block is wide: a warp's stores of
// fragments then meet no bank twice.
inline constexpr int kSumsPad = 8;

// Everything after the sum. Splits first bring their parts together: each writes its own, and the one that comes last
// adds all of them in their order.
template <class Shape>
__device__ inline void finish_block(const ConvCore& conv, const BlockPlace& block, const float* sums) {
  constexpr int kGroups = Shape::kN / 8, kPitch = Shape::kN + kSumsPad;
  const ConvTiling& t = conv.tiling;
  float* const parts = conv.partial + static_cast<std::int64_t>(block.index) * t.splits * (Shape::kM * Shape::kN);
  if (t.splits > 1) {
    float* const mine = parts + block.split * (Shape::kM * Shape::kN);
    for (int i = static_cast<int>(threadIdx.x); i < Shape::kM * kGroups; i += Shape::kThreads)
      store_vec(mine + i * 8, load_vec<8>(sums + i / kGroups * kPitch + i % kGroups * 8));
    if (!last_block(conv.counters + block.index, static_cast<unsigned>(t.splits))) return;
  }
  for (int i = static_cast<int>(threadIdx.x); i < Shape::kM * kGroups; i += Shape::kThreads) {
    const int output = i / kGroups, c = block.channel_block * Shape::kN + i % kGroups * 8;
    const int h = block.row + (output >> t.log2_width), w = block.column + (output & ((1 << t.log2_width) - 1));
    if (h >= conv.outputs_h || w >= conv.outputs_w || c >= conv.y_stored) continue;
    Vec8 v = load_vec<8>(t.splits > 1 ? parts + i * 8 : sums + output * kPitch + i % kGroups * 8);
    for (int split = 1; split < t.splits; ++split)
      Epilogue::add(v, load_vec<8>(parts + split * (Shape::kM * Shape::kN) + i * 8));
    Epilogue{conv}.finish(v, block.image, c, h, w);
  }
}

}  // namespace fathom::gpu
