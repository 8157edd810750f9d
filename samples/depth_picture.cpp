#include "samples/depth_picture.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace fathom {
namespace {

bool has_place(float depth) { return std::isfinite(depth) && depth > 0; }

std::string short_number(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", v);
  return text;
}

}  // namespace

DisplayRange display_range(const DepthMap& map, double low, double high) {
  // A hundred thousand pixels tell as much as all of them.
  const std::size_t step = std::max<std::size_t>(1, map.depth.size() / 100'000);
  std::vector<float> inverse;
  inverse.reserve(map.depth.size() / step + 1);
  for (std::size_t i = 0; i < map.depth.size(); i += step)
    if (has_place(map.depth[i])) inverse.push_back(1 / map.depth[i]);
  if (inverse.empty()) return {};
  const auto percentile = [&](double share) {
    const auto at = inverse.begin() + std::lround(share * static_cast<double>(inverse.size() - 1));
    std::nth_element(inverse.begin(), at, inverse.end());
    return *at;
  };
  const float far = percentile(low);
  return {far, percentile(high)};
}

Image depth_picture(const DepthMap& map, const Colormap& colours, std::optional<DisplayRange> range) {
  const auto [far, near] = range ? *range : display_range(map);
  Image picture(map.width, map.height);
  for (std::size_t i = 0; i < map.depth.size(); ++i) {
    if (!has_place(map.depth[i])) continue;
    // A picture all at one depth takes the middle colour.
    const float t = near > far ? (1 / map.depth[i] - far) / (near - far) : 0.5f;
    std::copy_n(colours.at(t).data(), 3, picture.rgb.data() + 3 * i);
  }
  return picture;
}

Image side_by_side(const ImageView& left, const ImageView& right) {
  check(left), check(right);
  Image both(left.width + right.width, std::max(left.height, right.height));
  for (int y = 0; y < left.height; ++y) std::copy_n(left.row(y), std::int64_t{3} * left.width, both.row(y));
  for (int y = 0; y < right.height; ++y)
    std::copy_n(right.row(y), std::int64_t{3} * right.width, both.row(y) + std::int64_t{3} * left.width);
  return both;
}

DepthPlane depth_plane(const DepthMap& map, double values_per_unit) {
  DepthPlane result{{map.width, map.height, std::vector<std::uint16_t>(map.depth.size())}, values_per_unit};
  if (!(result.values_per_unit > 0)) {
    float farthest = 0;
    for (const float depth : map.depth)
      if (has_place(depth)) farthest = std::max(farthest, depth);
    result.values_per_unit = map.unit == "m" || farthest == 0 ? 1000 : 65535.0 / farthest;
  }
  for (std::size_t i = 0; i < map.depth.size(); ++i) {
    if (!has_place(map.depth[i])) continue;
    const double value = std::round(map.depth[i] * result.values_per_unit);
    result.clipped += value > 65535;
    result.plane.values[i] = static_cast<std::uint16_t>(std::clamp(value, 1.0, 65535.0));
  }
  result.text = (map.unit == "m" ? "depth in m" : "depth, up to scale,") + std::string(" = value / ") +
                short_number(result.values_per_unit) + "; 0: none";
  return result;
}

}  // namespace fathom
