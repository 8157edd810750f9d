// Depth maps as pictures.
#pragma once

#include <optional>
#include <string>

#include "fathom/depth_map.hpp"
#include "fathom/image.hpp"
#include "samples/colormap.hpp"
#include "samples/plane16.hpp"

namespace fathom {

// The inverse depths that the ends of a colour map stand for.
struct DisplayRange {
  float far = 0, near = 1;
};

// From the 2nd to the 98th percentile of the inverse depths: a few odd pixels do not darken the picture. For video,
// take it of each frame and let it follow slowly.
DisplayRange display_range(const DepthMap& map, double low = 0.02, double high = 0.98);

// Near is bright; pixels without a depth are black.
Image depth_picture(const DepthMap& map, const Colormap& colours, std::optional<DisplayRange> range = {});

// Both beside each other, the lower one padded with black.
Image side_by_side(const ImageView& left, const ImageView& right);

// Depth in 16 bits: value = depth * values_per_unit, rounded; 0 where there is none; what lies too far becomes 65535.
// In metres 1000 values each unless told otherwise: millimetres up to 65.5 m. A relative depth is scaled so that its
// farthest pixel takes 65535.
struct DepthPlane {
  Plane16 plane;
  double values_per_unit = 1000;
  std::int64_t clipped = 0;  // pixels too far to be told
  std::string text;          // "depth in m = value / 1000; 0: none", for the file and for the user
};
DepthPlane depth_plane(const DepthMap& map, double values_per_unit = 0);

}  // namespace fathom
