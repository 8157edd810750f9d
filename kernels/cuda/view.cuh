// How a kernel sees a tensor: x(n, c, h, w), in logical order whatever the memory order. Offsets inside one image are
// 32 bits wide; from image to image they are 64, because a large batch passes 2^31 elements.
#pragma once
#include <cstdint>
#include <type_traits>

#include "fathom/error.hpp"
#include "platform.cuh"

namespace fathom::gpu {

template <class T, int Rank>
struct View {
  static_assert(Rank >= 1 && Rank <= 4);
  T* data = nullptr;
  int extent[Rank] = {};
  std::int64_t outer_stride = 0;  // elements between neighbours in the first index
  int stride[Rank] = {};          // the same for the others; stride[0] is not used

  template <class... Index>
  __host__ __device__ T& operator()(int outer, Index... inner) const {
    static_assert(sizeof...(Index) == Rank - 1);
    return data[outer * outer_stride + offset_inside(inner...)];
  }

  // Where (c, h, w) stands in its image.
  template <class... Index>
  __host__ __device__ int offset_inside(Index... inner) const {
    int offset = 0, dimension = 1;
    ((offset += inner * stride[dimension++]), ...);
    return offset;
  }

  __host__ __device__ std::int64_t size() const {
    std::int64_t product = 1;
    for (int e : extent) product *= e;
    return product;
  }

  __host__ __device__ operator View<const T, Rank>() const {
    View<const T, Rank> view;
    view.data = data;
    view.outer_stride = outer_stride;
    for (int i = 0; i < Rank; ++i) view.extent[i] = extent[i], view.stride[i] = stride[i];
    return view;
  }
};

// (N, C, H, W) lying channels-last, `pixel_stride` elements (C and its padding) from pixel to pixel.
template <class T>
__host__ __device__ View<T, 4> channels_last(T* data, int n, int c, int h, int w, int pixel_stride) {
  return {data, {n, c, h, w}, std::int64_t{pixel_stride} * h * w, {0, 1, w * pixel_stride, pixel_stride}};
}

// (N, H, W), one plane per image.
template <class T>
__host__ __device__ View<T, 3> planes(T* data, int n, int h, int w) {
  return {data, {n, h, w}, std::int64_t{h} * w, {0, w, 1}};
}

// From a view whose extents and strides are 64 bits wide.
template <class Wide>
auto narrow(const Wide& wide) {
  constexpr int kRank = std::extent_v<decltype(wide.extent)>;
  View<std::remove_pointer_t<decltype(wide.data)>, kRank> view;
  view.data = wide.data;
  view.outer_stride = wide.stride[0];
  std::int64_t last = 0;  // the farthest offset inside an image
  for (int i = 0; i < kRank; ++i) {
    view.extent[i] = static_cast<int>(wide.extent[i]);
    if (i > 0) view.stride[i] = static_cast<int>(wide.stride[i]), last += (wide.extent[i] - 1) * wide.stride[i];
    if (view.extent[i] != wide.extent[i]) last = INT64_MAX;
  }
  if (last > INT32_MAX) {
    throw Error(ErrorKind::unsupported, "CUDA: one image of a tensor has more than 2^31 elements; use a smaller size");
  }
  return view;
}

}  // namespace fathom::gpu
