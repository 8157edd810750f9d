// Point clouds: every pixel at its place in space, with its colour.
#pragma once

#include <filesystem>

#include "fathom/depth_map.hpp"
#include "fathom/image.hpp"

namespace fathom {

// A pinhole camera that looks through the picture's centre. Where the photograph's own is not known, 60 degrees from
// edge to edge is near a phone's main camera held upright or a Kinect's.
struct Camera {
  double focal_pixels = 0;  // 0: from the angle
  double horizontal_view_degrees = 60;
};
double focal_pixels(const Camera& camera, int width);  // (width / 2) / tan(view / 2)

// Binary PLY. x = (column - centre) / focal * depth to the right, y likewise upwards, z = -depth: seen from the origin
// the cloud is the photograph. Pixels without a depth (zero, negative, not finite) are left out; returns the number of
// points. Throws Error{image} when photograph and map differ in size, Error{file} when it cannot be written.
std::int64_t write_ply(const std::filesystem::path& path, const DepthMap& map, const ImageView& photo,
                       const Camera& camera = {});

}  // namespace fathom
