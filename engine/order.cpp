// The order of nodes that needs the least memory, of a few that are likely to be good.
#include <algorithm>
#include <limits>

#include "engine/plan.hpp"

namespace fathom {

namespace {

using Order = std::vector<int>;

std::size_t at(int k) { return static_cast<std::size_t>(k); }

// Which node makes each value, -1: none.
std::vector<int> makers(const Graph& graph) {
  std::vector<int> result(graph.values.size(), -1);
  for (std::size_t k = 0; k < graph.nodes.size(); ++k)
    for (Value v : graph.nodes[k].out) result[at(v.id)] = static_cast<int>(k);
  return result;
}

// Everything that a node needs, then the node; of several inputs the first or the last one's branch is run first.
Order depth_first(const Graph& graph, bool last_first) {
  const std::vector<int> maker = makers(graph);
  std::vector<bool> seen(graph.nodes.size());
  Order order;
  std::vector<std::pair<int, std::size_t>> stack;  // a node, and how many of its inputs have been looked at
  const auto open = [&](Value v) {
    const int k = maker[at(v.id)];
    if (k >= 0 && !seen[at(k)]) seen[at(k)] = true, stack.emplace_back(k, 0);
  };
  for (const Output& output : graph.outputs) {
    open(output.value);
    while (!stack.empty()) {
      auto& [k, looked] = stack.back();
      const std::vector<Value>& in = graph.nodes[at(k)].in;
      if (looked == in.size()) {
        order.push_back(k), stack.pop_back();
      } else {
        const std::size_t which = last_first ? in.size() - 1 - looked : looked;
        ++looked, open(in[which]);
      }
    }
  }
  return order;
}

// Of the nodes that can run, always the one that adds least to what is alive.
Order least_growth(const Graph& graph) {
  std::vector<int> waiting(graph.nodes.size()), unread(graph.values.size());
  std::vector<bool> done(graph.nodes.size());
  const std::vector<int> maker = makers(graph);
  for (const Node& node : graph.nodes)
    for (Value v : node.in) ++unread[at(v.id)];
  for (const Output& output : graph.outputs) ++unread[at(output.value.id)];
  for (std::size_t k = 0; k < graph.nodes.size(); ++k)
    for (Value v : graph.nodes[k].in) waiting[k] += maker[at(v.id)] >= 0;
  const std::vector<std::vector<int>> reader = readers(graph);
  const int count = static_cast<int>(graph.nodes.size());
  Order order;
  while (order.size() < graph.nodes.size()) {
    int best = -1;
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (int k = 0; k < count; ++k) {
      if (done[at(k)] || waiting[at(k)]) continue;
      std::int64_t growth = 0;
      for (Value v : graph.nodes[at(k)].out) growth += graph[v].desc.span_bytes();
      for (Value v : graph.nodes[at(k)].in)
        if (maker[at(v.id)] >= 0 && unread[at(v.id)] == 1) growth -= graph[v].desc.span_bytes();
      if (growth < least) least = growth, best = k;
    }
    done[at(best)] = true, order.push_back(best);
    for (Value v : graph.nodes[at(best)].in) --unread[at(v.id)];
    for (Value v : graph.nodes[at(best)].out)
      for (int k : reader[at(v.id)])
        if (k < count) --waiting[at(k)];
  }
  return order;
}

Graph reordered(const Graph& graph, const Order& order) {
  Graph result = graph;
  for (std::size_t k = 0; k < order.size(); ++k) result.nodes[k] = graph.nodes[at(order[k])];
  return result;
}

}  // namespace

Ordered order_for_memory(const Graph& graph, const StorageRules& rules) {
  const auto bound = [&](const Graph& g) { return lower_bound(lifetimes(g, layout(g, rules)), 64); };
  Graph best = graph;
  const std::int64_t given = bound(graph);
  std::int64_t least = given;
  for (const Order& order : {depth_first(graph, false), depth_first(graph, true), least_growth(graph)}) {
    if (order.size() != graph.nodes.size()) continue;  // a node that no output needs
    Graph candidate = reordered(graph, order);
    if (const std::int64_t bytes = bound(candidate); bytes < least) least = bytes, best = std::move(candidate);
  }
  return {std::move(best), given - least};
}

}  // namespace fathom
