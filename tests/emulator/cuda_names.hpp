// CUDA's own names for emulated kernel code: what nvcc gives a kernel without asking.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "tests/emulator/device_side.hpp"
#include "tests/emulator/half_float.hpp"

#define threadIdx (::fathom::emu::current->thread_index)
#define blockIdx (::fathom::emu::current->block_index)
#define blockDim (::fathom::emu::current->block_dim)
#define gridDim (::fathom::emu::current->grid_dim)
inline constexpr int warpSize = 32;

// ---- barriers and fences
inline void __syncthreads(fathom::emu::Site site = fathom::emu::Site::here()) {
  fathom::emu::barrier(fathom::emu::BarrierKind::plain, false, site);
}
inline int __syncthreads_and(int p, fathom::emu::Site site = fathom::emu::Site::here()) {
  return fathom::emu::barrier(fathom::emu::BarrierKind::all, p != 0, site);
}
inline int __syncthreads_or(int p, fathom::emu::Site site = fathom::emu::Site::here()) {
  return fathom::emu::barrier(fathom::emu::BarrierKind::any, p != 0, site);
}
inline int __syncthreads_count(int p, fathom::emu::Site site = fathom::emu::Site::here()) {
  return fathom::emu::barrier(fathom::emu::BarrierKind::count, p != 0, site);
}
inline void __syncwarp(unsigned mask = ~0u, fathom::emu::Site site = fathom::emu::Site::here()) {
  fathom::emu::syncwarp(mask, site);
}
inline void __threadfence() { fathom::emu::fence(); }
inline void __threadfence_block() {}

// ---- warp operations
namespace fathom::emu {

template <class T>
T shuffle_value(unsigned mask, T value, int source, const char* op, Site site) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = shuffle(mask, bits, source, op, site);
  std::memcpy(static_cast<void*>(&value), &bits, sizeof(T));
  return value;
}
inline int segment_begin(int width) { return static_cast<int>(current_lane()) & ~(width - 1); }
inline int inside(int source, int width) {  // else the lane keeps its own value
  const int begin = segment_begin(width);
  return source >= begin && source < begin + width ? source : static_cast<int>(current_lane());
}

}  // namespace fathom::emu

template <class T>
T __shfl_sync(unsigned mask, T v, int source, int width = 32, fathom::emu::Site site = fathom::emu::Site::here()) {
  const int lane = fathom::emu::segment_begin(width) | (source & (width - 1));
  return fathom::emu::shuffle_value(mask, v, lane, "__shfl_sync", site);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32, fathom::emu::Site site = fathom::emu::Site::here()) {
  // Unlike the others, xor may read from an earlier segment; only a later one is out of reach.
  const int lane = static_cast<int>(fathom::emu::current_lane()), source = lane ^ bits;
  const bool reachable = source < fathom::emu::segment_begin(width) + width;
  return fathom::emu::shuffle_value(mask, v, reachable ? source : lane, "__shfl_xor_sync", site);
}
template <class T>
T __shfl_down_sync(unsigned mask, T v, unsigned delta, int width = 32,
                   fathom::emu::Site site = fathom::emu::Site::here()) {
  const int source = static_cast<int>(fathom::emu::current_lane() + delta);
  return fathom::emu::shuffle_value(mask, v, fathom::emu::inside(source, width), "__shfl_down_sync", site);
}
template <class T>
T __shfl_up_sync(unsigned mask, T v, unsigned delta, int width = 32,
                 fathom::emu::Site site = fathom::emu::Site::here()) {
  const int source = static_cast<int>(fathom::emu::current_lane()) - static_cast<int>(delta);
  return fathom::emu::shuffle_value(mask, v, fathom::emu::inside(source, width), "__shfl_up_sync", site);
}
inline unsigned __ballot_sync(unsigned mask, int p, fathom::emu::Site site = fathom::emu::Site::here()) {
  return fathom::emu::ballot(mask, p != 0, "__ballot_sync", site);
}
inline int __any_sync(unsigned mask, int p, fathom::emu::Site site = fathom::emu::Site::here()) {
  return fathom::emu::ballot(mask, p != 0, "__any_sync", site) != 0;
}
inline int __all_sync(unsigned mask, int p, fathom::emu::Site site = fathom::emu::Site::here()) {
  return fathom::emu::ballot(mask, p == 0, "__all_sync", site) == 0;
}
// Which lanes happen to be together is the scheduler's business: masks are written out.
inline unsigned __activemask(fathom::emu::Site site = fathom::emu::Site::here()) {
  fathom::emu::not_emulated("__activemask", site);
}

