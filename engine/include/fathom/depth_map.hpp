// What comes out: the depth of every pixel of the photograph.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fathom {

struct DepthMap {
  int width = 0;  // of the photograph
  int height = 0;
  std::vector<float> depth;       // height x width, row by row from the top, in `unit`; larger is farther
  std::string unit = "relative";  // "m", or "relative": right up to one factor for the whole picture

  float at(int x, int y) const { return depth[static_cast<std::size_t>(std::int64_t{width} * y + x)]; }
};

// 1 / depth: even steps for the eye, near is large. Zero where depth is no positive number (a network that gives depth
// itself may say zero or less; such pixels have no place in space).
std::vector<float> inverse_depth(const DepthMap& map);

}  // namespace fathom
