// The University of Michigan networks: an ImageNet encoder, concatenating up-blocks, depth in centimetres at half the
// size.
#include "models/backbones/mobilenet_v2.hpp"
#include "models/backbones/squeezenet.hpp"
#include "models/layers.hpp"
#include "models/networks.hpp"

namespace fathom {

namespace {

// x up to the skip's size with corners aligned, cat, convA, convB, LeakyReLU 0.2
Value up_block(Network& g, const std::string& key, Value x, Value skip, int out) {
  x = g.concat({g.bilinear(x, g.size(skip), true), skip}, key + ".cat");
  x = g.conv(key + ".convA", x, {.out = out, .padding = 1, .bias = true});
  x = g.conv(key + ".convB", x, {.out = out, .padding = 1, .bias = true});
  return g.activate(x, ActivationKind::leaky_relu, 0.2f);
}

}  // namespace

// class Mob_v2
void umich_mobilenetv2(Network& g, const Frame& frame, const ModelConfig& config) {
  const Value image = photograph(g, frame, config);                          // (N, 3, H, W)
  const std::vector<Value> f = mobilenet_v2(g, "encoder.backbone.", image);  // features.0 .. 18
  g.unused("encoder.backbone.classifier.1.weight", Desc::dense({1000, 1280}));
  g.unused("encoder.backbone.classifier.1.bias", Desc::dense({1000}));
  // the code applies a ReLU to features.18 here, which its ReLU6 has left nothing to do
  Value x = g.conv("decoder.conv2", f[18], {.out = 1280, .kernel = 1, .bias = true});  // (N, 1280, H/32, W/32)
  x = up_block(g, "decoder.block1", x, f[13], 640);                                    // (N, 640, H/16, W/16)
  x = up_block(g, "decoder.block2", x, f[6], 320);                                     // (N, 320, H/8, W/8)
  x = up_block(g, "decoder.block3", x, f[3], 160);                                     // (N, 160, H/4, W/4)
  x = up_block(g, "decoder.block4", x, f[1], 80);                                      // (N, 80, H/2, W/2)
  x = g.conv("decoder.conv3", x, {.out = 1, .padding = 1, .bias = true});              // (N, 1, H/2, W/2)
  g.output("depth", x, OutputKind::depth, config.scale);
}

// class Squeeze
void umich_squeezenet(Network& g, const Frame& frame, const ModelConfig& config) {
  const Value image = photograph(g, frame, config);                        // (N, 3, H, W)
  const std::vector<Value> f = squeezenet(g, "encoder.backbone.", image);  // features.0 .. 12
  g.unused("encoder.backbone.classifier.1.weight", Desc::dense({1000, 512, 1, 1}));
  g.unused("encoder.backbone.classifier.1.bias", Desc::dense({1000}));
  Value x = g.conv("decoder.conv2", f[12], {.out = 512, .kernel = 1, .bias = true});  // (N, 512, H/16 - 1, ..)
  x = up_block(g, "decoder.block1", x, f[7], 256);                                    // (N, 256, H/8 - 1, ..)
  x = up_block(g, "decoder.block2", x, f[4], 128);                                    // (N, 128, H/4 - 1, ..)
  x = up_block(g, "decoder.block3", x, f[1], 64);                                     // (N, 64, H/2 - 1, ..)
  x = g.conv("decoder.conv3", x, {.out = 1, .padding = 1, .bias = true});
  x = g.bilinear(x, {frame.height / 2, frame.width / 2}, true);  // (N, 1, H/2, W/2)
  g.output("depth", x, OutputKind::depth, config.scale);
}

}  // namespace fathom
