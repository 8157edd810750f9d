// How a convolution, a Pad and a Resize read a map: rows of the map after resizing and padding, made one at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/ops.hpp"

namespace fathom::cpu {

// Copies `count` pixels of c channels between rows whose pixels lie the given steps apart.
void copy_pixels(const float* x, std::int64_t x_pixel, float* y, std::int64_t y_pixel, std::int64_t count,
                 std::int64_t c);

// Where one row or column of the output of a bilinear resize lies: between low and high, at weight of the way.
struct Between {
  std::int32_t low = 0, high = 0;
  float weight = 0;
};
std::vector<Between> bilinear_places(std::int64_t in, std::int64_t out, bool align_corners);

// The index a padded place reads: -1 outside in zero padding.
std::int64_t padded_index(std::int64_t at, std::int64_t size, PadMode mode);

class RowReader {
 public:
  // x as stored, then resized, then padded.
  RowReader(const Desc& x, const Resize& resize, PadMode mode, const Padding& padding);

  std::int64_t height() const { return static_cast<std::int64_t>(rows_.size()); }
  std::int64_t width() const { return static_cast<std::int64_t>(columns_.size()); }
  // Writes row i of image n to y, pixels y_pixel floats apart. gate: null, or a factor per channel.
  void read(const View<const float, 4>& x, std::int64_t n, std::int64_t i, float* y, std::int64_t y_pixel,
            const float* gate) const;

 private:
  bool bilinear_ = false;
  std::int64_t inner_begin_ = 0, inner_count_ = 0;  // the columns that are a plain copy of the row
  std::vector<Between> rows_, columns_;             // low -1: zero
};

}  // namespace fathom::cpu
