// HR-Depth (Lyu et al., AAAI 2021): ResNet-18, dense skip connections, feature fusion by fSE.
#include "models/hr_depth_decoder.hpp"
#include "models/networks.hpp"

namespace fathom {

void hr_depth(Network& g, const Frame& frame, const ModelConfig& config) {
  const Value image = photograph(g, frame, config);                         // (N, 3, H, W)
  const ResNetFeatures f = resnet(g, "encoder.encoder.", image, resnet18);  // ResnetEncoder
  resnet_unused_fc(g, "encoder.encoder.", resnet18);
  hr_depth_decoder(g, {f.stem, f.layers[0], f.layers[1], f.layers[2], f.layers[3]},  // 64 64 128 256 512, 1/2 .. 1/32
                   {.num_ch_dec = {16, 32, 64, 128}});                               // HRDepthDecoder
}

}  // namespace fathom
