#include "models/backbones/resnet.hpp"

#include "models/layers.hpp"

namespace fathom {

namespace {

// downsample: 1x1 convolution with the block's stride, bn; only where the shape changes
Value shortcut(Network& g, const std::string& key, Value x, int out, int stride) {
  if (stride == 1 && g.channels(x) == out) return x;
  return conv_bn(g, key + ".downsample.0", key + ".downsample.1", x, {.out = out, .kernel = 1, .stride = stride},
                 ActivationKind::none);
}

// torchvision.models.resnet.BasicBlock: relu(bn2(conv2(relu(bn1(conv1 x)))) + x)
Value basic_block(Network& g, const std::string& key, Value x, int width, int stride) {
  Value y = conv_bn(g, key + ".conv1", key + ".bn1", x, {.out = width, .stride = stride, .padding = 1});
  y = conv_bn(g, key + ".conv2", key + ".bn2", y, {.out = width, .padding = 1}, ActivationKind::none);
  return g.relu(g.sum(y, shortcut(g, key, x, width, stride)));
}

// torchvision.models.resnet.Bottleneck: the stride is on the 3x3
Value bottleneck(Network& g, const std::string& key, Value x, int width, int stride) {
  Value y = conv_bn(g, key + ".conv1", key + ".bn1", x, {.out = width, .kernel = 1});
  y = conv_bn(g, key + ".conv2", key + ".bn2", y, {.out = width, .stride = stride, .padding = 1});
  y = conv_bn(g, key + ".conv3", key + ".bn3", y, {.out = 4 * width, .kernel = 1}, ActivationKind::none);
  return g.relu(g.sum(y, shortcut(g, key, x, 4 * width, stride)));
}

}  // namespace

ResNetFeatures resnet(Network& g, const std::string& prefix, Value x, const ResNet& kind) {
  ResNetFeatures f;
  f.stem = conv_bn(g, prefix + "conv1", prefix + "bn1", x,
                   {.out = 64, .kernel = 7, .stride = 2, .padding = 3});                         // (N, 64, H/2, W/2)
  f.pooled = g.add(Pool{.kernel = 3, .stride = 2, .padding = 1}, {f.stem}, prefix + "maxpool");  // (N, 64, H/4, W/4)
  x = f.pooled;
  for (int l = 0; l < 4; ++l) {
    for (int b = 0; b < kind.blocks[l]; ++b) {
      const std::string key = prefix + "layer" + std::to_string(l + 1) + "." + std::to_string(b);
      const int width = 64 << l, stride = l > 0 && b == 0 ? 2 : 1;
      x = kind.bottleneck ? bottleneck(g, key, x, width, stride) : basic_block(g, key, x, width, stride);
    }
    f.layers[l] = x;  // (N, 64 2^l [4], H/4/2^l, W/4/2^l)
  }
  return f;
}

void resnet_unused_fc(Network& g, const std::string& prefix, const ResNet& kind) {
  g.unused(prefix + "fc.weight", Desc::dense({1000, kind.bottleneck ? 2048 : 512}));
  g.unused(prefix + "fc.bias", Desc::dense({1000}));
}

}  // namespace fathom
