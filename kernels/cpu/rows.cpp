#include "kernels/cpu/rows.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/input.hpp"
#include "kernels/cpu/simd.hpp"

namespace fathom::cpu {

namespace {

// y = x at the listed columns; low -1: zero.
template <class F>
FATHOM_INLINE void select(const float* x, std::int64_t x_pixel, const Between* column, std::int64_t count, float* y,
                          std::int64_t y_pixel, std::int64_t c, F f) {
  for (std::int64_t j = 0; j < count; ++j, y += y_pixel) {
    if (column[j].low < 0) {
      for (std::int64_t q = 0; q < c; ++q) y[q] = 0;
    } else {
      const float* from = x + column[j].low * x_pixel;
      for (std::int64_t q = 0; q < c; ++q) y[q] = f(from[q], q);
    }
  }
}

FATHOM_CLONES void select_columns(const float* x, std::int64_t x_pixel, const Between* column, std::int64_t count,
                                  float* __restrict y, std::int64_t y_pixel, std::int64_t c, const float* gate) {
  if (c == 1) {
    const float factor = gate ? *gate : 1;
    for (std::int64_t j = 0; j < count; ++j)
      y[j * y_pixel] = column[j].low < 0 ? 0 : x[column[j].low * x_pixel] * factor;
  } else if (gate) {
    select(x, x_pixel, column, count, y, y_pixel, c, [gate](float v, std::int64_t q) { return v * gate[q]; });
  } else {
    select(x, x_pixel, column, count, y, y_pixel, c, [](float v, std::int64_t) { return v; });
  }
}

// y = the bilinear mean of two rows at the listed columns, rounded once per product and sum.
template <class F>
FATHOM_INLINE void blend(const float* a, const float* b, float down, std::int64_t x_pixel, const Between* column,
                         std::int64_t count, float* y, std::int64_t y_pixel, std::int64_t c, F f) {
  const float up = 1 - down;
  for (std::int64_t j = 0; j < count; ++j, y += y_pixel) {
    if (column[j].low < 0) {
      for (std::int64_t q = 0; q < c; ++q) y[q] = 0;
      continue;
    }
    const std::int64_t low = column[j].low * x_pixel, high = column[j].high * x_pixel;
    const float right = column[j].weight, left = 1 - right;
    const float *a0 = a + low, *a1 = a + high, *b0 = b + low, *b1 = b + high;
    for (std::int64_t q = 0; q < c; ++q)
      y[q] = f((a0[q] * left + a1[q] * right) * up + (b0[q] * left + b1[q] * right) * down, q);
  }
}

FATHOM_CLONES void blend_columns(const float* a, const float* b, float down, std::int64_t x_pixel,
                                 const Between* column, std::int64_t count, float* __restrict y, std::int64_t y_pixel,
                                 std::int64_t c, const float* gate) {
  if (c == 1) {
    const float factor = gate ? *gate : 1, up = 1 - down;
    for (std::int64_t j = 0; j < count; ++j) {
      const Between at = column[j];
      if (at.low < 0) {
        y[j * y_pixel] = 0;
        continue;
      }
      const std::int64_t low = at.low * x_pixel, high = at.high * x_pixel;
      const float right = at.weight, left = 1 - right;
      y[j * y_pixel] = ((a[low] * left + a[high] * right) * up + (b[low] * left + b[high] * right) * down) * factor;
    }
  } else if (gate) {
    blend(a, b, down, x_pixel, column, count, y, y_pixel, c, [gate](float v, std::int64_t q) { return v * gate[q]; });
  } else {
    blend(a, b, down, x_pixel, column, count, y, y_pixel, c, [](float v, std::int64_t) { return v; });
  }
}

// Places along one axis: of the resized map, then padded.
std::vector<Between> places(std::int64_t in, std::int64_t out, const Resize& resize, PadMode mode, int before,
                            int after) {
  std::vector<Between> inner(static_cast<std::size_t>(out));
  if (resize.mode == ResizeMode::bilinear) {
    inner = bilinear_places(in, out, resize.align_corners);
  } else {
    for (std::int64_t i = 0; i < out; ++i) inner[i].low = inner[i].high = static_cast<std::int32_t>(nearest_index(i, in, out));
  }
  std::vector<Between> all;
  for (std::int64_t i = -before; i < out + after; ++i) {
    const std::int64_t from = padded_index(i, out, mode);
    all.push_back(from < 0 ? Between{-1, -1, 0} : inner[static_cast<std::size_t>(from)]);
  }
  return all;
}

}  // namespace

FATHOM_CLONES void copy_pixels(const float* x, std::int64_t x_pixel, float* y, std::int64_t y_pixel, std::int64_t count,
                               std::int64_t c) {
  for (std::int64_t j = 0; j < count; ++j, x += x_pixel, y += y_pixel)
    for (std::int64_t q = 0; q < c; ++q) y[q] = x[q];
}

// half-pixel: (i + 0.5) in/out - 0.5, clamped · align_corners: i (in-1)/(out-1)
std::vector<Between> bilinear_places(std::int64_t in, std::int64_t out, bool align_corners) {
  std::vector<Between> places;
  for (std::int64_t i = 0; i < out; ++i) {
    const double at = align_corners ? (out > 1 ? double(i) * double(in - 1) / double(out - 1) : 0.0)
                                    : std::max(0.0, (double(i) + 0.5) * double(in) / double(out) - 0.5);
    const std::int64_t low = std::min(static_cast<std::int64_t>(at), in - 1);
    const std::int64_t high = std::min(low + 1, in - 1);
    places.push_back(
        {static_cast<std::int32_t>(low), static_cast<std::int32_t>(high), static_cast<float>(at - double(low))});
  }
  return places;
}

std::int64_t padded_index(std::int64_t at, std::int64_t size, PadMode mode) {
  if (at >= 0 && at < size) return at;
  if (mode == PadMode::zeros) return -1;
  if (mode == PadMode::replicate) return std::clamp<std::int64_t>(at, 0, size - 1);
  return at < 0 ? -at : 2 * (size - 1) - at;
}

RowReader::RowReader(const Desc& x, const Resize& resize, PadMode mode, const Padding& padding)
    : bilinear_(resize.mode == ResizeMode::bilinear) {
  const Desc resized = resize.infer(Descs(&x, 1));
  rows_ = places(x.h(), resized.h(), resize, mode, padding.top, padding.bottom);
  columns_ = places(x.w(), resized.w(), resize, mode, padding.left, padding.right);
  if (resized.w() == x.w()) inner_begin_ = padding.left, inner_count_ = x.w();
}

void RowReader::read(const View<const float, 4>& x, std::int64_t n, std::int64_t i, float* y, std::int64_t y_pixel,
                     const float* gate) const {
  const Between row = rows_[static_cast<std::size_t>(i)];
  const std::int64_t c = x.extent[1], pixel = x.extent[3] == 1 ? c : x.stride[3];
  if (row.low < 0) {
    for (std::int64_t j = 0; j < width(); ++j) std::memset(y + j * y_pixel, 0, static_cast<std::size_t>(c) * 4);
    return;
  }
  const float* from = &x(n, 0, row.low, 0);
  if (bilinear_) {
    blend_columns(from, &x(n, 0, row.high, 0), row.weight, pixel, columns_.data(), width(), y, y_pixel, c, gate);
  } else if (inner_count_ && pixel == c && y_pixel == c && !gate) {
    const std::int64_t after = inner_begin_ + inner_count_;
    select_columns(from, pixel, columns_.data(), inner_begin_, y, y_pixel, c, nullptr);
    std::memcpy(y + inner_begin_ * c, from, static_cast<std::size_t>(inner_count_ * c) * 4);
    select_columns(from, pixel, columns_.data() + after, width() - after, y + after * c, y_pixel, c, nullptr);
  } else {
    select_columns(from, pixel, columns_.data(), width(), y, y_pixel, c, gate);
  }
}

}  // namespace fathom::cpu
