// Several neighbours loaded or stored in one access, and conversions between the types of memory and the fp32 that
// kernels compute in.
#pragma once
#include <cstring>
#include <type_traits>

#include "platform.cuh"
#include "site.cuh"

namespace fathom::gpu {

template <class T, int N>
struct alignas(sizeof(T) * N > 16 ? 16 : sizeof(T) * N) Vec {
  T v[N];
  __host__ __device__ T& operator[](int i) { return v[i]; }
  __host__ __device__ const T& operator[](int i) const { return v[i]; }
};

// How many T one 16-byte access takes.
template <class T>
inline constexpr int kPerAccess = 16 / static_cast<int>(sizeof(T));

namespace detail {

// The widest access that a vector of this size is made of: 16, 8, 4, 2 or 1 bytes.
template <std::size_t Bytes>
using Access = std::conditional_t<
    Bytes % 16 == 0, uint4,
    std::conditional_t<
        Bytes == 8, uint2,
        std::conditional_t<Bytes == 4, unsigned, std::conditional_t<Bytes == 2, unsigned short, unsigned char>>>>;

template <class A, class T, int N>
__host__ __device__ constexpr void check_size() {
  static_assert(sizeof(Vec<T, N>) % sizeof(A) == 0 && (sizeof(A) == 16 || sizeof(A) == sizeof(Vec<T, N>)),
                "a vector is 1, 2, 4 or 8 bytes, or a multiple of 16");
}

// The GPU traps on a misaligned wide access; x86 lets it pass, so the emulator checks. It also counts what banks of
// shared memory are met.
template <class A>
__host__ __device__ inline void note_accesses([[maybe_unused]] const void* p, [[maybe_unused]] std::size_t count,
                                              [[maybe_unused]] const char* op, [[maybe_unused]] Site site) {
#if !defined(__CUDACC__)
  for (std::size_t i = 0; i < count; ++i) emu::note_access(static_cast<const A*>(p) + i, sizeof(A), op, site);
#endif
}

}  // namespace detail

// N neighbours from p, which must be aligned to the access (to 16 bytes for the wide ones).
template <int N, class T>
__device__ inline Vec<std::remove_const_t<T>, N> load_vec(T* p, Site site = Site::here()) {
  using Element = std::remove_const_t<T>;
  using A = detail::Access<sizeof(Element) * N>;
  detail::check_size<A, Element, N>();
  detail::note_accesses<A>(p, sizeof(Vec<Element, N>) / sizeof(A), "load_vec", site);
  Vec<Element, N> vec;
  A parts[sizeof(vec) / sizeof(A)];
#pragma unroll
  for (std::size_t i = 0; i < sizeof(vec) / sizeof(A); ++i) parts[i] = reinterpret_cast<const A*>(p)[i];
  memcpy(static_cast<void*>(&vec), parts, sizeof vec);
  return vec;
}

// The same through the read-only cache, for what no thread of the grid writes.
template <int N, class T>
__device__ inline Vec<T, N> load_vec_readonly(const T* p, Site site = Site::here()) {
  using A = detail::Access<sizeof(T) * N>;
  detail::check_size<A, T, N>();
  detail::note_accesses<A>(p, sizeof(Vec<T, N>) / sizeof(A), "load_vec_readonly", site);
  Vec<T, N> vec;
  A parts[sizeof(vec) / sizeof(A)];
#pragma unroll
  for (std::size_t i = 0; i < sizeof(vec) / sizeof(A); ++i) parts[i] = __ldg(reinterpret_cast<const A*>(p) + i);
  memcpy(static_cast<void*>(&vec), parts, sizeof vec);
  return vec;
}

template <class T, int N>
__device__ inline void store_vec(T* p, const Vec<T, N>& vec, Site site = Site::here()) {
  using A = detail::Access<sizeof(T) * N>;
  detail::check_size<A, T, N>();
  detail::note_accesses<A>(p, sizeof(Vec<T, N>) / sizeof(A), "store_vec", site);
  A parts[sizeof(vec) / sizeof(A)];
  memcpy(parts, &vec, sizeof vec);
#pragma unroll
  for (std::size_t i = 0; i < sizeof(vec) / sizeof(A); ++i) reinterpret_cast<A*>(p)[i] = parts[i];
}

// ---- memory types to fp32 and back; to half rounds to nearest even

__host__ __device__ inline float to_float(float x) { return x; }
__host__ __device__ inline float to_float(unsigned char x) { return static_cast<float>(x); }
__host__ __device__ inline float to_float(__half x) {
#if defined(__CUDACC__)
  return __half2float(x);
#else
  return emu::half_bits_to_float(__half_as_ushort(x));
#endif
}

template <class T>
__host__ __device__ inline T from_float(float x) {
  if constexpr (std::is_same_v<T, __half>) {
#if defined(__CUDACC__)
    return __float2half_rn(x);
#else
    return __ushort_as_half(emu::float_to_half_bits(x));
#endif
  } else {
    static_assert(std::is_same_v<T, float>);
    return x;
  }
}

template <class T, int N>
__host__ __device__ inline Vec<float, N> to_float(const Vec<T, N>& x) {
  Vec<float, N> y;
  for (int i = 0; i < N; ++i) y[i] = to_float(x[i]);
  return y;
}

template <class T, int N>
__host__ __device__ inline Vec<T, N> from_float(const Vec<float, N>& x) {
  Vec<T, N> y;
  for (int i = 0; i < N; ++i) y[i] = from_float<T>(x[i]);
  return y;
}

// Two floats as one register of two halves, the first in the low bits: what fragments are made of.
__device__ inline unsigned pack_halves(float low, float high) {
  const unsigned short bits[2] = {__half_as_ushort(from_float<__half>(low)),
                                  __half_as_ushort(from_float<__half>(high))};
  return bits[0] | static_cast<unsigned>(bits[1]) << 16;
}
__device__ inline float2 unpack_halves(unsigned pair) {
  return {to_float(__ushort_as_half(static_cast<unsigned short>(pair))),
          to_float(__ushort_as_half(static_cast<unsigned short>(pair >> 16)))};
}

// The larger one; a NaN stays.
__device__ inline float larger(float a, float b) { return b > a || b != b ? b : a; }
// The larger of both halves of such registers.
__device__ inline unsigned larger_halves(unsigned a, unsigned b) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  __half2 x, y;
  memcpy(&x, &a, sizeof x), memcpy(&y, &b, sizeof y);
  x = __hmax2_nan(x, y);
  memcpy(&a, &x, sizeof a);
  return a;
#else
  const float2 x = unpack_halves(a), y = unpack_halves(b);
  return pack_halves(larger(x.x, y.x), larger(x.y, y.y));
#endif
}

}  // namespace fathom::gpu
