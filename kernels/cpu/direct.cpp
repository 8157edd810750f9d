// One block: P pixels times 16 output channels stay in registers over the whole window; weights come as vectors, inputs
// as single floats spread over a vector. Sums run in float, in the order kh, kw, c.
#include "kernels/cpu/direct.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/simd.hpp"

namespace fathom::cpu {

namespace {

typedef float Vector16 __attribute__((vector_size(64)));
typedef float Vector8 __attribute__((vector_size(32)));
typedef float Vector4 __attribute__((vector_size(16)));

constexpr std::int64_t block_lanes = 16;

template <class V>
FATHOM_INLINE void load(V& v, const float* from) {
  std::memcpy(&v, from, sizeof v);
}
template <class V>
FATHOM_INLINE void store(const V& v, float* to) {
  std::memcpy(to, &v, sizeof v);
}

// P pixels of one block: K vectors of type V hold 16 channels.
template <class V, int K, int P>
FATHOM_INLINE void pixels(const DirectConv::Kernel& k, const DirectBlock& b, const float* weight, const float* bias,
                          const DirectRow& row, std::int64_t first) {
  constexpr int width = sizeof(V) / sizeof(float);
  V sum[P][K];
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
    for (int v = 0; v < K; ++v) load(sum[p][v], bias + v * width);

  const std::int64_t step = k.step * row.x_pixel;
  const float* start = row.x + first * step + b.c;
  const float* w = weight + b.weight;
  for (int i = 0; i < k.kh; ++i)
    for (int j = 0; j < k.kw; ++j) {
      const float* x = start + i * k.dilation.h * row.x_row + j * k.dilation.w * row.x_pixel;
      for (std::int64_t c = 0; c < b.channels; ++c, ++x, w += block_lanes) {
        V factor[K];
#pragma GCC unroll 4
        for (int v = 0; v < K; ++v) load(factor[v], w + v * width);
#pragma GCC unroll 16
        for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
          for (int v = 0; v < K; ++v) sum[p][v] += factor[v] * x[p * step];
      }
    }

  float* y = row.y + first * row.y_pixel + b.o;
  const float* residual = row.residual ? row.residual + first * row.residual_pixel + b.o : nullptr;
  if (b.lanes == block_lanes) {
#pragma GCC unroll 16
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
      for (int v = 0; v < K; ++v) {
        if (residual) {
          V r;
          load(r, residual + p * row.residual_pixel + v * width);
          sum[p][v] += r;
        }
        store(sum[p][v], y + p * row.y_pixel + v * width);
      }
  } else {
    float lanes[P][block_lanes];
    std::memcpy(lanes, sum, sizeof lanes);
    for (int p = 0; p < P; ++p)
      for (std::int64_t q = 0; q < b.lanes; ++q)
        y[p * row.y_pixel + q] = lanes[p][q] + (residual ? residual[p * row.residual_pixel + q] : 0);
  }
}

template <class V, int K, int P>
FATHOM_INLINE void block_row(const DirectConv::Kernel& k, const DirectBlock& b, const float* weight, const float* bias,
                             const DirectRow& row) {
  std::int64_t j = 0;
  for (; j + P <= row.count; j += P) pixels<V, K, P>(k, b, weight, bias, row, j);
  for (; j < row.count; ++j) pixels<V, K, 1>(k, b, weight, bias, row, j);
}

// As many pixels as the registers of each instruction set hold.
using BlockRow = void(const DirectConv::Kernel&, const DirectBlock&, const float*, const float*, const DirectRow&);
void block_row_any(const DirectConv::Kernel& k, const DirectBlock& b, const float* weight, const float* bias,
                   const DirectRow& row) {
  block_row<Vector4, 4, 2>(k, b, weight, bias, row);
}
#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("avx2,fma"))) void block_row_avx2(const DirectConv::Kernel& k, const DirectBlock& b,
                                                        const float* weight, const float* bias, const DirectRow& row) {
  block_row<Vector8, 2, 6>(k, b, weight, bias, row);
}
__attribute__((target("avx512f,avx512vl,avx2,fma"))) void block_row_avx512(const DirectConv::Kernel& k,
                                                                           const DirectBlock& b, const float* weight,
                                                                           const float* bias, const DirectRow& row) {
  block_row<Vector16, 1, 12>(k, b, weight, bias, row);
}
BlockRow* choose_block_row() {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")) return block_row_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return block_row_avx2;
  return block_row_any;
}
#else
BlockRow* choose_block_row() { return block_row_any; }
#endif

// Each channel by itself: weights (kh, kw, C).
FATHOM_CLONES void depthwise_row(const DirectConv::Kernel& k, std::int64_t c, const float* weight, const float* bias,
                                 const DirectRow& row) {
  constexpr std::int64_t part = 64;  // channels whose sums stay in registers or the first cache
  for (std::int64_t j = 0; j < row.count; ++j)
    for (std::int64_t first = 0; first < c; first += part) {
      const std::int64_t count = std::min(part, c - first);
      float sum[part];
      for (std::int64_t q = 0; q < count; ++q) sum[q] = bias[first + q];
      for (int a = 0; a < k.kh; ++a)
        for (int b = 0; b < k.kw; ++b) {
          const float* x = row.x + a * k.dilation.h * row.x_row + (j * k.step + b * k.dilation.w) * row.x_pixel + first;
          const float* w = weight + (a * k.kw + b) * c + first;
          for (std::int64_t q = 0; q < count; ++q) sum[q] += w[q] * x[q];
        }
      float* y = row.y + j * row.y_pixel + first;
      if (row.residual)
        for (std::int64_t q = 0; q < count; ++q) sum[q] += row.residual[j * row.residual_pixel + first + q];
      std::memcpy(y, sum, static_cast<std::size_t>(count) * 4);
    }
}

// Cuts the output channels into blocks of one group, or of several small ones.
std::vector<DirectBlock> cut(std::int64_t o, std::int64_t group_o, std::int64_t group_c, std::int64_t taps) {
  const std::int64_t together = group_o < block_lanes && block_lanes % group_o == 0 ? block_lanes / group_o : 1;
  const std::int64_t span = together * group_o;  // output channels between block starts' common groups
  std::vector<DirectBlock> blocks;
  std::int64_t weight = 0;
  for (std::int64_t start = 0; start < o; start += span) {
    const std::int64_t end = std::min(o, start + span), group = start / group_o, groups = (end - start) / group_o;
    for (std::int64_t q = start; q < end; q += block_lanes) {
      const DirectBlock b{q, std::min(block_lanes, end - q), group * group_c, groups * group_c, weight};
      weight += taps * b.channels * block_lanes;
      blocks.push_back(b);
    }
  }
  return blocks;
}

}  // namespace

