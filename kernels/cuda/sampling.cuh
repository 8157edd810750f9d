// Where one axis of a resized and padded map reads its source.
#pragma once
#include "engine/ops.hpp"
#include "platform.cuh"

namespace fathom::gpu {

// (1 - t) x[low] + t x[high]; low < 0 is a zero of the padding.
struct Place {
  int low = -1, high = -1;
  float t = 0;
};

struct Axis {
  int in = 1, out = 1;  // extents before and after resizing
  ResizeMode mode = ResizeMode::none;
  PadMode pad = PadMode::zeros;
  bool align_corners = false;
  float ratio = 1;  // in / out, as nearest_index rounds it

  Axis() = default;
  Axis(std::int64_t in, std::int64_t out, const Resize& resize, PadMode pad)
      : in(static_cast<int>(in)),
        out(static_cast<int>(out)),
        mode(resize.mode),
        pad(pad),
        align_corners(resize.align_corners),
        ratio(static_cast<float>(in) / static_cast<float>(out)) {}

  // Coordinate i of the resized map, brought inside; -1: a zero.
  __host__ __device__ int inside(int i) const {
    if (i >= 0 && i < out) return i;
    if (pad == PadMode::reflect) return i < 0 ? -i : 2 * (out - 1) - i;
    if (pad == PadMode::replicate) return i < 0 ? 0 : out - 1;
    return -1;
  }
  // The same as fathom::nearest_index.
  __host__ __device__ int nearest(int i) const {
    if (out == in) return i;
    if (out == 2 * in) return i / 2;
    const int at = static_cast<int>(static_cast<float>(i) * ratio);
    return at < in ? at : in - 1;
  }
  // half-pixel: (i + 0.5) in/out - 0.5, clamped · align_corners: i (in-1)/(out-1). In whole numbers, hence exact.
  __host__ __device__ Place bilinear(int i) const {
    int above = i * (in - 1), below = out - 1;
    if (!align_corners) above = (2 * i + 1) * in - out, below = 2 * out;
    if (above < 0 || below == 0) above = 0, below = 1;
    int low = above / below;
    const float t = static_cast<float>(above - low * below) / static_cast<float>(below);
    if (low > in - 1) low = in - 1;
    return {low, low + 1 < in ? low + 1 : in - 1, t};
  }
  // Coordinate i of the padded map, counted from the resized map's first pixel.
  __host__ __device__ Place place(int i) const {
    const int at = inside(i);
    if (at < 0) return {};
    if (mode == ResizeMode::bilinear) return bilinear(at);
    const int whole = mode == ResizeMode::nearest ? nearest(at) : at;
    return {whole, whole, 0};
  }
};

}  // namespace fathom::gpu
