// Where a row or column of a resized or padded map reads the original.
#pragma once
#include "divisor.cuh"
#include "engine/ops.hpp"
#include "fathom/error.hpp"
#include "platform.cuh"

namespace fathom::gpu {

// (1 - t) x[first] + t x[second]
struct Tap {
  int first, second;
  float t;
};

// One axis of a Resize. Positions are fractions of whole numbers, so that they are exact however large the map.
//   nearest: i in/out with ratio and product rounded to float, as nearest_index has it
//   bilinear, half-pixel: (i + 0.5) in/out - 0.5 = ((2 i + 1) in - out) / (2 out), not below 0
//   align_corners: i (in - 1) / (out - 1)
struct ResizeAxis {
  int in = 1, out = 1;
  bool nearest = false, align_corners = false;
  float ratio = 1;    // of nearest
  Divisor divisor;    // of bilinear
  float inverse = 1;  // 1 / divisor

  ResizeAxis() = default;
  ResizeAxis(const Resize& op, std::int64_t in_size, std::int64_t out_size)
      : in(static_cast<int>(in_size)),
        out(static_cast<int>(out_size)),
        nearest(op.mode != ResizeMode::bilinear),
        align_corners(op.align_corners),
        ratio(static_cast<float>(in_size) / static_cast<float>(out_size)) {
    if (in_size * out_size >= (1 << 30))
      throw Error(ErrorKind::unsupported, "CUDA: a map is too large to be resized; use a smaller size");
    if (!nearest) divisor = Divisor(!align_corners ? 2 * out : out > 1 ? out - 1 : 1);
    inverse = 1 / static_cast<float>(divisor.divisor);
  }

  __device__ int nearest_at(int i) const {
    if (out == in) return i;
    if (out == 2 * in) return i / 2;
    const int at = static_cast<int>(static_cast<float>(i) * ratio);
    return at < in ? at : in - 1;
  }
  __device__ Tap at(int i) const {
    if (nearest) return {nearest_at(i), nearest_at(i), 0};
    int position = align_corners ? i * (in - 1) : (2 * i + 1) * in - out;
    position = position < 0 || (out == 1 && align_corners) ? 0 : position;
    const int first = divisor.quotient(position), rest = position - first * divisor.divisor;
    if (rest == 0 || first >= in - 1) {
      const int at = first < in ? first : in - 1;
      return {at, at, 0};
    }
    return {first, first + 1, static_cast<float>(rest) * inverse};
  }
};

// Where a padded axis of `size` reads at i, counted from the original's first; -1: a zero.
__device__ inline int padded_at(int i, int size, PadMode mode) {
  if (i >= 0 && i < size) return i;
  if (mode == PadMode::zeros) return -1;
  if (mode == PadMode::replicate) return i < 0 ? 0 : size - 1;
  return i < 0 ? -i : 2 * (size - 1) - i;
}

}  // namespace fathom::gpu
