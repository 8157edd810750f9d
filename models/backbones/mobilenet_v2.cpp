#include "models/backbones/mobilenet_v2.hpp"

#include "models/layers.hpp"

namespace fathom {

namespace {

constexpr auto relu6 = ActivationKind::relu6;

// Where a block's three convolutions and norms stand in the two codes; `expand` is false where torchvision's has none.
struct BlockKeys {
  std::string conv[3], norm[3];
};

BlockKeys torchvision_keys(const std::string& key, bool expand) {
  const auto at = [&](int j) { return key + ".conv." + std::to_string(j); };
  const int j = expand ? 1 : 0;  // 0.0 expand 0.1 norm 1.0 depthwise 1.1 norm 2 project 3 norm, or without the first
  return {{at(0) + ".0", at(j) + ".0", at(j + 1)}, {at(0) + ".1", at(j) + ".1", at(j + 2)}};
}

BlockKeys refinenet_keys(const std::string& key) {
  const auto at = [&](int j, int k) { return key + ".output." + std::to_string(j) + "." + std::to_string(k); };
  return {{at(0, 0), at(1, 0), at(2, 0)}, {at(0, 1), at(1, 1), at(2, 1)}};
}

// Inverted residual: expand 1x1, depthwise 3x3, project 1x1 without activation; + x where the shape stays
Value inverted_residual(Network& g, const BlockKeys& key, Value x, int expanded, bool expand, int out, int stride,
                        int dilation) {
  Value y = x;
  if (expand) y = conv_bn(g, key.conv[0], key.norm[0], y, {.out = expanded, .kernel = 1}, relu6);
  y = conv_bn(g, key.conv[1], key.norm[1], y,
              {.out = expanded, .stride = stride, .padding = dilation, .dilation = dilation, .groups = expanded},
              relu6);
  y = conv_bn(g, key.conv[2], key.norm[2], y, {.out = out, .kernel = 1}, ActivationKind::none);
  return stride == 1 && g.channels(x) == out ? g.sum(x, y) : y;
}

}  // namespace

std::vector<Value> mobilenet_v2(Network& g, const std::string& prefix, Value x, const MobileNetV2& kind) {
  struct Stage {
    int expansion, out, blocks, stride;
  };
  const Stage stages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                          {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};

  const bool refinenet = kind.keys == MobileNetV2::Keys::refinenet;
  const std::string stem = prefix + (refinenet ? "layer1" : "features.0");
  x = conv_bn(g, stem + ".0", stem + ".1", x, {.out = 32, .stride = 2, .padding = 1}, relu6);  // (N, 32, H/2, W/2)
  std::vector<Value> outputs = {x};
  int stage_number = 2, reached = 2, dilation = 1;
  for (const Stage& s : stages) {
    for (int n = 0; n < s.blocks; ++n) {
      int stride = n == 0 ? s.stride : 1, next_dilation = dilation;
      if (stride == 2 && reached == kind.output_stride) stride = 1, next_dilation = 2 * dilation;
      reached *= stride;
      const bool expand = refinenet || s.expansion != 1;
      const BlockKeys key =
          refinenet ? refinenet_keys(prefix + "layer" + std::to_string(stage_number) + "." + std::to_string(n))
                    : torchvision_keys(prefix + "features." + std::to_string(outputs.size()), expand);
      x = inverted_residual(g, key, x, s.expansion * g.channels(x), expand, s.out, stride, dilation);
      dilation = next_dilation;
      outputs.push_back(x);
    }
    ++stage_number;
  }
  if (kind.head)
    outputs.push_back(
        conv_bn(g, prefix + "features.18.0", prefix + "features.18.1", x, {.out = kind.head, .kernel = 1}, relu6));
  return outputs;
}

}  // namespace fathom
