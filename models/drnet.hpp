// DRNet's variants, as data.
#pragma once

#include <string>

#include "models/architectures.hpp"

namespace fathom {

enum class DrnetBackbone { resnet50, resnet152, densenet161, senet154 };

struct Drnet {
  DrnetBackbone backbone = DrnetBackbone::resnet50;
  int kernel = 1;             // of the convolutions from the first branch to the second
  bool diagonals = true;      // the depth so far is concatenated into the first branch
  bool second_branch = true;  // without it one convolution at the end gives the depth
  bool guided = false;        // guided filter instead of bilinear upsampling of the depth
  bool image0 = false;        // the image stands in for features of level 0
  bool merge = false;         // the first branch goes on from all that the correction reads (the caption of fig. 1)
};

void drnet(Network& g, const Frame& frame, const ModelConfig& config, const Drnet& kind);

}  // namespace fathom
