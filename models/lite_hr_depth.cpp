// Lite-HR-Depth (Lyu et al., AAAI 2021): MobileNetV3-Large and a narrow HR-Depth decoder.
#include "models/backbones/mobilenet_v3.hpp"
#include "models/hr_depth_decoder.hpp"
#include "models/networks.hpp"

namespace fathom {

void lite_hr_depth(Network& g, const Frame& frame, const ModelConfig& config) {
  const Value image = photograph(g, frame, config);  // (N, 3, H, W)
  // MobileEncoder: the features right after each stride-2 block, but for the last stage its end
  const std::vector<Value> f =
      mobilenet_v3(g, "encoder.encoder.", image, {.keys = MobileNetV3::Keys::lite, .eps = 1e-5f});
  hr_depth_decoder(g, {f[0], f[2], f[4], f[7], f[15]},  // 16 24 40 80 160, 1/2 .. 1/32
                   {.num_ch_dec = {4, 12, 20, 40}, .downsample = false});
}

}  // namespace fathom
