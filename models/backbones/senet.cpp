#include "models/backbones/senet.hpp"

#include "models/layers.hpp"

namespace fathom {

namespace {

// SEBottleneck: 1x1 to twice the planes, 3x3 in 64 groups to four times (stride here), 1x1; squeeze; + residual; relu
Value se_bottleneck(Network& g, const std::string& key, Value x, int planes, int stride, bool downsample) {
  const int out = 4 * planes;
  Value y = conv_bn(g, key + ".conv1", key + ".bn1", x, {.out = 2 * planes, .kernel = 1});
  y = conv_bn(g, key + ".conv2", key + ".bn2", y, {.out = out, .stride = stride, .padding = 1, .groups = 64});
  y = conv_bn(g, key + ".conv3", key + ".bn3", y, {.out = out, .kernel = 1}, ActivationKind::none);
  y = squeeze_excite(g, y,
                     {.squeeze = key + ".se_module.fc1",
                      .excite = key + ".se_module.fc2",
                      .hidden = out / 16,
                      .bias = true,
                      .as_conv = true});
  Value residual = x;
  if (downsample) {  // 1x1 in layer1, 3x3 where it has a stride
    const int kernel = stride == 1 ? 1 : 3;
    residual = conv_bn(g, key + ".downsample.0", key + ".downsample.1", x,
                       {.out = out, .kernel = kernel, .stride = stride, .padding = kernel / 2}, ActivationKind::none);
  }
  return g.relu(g.sum(y, residual));
}

}  // namespace

SENetFeatures senet154(Network& g, const std::string& prefix, Value x) {
  SENetFeatures f;
  const std::string layer0 = prefix + "0.";
  x = conv_bn(g, layer0 + "conv1", layer0 + "bn1", x, {.out = 64, .stride = 2, .padding = 1});  // (N, 64, H/2, W/2)
  x = conv_bn(g, layer0 + "conv2", layer0 + "bn2", x, {.out = 64, .padding = 1});
  x = conv_bn(g, layer0 + "conv3", layer0 + "bn3", x, {.out = 128, .padding = 1});  // (N, 128, H/2, W/2)
  // no padding, and rounding up: windows start at 2i, not at 2i - 1 as ResNet's do
  x = f.pooled = g.add(Pool{.kernel = 3, .stride = 2, .ceil_mode = true}, {x}, layer0 + "pool");  // (N, 128, H/4, W/4)
  const int blocks[] = {3, 8, 36, 3};
  for (int l = 0; l < 4; ++l) {
    for (int b = 0; b < blocks[l]; ++b)
      x = se_bottleneck(g, prefix + std::to_string(l + 1) + "." + std::to_string(b), x, 64 << l,
                        l > 0 && b == 0 ? 2 : 1, b == 0);
    f.layers[l] = x;  // (N, 256 2^l, H/4/2^l, W/4/2^l)
  }
  return f;
}

}  // namespace fathom
