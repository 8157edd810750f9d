#include "models/layers.hpp"

namespace fathom {

Value photograph(Network& g, const Frame& frame, const ModelConfig& config, const std::string& name) {
  const Value x = g.input(name, Desc::nhwc(frame.batch, 3, frame.height, frame.width, DType::u8));  // (N, 3, H, W)
  return g.add(Preprocess{config.mean, config.std}, {x}, name + ".normalised");
}

Value conv_bn(Network& g, const std::string& conv, const std::string& bn, Value x, const ConvOptions& options,
              ActivationKind activation, float eps) {
  x = g.conv(conv, x, options);
  x = g.batch_norm(bn, x, eps);
  return activation == ActivationKind::none ? x : g.activate(x, activation);
}

Value squeeze_excite(Network& g, Value x, const SqueezeExcite& o) {
  Value s = g.add(GlobalMean{}, {x}, o.squeeze + ".mean");                          // (N, C, 1, 1)
  s = g.relu(g.linear(o.squeeze, s, o.hidden, o.bias, o.as_conv));                  // (N, hidden, 1, 1)
  s = g.activate(g.linear(o.excite, s, g.channels(x), o.bias, o.as_conv), o.gate);  // (N, C, 1, 1)
  return g.add(Multiply{}, {x, s}, o.excite + ".scaled");                           // (N, C, H, W)
}

}  // namespace fathom
