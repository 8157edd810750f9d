// What the files of models/ write a network with: a Graph under construction, and the parameters it asks for by the names
// of the official checkpoint. Without weights the same code lists the parameters and their shapes.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/graph.hpp"

namespace fathom {

// The tensors of a model file by name.
using Weights = std::map<std::string, std::shared_ptr<const Constant>>;

struct Parameter {
  std::string name;
  Desc desc;
  bool used = true;  // false: official checkpoints store it, but no network reads it (a classifier, a dead layer)
};

struct ConvOptions {
  int out = 0;  // channels
  Size2 kernel = 3;
  Size2 stride;
  Padding padding;
  Size2 dilation;
  int groups = 1;
  bool bias = false;
};

class Network {
 public:
  // weights: null lists parameters only; the graph's constants then have shapes but no values.
  explicit Network(const Weights* weights) : weights_(weights) {}

  Graph graph;

  Value input(const std::string& name, const Desc& desc) { return graph.add_input(name, desc); }
  void output(const std::string& name, Value value, OutputKind kind, float scale = 1) { graph.outputs.push_back({name, value, kind, scale}); }
  const Desc& desc(Value v) const { return graph[v].desc; }
  int channels(Value v) const { return static_cast<int>(desc(v).c()); }
  Size2 size(Value v) const { return {static_cast<int>(desc(v).h()), static_cast<int>(desc(v).w())}; }

  // A parameter that the network reads, as a constant of the graph.
  Value parameter(const std::string& key, const Desc& shape);
  // One that official checkpoints store and nothing reads: part of the count, optional in a file.
  void unused(const std::string& key, const Desc& shape);
  // What the file holds under a key: for networks whose widths come from their weights. Nothing when listing.
  std::optional<Desc> stored(const std::string& key) const;

  // Layers, named by the checkpoint's key without ".weight". Each adds one node.
  Value conv(const std::string& key, Value x, const ConvOptions& options);            // key.weight, key.bias
  Value conv_transpose(const std::string& key, Value x, int out, Size2 kernel, ConvTranspose2d op);  // key.weight, key.bias
  // (N, C, 1, 1); key.weight, key.bias. as_conv: the checkpoint holds it as a 1x1 convolution, (O, C, 1, 1).
  Value linear(const std::string& key, Value x, int out, bool bias, bool as_conv = false);
  Value batch_norm(const std::string& key, Value x, float eps = 1e-5f);               // key.weight, ... key.running_var
  Value activate(Value x, ActivationKind kind, float alpha = 1);
  Value relu(Value x) { return activate(x, ActivationKind::relu); }
  Value concat(std::vector<Value> parts, const std::string& name);
  Value sum(Value a, Value b) { return add(Add{}, {a, b}); }
  Value nearest(Value x, int factor);
  Value bilinear(Value x, Size2 size, bool align_corners = false);
  Value reflection_pad(Value x, int all) { return add(Pad{all, PadMode::reflect}, {x}); }
  // Any op without parameters; the name defaults to the op's.
  Value add(Op op, std::vector<Value> in, std::string name = "");

  const std::vector<Parameter>& parameters() const { return parameters_; }
  // Throws one Error{model} that names every parameter that is missing, surplus or of another shape.
  void check_weights() const;

 private:
  void declare(const std::string& key, const Desc& shape, bool used);
  std::string unique(std::string name);

  const Weights* weights_;
  std::vector<Parameter> parameters_;
  std::map<std::string, Value> constants_;  // a parameter read twice (a shared encoder) is one constant
  std::map<std::string, int> names_;
  std::vector<std::string> problems_;
};

}  // namespace fathom
