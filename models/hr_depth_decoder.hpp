// HR-Depth's decoder (Lyu et al., AAAI 2021, fig. 2): nodes X_rc between the encoder's features and the disparities.
#pragma once

#include <array>

#include "models/monodepth2_layers.hpp"

namespace fathom {

struct HrDepthDecoder {
  std::array<int, 4> num_ch_dec;  // half the width of the nodes in rows 0 to 3
  // What the last node of each row (31, 22, 13, 04) does with its concatenation.
  enum class Last { fse, conv, se_conv } last = Last::fse;
  bool downsample = true;  // a 1x1 convolution before the 3x3 of nodes in columns from 2 on
};

// features: X_00 .. X_40, at 1/2 .. 1/32. Declares disp0 .. disp3. Keys: "depth.convs.X_10_Conv_0..."
void hr_depth_decoder(Network& g, const std::array<Value, 5>& features, const HrDepthDecoder& kind);

}  // namespace fathom
