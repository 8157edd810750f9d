// conv(act(a x + b)),  a = gamma / sqrt(var + eps), b = beta - a mean: a pre-activation network's norm (DenseNet's
// norm1, its transitions) becomes what the convolution does as it reads. Only where no padding is read, whose zeros
// come after the norm.
#include <algorithm>

#include "engine/passes/norm.hpp"
#include "engine/passes/rewrite.hpp"

namespace fathom {

namespace {

// Whether each reader of v is a 1x1 convolution that can take a norm on as it reads.
bool only_pointwise(const Graph& graph, const Structure& structure, Value v) {
  for (int reader : structure.reader[static_cast<std::size_t>(v.id)]) {
    if (reader >= static_cast<int>(graph.nodes.size())) return false;  // an output of the network
    const Node& node = graph.nodes[static_cast<std::size_t>(reader)];
    const auto* conv = std::get_if<Conv2d>(&node.op);
    if (!conv || conv->sources.size() != 1 || !(conv->sources[0] == Source{}) || conv->gate || conv->affine ||
        conv->padding.any() || conv->groups != 1 || !(conv->input_activation == Activation{}) || !(node.in[0] == v) ||
        std::count(node.in.begin(), node.in.end(), v) != 1)
      return false;
    const Desc& w = graph[conv->inputs(std::span<const Value>(node.in)).weight].desc;
    if (w.extent[2] != 1 || w.extent[3] != 1) return false;
  }
  return true;
}

}  // namespace

Graph merge_prologue(Graph graph) {
  const Structure structure(graph);
  for (Node& node : graph.nodes) {
    if (!std::holds_alternative<Conv2d>(node.op) || !only_pointwise(graph, structure, node.in[0])) continue;
    const Node* before = producer_node(graph, structure, node.in[0]);
    Activation activation;
    if (const auto* op = before ? std::get_if<Activation>(&before->op) : nullptr) {
      activation = *op;
      before = structure.readers_of(before->in[0]) == 1 ? producer_node(graph, structure, before->in[0]) : nullptr;
    }
    const auto* norm = before ? std::get_if<BatchNorm>(&before->op) : nullptr;
    if (!norm || (norm->activation.kind != ActivationKind::none && activation.kind != ActivationKind::none)) continue;
    auto& conv = std::get<Conv2d>(node.op);
    const auto [scale, shift] = scale_and_shift(graph, *before);
    conv.affine = true;
    conv.input_activation = norm->activation.kind != ActivationKind::none ? norm->activation : activation;
    node.in[0] = before->in[0];
    node.in.push_back(scale), node.in.push_back(shift);
  }
  return remove_dead(std::move(graph));
}

}  // namespace fathom
