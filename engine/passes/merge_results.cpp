// What follows a convolution element by element, or keeps only its first rows and columns:
//   scale (W x + b) + shift = (scale W) x + (scale b + shift); behind an activation it is done where the result is
//   stored
#include <bit>

#include "engine/passes/constants.hpp"
#include "engine/passes/rewrite.hpp"

namespace fathom {

namespace {

// Whether a kernel that takes on anything can take this one on.
bool can_take_on(const Conv2d& op) { return op.groups == 1 && !op.low_products; }

Value scaled(Graph& graph, Value of, float scale, float shift) {
  const ValueInfo from = graph[of];
  const auto bits = [](float v) { return std::to_string(std::bit_cast<std::uint32_t>(v)); };
  const std::string name = from.name + " times " + bits(scale) + " plus " + bits(shift);
  return add_once(graph, name, lazily(from.desc, [=](float* to) {
                    const auto values = from.constant->values();
                    for (std::int64_t k = 0; k < from.desc.elements(); ++k)
                      to[k] = scale * values[static_cast<std::size_t>(k)] + shift;
                  }));
}

// Linear -> Affine, by other numbers.
bool scale_weights(Graph& graph, const Structure& structure, Node& node, const Affine& affine) {
  const Node* before = sole_producer<Linear>(graph, structure, node.in[0]);
  if (!before) return false;
  const Linear op = std::get<Linear>(before->op);
  if (op.activation.kind != ActivationKind::none || (!op.bias && affine.shift != 0)) return false;
  std::vector<Value> in = before->in;
  in[1] = scaled(graph, in[1], affine.scale, 0);
  if (op.bias) in[2] = scaled(graph, in[2], affine.scale, affine.shift);
  take_over(graph, node, *before, op, std::move(in));
  return true;
}

// conv -> scale x + shift, or its reciprocal
void absorb_result(Graph& graph, const Structure& structure, Node& node, const Affine& affine, bool reciprocal) {
  const Node* before = sole_producer<Conv2d>(graph, structure, node.in[0]);
  if (!before) return;
  Conv2d op = std::get<Conv2d>(before->op);
  if (!can_take_on(op) || !(op.result == Affine{}) || op.reciprocal) return;
  op.result = affine, op.reciprocal = reciprocal;
  std::vector<Value> in = before->in;
  take_over(graph, node, *before, op, std::move(in));
}

// conv -> the first rows, or the first columns
void absorb_slice(Graph& graph, const Structure& structure, Node& node) {
  const Slice slice = std::get<Slice>(node.op);
  const Node* before = sole_producer<Conv2d>(graph, structure, node.in[0]);
  if (!before || slice.begin != 0 || slice.axis < 2) return;
  Conv2d op = std::get<Conv2d>(before->op);
  if (!can_take_on(op) || op.shuffle != 1) return;
  (slice.axis == 2 ? op.crop.h : op.crop.w) +=
      static_cast<int>(graph[node.in[0]].desc.extent[static_cast<std::size_t>(slice.axis)]) - slice.count;
  std::vector<Value> in = before->in;
  take_over(graph, node, *before, op, std::move(in));
}

}  // namespace

Graph merge_results(Graph graph, const Fusions& fusions) {
  const Structure structure(graph);
  for (Node& node : graph.nodes) {
    if (const auto* op = std::get_if<Affine>(&node.op)) {
      const Affine affine = *op;
      if (!scale_weights(graph, structure, node, affine) && fusions.result)
        absorb_result(graph, structure, node, affine, false);
    } else if (const auto* depth = std::get_if<DisparityToDepth>(&node.op); depth && fusions.result) {
      const float far = 1 / depth->max_depth;
      absorb_result(graph, structure, node, {1 / depth->min_depth - far, far}, true);
    } else if (std::holds_alternative<Slice>(node.op) && fusions.crop) {
      absorb_slice(graph, structure, node);
    }
  }
  return remove_dead(std::move(graph));
}

}  // namespace fathom
