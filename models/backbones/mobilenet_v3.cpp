#include "models/backbones/mobilenet_v3.hpp"

#include <algorithm>

#include "models/layers.hpp"

namespace fathom {

namespace {

struct Row {
  int kernel, expanded, out;
  bool squeeze;
  ActivationKind activation;
  int stride;
};

constexpr auto RE = ActivationKind::relu, HS = ActivationKind::hard_swish;
// Table 1 of the paper, features.1 to features.15
constexpr Row rows[] = {
    {3, 16, 16, false, RE, 1},  {3, 64, 24, false, RE, 2},  {3, 72, 24, false, RE, 1},  {5, 72, 40, true, RE, 2},
    {5, 120, 40, true, RE, 1},  {5, 120, 40, true, RE, 1},  {3, 240, 80, false, HS, 2}, {3, 200, 80, false, HS, 1},
    {3, 184, 80, false, HS, 1}, {3, 184, 80, false, HS, 1}, {3, 480, 112, true, HS, 1}, {3, 672, 112, true, HS, 1},
    {5, 672, 160, true, HS, 2}, {5, 960, 160, true, HS, 1}, {5, 960, 160, true, HS, 1},
};

// torchvision's InvertedResidual: [expand conv, norm, act] [depthwise conv, norm, act] [squeeze] [project conv, norm]
Value torchvision_block(Network& g, const std::string& key, Value x, const Row& row, float eps) {
  int j = 0;
  const auto part = [&] { return key + ".block." + std::to_string(j++); };
  const auto layer = [&](Value y, const ConvOptions& o, ActivationKind act) {
    const std::string k = part();
    return conv_bn(g, k + ".0", k + ".1", y, o, act, eps);
  };
  Value y = x;
  if (row.expanded != g.channels(x)) y = layer(y, {.out = row.expanded, .kernel = 1}, row.activation);
  y = layer(y,
            {.out = row.expanded,
             .kernel = row.kernel,
             .stride = row.stride,
             .padding = row.kernel / 2,
             .groups = row.expanded},
            row.activation);
  if (row.squeeze) {
    const std::string k = part();
    y = squeeze_excite(
        g, y, {k + ".fc1", k + ".fc2", make_divisible(row.expanded / 4), true, ActivationKind::hard_sigmoid, true});
  }
  y = layer(y, {.out = row.out, .kernel = 1}, ActivationKind::none);
  return row.stride == 1 && row.out == g.channels(x) ? g.sum(x, y) : y;
}

// Lite-HR-Depth's InvertedResidual: 0 expand 1 norm 2 act 3 depthwise 4 norm 5 squeeze 6 act 7 project 8 norm; where
// nothing is expanded, 0 depthwise 1 norm 2 act 3 squeeze 4 project 5 norm
Value lite_block(Network& g, const std::string& key, Value x, const Row& row, float eps) {
  const auto part = [&](int j) { return key + ".conv." + std::to_string(j); };
  const bool expand = row.expanded != g.channels(x);
  const int first = expand ? 3 : 0;
  Value y = x;
  if (expand) y = conv_bn(g, part(0), part(1), y, {.out = row.expanded, .kernel = 1}, row.activation, eps);
  y = conv_bn(g, part(first), part(first + 1), y,
              {.out = row.expanded,
               .kernel = row.kernel,
               .stride = row.stride,
               .padding = row.kernel / 2,
               .groups = row.expanded},
              ActivationKind::none, eps);
  if (row.squeeze)
    y = squeeze_excite(g, y,
                       {part(first + 2) + ".fc.0", part(first + 2) + ".fc.2", make_divisible(row.expanded / 4), true,
                        ActivationKind::hard_sigmoid});
  y = g.activate(y, row.activation);
  y = conv_bn(g, part(first + 4), part(first + 5), y, {.out = row.out, .kernel = 1}, ActivationKind::none, eps);
  return row.stride == 1 && row.out == g.channels(x) ? g.sum(x, y) : y;
}

}  // namespace

int make_divisible(double channels) {
  const int rounded = std::max(8, static_cast<int>(channels + 4) / 8 * 8);
  return rounded < 0.9 * channels ? rounded + 8 : rounded;
}

std::vector<Value> mobilenet_v3(Network& g, const std::string& prefix, Value x, const MobileNetV3& kind) {
  const std::string features = prefix + "features.";
  x = conv_bn(g, features + "0.0", features + "0.1", x,
              {.out = make_divisible(16 * kind.width), .stride = 2, .padding = 1}, HS, kind.eps);  // (N, 16, H/2, W/2)
  std::vector<Value> outputs = {x};
  for (Row row : rows) {
    row.expanded = make_divisible(row.expanded * kind.width), row.out = make_divisible(row.out * kind.width);
    const std::string key = features + std::to_string(outputs.size());
    x = kind.keys == MobileNetV3::Keys::lite ? lite_block(g, key, x, row, kind.eps)
                                             : torchvision_block(g, key, x, row, kind.eps);
    outputs.push_back(x);
  }
  return outputs;
}

}  // namespace fathom
