// DRNet (Durasov et al., Double Refinement Network, 2018): features go up by pixel shuffle in one branch (upI), the
// depth by bilinear steps in the other (upII), each step corrected by what the encoder (down) and the first branch
// know.
#include "models/drnet.hpp"

#include <array>
#include <map>

#include "models/backbones/densenet.hpp"
#include "models/backbones/resnet.hpp"
#include "models/backbones/senet.hpp"
#include "models/layers.hpp"

namespace fathom {

namespace {

// down_1 .. down_5, at 1/4, 1/4, 1/8, 1/16, 1/32; index 0 is free
std::array<Value, 6> encoder(Network& g, DrnetBackbone backbone, Value image) {
  switch (backbone) {
    case DrnetBackbone::densenet161: {
      const DenseNetFeatures f = densenet161(g, "backbone.features.", image);
      return {Value{}, f.pooled, f.transitions[0], f.transitions[1], f.transitions[2], f.last};  // 96 192 384 1056 2208
    }
    case DrnetBackbone::senet154: {
      const SENetFeatures f = senet154(g, "backbone.layer", image);
      return {Value{}, f.pooled, f.layers[0], f.layers[1], f.layers[2], f.layers[3]};  // 128 256 512 1024 2048
    }
    default: {
      const ResNetFeatures f =
          resnet(g, "backbone.", image, backbone == DrnetBackbone::resnet50 ? resnet50 : resnet152);
      return {Value{}, f.pooled, f.layers[0], f.layers[1], f.layers[2], f.layers[3]};  // 64 256 512 1024 2048
    }
  }
}

int round_up(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }

// Cuts at the right and the bottom, or fills with zeros there, to a level's size.
Value fit(Network& g, Value x, Size2 size) {
  if (g.size(x).h > size.h) x = g.add(Slice{.axis = 2, .begin = 0, .count = size.h}, {x}, "fit");
  if (g.size(x).w > size.w) x = g.add(Slice{.axis = 3, .begin = 0, .count = size.w}, {x}, "fit");
  if (g.size(x) != size) x = g.add(Pad{Padding(0, 0, size.h - g.size(x).h, size.w - g.size(x).w)}, {x}, "fit");
  return x;
}

// The learned guide of Wu et al.'s guided filter, one channel, at the sizes that are asked for.
struct Guide {
  Network& g;
  Value image;
  std::map<std::pair<int, int>, Value> known = {};

  Value at(Size2 size) {
    if (const auto found = known.find({size.h, size.w}); found != known.end()) return found->second;
    Value x = size == g.size(image) ? image : g.bilinear(image, size);
    x = g.relu(g.conv("gf.conv1", x, {.out = 64, .kernel = 1, .bias = true}));  // (N, 64, h, w)
    x = g.conv("gf.conv2", x, {.out = 1, .kernel = 1, .bias = true});           // (N, 1, h, w)
    return known[{size.h, size.w}] = x;
  }
};

// The step to upI_i: PS(ReLU(BN(conv1x1 x))). Where no weights say otherwise, the 1x1 keeps `width`, rounded up to what
// the pixel shuffle can divide.
Value first_branch(Network& g, int level, Value x, int width, int factor) {
  if (level < 4) {  // upI_4 is the bare pixel shuffle of down_5
    const std::string key = "up1." + std::to_string(level);
    const std::optional<Desc> weight = g.stored(key + ".0.weight");
    const int out = weight ? static_cast<int>(weight->extent[0]) : round_up(width, factor * factor);
    x = conv_bn(g, key + ".0", key + ".1", x, {.out = out, .kernel = 1});
  }
  return factor > 1 ? g.add(PixelShuffle{factor}, {x}, "upI_" + std::to_string(level)) : x;
}

}  // namespace

void drnet(Network& g, const Frame& frame, const ModelConfig& config, const Drnet& kind) {
  Value image = photograph(g, frame, config);  // (N, 3, H, W)
  if (config.treatment == Treatment::pad && (frame.height % 32 || frame.width % 32))
    image =
        g.add(Pad{Padding(0, 0, round_up(frame.height, 32) - frame.height, round_up(frame.width, 32) - frame.width)},
              {image}, "image.padded");
  std::array<Value, 6> down = encoder(g, kind.backbone, image);
  down[0] = image;
  const auto correction = [&](int level, Value x) {
    return g.conv("up2." + std::to_string(level), x,
                  {.out = 1, .kernel = kind.kernel, .padding = kind.kernel / 2, .bias = true});
  };

  Guide guide{g, image};
  const int factors[] = {4, 1, 2, 2, 2};  // of the pixel shuffle to levels 0 .. 4
  Value up1 = down[5];                    // upI_5 (N, 2048 or 2208, H/32, W/32)
  int width = g.channels(up1);            // of upI, without the depth that rides along
  Value up2;
  if (kind.second_branch) up2 = correction(5, up1);  // upII_5 (N, 1, H/32, W/32)
  for (int i = 4; i >= 0; --i) {
    const std::string level = std::to_string(i);
    const Size2 size = g.size(down[i]);
    Value features = first_branch(g, i, up1, width, factors[i]);  // (N, width / factor^2, h, w)
    features = fit(g, features, size);                            // only where the sizes are no multiples of 32
    width = g.channels(features);
    up1 = features;
    if (!kind.second_branch) continue;
    // BI(upII_{i+1}), or the guided filter
    Value depth = up2;  // (N, 1, level's size)
    if (g.size(up2) != size)
      depth = kind.guided ? g.add(GuidedFilter{.radius = 4, .eps = 1e-2f}, {up2, guide.at(g.size(up2)), guide.at(size)},
                                  "gf." + level)
                          : g.bilinear(up2, size);
    std::vector<Value> parts;
    if (i > 0 || kind.image0) parts.push_back(down[i]);
    parts.push_back(depth);
    if (kind.merge) {  // T_i = cat(down_i, BI, PS); upI goes on from it, without the depth where there are no diagonals
      parts.push_back(features);
      const Value all = g.concat(parts, "T_" + level);
      up2 = g.sum(depth, correction(i, all));
      if (!kind.diagonals) parts.erase(parts.end() - 2);
      up1 = kind.diagonals ? all : g.concat(parts, "upI_" + level + ".cat");
      width = g.channels(up1);
    } else {
      if (kind.diagonals) up1 = g.concat({features, depth}, "upI_" + level + ".cat");  // upI_i = cat(PS, BI)
      parts.push_back(up1);
      // upII_i = BI(upII_{i+1}) + conv(cat(down_i, BI(upII_{i+1}), upI_i))
      up2 = g.sum(depth, correction(i, g.concat(parts, "upII_" + level + ".cat")));
    }
  }
  Value depth = kind.second_branch ? up2 : correction(0, up1);  // upII_0 (N, 1, H, W), of the padded size
  depth = fit(g, depth, {frame.height, frame.width});           // (N, 1, H, W)
  g.output("depth", depth, OutputKind::depth, config.scale);
}

}  // namespace fathom
