// The builders behind the table of architectures: one function a network, one file each.
#pragma once

#include "models/architectures.hpp"
#include "models/backbones/resnet.hpp"

namespace fathom {

void hr_depth(Network& g, const Frame& frame, const ModelConfig& config);
void lite_hr_depth(Network& g, const Frame& frame, const ModelConfig& config);
void monodepth2(Network& g, const Frame& frame, const ModelConfig& config, const ResNet& kind);
void hr_depth_ablation_fse(Network& g, const Frame& frame, const ModelConfig& config);
void hr_depth_ablation_dense(Network& g, const Frame& frame, const ModelConfig& config, bool squeeze);
void pose_resnet18(Network& g, const Frame& frame, const ModelConfig& config);
void pose_cnn(Network& g, const Frame& frame, const ModelConfig& config);

}  // namespace fathom
