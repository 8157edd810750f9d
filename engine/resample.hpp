// Resizing. Photographs: antialiased and in 8 bits, equal to Pillow to the last bit, because the networks were trained
// on its resizes. Maps of floats: plain bilinear.
#pragma once

#include <cstdint>
#include <vector>

#include "fathom/image.hpp"

namespace fathom {

enum class Filter { bilinear, lanczos };  // of radius 1 and 3 in pixels of the coarser of the two pictures

// threads: 0 takes as many as the machine has and the work is worth.
Image resize_antialiased(const ImageView& image, int width, int height, Filter filter, int threads = 0);

Image centre_crop(const ImageView& image, int width, int height);

// One plane of floats in memory of someone else.
struct MapView {
  const float* data = nullptr;
  int width = 0;
  int height = 0;
  std::int64_t row_stride = 0;  // in elements
  std::int64_t column_stride = 1;

  MapView(const float* values, int w, int h) : data(values), width(w), height(h), row_stride(w) {}
  MapView(const float* values, int w, int h, std::int64_t row, std::int64_t column)
      : data(values), width(w), height(h), row_stride(row), column_stride(column) {}
  float at(int x, int y) const { return data[row_stride * y + column_stride * x]; }
};

// The part of the output that the map covers, in pixels of the output. Beyond it the map's edge goes on.
struct Window {
  double left = 0, top = 0, width = 0, height = 0;
};

// y(i, j) = x at ((i + 0.5) in / out - 0.5, ...), clamped to the edge; no antialiasing (cv2's INTER_LINEAR, PyTorch's
// bilinear with align_corners off).
std::vector<float> resize_bilinear(const MapView& map, int width, int height, int threads = 0);
std::vector<float> resize_bilinear(const MapView& map, int width, int height, const Window& window, int threads = 0);

}  // namespace fathom
