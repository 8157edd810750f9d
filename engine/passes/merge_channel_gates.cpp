// Squeeze and excitation as one op, and the algebra that lets a gate be known before the map that it gates:
//   mean(W x + b) = W mean(x) + b,  W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2)
#include <algorithm>

#include "engine/passes/constants.hpp"
#include "engine/passes/rewrite.hpp"

namespace fathom {

namespace {

bool is_linear_pointwise(const Graph& graph, const Node& node) {
  const auto* conv = std::get_if<Conv2d>(&node.op);
  if (!conv) return false;
  const Desc& w = graph[conv->inputs(std::span<const Value>(node.in)).weight].desc;
  Conv2d plain;
  plain.bias = conv->bias;
  return *conv == plain && w.extent[2] == 1 && w.extent[3] == 1;
}

// Linear, then Linear: the first has no activation and nobody else reads it.
void compose(Graph& graph, const Structure& structure, Node& node) {
  const Node* first = sole_producer<Linear>(graph, structure, node.in[0]);
  if (!first || std::get<Linear>(first->op).activation.kind != ActivationKind::none) return;
  const auto &a = std::get<Linear>(first->op), &b = std::get<Linear>(node.op);
  const ValueInfo w1 = graph[first->in[1]], w2 = graph[node.in[1]];
  const Numbers b1 = a.bias ? graph[first->in[2]].constant : nullptr,
                b2 = b.bias ? graph[node.in[2]].constant : nullptr;
  const std::int64_t inputs = w1.desc.elements() / w1.desc.extent[0], middle = w1.desc.extent[0],
                     outputs = w2.desc.extent[0];
  const std::string by = w2.name + " after " + w1.name;
  const auto weight = lazily(Desc::dense({outputs, inputs}), [=, first = w1.constant, second = w2.constant](float* to) {
    const auto u = first->values(), v = second->values();
    for (std::int64_t o = 0; o < outputs; ++o) {
      std::vector<double> row(static_cast<std::size_t>(inputs));
      for (std::int64_t m = 0; m < middle; ++m)
        for (std::int64_t c = 0; c < inputs; ++c)
          row[static_cast<std::size_t>(c)] += static_cast<double>(v[o * middle + m]) * u[m * inputs + c];
      for (std::int64_t c = 0; c < inputs; ++c)
        to[o * inputs + c] = static_cast<float>(row[static_cast<std::size_t>(c)]);
    }
  });
  Linear both = b;
  std::vector<Value> in = {first->in[0], add_once(graph, by, weight)};
  if (a.bias || b.bias) {
    const auto bias = lazily(Desc::dense({outputs}), [=, second = w2.constant](float* to) {
      const auto v = second->values(), first_bias = b1 ? b1->values() : nullptr,
                 second_bias = b2 ? b2->values() : nullptr;
      for (std::int64_t o = 0; o < outputs; ++o) {
        double sum = second_bias ? static_cast<double>(second_bias[o]) : 0;
        for (std::int64_t m = 0; first_bias && m < middle; ++m)
          sum += static_cast<double>(v[o * middle + m]) * first_bias[m];
        to[o] = static_cast<float>(sum);
      }
    });
    const auto name = [&](bool given, const Node& n) { return given ? graph[n.in[2]].name : std::string("no bias"); };
    in.push_back(add_once(graph, name(b.bias, node) + " and " + name(a.bias, *first) + " of " + by, bias));
    both.bias = true;
  }
  node.op = both, node.in = std::move(in);
}

// The maps whose means, side by side, v holds; empty: it holds something else.
std::vector<Value> maps_of(const Graph& graph, const Structure& structure, Value v) {
  const Node* node = producer_node(graph, structure, v);
  if (!node) return {};
  if (std::holds_alternative<GlobalMean>(node->op)) return {node->in[0]};
  std::vector<Value> maps;
  if (!std::holds_alternative<Concat>(node->op)) return {};
  for (Value part : node->in) {
    const std::vector<Value> inner = maps_of(graph, structure, part);
    if (inner.empty()) return {};
    maps.insert(maps.end(), inner.begin(), inner.end());
  }
  return maps;
}

// Zeros where one of two biases is missing.
Value bias_or_zeros(Graph& graph, const Node& linear) {
  if (std::get<Linear>(linear.op).bias) return linear.in[2];
  const Desc desc = Desc::dense({graph[linear.in[1]].desc.extent[0]});
  return add_once(graph, std::to_string(desc.elements()) + " zeros",
                  lazily(desc, [n = desc.elements()](float* to) { std::fill_n(to, n, 0.f); }));
}

}  // namespace

Graph lower_means_of_convolutions(Graph graph) {
  const Structure structure(graph);
  const auto is_small = [&](const Node& conv) {  // its work on means is nothing beside reading the map once more
    return graph[conv.out[0]].desc.h() * graph[conv.out[0]].desc.w() > 1;
  };
  std::vector<Node> nodes;
  for (Node node : std::vector<Node>(graph.nodes)) {
    const Node* conv =
        std::holds_alternative<GlobalMean>(node.op) ? producer_node(graph, structure, node.in[0]) : nullptr;
    if (!conv || !is_linear_pointwise(graph, *conv) || !is_small(*conv)) {
      nodes.push_back(std::move(node));
      continue;
    }
    const Desc& x = graph[conv->in[0]].desc;
    graph.values.push_back(
        {graph[node.out[0]].name + " of " + graph[conv->in[0]].name, Desc::nhwc(x.n(), x.c(), 1, 1), nullptr});
    const Value mean{static_cast<int>(graph.values.size()) - 1};
    Linear linear;
    linear.bias = std::get<Conv2d>(conv->op).bias;
    std::vector<Value> in = conv->in;
    in[0] = mean;
    nodes.push_back({GlobalMean{}, {conv->in[0]}, {mean}, node.name + ".below"});
    nodes.push_back({linear, std::move(in), node.out, node.name});
  }
  graph.nodes = std::move(nodes);
  return remove_dead(std::move(graph));
}

Graph merge_channel_gates(Graph graph) {
  {
    const Structure structure(graph);
    for (Node& node : graph.nodes)
      if (std::holds_alternative<Linear>(node.op)) compose(graph, structure, node);
    graph = remove_dead(std::move(graph));
  }
  const Structure structure(graph);
  for (Node& node : graph.nodes) {
    const auto* excite = std::get_if<Linear>(&node.op);
    const Node* before = excite ? sole_producer<Linear>(graph, structure, node.in[0]) : nullptr;
    if (!before) continue;
    constexpr std::size_t most_maps = 16;
    const std::vector<Value> maps = maps_of(graph, structure, before->in[0]);
    if (maps.empty() || maps.size() > most_maps) continue;
    const auto& squeeze = std::get<Linear>(before->op);
    ChannelGate gate{.squeeze_activation = squeeze.activation, .activation = excite->activation};
    gate.bias = squeeze.bias || excite->bias;
    std::vector<Value> in = maps;
    in.push_back(before->in[1]);
    if (gate.bias) in.push_back(bias_or_zeros(graph, *before));
    in.push_back(node.in[1]);
    if (gate.bias) in.push_back(bias_or_zeros(graph, node));
    node.op = gate, node.in = std::move(in);
  }
  return remove_dead(std::move(graph));
}

}  // namespace fathom
