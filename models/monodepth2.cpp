// Monodepth2 (Godard et al., ICCV 2019): a U-Net on ResNet-18 or 50 with a disparity at four scales.
#include "models/monodepth2_layers.hpp"
#include "models/networks.hpp"

namespace fathom {

void monodepth2(Network& g, const Frame& frame, const ModelConfig& config, const ResNet& kind) {
  const Value image = photograph(g, frame, config);                      // (N, 3, H, W)
  const ResNetFeatures f = resnet(g, "encoder.encoder.", image, kind);   // ResnetEncoder
  const Value skip[] = {f.stem, f.layers[0], f.layers[1], f.layers[2]};  // 1/2 .. 1/16
  resnet_unused_fc(g, "encoder.encoder.", kind);

  // DepthDecoder: ("upconv", i, 0), x2, cat with the skip, ("upconv", i, 1); its ModuleList counts them through
  const int num_ch_dec[] = {16, 32, 64, 128, 256};
  Value scales[5];
  Value x = f.layers[3];  // (N, 512 or 2048, H/32, W/32)
  for (int i = 4, index = 0; i >= 0; --i) {
    x = conv_block(g, "depth.decoder." + std::to_string(index++), x, num_ch_dec[i]);
    x = g.nearest(x, 2);  // (N, num_ch_dec[i], H/2^i, W/2^i)
    if (i > 0) x = g.concat({x, skip[i - 1]}, "depth.cat_" + std::to_string(i));
    x = conv_block(g, "depth.decoder." + std::to_string(index++), x, num_ch_dec[i]);
    scales[i] = x;
  }
  // ("dispconv", s), s = 0 .. 3
  for (int s = 0; s < 4; ++s)
    disparity_head(g, "depth.decoder." + std::to_string(10 + s), scales[s],
                   "disp" + std::to_string(s));  // (N, 1, H/2^s, W/2^s)
}

}  // namespace fathom
