// ResNet-18, 50 and 152 (He et al. 2016), as torchvision builds them.
#pragma once

#include <array>
#include <string>

#include "models/network.hpp"

namespace fathom {

struct ResNet {
  std::array<int, 4> blocks;  // of layer1 .. layer4
  bool bottleneck;  // three convolutions a block and four times the channels, or two and the channels as they are
};
inline constexpr ResNet resnet18 = {{2, 2, 2, 2}, false};
inline constexpr ResNet resnet50 = {{3, 4, 6, 3}, true};
inline constexpr ResNet resnet152 = {{3, 8, 36, 3}, true};

struct ResNetFeatures {
  Value stem;    // relu(bn1(conv1))      (N, 64, H/2, W/2)
  Value pooled;  // maxpool of it         (N, 64, H/4, W/4)
  std::array<Value, 4>
      layers;  // layer1 .. layer4      (N, 64 .. 512, H/4 .. H/32, W/4 .. W/32), times 4 with bottlenecks
};

// Keys: prefix + "conv1.weight", prefix + "layer1.0.conv1.weight", ...
ResNetFeatures resnet(Network& g, const std::string& prefix, Value x, const ResNet& kind);
// The classifier that official checkpoints carry along: prefix + "fc".
void resnet_unused_fc(Network& g, const std::string& prefix, const ResNet& kind);

}  // namespace fathom
