#include "tests/models/cuda/narrow.hpp"

#include <algorithm>
#include <numeric>

#include "engine/synthetic.hpp"

namespace fathom::test {

namespace {

class Narrower {
 public:
  Narrower(const Graph& graph, int divisor)
      : old_(graph), divisor_(divisor), readers_(readers(graph)), now_(graph.values.size()) {}

  Narrowed run() {
    for (Value v : old_.inputs) at(v) = made_.graph.add_input(old_[v].name, old_[v].desc);
    for (const Node& node : old_.nodes)
      at(node.out[0]) = std::visit([&](const auto& op) { return add(op, node); }, node.op);
    for (Output o : old_.outputs) o.value = at(o.value), made_.graph.outputs.push_back(o);
    return std::move(made_);
  }

 private:
  Value& at(Value v) { return now_[static_cast<std::size_t>(v.id)]; }
  int channels(Value old) { return static_cast<int>(made_.graph[at(old)].desc.c()); }

  int divided(int c) const { return c < 16 ? c : std::max(8, c / divisor_); }

  // As many channels as those who read a layer's result need: to be added to, multiplied with, or shuffled.
  int wanted(Value out) {
    for (const int reader : readers_[static_cast<std::size_t>(out.id)]) {
      if (reader == static_cast<int>(old_.nodes.size())) continue;  // an output
      const Node& node = old_.nodes[static_cast<std::size_t>(reader)];
      if (const auto* shuffle = std::get_if<PixelShuffle>(&node.op)) {
        const int square = shuffle->factor * shuffle->factor;
        return (divided(static_cast<int>(old_[out].desc.c())) + square - 1) / square * square;
      }
      if (std::holds_alternative<Add>(node.op) || std::holds_alternative<Multiply>(node.op)) {
        for (Value other : node.in)
          if (!(other == out) && at(other).id >= 0) return channels(other);
      }
      if (std::holds_alternative<BatchNorm>(node.op) || std::holds_alternative<Activation>(node.op) ||
          std::holds_alternative<Resize>(node.op) || std::holds_alternative<Add>(node.op) ||
          std::holds_alternative<Multiply>(node.op))
        if (const int further = wanted(node.out[0]); further > 0) return further;
    }
    return 0;
  }
  int width_of(Value out) {
    const int needed = wanted(out);
    return needed > 0 ? needed : divided(static_cast<int>(old_[out].desc.c()));
  }

  // A parameter of a node in its new shape.
  Value parameter(Value old, const Desc& shape) {
    if (at(old).id >= 0) return at(old);
    const std::string& name = old_[old].name;
    made_.weights[name] = Constant::of(shape, synthetic_parameter(name, shape));
    return at(old) = made_.graph.add_constant(name, made_.weights[name]);
  }

  Value add(Conv2d op, const Node& node) {
    const int before = static_cast<int>(old_[node.in[0]].desc.c()), in = channels(node.in[0]);
    const Desc& w = old_[node.in[1]].desc;
    int out = width_of(node.out[0]);
    if (op.groups == before && op.groups > 1) {  // depthwise
      out = static_cast<int>(w.extent[0]) / before * in, op.groups = in;
    } else if (op.groups > 1) {
      op.groups = std::gcd(std::gcd(std::max(1, op.groups / divisor_), in), out);
    }
    return finish(op, node, {out, in / op.groups, w.extent[2], w.extent[3]}, out);
  }
  Value add(ConvTranspose2d op, const Node& node) {
    const Desc& w = old_[node.in[1]].desc;
    const int out = width_of(node.out[0]);
    return finish(op, node, {channels(node.in[0]), out, w.extent[2], w.extent[3]}, out);
  }
  Value add(Linear op, const Node& node) {
    const int out = width_of(node.out[0]), in = channels(node.in[0]);
    return old_[node.in[1]].desc.rank == 4 ? finish(op, node, {out, in, 1, 1}, out) : finish(op, node, {out, in}, out);
  }
  Value finish(const Op& op, const Node& node, std::initializer_list<std::int64_t> weight, int out) {
    std::vector<Value> in = {at(node.in[0]), parameter(node.in[1], Desc::dense(weight))};
    if (node.in.size() > 2) in.push_back(parameter(node.in[2], Desc::dense({out})));
    return made_.graph.add(op, std::move(in), node.name);
  }
  // Everything else: parameters, if any, are one number a channel.
  template <class Other>
  Value add(const Other& op, const Node& node) {
    std::vector<Value> in;
    for (Value v : node.in) in.push_back(old_[v].constant ? parameter(v, Desc::dense({channels(node.in[0])})) : at(v));
    return made_.graph.add(op, std::move(in), node.name);
  }

  const Graph& old_;
  int divisor_;
  std::vector<std::vector<int>> readers_;
  std::vector<Value> now_;  // by old id
  Narrowed made_;
};

}  // namespace

Narrowed narrow(const Graph& graph, int divisor) { return Narrower(graph, divisor).run(); }

}  // namespace fathom::test
