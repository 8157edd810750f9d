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
  int step = 1, every = 1;  // every step-th of the resized coordinates, and how many those are
  PadMode pad = PadMode::zeros;

  Axis() = default;
  Axis(const Source& source, std::int64_t in, std::int64_t resized, int step = 1)
      : ResizeAxis(source.resize, in, resized),
        step(step),
        every((static_cast<int>(resized) + step - 1) / step),
        pad(source.pad_mode) {}

  // At coordinate i of the padded map, counted from the first that is not padding.
  __device__ Place place(int i) const {
    const int inside = padded_at(i, every, pad);
    if (inside < 0) return {};
    const Tap tap = at(inside * step);
    return {tap.first, tap.second, tap.t};
  }
  // The same for an axis that is not enlarged bilinearly: below 0 is a zero.
  __device__ int whole_place(int i) const {
    const int inside = padded_at(i, every, pad);
    return inside < 0 ? -1 : nearest_at(inside * step);
  }
};

}  // namespace fathom::gpu
