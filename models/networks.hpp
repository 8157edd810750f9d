// The builders behind the table of architectures: one function a network, one file each.
#pragma once

#include <array>

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

// drnet: models/drnet.hpp
enum class RsideBackbone { resnet50, densenet161, senet154 };
void rside(Network& g, const Frame& frame, const ModelConfig& config, RsideBackbone backbone);
void refinenet_mobilenetv2(Network& g, const Frame& frame, const ModelConfig& config);

void umich_mobilenetv2(Network& g, const Frame& frame, const ModelConfig& config);
void umich_squeezenet(Network& g, const Frame& frame, const ModelConfig& config);

// cnd: models/cnd.hpp

struct MobileBaseline {
  double width;                   // of MobileNetV3
  std::array<int, 4> fused = {};  // channels of the fusion modules at 1/2 .. 1/16; 0: as many as the encoder has there
};
void mobile_baseline(Network& g, const Frame& frame, const ModelConfig& config, const MobileBaseline& kind);

}  // namespace fathom
