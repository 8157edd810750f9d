// Where one axis of a resized and then padded map reads the original.
#pragma once
#include "resample.cuh"

namespace fathom::gpu {

// (1 - t) x[low] + t x[high]; low < 0 is a zero of the padding.
struct Place {
  int low = -1, high = -1;
  float t = 0;
};

struct Axis : ResizeAxis {
  PadMode pad = PadMode::zeros;

  Axis() = default;
  Axis(const Source& source, std::int64_t in, std::int64_t resized)
      : ResizeAxis(source.resize, in, resized), pad(source.pad_mode) {}

  // At coordinate i of the padded map, counted from the resized map's first.
  __device__ Place place(int i) const {
    const int inside = padded_at(i, out, pad);
    if (inside < 0) return {};
    const Tap tap = at(inside);
    return {tap.first, tap.second, tap.t};
  }
  // The same for an axis that is not enlarged bilinearly: below 0 is a zero.
  __device__ int whole_place(int i) const {
    const int inside = padded_at(i, out, pad);
    return inside < 0 ? -1 : nearest_at(inside);
  }
};

}  // namespace fathom::gpu
