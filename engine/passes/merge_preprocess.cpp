#include <algorithm>

#include "engine/passes/rewrite.hpp"

namespace fathom {

namespace {

// Whether each reader of v is a convolution that takes it as a source, and as nothing else.
bool only_sources(const Graph& graph, const Structure& structure, Value v) {
  const std::vector<int>& list = structure.reader[static_cast<std::size_t>(v.id)];
  return std::all_of(list.begin(), list.end(), [&](int reader) {
    if (reader >= static_cast<int>(graph.nodes.size())) return false;  // an output of the network
    const Node& node = graph.nodes[static_cast<std::size_t>(reader)];
    const auto* conv = std::get_if<Conv2d>(&node.op);
    if (!conv || conv->gate) return false;
    for (std::size_t k = 0; k < node.in.size(); ++k) {
      if (node.in[k] != v) continue;
      if (k >= conv->sources.size()) return false;
    }
    return true;
  });
}

}  // namespace

Graph merge_preprocess(Graph graph) {
  const Structure structure(graph);
  for (Node& node : graph.nodes) {
    auto* conv = std::get_if<Conv2d>(&node.op);
    if (!conv) continue;
    for (std::size_t k = 0; k < conv->sources.size(); ++k) {
      const Node* before = producer_node(graph, structure, node.in[k]);
      const auto* preprocess = before ? std::get_if<Preprocess>(&before->op) : nullptr;
      if (!preprocess || !only_sources(graph, structure, node.in[k])) continue;
      conv->sources[k].mean = preprocess->mean, conv->sources[k].std = preprocess->std;
      node.in[k] = before->in[0];
    }
  }
  return remove_dead(std::move(graph));
}

}  // namespace fathom
