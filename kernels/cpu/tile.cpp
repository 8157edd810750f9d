// P pixels times a block stay in registers over all terms: weights come as vectors, inputs as single floats spread over
// a vector. Sums run in float, in the order of the terms, so that results do not depend on how pixels are grouped.
#include "kernels/cpu/tile.hpp"

#include <cstring>
#include <utility>

#include "kernels/cpu/simd.hpp"

namespace fathom::cpu {

namespace {

typedef float Vector16 __attribute__((vector_size(64)));
typedef float Vector8 __attribute__((vector_size(32)));
typedef float Vector4 __attribute__((vector_size(16)));

template <class V>
FATHOM_INLINE void load(V& v, const float* from) {
  std::memcpy(&v, from, sizeof v);
}
template <class V>
FATHOM_INLINE void store(const V& v, float* to) {
  std::memcpy(to, &v, sizeof v);
}

// K vectors of type V are a block; U steps are written out at a time, one where registers are scarce.
template <class V, int K, int P, int U>
FATHOM_INLINE void pixels(const Tile& t, std::int64_t first) {
  constexpr int width = sizeof(V) / sizeof(float);
  constexpr int bases = (P + 2) / 3;  // a pointer for every third pixel, so that addresses need no more registers
  V sum[P][K];
#pragma GCC unroll 32
  for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
    for (int k = 0; k < K; ++k) load(sum[p][k], t.bias + k * width);

  for (int i = 0; i < t.term_count; ++i) {
    const Term& term = t.terms[i];
    const float* w = term.w;
    const std::int64_t step = term.step;
    const float* x[bases];
#pragma GCC unroll 16
    for (int b = 0; b < bases; ++b) x[b] = term.x + (first + 3 * b) * step;
    // Pixels that share nothing with their neighbours (1x1) come from far away: ask for the next group's in time.
    if (step >= term.count)
      for (int p = 0; p < P; ++p)
        for (std::int64_t at = 0; at < term.count; at += 16) __builtin_prefetch(term.x + (first + P + p) * step + at);
    const auto add = [&](int u) __attribute__((always_inline)) {
      V factor[K];
#pragma GCC unroll 4
      for (int k = 0; k < K; ++k) load(factor[k], w + (u * K + k) * width);
#pragma GCC unroll 32
      for (int p = 0; p < P; ++p) {
        const float value = x[p / 3][(p % 3) * step + u];
#pragma GCC unroll 4
        for (int k = 0; k < K; ++k) sum[p][k] += factor[k] * value;
      }
    };
    std::int64_t left = term.count;
    for (; left >= U; left -= U, w += U * K * width) {
#pragma GCC unroll 4
      for (int u = 0; u < U; ++u) add(u);
#pragma GCC unroll 16
      for (int b = 0; b < bases; ++b) x[b] += U;
    }
    for (; left > 0; --left, w += K * width) {
      add(0);
#pragma GCC unroll 16
      for (int b = 0; b < bases; ++b) ++x[b];
    }
  }

  float* y = t.y + first * t.y_step;
  const float* residual = t.residual ? t.residual + first * t.residual_step : nullptr;
  if (t.lanes == K * width) {
#pragma GCC unroll 32
    for (int p = 0; p < P; ++p)
#pragma GCC unroll 4
      for (int k = 0; k < K; ++k) {
        if (residual) {
          V r;
          load(r, residual + p * t.residual_step + k * width);
          sum[p][k] += r;
        }
        store(sum[p][k], y + p * t.y_step + k * width);
      }
  } else {
    float lanes[P][K * width];
    std::memcpy(lanes, sum, sizeof lanes);
    for (int p = 0; p < P; ++p)
      for (std::int64_t q = 0; q < t.lanes; ++q)
        y[p * t.y_step + q] = lanes[p][q] + (residual ? residual[p * t.residual_step + q] : 0);
  }
}

// Shares out `count` pixels evenly to groups of at most P: f<Q>(first) for groups of Q pixels.
template <int P, class F>
FATHOM_INLINE void in_groups(std::int64_t count, F&& f) {
  const std::int64_t groups = (count + P - 1) / P;
  std::int64_t first = 0;
  for (std::int64_t g = 0; g < groups; ++g) {
    const std::int64_t size = count / groups + (g < count % groups);
    [&]<int... Q>(std::integer_sequence<int, Q...>) __attribute__((always_inline)) {
      (void)((size == Q + 1 && (f.template operator()<Q + 1>(first), true)) || ...);
    }
    (std::make_integer_sequence<int, P>());
    first += size;
  }
}

template <class V, int K, int P, int U>
FATHOM_INLINE void run(const Tile& t) {
  in_groups<P>(
      t.pixels, [&]<int Q>(std::int64_t first) __attribute__((always_inline)) { pixels<V, K, Q, U>(t, first); });
}

FATHOM_INLINE float sum_of(const Vector4& v) { return (v[0] + v[2]) + (v[1] + v[3]); }
template <class V>
FATHOM_INLINE float sum_of(const V& v) {
  if constexpr (sizeof(V) == 64) {
    Vector8 half[2];
    std::memcpy(half, &v, sizeof v);
    return sum_of(half[0] + half[1]);
  } else {
    Vector4 half[2];
    std::memcpy(half, &v, sizeof v);
    return sum_of(half[0] + half[1]);
  }
}

// One output channel. Every count is summed in vectors of 4 up to the size of V; what is left over, one by one.
template <class V, int P>
FATHOM_INLINE void dot_pixels(const Tile& t, std::int64_t first) {
  constexpr int width = sizeof(V) / sizeof(float);
  V sum[P] = {};
  Vector4 small[P] = {};
  float rest[P] = {};
  for (int i = 0; i < t.term_count; ++i) {
    const Term& term = t.terms[i];
    const float* x = term.x + first * term.step;
    std::int64_t c = 0;
    for (; c + width <= term.count; c += width) {
      V w;
      load(w, term.w + c);
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) {
        V value;
        load(value, x + p * term.step + c);
        sum[p] += w * value;
      }
    }
    for (; c + 4 <= term.count; c += 4) {
      Vector4 w;
      load(w, term.w + c);
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) {
        Vector4 value;
        load(value, x + p * term.step + c);
        small[p] += w * value;
      }
    }
    for (; c < term.count; ++c)
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) rest[p] += term.w[c] * x[p * term.step + c];
  }
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
    const float residual = t.residual ? t.residual[(first + p) * t.residual_step] : 0;
    t.y[(first + p) * t.y_step] = (sum_of(sum[p]) + sum_of(small[p])) + (rest[p] + t.bias[0]) + residual;
  }
}

