// The rows of HR-Depth's table 4 between Monodepth2 and HR-Depth, reconstructed from their parameter counts.
#include "models/hr_depth_decoder.hpp"
#include "models/networks.hpp"

namespace fathom {

// "+ fSE": Monodepth2 with the second convolution of levels 4 to 1 replaced by fSE
void hr_depth_ablation_fse(Network& g, const Frame& frame, const ModelConfig& config) {
  const Value image = photograph(g, frame, config);  // (N, 3, H, W)
  const ResNetFeatures f = resnet(g, "encoder.encoder.", image, resnet18);
  const Value skip[] = {f.stem, f.layers[0], f.layers[1], f.layers[2]};  // 1/2 .. 1/16
  resnet_unused_fc(g, "encoder.encoder.", resnet18);

  const int num_ch_dec[] = {16, 32, 64, 128, 256};
  Value scales[5];
  Value x = f.layers[3];  // (N, 512, H/32, W/32)
  for (int i = 4; i >= 0; --i) {
    const std::string level = std::to_string(i);
    x = g.nearest(conv_block(g, "depth.convs.upconv_" + level + "_0", x, num_ch_dec[i]), 2);
    if (i > 0)
      x = fse_module(g, "depth.convs.attentionConv_" + level, g.concat({x, skip[i - 1]}, "depth.cat_" + level),
                     num_ch_dec[i]);
    else
      x = conv_block(g, "depth.convs.upconv_0_1", x, num_ch_dec[0]);
    scales[i] = x;  // (N, num_ch_dec[i], H/2^i, W/2^i)
  }
  for (int s = 0; s < 4; ++s)
    disparity_head(g, "depth.convs.dispconv_" + std::to_string(s), scales[s], "disp" + std::to_string(s));
}

// "+ dense SC" and "+ dense SC + SE": HR-Depth's nodes without fSE
void hr_depth_ablation_dense(Network& g, const Frame& frame, const ModelConfig& config, bool squeeze) {
  const Value image = photograph(g, frame, config);  // (N, 3, H, W)
  const ResNetFeatures f = resnet(g, "encoder.encoder.", image, resnet18);
  resnet_unused_fc(g, "encoder.encoder.", resnet18);
  hr_depth_decoder(
      g, {f.stem, f.layers[0], f.layers[1], f.layers[2], f.layers[3]},
      {.num_ch_dec = {16, 32, 64, 128}, .last = squeeze ? HrDepthDecoder::Last::se_conv : HrDepthDecoder::Last::conv});
}

}  // namespace fathom
