// The mobile network of Wang et al. (knowledge distillation for fast depth on mobile devices, Mobile AI 2021): a narrow
// MobileNetV3 at 128x160, feature fusion modules up to half of that, and back to the photograph's size.
#include <algorithm>

#include "models/backbones/mobilenet_v3.hpp"
#include "models/layers.hpp"
#include "models/networks.hpp"

namespace fathom {

void mobile_baseline(Network& g, const Frame& frame, const ModelConfig& config, const MobileBaseline& kind) {
  Value image = photograph(g, frame, config);  // (N, 3, H, W)
  // never enlarged: a model may be trained for less
  image = g.bilinear(image, {std::min(128, frame.height), std::min(160, frame.width)});  // (N, 3, 128, 160)
  const std::vector<Value> f = mobilenet_v3(g, "encoder.", image, {.width = kind.width});

  // FFM at 1/16, 1/8, 1/4, 1/2: x2 bilinear, cat with the encoder's, 3x3, BN, ReLU
  struct Level {
    const char* key;
    Value skip;
    int out;
  };
  const Level levels[] = {{"decoder.ffm16", f[12], kind.fused[3]},
                          {"decoder.ffm8", f[6], kind.fused[2]},
                          {"decoder.ffm4", f[3], kind.fused[1]},
                          {"decoder.ffm2", f[1], kind.fused[0]}};
  Value x = f[15];  // (N, C, 4, 5)
  for (const Level& l : levels) {
    const std::string key = l.key;
    x = g.concat({g.bilinear(x, g.size(l.skip)), l.skip}, key + ".cat");
    x = conv_bn(g, key + ".conv.0", key + ".conv.1", x, {.out = l.out ? l.out : g.channels(l.skip), .padding = 1});
  }                                                                       // (N, C, 64, 80)
  x = g.conv("decoder.head", x, {.out = 1, .padding = 1, .bias = true});  // (N, 1, 64, 80)
  x = g.activate(x, ActivationKind::sigmoid);
  x = g.add(Affine{.scale = config.max_depth}, {x}, "decoder.depth");
  // the paper's is nearest, which shows as blocks; without it the caller's own resize, bilinear, does all
  if (config.output_resize != ResizeMode::none)
    x = g.add(Resize{.mode = config.output_resize, .size = {frame.height, frame.width}}, {x}, "depth");  // (N, 1, H, W)
  g.output("depth", x, OutputKind::depth, config.scale);
}

}  // namespace fathom