template <class V>
FATHOM_INLINE void run_dot(const Tile& t) {
  in_groups<8>(
      t.pixels, [&]<int Q>(std::int64_t first) __attribute__((always_inline)) { dot_pixels<V, Q>(t, first); });
}

// 16 channels, each by itself.
template <class V, int K, int P>
FATHOM_INLINE void depthwise_pixels(const Tile& t, std::int64_t first) {
  constexpr int width = sizeof(V) / sizeof(float);
  V sum[P][K];
  for (int p = 0; p < P; ++p)
    for (int k = 0; k < K; ++k) load(sum[p][k], t.bias + k * width);
  for (int i = 0; i < t.term_count; ++i) {
    const Term& term = t.terms[i];
    const float* x = term.x + first * term.step;
#pragma GCC unroll 4
    for (int k = 0; k < K; ++k) {
      V w;
      load(w, term.w + k * width);
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) {
        V value;
        load(value, x + p * term.step + k * width);
        sum[p][k] += w * value;
      }
    }
  }
  for (int p = 0; p < P; ++p)
    for (int k = 0; k < K; ++k) {
      if (t.residual) {
        V r;
        load(r, t.residual + (first + p) * t.residual_step + k * width);
        sum[p][k] += r;
      }
      store(sum[p][k], t.y + (first + p) * t.y_step + k * width);
    }
}

