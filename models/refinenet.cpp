// Multi-task Light-Weight RefineNet on MobileNetV2 (Nekrasov et al., ICRA 2019): depth and segmentation at a quarter of
// the size.
#include "models/backbones/mobilenet_v2.hpp"
#include "models/layers.hpp"
#include "models/networks.hpp"

namespace fathom {

namespace {

constexpr auto relu6 = ActivationKind::relu6;

// conv1x1 of light-weight RefineNet: no bias, no norm
Value conv1x1(Network& g, const std::string& key, Value x, int groups = 1) {
  return g.conv(key, x, {.out = 256, .kernel = 1, .groups = groups});
}

// CRPBlock, 4 stages: top = conv1x1(maxpool 5x5 top), x += top
Value crp(Network& g, const std::string& key, Value x, int groups = 1) {
  Value top = x;
  for (int i = 1; i <= 4; ++i) {
    const std::string stage = key + ".0." + std::to_string(i) + "_outvar_dimred";
    top = g.add(Pool{.kernel = 5, .stride = 1, .padding = 2}, {top}, stage + ".pool");
    top = conv1x1(g, stage, top, groups);
    x = g.sum(top, x);
  }
  return x;
}

// pre_X depthwise 1x1, relu6, X 3x3
Value head(Network& g, const std::string& key, Value x, int out) {
  x = g.activate(conv1x1(g, "pre_" + key, x, 256), relu6);
  return g.conv(key, x, {.out = out, .padding = 1, .bias = true});
}

}  // namespace

void refinenet_mobilenetv2(Network& g, const Frame& frame, const ModelConfig& config) {
  const Value image = photograph(g, frame, config);  // (N, 3, H, W)
  const std::vector<Value> f = mobilenet_v2(g, "", image, {.keys = MobileNetV2::Keys::refinenet, .head = 0});
  const Value l3 = f[3], l4 = f[6], l5 = f[10], l6 = f[13], l7 = f[16], l8 = f[17];  // layer3 24@1/4 .. layer8 320@1/32

  Value x = g.activate(g.sum(conv1x1(g, "conv8", l8), conv1x1(g, "conv7", l7)), relu6);  // (N, 256, H/32, W/32)
  x = g.bilinear(conv1x1(g, "conv_adapt4", crp(g, "crp4", x)), g.size(l6));              // (N, 256, H/16, W/16)
  x = g.activate(g.sum(g.sum(conv1x1(g, "conv5", l5), conv1x1(g, "conv6", l6)), x), relu6);
  x = g.bilinear(conv1x1(g, "conv_adapt3", crp(g, "crp3", x)), g.size(l4));  // (N, 256, H/8, W/8)
  x = g.activate(g.sum(x, conv1x1(g, "conv4", l4)), relu6);
  x = g.bilinear(conv1x1(g, "conv_adapt2", crp(g, "crp2", x)), g.size(l3));  // (N, 256, H/4, W/4)
  x = g.activate(g.sum(conv1x1(g, "conv3", l3), x), relu6);
  x = crp(g, "crp1", x, 256);  // depthwise here

  g.output("depth", head(g, "depth", x, 1), OutputKind::depth, config.scale);  // (N, 1, H/4, W/4)
  g.output("segmentation", head(g, "segm", x, 40), OutputKind::segmentation);  // (N, 40, H/4, W/4)
}

}  // namespace fathom
