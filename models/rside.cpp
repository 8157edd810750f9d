// RSIDE (Hu et al., Revisiting Single Image Depth Estimation, WACV 2019): R(cat(D(blocks), MFF(blocks))), at half the
// size. Its interpolations were run by PyTorch 0.3.1: corners aligned.
#include "models/backbones/densenet.hpp"
#include "models/backbones/resnet.hpp"
#include "models/backbones/senet.hpp"
#include "models/layers.hpp"
#include "models/networks.hpp"

namespace fathom {

namespace {

// _UpProjection: x up to size; relu(bn1_2(conv1_2(relu(bn1(conv1 x)))) + bn2(conv2 x))
Value up_projection(Network& g, const std::string& key, Value x, int out, Size2 size) {
  x = g.bilinear(x, size, true);
  const ConvOptions five = {.out = out, .kernel = 5, .padding = 2};
  Value branch1 = conv_bn(g, key + ".conv1", key + ".bn1", x, five);
  branch1 = conv_bn(g, key + ".conv1_2", key + ".bn1_2", branch1, {.out = out, .padding = 1}, ActivationKind::none);
  const Value branch2 = conv_bn(g, key + ".conv2", key + ".bn2", x, five, ActivationKind::none);
  return g.relu(g.sum(branch1, branch2));
}

// block1 .. block4, at 1/4 .. 1/32
std::array<Value, 4> encoder(Network& g, RsideBackbone backbone, Value image) {
  switch (backbone) {
    case RsideBackbone::densenet161: {
      const DenseNetFeatures f = densenet161(g, "E.features.", image);
      return {f.transitions[0], f.transitions[1], f.transitions[2], f.last};  // 192 384 1056 2208
    }
    case RsideBackbone::senet154: return senet154(g, "E.base.", image).layers;  // 256 512 1024 2048
    default: return resnet(g, "E.", image, resnet50).layers;                    // 256 512 1024 2048
  }
}

}  // namespace

void rside(Network& g, const Frame& frame, const ModelConfig& config, RsideBackbone backbone) {
  const Value image = photograph(g, frame, config);  // (N, 3, H, W)
  const std::array<Value, 4> block = encoder(g, backbone, image);
  const Size2 quarter = g.size(block[0]), half = {2 * quarter.h, 2 * quarter.w};
  const int width = g.channels(block[3]);  // 2048 or 2208

  // D: 1x1, then up through the sizes of block3, block2, block1 and twice that
  Value d = conv_bn(g, "D.conv", "D.bn", block[3], {.out = width / 2, .kernel = 1});  // (N, 1024, H/32, W/32)
  d = up_projection(g, "D.up1", d, width / 4, g.size(block[2]));                      // (N, 512, H/16, W/16)
  d = up_projection(g, "D.up2", d, width / 8, g.size(block[1]));                      // (N, 256, H/8, W/8)
  d = up_projection(g, "D.up3", d, width / 16, g.size(block[0]));                     // (N, 128, H/4, W/4)
  d = up_projection(g, "D.up4", d, width / 32, half);                                 // (N, 64, H/2, W/2)

  // MFF: 16 channels of each block at that size
  std::vector<Value> parts;
  for (int b = 0; b < 4; ++b) parts.push_back(up_projection(g, "MFF.up" + std::to_string(b + 1), block[b], 16, half));
  const Value mff = conv_bn(g, "MFF.conv", "MFF.bn", g.concat(parts, "MFF.cat"),
                            {.out = 64, .kernel = 5, .padding = 2});  // (N, 64, H/2, W/2)

  // R: three 5x5
  Value x = g.concat({d, mff}, "R.cat");  // (N, 128 or 133, H/2, W/2)
  const int wide = g.channels(x);
  x = conv_bn(g, "R.conv0", "R.bn0", x, {.out = wide, .kernel = 5, .padding = 2});
  x = conv_bn(g, "R.conv1", "R.bn1", x, {.out = wide, .kernel = 5, .padding = 2});
  x = g.conv("R.conv2", x, {.out = 1, .kernel = 5, .padding = 2, .bias = true});  // (N, 1, H/2, W/2)
  g.output("depth", x, OutputKind::depth, config.scale);
}

}  // namespace fathom
