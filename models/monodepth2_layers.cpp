#include "models/monodepth2_layers.hpp"

namespace fathom {

Value conv3x3(Network& g, const std::string& key, Value x, int out) {
  return g.conv(key + ".conv", g.reflection_pad(x, 1), {.out = out, .bias = true});
}

Value conv_block(Network& g, const std::string& key, Value x, int out) {
  return g.activate(conv3x3(g, key + ".conv", x, out), ActivationKind::elu);
}

void disparity_head(Network& g, const std::string& key, Value x, const std::string& output) {
  g.output(output, g.activate(conv3x3(g, key, x, 1), ActivationKind::sigmoid), OutputKind::disparity);
}

Value fse_module(Network& g, const std::string& key, Value z, int out) {
  z = squeeze_excite(g, z, {key + ".fc.0", key + ".fc.2", g.channels(z) / 16});
  return g.relu(g.conv(key + ".conv_se", z, {.out = out, .kernel = 1, .bias = true}));
}

}  // namespace fathom
