// MobileNetV2 (Sandler et al. 2018).
#pragma once

#include <string>
#include <vector>

#include "models/network.hpp"

namespace fathom {

struct MobileNetV2 {
  enum class Keys {
    torchvision,  // prefix + "features.i.conv.j"; the first block does not expand
    refinenet,    // prefix + "layerL.n.output.j"; the first block has a 1x1 convolution of 32 to 32 channels
  };
  Keys keys = Keys::torchvision;
  int output_stride = 32;  // 16: the 160-channel stage keeps its size, and the blocks after its first are dilated by 2
  int head = 1280;         // channels of the last 1x1 convolution, features.18; 0: none
};

// The outputs of features.0 .. features.18, by torchvision's index: 16 channels at 1/2 from 1 on, 24 at 1/4 from 2, 32
// at 1/8 from 4, 64 at 1/16 from 7, 96 from 11, 160 at 1/32 from 14, 320 at 17, the head at 18.
std::vector<Value> mobilenet_v2(Network& g, const std::string& prefix, Value x, const MobileNetV2& kind = {});

}  // namespace fathom
