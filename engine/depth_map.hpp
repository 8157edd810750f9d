// From a network's output back to the photograph: its size, and depth in the model's unit.
#pragma once

#include "engine/image.hpp"
#include "engine/resample.hpp"
#include "fathom/depth_map.hpp"

namespace fathom {

// Throws Error{model} where the primary output of the model is no depth and no disparity.
void check_gives_depth(const ModelConfig& config);

// A disparity d becomes s = 1/max + (1/min - 1/max) d, is resized bilinearly to the photograph's size, and only then
// inverted: depth = scale / s. A depth is resized, loses its sign where the configuration says `absolute`, and is
// multiplied by the scale. The output may have any size; it covers what the network saw. Where the photograph was cropped, the margin outside takes the value of the nearest edge.
DepthMap postprocess(const MapView& output, const ModelConfig& config, PixelSize photo, int threads = 0);

}  // namespace fathom
