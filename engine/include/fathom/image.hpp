// A photograph, as every entry point takes it: 8-bit RGB, row by row from the top.
#pragma once

#include <cstdint>
#include <vector>

namespace fathom {

struct Image {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> rgb;  // height x width x 3

  Image() = default;
  Image(int w, int h);  // black; throws Error{image} on absurd sizes, Error{memory} when there is no room

  std::uint8_t* row(int y) { return rgb.data() + std::int64_t{3} * width * y; }
  const std::uint8_t* row(int y) const { return rgb.data() + std::int64_t{3} * width * y; }
  bool operator==(const Image&) const = default;
};

// The same in memory of the caller's own. Rows may be further apart than they are long; a negative distance reads
// pictures that are stored bottom to top (data is the top row all the same).
struct ImageView {
  const std::uint8_t* data = nullptr;
  int width = 0;
  int height = 0;
  std::int64_t row_stride_bytes = 0;

  ImageView() = default;
  ImageView(const std::uint8_t* rgb, int w, int h) : ImageView(rgb, w, h, std::int64_t{3} * w) {}
  ImageView(const std::uint8_t* rgb, int w, int h, std::int64_t stride_bytes)
      : data(rgb), width(w), height(h), row_stride_bytes(stride_bytes) {}
  ImageView(const Image& image);  // throws Error{image} when the sizes and the bytes do not agree

  const std::uint8_t* row(int y) const { return data + row_stride_bytes * y; }
};

// Throws Error{image} that says what is wrong: no data, no pixels, rows that overlap.
void check(const ImageView& image);

}  // namespace fathom
