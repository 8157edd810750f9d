// From a layout to addresses: one buffer per root for as long as anything stored in it is in use, one per workspace.
#include "engine/plan.hpp"

#include <algorithm>
#include <string>

#include "fathom/error.hpp"

namespace fathom {

std::vector<Lifetime> lifetimes(const Graph& graph, const Layout& layout) {
  const auto at = [](int k) { return static_cast<std::size_t>(k); };
  std::vector<Lifetime> lives(graph.values.size());
  const auto touch = [&](Value v, int t) {
    const Storage& storage = layout.values[at(v.id)];
    if (storage.root < 0 || storage.external) return;
    Lifetime& life = lives[at(storage.root)];
    if (!life.bytes) life = {t, t, graph.values[at(storage.root)].desc.storage_bytes()};
    life.first = std::min(life.first, t), life.last = std::max(life.last, t);
  };
  const int nodes = static_cast<int>(graph.nodes.size());
  for (int t = 0; t < nodes; ++t) {
    if (layout.skipped[at(t)]) continue;  // takes no time
    for (Value v : graph.nodes[at(t)].in) touch(v, t);
    for (Value v : graph.nodes[at(t)].out) touch(v, t);
  }
  for (const Output& output : graph.outputs) touch(output.value, nodes);
  return lives;
}

MemoryPlan plan(const Graph& graph, const Layout& layout, std::span<const std::int64_t> workspace_bytes,
                const PlaceOptions& options) {
  if (workspace_bytes.size() != graph.nodes.size())
    throw Error(ErrorKind::usage, "plan: " + std::to_string(workspace_bytes.size()) + " workspace sizes for " +
                                      std::to_string(graph.nodes.size()) + " nodes; give one each");
  MemoryPlan result;
  std::vector<Lifetime> buffers = lifetimes(graph, layout);  // of the values, then of the workspaces
  for (std::size_t t = 0; t < graph.nodes.size(); ++t) {
    const std::int64_t bytes = layout.skipped[t] ? 0 : workspace_bytes[t];
    buffers.push_back({static_cast<int>(t), static_cast<int>(t), bytes});
    result.workspace_bytes = std::max(result.workspace_bytes, bytes);
  }
  const Placement placed = place(buffers, options);
  result.arena_bytes = placed.arena_bytes;
  result.lower_bound_bytes = placed.lower_bound_bytes;
  result.optimal = placed.optimal;
  for (std::size_t v = 0; v < graph.values.size(); ++v) {
    const Storage& storage = layout.values[v];
    const bool placed_here = storage.root >= 0 && !storage.external;
    result.value_offset.push_back(placed_here ? placed.offset[static_cast<std::size_t>(storage.root)] + storage.offset
                                              : -1);
    if (placed_here)
      result.sum_bytes +=
          (graph.values[v].desc.storage_bytes() + options.alignment - 1) / options.alignment * options.alignment;
  }
  result.workspace_offset.assign(placed.offset.begin() + static_cast<std::ptrdiff_t>(graph.values.size()),
                                 placed.offset.end());
  return result;
}

}  // namespace fathom
