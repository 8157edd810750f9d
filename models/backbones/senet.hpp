// SENet-154 (Hu et al. 2018), as Cadene's pretrainedmodels builds it.
#pragma once

#include <array>
#include <string>

#include "models/network.hpp"

namespace fathom {

struct SENetFeatures {
  Value pooled;                 // layer0, its pool included   (N, 128, H/4, W/4)
  std::array<Value, 4> layers;  // layer1 .. layer4            (N, 256, 512, 1024, 2048; 1/4 .. 1/32)
};

// Keys: prefix + "0.conv1.weight", prefix + "1.0.conv1.weight", ...: prefix is "layer" in the official checkpoint.
SENetFeatures senet154(Network& g, const std::string& prefix, Value x);

}  // namespace fathom