// ---- loads and stores with a cache hint
template <class T>
T __ldg(const T* p) {
  return *p;
}
template <class T>
T __ldcs(const T* p) {
  return *p;
}
template <class T>
T __ldcg(const T* p) {
  return *p;
}
template <class T>
void __stcs(T* p, T v) {
  *p = v;
}
template <class T>
void __stcg(T* p, T v) {
  *p = v;
}

// ---- atomics: relaxed, as on the GPU; what orders memory is a fence
namespace fathom::emu {

template <class T, class F>
T atomic_update(T* p, F change) {
  using Word = std::conditional_t<sizeof(T) == 8, std::uint64_t,
                                  std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint16_t>>;
  static_assert(sizeof(T) == sizeof(Word));
  auto* word = reinterpret_cast<Word*>(p);
  Word seen = __atomic_load_n(word, __ATOMIC_RELAXED);
  for (;;) {
    T before;
    std::memcpy(static_cast<void*>(&before), &seen, sizeof(T));
    const T after = change(before);
    Word wanted;
    std::memcpy(&wanted, &after, sizeof(T));
    if (__atomic_compare_exchange_n(word, &seen, wanted, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) return before;
  }
}

template <class T>
concept Word = std::is_same_v<T, int> || std::is_same_v<T, unsigned> || std::is_same_v<T, unsigned long long>;
template <class T>
concept Addable = Word<T> || std::is_same_v<T, float> || std::is_same_v<T, double>;

}  // namespace fathom::emu

template <fathom::emu::Addable T>
T atomicAdd(T* p, std::type_identity_t<T> v) {
  return fathom::emu::atomic_update(p, [v](T old) { return static_cast<T>(old + v); });
}
inline __half2 atomicAdd(__half2* p, __half2 v) {
  return fathom::emu::atomic_update(p, [v](__half2 old) { return __hadd2(old, v); });
}
template <fathom::emu::Word T>
T atomicMax(T* p, std::type_identity_t<T> v) {
  return fathom::emu::atomic_update(p, [v](T old) { return old < v ? v : old; });
}
template <fathom::emu::Word T>
T atomicMin(T* p, std::type_identity_t<T> v) {
  return fathom::emu::atomic_update(p, [v](T old) { return v < old ? v : old; });
}
template <fathom::emu::Word T>
T atomicOr(T* p, std::type_identity_t<T> v) {
  return fathom::emu::atomic_update(p, [v](T old) { return old | v; });
}
template <fathom::emu::Word T>
T atomicExch(T* p, std::type_identity_t<T> v) {
  return fathom::emu::atomic_update(p, [v](T) { return v; });
}
template <fathom::emu::Word T>
T atomicCAS(T* p, std::type_identity_t<T> expected, std::type_identity_t<T> v) {
  return fathom::emu::atomic_update(p, [=](T old) { return old == expected ? v : old; });
}
// old >= limit ? 0 : old + 1
inline unsigned atomicInc(unsigned* p, unsigned limit) {
  return fathom::emu::atomic_update(p, [limit](unsigned old) { return old >= limit ? 0u : old + 1; });
}

// ---- arithmetic that the host's headers lack
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __saturatef(float x) { return x >= 0 ? (x < 1 ? x : 1.0f) : 0.0f; }  // NaN becomes 0, as on the GPU
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(std::uint64_t{a} * b >> 32); }
inline float __int_as_float(int i) { return std::bit_cast<float>(i); }
inline int __float_as_int(float f) { return std::bit_cast<int>(f); }
inline float __uint_as_float(unsigned u) { return std::bit_cast<float>(u); }
inline unsigned __float_as_uint(float f) { return std::bit_cast<unsigned>(f); }
inline int min(int a, int b) { return b < a ? b : a; }
inline int max(int a, int b) { return a < b ? b : a; }
inline unsigned min(unsigned a, unsigned b) { return b < a ? b : a; }
inline unsigned max(unsigned a, unsigned b) { return a < b ? b : a; }
inline long long min(long long a, long long b) { return b < a ? b : a; }
inline long long max(long long a, long long b) { return a < b ? b : a; }
inline float min(float a, float b) { return std::fmin(a, b); }
inline float max(float a, float b) { return std::fmax(a, b); }
inline __half __hfma(__half a, __half b, __half c) {  // the product of two halves is exact in double
  return __double2half(static_cast<double>(__half2float(a)) * __half2float(b) + __half2float(c));
}
inline __half2 __hfma2(__half2 a, __half2 b, __half2 c) {
  return __halves2half2(__hfma(__low2half(a), __low2half(b), __low2half(c)),
                        __hfma(__high2half(a), __high2half(b), __high2half(c)));
}
