// Maps (N, C, H, W) as kernels see them: channels-last, channels side by side, in float or half.
#pragma once
#include "engine/tensor.hpp"
#include "vec.cuh"
#include "view.cuh"

namespace fathom::gpu {

// How many channels lie in memory: halves of 8 channels and more are padded with zeros to a multiple of 8.
inline int stored_channels(const Desc& d) {
  const int c = static_cast<int>(d.c());
  return d.dtype == DType::f16 && c >= 8 ? (c + 7) / 8 * 8 : c;
}

// Whether every pixel begins at a multiple of Width elements, so that wide accesses may be used.
inline bool is_wide(const Desc& d, int width) {
  return stored_channels(d) % width == 0 && d.stride[3] % width == 0 && d.stride[2] % width == 0 &&
         d.stride[0] % width == 0;
}

template <class T>
View<T, 4> map_view(const Desc& desc, const void* data) {
  return narrow(fathom::view<T, 4>(desc, data));
}

// A map whose type is known only while running. All threads of a launch take the same branch; for loads and stores of
// single elements, where a kernel for each type would gain nothing.
struct AnyMap {
  View<unsigned char, 4> bytes;  // indexed in elements: data is not used as bytes
  DType dtype = DType::f32;

  AnyMap() = default;
  AnyMap(const Desc& desc, const void* data) : bytes(map_view<unsigned char>(desc, data)), dtype(desc.dtype) {}

  __host__ __device__ std::int64_t index(int n, int c, int h, int w) const {
    return n * bytes.outer_stride + bytes.offset_inside(c, h, w);
  }
  __device__ float load(int n, int c, int h, int w) const {
    const std::int64_t at = index(n, c, h, w);
    if (dtype == DType::f16) return to_float(reinterpret_cast<const __half*>(bytes.data)[at]);
    if (dtype == DType::u8) return to_float(bytes.data[at]);
    return reinterpret_cast<const float*>(bytes.data)[at];
  }
  __device__ void store(int n, int c, int h, int w, float value) const {
    const std::int64_t at = index(n, c, h, w);
    if (dtype == DType::f16) {
      reinterpret_cast<__half*>(bytes.data)[at] = from_float<__half>(value);
    } else {
      reinterpret_cast<float*>(bytes.data)[at] = value;
    }
  }
};

// f(float{}) or f(__half{}): the launcher's choice among the instantiations of a kernel.
template <class F>
void with_type(DType dtype, F&& f) {
  dtype == DType::f16 ? f(__half{}) : f(float{});
}

}  // namespace fathom::gpu
