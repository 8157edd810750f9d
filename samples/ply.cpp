#include "samples/ply.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <numbers>
#include <string>

#include "fathom/error.hpp"
#include "samples/files.hpp"

namespace fathom {

static_assert(std::endian::native == std::endian::little, "points are copied as they stand");

double focal_pixels(const Camera& camera, int width) {
  if (camera.focal_pixels > 0) return camera.focal_pixels;
  if (!(camera.horizontal_view_degrees > 0 && camera.horizontal_view_degrees < 180))
    throw Error(ErrorKind::usage, "a field of view of " + std::to_string(camera.horizontal_view_degrees) +
                                      " degrees: it must lie between 0 and 180");
  return width / 2.0 / std::tan(camera.horizontal_view_degrees * std::numbers::pi / 360);
}

std::int64_t write_ply(const std::filesystem::path& path, const DepthMap& map, const ImageView& photo,
                       const Camera& camera) {
  check(photo);
  if (map.width != photo.width || map.height != photo.height)
    throw Error(ErrorKind::image, "the photograph is " + std::to_string(photo.width) + "x" +
                                      std::to_string(photo.height) + ", its depth map " + std::to_string(map.width) +
                                      "x" + std::to_string(map.height) + ": points need both for every pixel");
  const double focal = focal_pixels(camera, map.width);
  const auto has_place = [](float depth) { return std::isfinite(depth) && depth > 0; };
  std::int64_t points = 0;
  for (const float depth : map.depth) points += has_place(depth);

  const std::string header =
      "ply\nformat binary_little_endian 1.0\n"
      "comment x to the right, y up, seen from the origin along -z; focal length " +
      std::to_string(focal) +
      " pixels\n"
      "comment unit " +
      map.unit +
      "\n"
      "element vertex " +
      std::to_string(points) +
      "\n"
      "property float x\nproperty float y\nproperty float z\n"
      "property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n";
  constexpr std::size_t point_bytes = 15;
  std::vector<std::uint8_t> bytes(header.size() + point_bytes * static_cast<std::size_t>(points));
  std::memcpy(bytes.data(), header.data(), header.size());
  std::uint8_t* at = bytes.data() + header.size();
  for (int y = 0; y < map.height; ++y)
    for (int x = 0; x < map.width; ++x) {
      const float depth = map.at(x, y);
      if (!has_place(depth)) continue;
      const float place[3] = {static_cast<float>((x + 0.5 - map.width / 2.0) / focal * depth),
                              static_cast<float>((map.height / 2.0 - y - 0.5) / focal * depth), -depth};
      std::memcpy(at, place, 12);
      std::memcpy(at + 12, photo.row(y) + std::int64_t{3} * x, 3);
      at += point_bytes;
    }
  write_file(path, bytes);
  return points;
}

}  // namespace fathom
