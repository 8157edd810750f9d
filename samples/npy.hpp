// NumPy's array files: "\x93NUMPY", version, the length of a header that is a Python dictionary, then the numbers.
#pragma once

#include <filesystem>
#include <string>

#include "samples/float_map.hpp"

namespace fathom {

struct NpyMap {
  FloatMap map;
  std::string dtype;  // as the file says it: "<f4", "<f8", "<f2", "<u2", "|u1", ...
};

// One plane: axes of length 1 are dropped, so (1, 1, 480, 640) is as good as (480, 640). float16, float32, float64,
// uint8, uint16, int32, of either byte order and either memory order. Throws Error{file} or Error{image} that says what
// is wrong.
NpyMap read_npy(const std::filesystem::path& path);

}  // namespace fathom
