// The trunk of MobileNetV3-Large (Howard et al. 2019): features.0 to features.15, without the last 1x1 convolution.
#pragma once

#include <string>
#include <vector>

#include "models/network.hpp"

namespace fathom {

// Two codes of it are in use; they differ in names, in where the squeeze stands, and in eps.
struct MobileNetV3 {
  enum class Keys {
    torchvision,  // features.i.block.j; squeeze after the depthwise activation, held as 1x1 convolutions
    lite,         // features.i.conv.j of Lite-HR-Depth; squeeze before it, held as linear layers
  };
  Keys keys = Keys::torchvision;
  float eps = 1e-3f;  // of all batch norms
  double width = 1;   // multiplies all channels, rounded to multiples of 8
};

// Nearest multiple of 8, at least 8, one up where more than a tenth would be lost: torchvision's _make_divisible.
int make_divisible(double channels);

// The outputs of features.0 .. features.15, by index. Keys: prefix + "features.0.0.weight", ...
std::vector<Value> mobilenet_v3(Network& g, const std::string& prefix, Value x, const MobileNetV3& kind);

}  // namespace fathom
