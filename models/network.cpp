#include "models/network.hpp"

#include <set>

#include "fathom/error.hpp"

namespace fathom {

void Network::declare(const std::string& key, const Desc& shape, bool used) {
  parameters_.push_back({key, shape, used});
  if (!weights_) return;
  const auto found = weights_->find(key);
  if (found == weights_->end()) {
    if (used) problems_.push_back("'" + key + "' " + shape_text(shape) + " is missing");
  } else if (!found->second->desc.same_extents(shape)) {
    problems_.push_back("'" + key + "' has shape " + shape_text(found->second->desc) + ", expected " +
                        shape_text(shape));
  }
}

Value Network::parameter(const std::string& key, const Desc& shape) {
  if (const auto known = constants_.find(key); known != constants_.end()) return known->second;
  declare(key, shape, true);
  std::shared_ptr<const Constant> constant;
  if (weights_)
    if (const auto found = weights_->find(key); found != weights_->end() && found->second->desc.same_extents(shape))
      constant = found->second;
  if (!constant) constant = std::make_shared<Constant>(Constant{shape, nullptr});
  return constants_[key] = graph.add_constant(key, constant);
}

void Network::unused(const std::string& key, const Desc& shape) { declare(key, shape, false); }

std::optional<Desc> Network::stored(const std::string& key) const {
  if (!weights_) return std::nullopt;
  const auto found = weights_->find(key);
  return found == weights_->end() ? std::nullopt : std::optional(found->second->desc);
}

std::string Network::unique(std::string name) {
  const int seen = names_[name]++;
  return seen ? name + "#" + std::to_string(seen + 1) : name;
}

Value Network::add(Op op, std::vector<Value> in, std::string name) {
  if (name.empty()) name = name_of(op);
  return graph.add(std::move(op), std::move(in), unique(std::move(name)));
}

Value Network::conv(const std::string& key, Value x, const ConvOptions& o) {
  Conv2d op;
  op.stride = o.stride, op.padding = o.padding, op.dilation = o.dilation, op.groups = o.groups, op.bias = o.bias;
  std::vector<Value> in = {
      x, parameter(key + ".weight", Desc::dense({o.out, channels(x) / o.groups, o.kernel.h, o.kernel.w}))};
  if (o.bias) in.push_back(parameter(key + ".bias", Desc::dense({o.out})));
  return add(std::move(op), std::move(in), key);
}

Value Network::conv_transpose(const std::string& key, Value x, int out, Size2 kernel, ConvTranspose2d op) {
  std::vector<Value> in = {x,
                           parameter(key + ".weight", Desc::dense({channels(x), out / op.groups, kernel.h, kernel.w}))};
  if (op.bias) in.push_back(parameter(key + ".bias", Desc::dense({out})));
  return add(std::move(op), std::move(in), key);
}

Value Network::linear(const std::string& key, Value x, int out, bool bias, bool as_conv) {
  const Desc shape = as_conv ? Desc::dense({out, channels(x), 1, 1}) : Desc::dense({out, channels(x)});
  std::vector<Value> in = {x, parameter(key + ".weight", shape)};
  if (bias) in.push_back(parameter(key + ".bias", Desc::dense({out})));
  Linear op;
  op.bias = bias;
  return add(op, std::move(in), key);
}

Value Network::batch_norm(const std::string& key, Value x, float eps) {
  const Desc vector = Desc::dense({channels(x)});
  std::vector<Value> in = {x};
  for (const char* part : {"weight", "bias", "running_mean", "running_var"})
    in.push_back(parameter(key + "." + part, vector));
  if (const std::string counter = key + ".num_batches_tracked"; !names_["declared " + counter]++)
    unused(counter, Desc::dense({}, DType::i64));
  return add(BatchNorm{eps}, std::move(in), key);
}

Value Network::activate(Value x, ActivationKind kind, float alpha) {
  return add(Activation{kind, alpha}, {x},
             graph[x].name + "." + enum_names<ActivationKind>[static_cast<std::size_t>(kind)]);
}

Value Network::concat(std::vector<Value> parts, const std::string& name) {
  return add(Concat{}, std::move(parts), name);
}

Value Network::nearest(Value x, int factor) {
  return add(Resize{.mode = ResizeMode::nearest, .scale = factor}, {x}, graph[x].name + ".up");
}

Value Network::bilinear(Value x, Size2 size, bool align_corners) {
  return add(Resize{.mode = ResizeMode::bilinear, .size = size, .align_corners = align_corners}, {x},
             graph[x].name + ".up");
}

void Network::check_weights() const {
  if (!weights_) return;
  std::vector<std::string> problems = problems_;
  std::set<std::string> known;
  for (const Parameter& p : parameters_) known.insert(p.name);
  for (const auto& [key, constant] : *weights_)
    if (!known.contains(key)) problems.push_back("'" + key + "' " + shape_text(constant->desc) + " is surplus");
  if (problems.empty()) return;
  std::string text = "the weights do not fit the architecture: ";
  for (std::size_t k = 0; k < problems.size(); ++k) text += (k ? "; " : "") + problems[k];
  throw Error(ErrorKind::model, text);
}

}  // namespace fathom
