// Registers as lanes of a type, and numbers as PTX defines them.
#pragma once
#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>

#include "vm.hpp"

namespace ptx {

template <class T>
struct Lane {
  using Word = std::conditional_t<sizeof(T) == 8, u64, u32>;
  static T get(Word w) {
    if constexpr (std::is_same_v<T, float>) return std::bit_cast<float>(w);
    else if constexpr (std::is_same_v<T, double>) return std::bit_cast<double>(w);
    else return static_cast<T>(w);
  }
  static Word put(T v) {
    if constexpr (std::is_same_v<T, float>) return std::bit_cast<u32>(v);
    else if constexpr (std::is_same_v<T, double>) return std::bit_cast<u64>(v);
    else if constexpr (sizeof(T) == 8) return static_cast<u64>(v);
    else return static_cast<u32>(static_cast<std::make_unsigned_t<T>>(v));
  }
};

// d = F(a, ...) of every lane in the mask; F's own types say what the registers hold.
template <auto F, class D, class... A, std::size_t... K>
void each_as(Warp& w, const Ins& I, u32 mask, D (*)(A...), std::index_sequence<K...>) {
  auto* d = w.words<typename Lane<D>::Word>(I.o[0]);
  const std::tuple a{w.words<typename Lane<A>::Word>(I.o[1 + K])...};
  const auto one = [&](int i) { d[i] = Lane<D>::put(F(Lane<A>::get(std::get<K>(a)[i])...)); };
  if (mask == kAll) {
#pragma GCC ivdep
    for (int i = 0; i < kLanes; ++i) one(i);
  } else {
    for (u32 m = mask; m; m &= m - 1) one(std::countr_zero(m));
  }
}
template <class D, class... A>
constexpr auto operands_of(D (*)(A...)) { return std::index_sequence_for<A...>{}; }
template <auto F>
void each(Warp& w, const Ins& I, u32 mask) { each_as<F>(w, I, mask, +F, operands_of(+F)); }

inline float half_to_float(u16 h) { return _cvtsh_ss(h); }
inline u16 float_to_half(float f) { return static_cast<u16>(_cvtss_sh(f, _MM_FROUND_TO_NEAREST_INT)); }
inline float flush(float x) { return std::fabs(x) < std::numeric_limits<float>::min() ? std::copysign(0.0f, x) : x; }
inline float saturated(float x) { return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f; }  // a NaN becomes 0
inline float smaller(float a, float b) {
  if (a != a) return b;
  if (b != b) return a;
  if (a == 0 && b == 0) return std::signbit(a) ? a : b;
  return a < b ? a : b;
}
inline float greater(float a, float b) {
  if (a != a) return b;
  if (b != b) return a;
  if (a == 0 && b == 0) return std::signbit(a) ? b : a;
  return a > b ? a : b;
}
constexpr u32 kNan = 0x7FFFFFFF;
inline float smaller_nan(float a, float b) { return a != a || b != b ? std::bit_cast<float>(kNan) : smaller(a, b); }
inline float greater_nan(float a, float b) { return a != a || b != b ? std::bit_cast<float>(kNan) : greater(a, b); }
// x y + z rounded down (up: by negation), by the sign of what rounding to nearest left over.
inline float fma_down(float x, float y, float z) {
  const float r = std::fma(x, y, z);
  if (!(std::fabs(r) <= std::numeric_limits<float>::infinity()) || x * y != x * y) return r;
  const double p = static_cast<double>(x) * y, c = z, s = p + c, t = s - p, e = (p - (s - t)) + (c - t);
  const bool below = s < r || (s == r && e < 0);
  return below ? std::nextafter(r, -std::numeric_limits<float>::infinity()) : r;
}
inline float fma_up(float x, float y, float z) { return -fma_down(-x, y, -z); }
inline u32 to_tf32(float x) {  // ties away from zero
  const u32 b = std::bit_cast<u32>(x);
  return (b & 0x7F800000u) == 0x7F800000u ? b : (b + 0x1000u) & ~0x1FFFu;
}

template <u16 (*F)(u16, u16)>
u32 pairwise(u32 a, u32 b) {
  return F(static_cast<u16>(a), static_cast<u16>(b)) | static_cast<u32>(F(static_cast<u16>(a >> 16), static_cast<u16>(b >> 16))) << 16;
}
// Sums and products of two halves are exact in double, or rounded there so far out that a second rounding is harmless.
inline u16 half_add(u16 a, u16 b) { return float_to_half(half_to_float(a) + half_to_float(b)); }
inline u16 half_sub(u16 a, u16 b) { return float_to_half(half_to_float(a) - half_to_float(b)); }
inline u16 half_mul(u16 a, u16 b) { return float_to_half(half_to_float(a) * half_to_float(b)); }
inline u16 half_min(u16 a, u16 b) { return float_to_half(smaller(half_to_float(a), half_to_float(b))); }
inline u16 half_max(u16 a, u16 b) { return float_to_half(greater(half_to_float(a), half_to_float(b))); }
inline u16 half_min_nan(u16 a, u16 b) { return float_to_half(smaller_nan(half_to_float(a), half_to_float(b))); }
inline u16 half_max_nan(u16 a, u16 b) { return float_to_half(greater_nan(half_to_float(a), half_to_float(b))); }
inline u16 half_fma(u16 a, u16 b, u16 c) { return float_to_half(std::fma(half_to_float(a), half_to_float(b), half_to_float(c))); }

}  // namespace ptx