DirectConv::DirectConv(const Operand& weight, const Operand* bias, int groups, Size2 stride, Size2 dilation,
                       const Activation& activation, CpuBackend& backend)
    : kernel_{int(weight.desc.extent[2]), int(weight.desc.extent[3]), stride.w, dilation},
      activation_(activation),
      outputs_(weight.desc.extent[0]) {
  const std::int64_t o = outputs_, group_o = o / groups, group_c = weight.desc.extent[1],
                     taps = kernel_.kh * kernel_.kw;
  depthwise_ = group_o == 1 && group_c == 1;
  if (depthwise_) {
    weight_ = packed(backend, weight, "depthwise", taps * o, [&](const float* from, float* to) {
      for (std::int64_t t = 0; t < taps; ++t)
        for (std::int64_t q = 0; q < o; ++q) *to++ = from[q * taps + t];
    });
    const auto copy_bias = [&](const float* from, float* to) { std::copy_n(from, o, to); };
    if (bias) bias_ = packed(backend, *bias, "it is", o, copy_bias);
  } else {
    blocks_ = cut(o, group_o, group_c, taps);
    const std::int64_t floats = blocks_.back().weight + taps * blocks_.back().channels * block_lanes;
    weight_ = packed(
        backend, weight, "blocks of 16 outputs in " + std::to_string(groups) + " groups", floats,
        [&](const float* from, float* to) {
          std::fill_n(to, floats, 0.f);
          for (const DirectBlock& b : blocks_)
            for (std::int64_t q = b.o; q < b.o + b.lanes; ++q)
              for (std::int64_t c = 0; c < group_c; ++c)
                for (std::int64_t t = 0; t < taps; ++t) {
                  const std::int64_t column = q / group_o * group_c + c - b.c;  // in the block's input channels
                  to[b.weight + (t * b.channels + column) * block_lanes + q - b.o] = from[(q * group_c + c) * taps + t];
                }
        });
    if (bias)
      bias_ = packed(backend, *bias, "blocks of 16 of " + std::to_string(groups) + " groups",
                     static_cast<std::int64_t>(blocks_.size()) * block_lanes, [&](const float* from, float* to) {
                       std::fill_n(to, static_cast<std::int64_t>(blocks_.size()) * block_lanes, 0.f);
                       for (std::size_t k = 0; k < blocks_.size(); ++k)
                         std::copy_n(from + blocks_[k].o, blocks_[k].lanes,
                                     to + static_cast<std::int64_t>(k) * block_lanes);
                     });
  }
  if (!bias_) {
    const std::int64_t floats = std::max(o, static_cast<std::int64_t>(blocks_.size()) * block_lanes);
    auto zeros = std::make_shared<Buffer>(floats * 4);
    std::fill_n(zeros->as<float>(), floats, 0.f);
    bias_ = Packed(zeros, zeros->as<float>());
  }
}

void DirectConv::run(const DirectRow& row) const {
  if (depthwise_) {
    depthwise_row(kernel_, outputs_, weight_.get(), bias_.get(), row);
  } else {
    BlockRow* const block_row = choose_block_row();
    for (std::size_t k = 0; k < blocks_.size(); ++k)
      block_row(kernel_, blocks_[k], weight_.get(), bias_.get() + static_cast<std::int64_t>(k) * block_lanes, row);
  }
  if (activation_.kind == ActivationKind::none) return;
  if (row.y_pixel == outputs_) {
    activate_run(activation_, row.y, row.y, row.count * outputs_);
  } else {
    for (std::int64_t j = 0; j < row.count; ++j)
      activate_run(activation_, row.y + j * row.y_pixel, row.y + j * row.y_pixel, outputs_);
  }
}

}  // namespace fathom::cpu
