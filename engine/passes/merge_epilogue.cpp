#include <algorithm>

#include "engine/passes/branches.hpp"

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

// Where the inputs of a convolution stand that its end takes on.
struct Places {
  std::ptrdiff_t residual, addend, output_gate;
  explicit Places(const Conv2d& op)
      : residual(static_cast<std::ptrdiff_t>(op.sources.size()) + op.gate),
        addend(residual + op.residual),
        output_gate(addend + (op.addend.mode != ResizeMode::none)) {}
};

bool adds(const Conv2d& op) { return op.residual || op.addend.mode != ResizeMode::none; }

bool ends_plainly(const Conv2d& op) {
  return !op.residual && op.addend.mode == ResizeMode::none && !op.output_gate && op.shuffle == 1 &&
         op.activation.kind == ActivationKind::none;
}

// conv * gate, one factor per channel
void absorb_product(Graph& graph, const Structure& structure, Node& node) {
  const Value x = node.in[0], gate = node.in[1];
  const Node* conv = sole_producer<Conv2d>(graph, structure, x);
  const Desc& d = graph[x].desc;
  if (!conv || !ends_plainly(std::get<Conv2d>(conv->op)) ||
      !graph[gate].desc.same_extents(Desc::nhwc(d.n(), d.c(), 1, 1)))
    return;
  Conv2d op = std::get<Conv2d>(conv->op);
  std::vector<Value> in = conv->in;
  in.insert(in.begin() + Places(op).output_gate, gate);
  op.output_gate = true;
  op.activation = std::get<Multiply>(node.op).activation;
  take_over(graph, node, *conv, std::move(op), std::move(in));
}

// shuffle(conv); an activation before it may as well come after
void absorb_shuffle(Graph& graph, const Structure& structure, Node& node) {
  const Node* conv = sole_producer<Conv2d>(graph, structure, node.in[0]);
  if (!conv) return;
  Conv2d op = std::get<Conv2d>(conv->op);
  if (op.residual || op.addend.mode != ResizeMode::none || op.shuffle != 1) return;
  op.shuffle = std::get<PixelShuffle>(node.op).factor;
  std::vector<Value> in = conv->in;
  take_over(graph, node, *conv, std::move(op), std::move(in));
}

// conv + another map
class Addition {
 public:
  Addition(Graph& graph, const Structure& structure, const Fusions& fusions, Node& node)
      : graph_(graph), structure_(structure), fusions_(fusions), node_(node) {}

  void absorb() {
    const Value a = node_.in[0], b = node_.in[1];
    if (a == b || node_.in.size() != 2) return;
    const Node *conv_a = conv_behind(a), *conv_b = conv_behind(b);
    if (fusions_.branches && conv_a && conv_b && (join(*conv_a, *conv_b) || join(*conv_b, *conv_a))) return;
    const bool later_b = structure_.producer_of(b) > structure_.producer_of(a);
    if (later_b ? add_to(conv_b, a) || add_to(conv_a, b) : add_to(conv_a, b) || add_to(conv_b, a)) return;
  }

 private:
  // The convolution behind v, where nobody else reads v and no activation follows, or one that may come before the sum.
  const Node* conv_behind(Value v) const {
    const Node* conv = sole_producer<Conv2d>(graph_, structure_, v);
    if (!conv) return nullptr;
    const auto& op = std::get<Conv2d>(conv->op);
    const bool none = std::get<Add>(node_.op).activation.kind == ActivationKind::none;
    const bool last = none && (op.residual_last || (takes_more(op) && !adds(op)));
    return op.activation.kind == ActivationKind::none || last ? conv : nullptr;
  }
  // Whether a kernel that takes on anything can take this one on.
  bool takes_more(const Conv2d& op) const { return fusions_.residual_last && op.groups == 1 && !op.low_products; }

  // Both convolutions as one over the sources of both.
  bool join(const Node& main, const Node& other) {
    auto joined = join_branches(graph_, main, other);
    if (!joined) return false;
    auto& [op, in] = *joined;
    op.activation = std::get<Add>(node_.op).activation;
    take_over(graph_, node_, main, std::move(op), std::move(in));
    return true;
  }

  bool add_to(const Node* conv, Value map) {
    if (!conv) return false;
    Conv2d op = std::get<Conv2d>(conv->op);
    std::vector<Value> in = conv->in;
    const Node* before = producer_node(graph_, structure_, map);
    const auto* resize = before ? std::get_if<Resize>(&before->op) : nullptr;
    if (fusions_.addend && resize && op.addend.mode == ResizeMode::none) {
      in.insert(in.begin() + Places(op).addend, before->in[0]);
      op.addend = *resize;
    } else if (!op.residual) {
      in.insert(in.begin() + Places(op).residual, map);
      op.residual = true;
    } else if (takes_more(op) && op.addend.mode == ResizeMode::none) {
      in.insert(in.begin() + Places(op).addend, map);
      op.addend = {.mode = ResizeMode::nearest, .scale = 1};
    } else {
      return false;
    }
    if (op.activation.kind == ActivationKind::none)
      op.activation = std::get<Add>(node_.op).activation;
    else
      op.residual_last = true;
    take_over(graph_, node_, *conv, std::move(op), std::move(in));
    return true;
  }

  Graph& graph_;
  const Structure& structure_;
  const Fusions& fusions_;
  Node& node_;
};

}  // namespace

Graph merge_epilogue(Graph graph, const Fusions& fusions) {
  const Structure structure(graph);
  for (Node& node : graph.nodes) {
    if (std::holds_alternative<Activation>(node.op))
      absorb_activation(graph, structure, node);
    else if (std::holds_alternative<Add>(node.op))
      Addition(graph, structure, fusions, node).absorb();
    else if (std::holds_alternative<Multiply>(node.op) && fusions.output_gate)
      absorb_product(graph, structure, node);
    else if (std::holds_alternative<PixelShuffle>(node.op) && fusions.shuffle)
      absorb_shuffle(graph, structure, node);
  }
  return remove_dead(std::move(graph));
}

}  // namespace fathom
