// What the passes share.
#pragma once

#include <algorithm>

#include "engine/passes/passes.hpp"

namespace fathom {

// Who makes and who reads each value, as the graph stood when the pass began. A pass only ever makes the later of two
// nodes do the work of both, so this stays right while it rewrites; the earlier node loses its reader and is dropped.
struct Structure {
  std::vector<int> producer;             // node by value, -1: inputs and constants
  std::vector<std::vector<int>> reader;  // nodes by value, as readers() gives them

  explicit Structure(const Graph& graph) : producer(graph.values.size(), -1), reader(readers(graph)) {
    for (std::size_t k = 0; k < graph.nodes.size(); ++k)
      for (Value v : graph.nodes[k].out) producer[static_cast<std::size_t>(v.id)] = static_cast<int>(k);
  }
  int readers_of(Value v) const { return static_cast<int>(reader[static_cast<std::size_t>(v.id)].size()); }
  int producer_of(Value v) const { return producer[static_cast<std::size_t>(v.id)]; }
};

// The node that produces v, or null.
inline const Node* producer_node(const Graph& graph, const Structure& structure, Value v) {
  const int p = structure.producer_of(v);
  return p < 0 ? nullptr : &graph.nodes[static_cast<std::size_t>(p)];
}

// The node that produces v if it is an O and v has no other reader, else null.
template <class O>
const Node* sole_producer(const Graph& graph, const Structure& structure, Value v) {
  const Node* node = producer_node(graph, structure, v);
  return node && structure.readers_of(v) == 1 && std::holds_alternative<O>(node->op) ? node : nullptr;
}

// Whether each reader of v is a convolution that takes it as a source, and as nothing else, and of which `also` holds.
template <class Also>
bool only_sources(const Graph& graph, const Structure& structure, Value v, Also also) {
  const std::vector<int>& list = structure.reader[static_cast<std::size_t>(v.id)];
  return std::all_of(list.begin(), list.end(), [&](int reader) {
    if (reader >= static_cast<int>(graph.nodes.size())) return false;  // an output of the network
    const Node& node = graph.nodes[static_cast<std::size_t>(reader)];
    const auto* conv = std::get_if<Conv2d>(&node.op);
    if (!conv || !also(*conv)) return false;
    const auto others = node.in.begin() + static_cast<std::ptrdiff_t>(conv->sources.size());
    return std::find(others, node.in.end(), v) == node.in.end();
  });
}
inline bool only_sources(const Graph& graph, const Structure& structure, Value v) {
  return only_sources(graph, structure, v, [](const Conv2d&) { return true; });
}

// `node` does the work of `earlier` too, under the earlier one's name.
inline void take_over(Graph& graph, Node& node, const Node& earlier, Op op, std::vector<Value> in) {
  const std::string name = earlier.name;
  node.op = std::move(op), node.in = std::move(in), node.name = name;
  graph[node.out[0]].name = name;
}

}  // namespace fathom
