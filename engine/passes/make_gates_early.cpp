// Gates by the convolutions that make the last of their means (Conv2d::excitation): a launch less each. One block makes
// such a gate, so it must be small.
#include "engine/passes/rewrite.hpp"

namespace fathom {

namespace {

// What one block makes without delay, a gate's layers, and as many channels and hidden values as it has room for.
constexpr std::int64_t most_weights = 40'000, most_floats = 1024;
constexpr std::size_t most_maps = 6;

// Whether the gate at this node is now made by the convolution that makes the last of its means.
bool make_early(Graph& graph, const Structure& structure, std::size_t at) {
  const Node& node = graph.nodes[at];
  const auto& gate = std::get<ChannelGate>(node.op);
  const std::size_t maps = gate.maps(node.in.size());
  std::int64_t weights = 0, floats = 0;
  for (std::size_t k = maps; k < node.in.size(); ++k) {
    const Desc& d = graph[node.in[k]].desc;
    if (!graph[node.in[k]].constant) return false;
    weights += d.elements();
    if (k == maps) floats = d.extent[0] + d.extent[1];
  }
  if (maps > most_maps || weights > most_weights || floats > most_floats) return false;
  int last = -1, place = 0;
  for (std::size_t k = 0; k < maps; ++k) {
    const int maker = structure.producer_of(node.in[k]);
    if (maker < 0 || graph.nodes[static_cast<std::size_t>(maker)].out.size() < 2 ||
        !(graph.nodes[static_cast<std::size_t>(maker)].out[1] == node.in[k]))
      return false;
    if (maker > last) last = maker, place = static_cast<int>(k);
  }
  if (structure.readers_of(node.in[static_cast<std::size_t>(place)]) != 1) return false;
  Node& maker = graph.nodes[static_cast<std::size_t>(last)];
  std::vector<Value> others(node.in.begin(), node.in.begin() + static_cast<std::ptrdiff_t>(maps));
  others.erase(others.begin() + place);
  const std::size_t data = maker.in.size() - parameter_names(maker.op).size();
  maker.in.insert(maker.in.begin() + static_cast<std::ptrdiff_t>(data), others.begin(), others.end());
  maker.in.insert(maker.in.end(), node.in.begin() + static_cast<std::ptrdiff_t>(maps), node.in.end());
  const Excitation e{static_cast<int>(maps), place, gate.bias, gate.squeeze_activation, gate.activation};
  if (auto* conv = std::get_if<Conv2d>(&maker.op)) conv->excitation = e;
  if (auto* block = std::get_if<InvertedResidual>(&maker.op)) block->excitation = e;
  maker.out[1] = node.out[0];
  return true;
}

}  // namespace

Graph make_gates_early(Graph graph) {
  const Structure structure(graph);
  std::vector<Node> kept;
  std::vector<bool> early(graph.nodes.size());
  for (std::size_t k = 0; k < graph.nodes.size(); ++k)
    early[k] = std::holds_alternative<ChannelGate>(graph.nodes[k].op) && make_early(graph, structure, k);
  for (std::size_t k = 0; k < graph.nodes.size(); ++k)
    if (!early[k]) kept.push_back(std::move(graph.nodes[k]));
  graph.nodes = std::move(kept);
  return remove_dead(std::move(graph));
}

}  // namespace fathom
