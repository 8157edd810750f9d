// One channel of 16 bits: what depth pictures hold.
#pragma once

#include <cstdint>
#include <vector>

namespace fathom {

struct Plane16 {
  int width = 0;
  int height = 0;
  std::vector<std::uint16_t> values;  // height x width, row by row from the top
};

}  // namespace fathom
