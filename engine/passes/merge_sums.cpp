// (a + b) + c = a + b + c: each map is read once, and the sums between are not stored.
#include "engine/passes/rewrite.hpp"

namespace fathom {

Graph merge_sums(Graph graph) {
  constexpr std::size_t most = 8;
  const Structure structure(graph);
  for (Node& node : graph.nodes) {
    if (!std::holds_alternative<Add>(node.op)) continue;
    std::vector<Value> in;
    std::size_t left = node.in.size();  // that are still to come
    for (Value v : node.in) {
      --left;
      const Node* inner = sole_producer<Add>(graph, structure, v);
      if (inner && std::get<Add>(inner->op).activation.kind == ActivationKind::none &&
          in.size() + inner->in.size() + left <= most)
        in.insert(in.end(), inner->in.begin(), inner->in.end());
      else
        in.push_back(v);
    }
    node.in = std::move(in);
  }
  return remove_dead(std::move(graph));
}

}  // namespace fathom
