#include "samples/stable_range.hpp"

#include <algorithm>
#include <cmath>

namespace fathom {

DisplayRange StableRange::follow(const DepthMap& map, double seconds) {
  const DisplayRange frame = display_range(map);
  if (!(frame.far > 0)) return range_;  // no depth in it
  const bool another_scene = frame.near < range_.far || frame.far > range_.near;
  if (!begun_ || another_scene) {
    begun_ = true;
    return range_ = frame;
  }
  const auto share = static_cast<float>(1 - std::exp(-std::max(seconds, 0.0) / settling_seconds_));
  range_.far += share * (frame.far - range_.far);
  range_.near += share * (frame.near - range_.near);
  return range_;
}

}  // namespace fathom
