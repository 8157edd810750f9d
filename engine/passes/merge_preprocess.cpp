#include "engine/passes/rewrite.hpp"

namespace fathom {

Graph merge_preprocess(Graph graph) {
  const Structure structure(graph);
  for (Node& node : graph.nodes) {
    auto* conv = std::get_if<Conv2d>(&node.op);
    if (!conv) continue;
    for (std::size_t k = 0; k < conv->sources.size(); ++k) {
      const Node* before = producer_node(graph, structure, node.in[k]);
      const auto* preprocess = before ? std::get_if<Preprocess>(&before->op) : nullptr;
      if (!preprocess || !only_sources(graph, structure, node.in[k], [](const Conv2d& reader) { return !reader.gate; }))
        continue;
      conv->sources[k].mean = preprocess->mean, conv->sources[k].std = preprocess->std;
      node.in[k] = before->in[0];
    }
  }
  return remove_dead(std::move(graph));
}

}  // namespace fathom
