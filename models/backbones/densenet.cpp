#include "models/backbones/densenet.hpp"

#include "models/layers.hpp"

namespace fathom {

namespace {

// torchvision's _DenseLayer: conv2(relu(norm2(conv1(relu(norm1 x))))), bottleneck of 4 growth = 192 channels, 48 new
// ones
Value dense_layer(Network& g, const std::string& key, Value x) {
  Value y = g.relu(g.batch_norm(key + ".norm1", x));
  y = conv_bn(g, key + ".conv1", key + ".norm2", y, {.out = 192, .kernel = 1});
  return g.conv(key + ".conv2", y, {.out = 48, .padding = 1});
}

// torchvision's _Transition without its pool: conv(relu(norm x)), half the channels
Value transition(Network& g, const std::string& key, Value x) {
  return g.conv(key + ".conv", g.relu(g.batch_norm(key + ".norm", x)), {.out = g.channels(x) / 2, .kernel = 1});
}

}  // namespace

DenseNetFeatures densenet161(Network& g, const std::string& prefix, Value x) {
  DenseNetFeatures f;
  x = conv_bn(g, prefix + "conv0", prefix + "norm0", x,
              {.out = 96, .kernel = 7, .stride = 2, .padding = 3});                           // (N, 96, H/2, W/2)
  x = f.pooled = g.add(Pool{.kernel = 3, .stride = 2, .padding = 1}, {x}, prefix + "pool0");  // (N, 96, H/4, W/4)
  const int layers[] = {6, 12, 36, 24};
  for (int b = 0; b < 4; ++b) {
    const std::string block = prefix + "denseblock" + std::to_string(b + 1);
    for (int l = 1; l <= layers[b]; ++l) {  // each layer adds its 48 channels behind all before
      const std::string key = block + ".denselayer" + std::to_string(l);
      x = g.concat({x, dense_layer(g, key, x)}, key + ".cat");  // (N, C + 48 l, h, w)
    }
    if (b == 3) break;
    const std::string key = prefix + "transition" + std::to_string(b + 1);
    f.transitions[b] = transition(g, key, x);  // (N, 192, 384, 1056; H/4, H/8, H/16)
    x = g.add(Pool{.kind = PoolKind::average, .kernel = 2, .stride = 2}, {f.transitions[b]},
              key + ".pool");  // rounds down
  }
  f.last = g.relu(g.batch_norm(prefix + "norm5", x));  // (N, 2208, H/32, W/32)
  return f;
}

}  // namespace fathom
