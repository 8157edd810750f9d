#include <algorithm>

#include "engine/passes/passes.hpp"

namespace fathom {

Graph store_halves(Graph graph) {
  for (const Node& node : graph.nodes) {
    const Value v = node.out[0];
    const bool output =
        std::any_of(graph.outputs.begin(), graph.outputs.end(), [&](const Output& o) { return o.value == v; });
    if (!output) graph[v].desc = in_halves(graph[v].desc);
  }
  return graph;
}

}  // namespace fathom
