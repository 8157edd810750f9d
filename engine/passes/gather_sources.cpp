#include <algorithm>

#include "engine/passes/rewrite.hpp"

namespace fathom {

namespace {

// Whether v is read by nothing but convolutions, as a source: only then does gathering spare storing it.
bool only_sources(const Graph& graph, const Structure& structure, Value v) {
  const std::vector<int>& list = structure.reader[static_cast<std::size_t>(v.id)];
  return std::all_of(list.begin(), list.end(), [&](int reader) {
    if (reader >= static_cast<int>(graph.nodes.size())) return false;  // an output of the network
    const Node& node = graph.nodes[static_cast<std::size_t>(reader)];
    const auto* conv = std::get_if<Conv2d>(&node.op);
    if (!conv) return false;
    const auto others = node.in.begin() + static_cast<std::ptrdiff_t>(conv->sources.size());
    return std::find(others, node.in.end(), v) == node.in.end();
  });
}

}  // namespace

Graph gather_sources(Graph graph) {
  // Concats first, then what fed them: a resize that every reader gathers.
  for (const bool concats : {true, false}) {
    const Structure structure(graph);
    for (Node& node : graph.nodes) {
      auto* conv = std::get_if<Conv2d>(&node.op);
      if (!conv) continue;
      std::vector<Source> sources;
      std::vector<Value> in;
      for (std::size_t k = 0; k < conv->sources.size(); ++k) {
        const Source& source = conv->sources[k];
        const Node* before = producer_node(graph, structure, node.in[k]);
        const bool free = before && source.resize == Resize{} && only_sources(graph, structure, node.in[k]);
        if (free && concats && std::holds_alternative<Concat>(before->op)) {
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
    graph = remove_dead(std::move(graph));
  }
  return graph;
}

}  // namespace fathom
