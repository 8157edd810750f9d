#include "engine/passes/rewrite.hpp"

namespace fathom {

Graph merge_padding(Graph graph) {
  const Structure structure(graph);
  for (Node& node : graph.nodes) {
    auto* conv = std::get_if<Conv2d>(&node.op);
    if (!conv || conv->sources.size() != 1 || conv->sources[0] != Source{}) continue;
    const Node* before = producer_node(graph, structure, node.in[0]);
    const auto* pad = before ? std::get_if<Pad>(&before->op) : nullptr;
    if (!pad) continue;
    const Padding own = conv->padding, add = pad->padding;
    if (own.any() && pad->mode != PadMode::zeros) continue;  // zeros round a reflected border are neither
    conv->padding = {own.top + add.top, own.left + add.left, own.bottom + add.bottom, own.right + add.right};
    conv->sources[0].pad_mode = pad->mode;
    node.in[0] = before->in[0];
  }
  return remove_dead(std::move(graph));
}

}  // namespace fathom
