// CND: MobileNetV2 to 1/16, ASPP, transposed convolutions with extended residual blocks between them; for two images
// one encoder, run twice.
#include "models/cnd.hpp"

#include "models/backbones/mobilenet_v2.hpp"
#include "models/layers.hpp"

namespace fathom {

namespace {

// separable convolution: depthwise 3x3, BN, ReLU, 1x1, BN, ReLU
Value sep(Network& g, const std::string& key, Value x, int out) {
  x = conv_bn(g, key + ".dw", key + ".bn1", x, {.out = g.channels(x), .padding = 1, .groups = g.channels(x)});
  return conv_bn(g, key + ".pw", key + ".bn2", x, {.out = out, .kernel = 1});
}

// transposed convolution 3x3 of stride 1, BN, ReLU
Value tconv(Network& g, const std::string& key, Value x, int out) {
  x = g.conv_transpose(key + ".tconv", x, out, 3, {.padding = 1});
  return g.relu(g.batch_norm(key + ".bn", x));
}

// ASPP on X, and round it: 3x3 at rates 6, 12, 18, a separable convolution and a max pool; all reduced, beside X's own
Value aspp(Network& g, Value X) {
  std::vector<Value> parts;
  for (int i = 0; i < 3; ++i) {
    const std::string key = "aspp.atrous." + std::to_string(i);
    const int rate = 6 * (i + 1);
    parts.push_back(conv_bn(g, key + ".0", key + ".1", X, {.out = 256, .padding = rate, .dilation = rate}));
  }
  parts.push_back(sep(g, "aspp.sep", X, 256));
  const Value pooled = g.add(Pool{.kernel = 3, .stride = 1, .padding = 1}, {X}, "aspp.pool");
  parts.push_back(g.relu(g.batch_norm("aspp.pool_bn", pooled)));
  const Value reduced = sep(g, "aspp.reduce", g.concat(parts, "aspp.cat"), 256);  // (N, 256, H/16, W/16)
  const Value around = sep(g, "aspp.around", X, 256);
  return sep(g, "aspp.fuse", g.concat({reduced, around}, "aspp.both"), 256);  // (N, 256, H/16, W/16)
}

// extended residual block, m = n = 2: y1 = x + TC(TC(x)), y2 = y1 + TC(TC(y1)), x + y2
Value extended_residual(Network& g, const std::string& key, Value x) {
  Value y = x;
  for (int m = 0; m < 2; ++m) {
    Value inner = y;
    for (int n = 0; n < 2; ++n)
      inner = tconv(g, key + ".blocks." + std::to_string(m) + "." + std::to_string(n), inner, g.channels(x));
    y = g.sum(y, inner);
  }
  return g.sum(x, y);
}

}  // namespace

void cnd(Network& g, const Frame& frame, const ModelConfig& config, const Cnd& kind) {
  // encoder: the skip after the second reduction, and ASPP on 256 channels at 1/16
  std::vector<Value> images = {photograph(g, frame, config)}, fused, skips;  // (N, 3, H, W)
  if (kind.stereo) images.push_back(photograph(g, frame, config, "image_right"));
  for (const Value image : images) {
    const std::vector<Value> f = mobilenet_v2(g, "encoder.", image, {.output_stride = 16, .head = 256});
    skips.push_back(f[3]);            // (N, 24, H/4, W/4)
    fused.push_back(aspp(g, f[18]));  // (N, 256, H/16, W/16)
  }
  Value x = fused[0], skip = skips[0];
  if (kind.stereo) {                                       // left first
    x = sep(g, "join", g.concat(fused, "join.cat"), 256);  // (N, 256, H/16, W/16)
    skip = g.concat(skips, "decoder.skip.cat");            // (N, 48, H/4, W/4)
  }
  skip = sep(g, "decoder.skip", skip, 24);  // (N, 24, H/4, W/4)

  // decoder: four times x2, transposed convolution, extended residual blocks
  for (int i = 0; i < 4; ++i) {
    x = g.nearest(x, 2);  // (N, C, H/2^(3-i), ..)
    if (i == 1 && kind.skip_before) x = g.concat({x, skip}, "decoder.cat");
    x = tconv(g, "decoder.ups." + std::to_string(i), x, kind.channels[i]);
    if (i == 1 && !kind.skip_before) x = g.concat({x, skip}, "decoder.cat");
    for (int j = 0; j < kind.residual[i]; ++j)
      x = extended_residual(g, "decoder.res." + std::to_string(i) + "." + std::to_string(j), x);
  }
  // x2, then 7x7 with stride 2 to one channel
  x = g.nearest(x, 2);                                                                             // (N, 16, 2 H, 2 W)
  x = g.conv("decoder.out", x, {.out = 1, .kernel = 7, .stride = 2, .padding = 3, .bias = true});  // (N, 1, H, W)
  g.output("depth", x, OutputKind::depth, config.scale);
}

}  // namespace fathom
