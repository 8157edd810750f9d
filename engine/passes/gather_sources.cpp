#include "engine/passes/rewrite.hpp"

namespace fathom {

namespace {

constexpr std::size_t most_sources = 12;  // of a convolution: each travels with every launch of it

// One round: concats, or the resizes that every reader can gather.
Graph gather_once(Graph graph, bool concats) {
  const Structure structure(graph);
  for (Node& node : graph.nodes) {
    auto* conv = std::get_if<Conv2d>(&node.op);
    if (!conv) continue;
    std::vector<Source> sources;
    std::vector<Value> in;
    std::size_t left = conv->sources.size();  // that are still to come
    for (std::size_t k = 0; k < conv->sources.size(); ++k, --left) {
      const Source& source = conv->sources[k];
      const Node* before = producer_node(graph, structure, node.in[k]);
      const bool free = before && source.resize == Resize{} && only_sources(graph, structure, node.in[k]);
      if (free && concats && std::holds_alternative<Concat>(before->op) &&
          sources.size() + before->in.size() + left - 1 <= most_sources) {
        for (Value part : before->in) sources.push_back(source), in.push_back(part);
      } else if (free && !concats && std::holds_alternative<Resize>(before->op)) {
        sources.push_back(source), in.push_back(before->in[0]);
        sources.back().resize = std::get<Resize>(before->op);
      } else {
        sources.push_back(source), in.push_back(node.in[k]);
      }
    }
    in.insert(in.end(), node.in.begin() + static_cast<std::ptrdiff_t>(conv->sources.size()), node.in.end());
    conv->sources = std::move(sources), node.in = std::move(in);
  }
  return remove_dead(std::move(graph));
}

}  // namespace

Graph gather_sources(Graph graph) {
  // A concat of concats is free only once the outer one is gathered.
  for (std::size_t before = 0; before != graph.nodes.size();) {
    before = graph.nodes.size();
    graph = gather_once(gather_once(std::move(graph), true), false);
  }
  return graph;
}

}  // namespace fathom
