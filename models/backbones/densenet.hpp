// DenseNet-161 (Huang et al. 2017), as torchvision builds it: growth 48, blocks of 6, 12, 36 and 24 layers.
#pragma once

#include <array>
#include <string>

#include "models/network.hpp"

namespace fathom {

struct DenseNetFeatures {
  Value pooled;  // pool0                                          (N, 96, H/4, W/4)
  std::array<Value, 3>
      transitions;  // transition1 .. 3, before their average pools   (N, 192, H/4 ..), (384, 1/8), (1056, 1/16)
  Value last;       // relu(norm5)                                    (N, 2208, H/32, W/32)
};

// Keys: prefix + "conv0.weight", prefix + "denseblock1.denselayer1.norm1.weight", ...
DenseNetFeatures densenet161(Network& g, const std::string& prefix, Value x);

}  // namespace fathom
