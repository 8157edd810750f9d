#include "engine/passes/rewrite.hpp"

namespace fathom {

namespace {

// The activation field of an op that has one and has not used it yet, else null.
Activation* free_activation(Op& op) {
  return std::visit(
      [](auto& o) -> Activation* {
        if constexpr (requires { o.activation; })
          return o.activation.kind == ActivationKind::none ? &o.activation : nullptr;
        return nullptr;
      },
      op);
}

// conv -> activation
void absorb_activation(Graph& graph, const Structure& structure, Node& node) {
  const Node* before = producer_node(graph, structure, node.in[0]);
  if (!before || structure.readers_of(node.in[0]) != 1) return;
  Op op = before->op;
  Activation* slot = free_activation(op);
  if (!slot) return;
  *slot = std::get<Activation>(node.op);
  take_over(graph, node, *before, std::move(op), before->in);
}

// The convolution behind v if it can add another map to its sum.
const Node* adding_conv(const Graph& graph, const Structure& structure, Value v) {
  const Node* conv = sole_producer<Conv2d>(graph, structure, v);
  if (!conv) return nullptr;
  const auto& op = std::get<Conv2d>(conv->op);
  return op.activation.kind == ActivationKind::none && !op.residual ? conv : nullptr;
}

// conv + residual; of two convolutions the later one adds the other's result.
void absorb_addition(Graph& graph, const Structure& structure, Node& node) {
  const Value a = node.in[0], b = node.in[1];
  if (a == b) return;
  const Node *conv_a = adding_conv(graph, structure, a), *conv_b = adding_conv(graph, structure, b);
  if (!conv_a && !conv_b) return;
  const bool use_b = conv_b && (!conv_a || structure.producer_of(b) > structure.producer_of(a));
  const Node& conv = use_b ? *conv_b : *conv_a;
  Conv2d op = std::get<Conv2d>(conv.op);
  std::vector<Value> in = conv.in;
  in.insert(in.begin() + static_cast<std::ptrdiff_t>(op.sources.size() + op.gate), use_b ? a : b);
  op.residual = true;
  op.activation = std::get<Add>(node.op).activation;
  take_over(graph, node, conv, std::move(op), std::move(in));
}

}  // namespace

Graph merge_epilogue(Graph graph) {
  const Structure structure(graph);
  for (Node& node : graph.nodes) {
    if (std::holds_alternative<Activation>(node.op))
      absorb_activation(graph, structure, node);
    else if (std::holds_alternative<Add>(node.op))
      absorb_addition(graph, structure, node);
  }
  return remove_dead(std::move(graph));
}

}  // namespace fathom
