// One plane of numbers, as files hold it.
#pragma once

#include <cstdint>
#include <vector>

namespace fathom {

struct FloatMap {
  int width = 0;
  int height = 0;
  std::vector<float> values;  // height x width, row by row from the top

  float at(int x, int y) const { return values[static_cast<std::size_t>(std::int64_t{width} * y + x)]; }
  bool operator==(const FloatMap&) const = default;
};

}  // namespace fathom
