// Groups of layers that several networks and backbones share. Each adds its nodes one by one: fusing them is the
// passes' work.
#pragma once

#include <string>

#include "models/architectures.hpp"

namespace fathom {

// The u8 input `name` of the frame's size, and (x / 255 - mean) / std as the model's config has them.   (N, 3, H, W)
Value photograph(Network& g, const Frame& frame, const ModelConfig& config, const std::string& name = "image");

// conv without bias, batch norm, activation
Value conv_bn(Network& g, const std::string& conv, const std::string& bn, Value x, const ConvOptions& options,
              ActivationKind activation = ActivationKind::relu, float eps = 1e-5f);

// x * gate(W2 relu(W1 mean(x))): squeeze and excitation (Hu et al. 2018)
struct SqueezeExcite {
  std::string squeeze, excite;  // keys of W1 and W2
  int hidden = 0;
  bool bias = false;
  ActivationKind gate = ActivationKind::sigmoid;
  bool as_conv = false;  // the checkpoint holds W1 and W2 as 1x1 convolutions
};
Value squeeze_excite(Network& g, Value x, const SqueezeExcite& options);

}  // namespace fathom
