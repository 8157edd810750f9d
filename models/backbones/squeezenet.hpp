// SqueezeNet 1.1 (Iandola et al. 2016), as torchvision builds it.
#pragma once

#include <string>
#include <vector>

#include "models/network.hpp"

namespace fathom {

// The outputs of features.0 .. features.12, by index: the taps in use are 1 (64 channels, 1/2), 4 (128, 1/4), 7 (256,
// 1/8) and 12 (512, 1/16), each a little smaller than that, for neither stem nor pools are padded.
std::vector<Value> squeezenet(Network& g, const std::string& prefix, Value x);

}  // namespace fathom
