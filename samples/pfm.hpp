// Portable float maps: a text header, then one float a pixel, rows from the bottom to the top.
//   Pf \n width height \n -1.0 \n          (a negative number says little-endian)
#pragma once

#include <filesystem>

#include "samples/float_map.hpp"

namespace fathom {

// True values, little-endian. Throws Error{file} as write_file does.
void write_pfm(const std::filesystem::path& path, int width, int height, const std::vector<float>& values);

// Of one channel, of either byte order. Throws Error{file} or Error{image} that names the path and what is wrong.
FloatMap read_pfm(const std::filesystem::path& path);

}  // namespace fathom
