#include "engine/depth_map.hpp"

#include <cmath>

#include "fathom/error.hpp"

namespace fathom {

void check_gives_depth(const ModelConfig& config) {
  if (config.output != OutputKind::disparity && config.output != OutputKind::depth)
    throw Error(ErrorKind::model,
                "the primary output of the model is neither depth nor disparity: no depth map can be made of it");
}

DepthMap postprocess(const MapView& output, const ModelConfig& config, PixelSize photo, int threads) {
  check_gives_depth(config);
  // The part of the photograph that the network saw.
  const PixelSize resized = resized_size(config, photo), seen = network_size(config, photo);
  const double step_x = static_cast<double>(photo.width) / resized.width;
  const double step_y = static_cast<double>(photo.height) / resized.height;
  const Window window{(resized.width - seen.width) / 2 * step_x, (resized.height - seen.height) / 2 * step_y,
                      seen.width * step_x, seen.height * step_y};

  DepthMap map{photo.width, photo.height, resize_bilinear(output, photo.width, photo.height, window, threads),
               config.unit};
  if (config.output == OutputKind::disparity) {
    // Bilinear weights sum to one, so that resizing d and resizing s are the same.
    const float least = 1 / config.max_depth, range = 1 / config.min_depth - least;
    for (float& v : map.depth) v = config.scale / (least + range * v);
  } else {
    for (float& v : map.depth) v = config.scale * (config.absolute ? std::fabs(v) : v);
  }
  return map;
}

std::vector<float> inverse_depth(const DepthMap& map) {
  std::vector<float> out(map.depth.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = map.depth[i] > 0 ? 1 / map.depth[i] : 0;
  return out;
}

}  // namespace fathom