template <class V, int K, int P>
FATHOM_INLINE void run_depthwise(const Tile& t) {
  if (t.lanes == 16) {
    in_groups<P>(
        t.pixels, [&]<int Q>(std::int64_t first)
                      __attribute__((always_inline)) { depthwise_pixels<V, K, Q>(t, first); });
    return;
  }
  for (std::int64_t p = 0; p < t.pixels; ++p)
    for (std::int64_t q = 0; q < t.lanes; ++q) {
      float sum = t.bias[q];
      for (int i = 0; i < t.term_count; ++i) sum += t.terms[i].w[q] * t.terms[i].x[p * t.terms[i].step + q];
      t.y[p * t.y_step + q] = sum + (t.residual ? t.residual[p * t.residual_step + q] : 0);
    }
}

// As many pixels as the registers of each instruction set hold.
void any_16(const Tile& t) { run<Vector4, 4, 2, 4>(t); }
void any_8(const Tile& t) { run<Vector4, 2, 4, 4>(t); }
void any_dot(const Tile& t) { run_dot<Vector4>(t); }
void any_depthwise(const Tile& t) { run_depthwise<Vector4, 4, 2>(t); }

#if defined(__x86_64__) && defined(__GNUC__)
#define FATHOM_AVX2 __attribute__((target("avx2,fma")))
#define FATHOM_AVX512 __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")))
FATHOM_AVX2 void avx2_16(const Tile& t) { run<Vector8, 2, 6, 1>(t); }
FATHOM_AVX2 void avx2_8(const Tile& t) { run<Vector8, 1, 12, 1>(t); }
FATHOM_AVX2 void avx2_dot(const Tile& t) { run_dot<Vector8>(t); }
FATHOM_AVX2 void avx2_depthwise(const Tile& t) { run_depthwise<Vector8, 2, 4>(t); }
FATHOM_AVX512 void avx512_32(const Tile& t) { run<Vector16, 2, 12, 2>(t); }
FATHOM_AVX512 void avx512_16(const Tile& t) { run<Vector16, 1, 12, 2>(t); }
FATHOM_AVX512 void avx512_8(const Tile& t) { run<Vector8, 1, 12, 2>(t); }
FATHOM_AVX512 void avx512_dot(const Tile& t) { run_dot<Vector16>(t); }
FATHOM_AVX512 void avx512_depthwise(const Tile& t) { run_depthwise<Vector16, 1, 8>(t); }
#endif

}  // namespace

std::vector<Isa> usable_isas() {
  std::vector<Isa> isas{Isa::any};
#if defined(__x86_64__) && defined(__GNUC__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) isas.push_back(Isa::avx2);
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw"))
    isas.push_back(Isa::avx512);
#endif
  return isas;
}

TileKernels tile_kernels(Isa isa) {
#if defined(__x86_64__) && defined(__GNUC__)
  if (isa == Isa::avx512) return {isa, avx512_32, avx512_16, avx512_8, avx512_dot, avx512_depthwise};
  if (isa == Isa::avx2) return {isa, nullptr, avx2_16, avx2_8, avx2_dot, avx2_depthwise};
#endif
  return {Isa::any, nullptr, any_16, any_8, any_dot, any_depthwise};
}

// A block of 8 costs as much time as one of 16, so that a wide block that is not full beats two narrow ones.
std::vector<int> TileKernels::widths(std::int64_t channels) const {
  if (channels == 1) return {1};
  const int widest = wide32 ? 32 : 16;
  std::vector<int> list(static_cast<std::size_t>(channels) / static_cast<std::size_t>(widest), widest);
  if (const std::int64_t rest = channels % widest; rest > 0) list.push_back(rest > 16 ? 32 : rest > 8 ? 16 : 8);
  return list;
}

}  // namespace fathom::cpu
