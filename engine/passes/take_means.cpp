// Means as by-products: the convolution that makes a map gives the means of its channels too, so that neither a gate
// nor a GlobalMean reads the map again, and a gate knows its means when it begins.
#include "engine/passes/rewrite.hpp"

namespace fathom {

namespace {

// Whether the kernel that makes this map can add it up as it goes: it stores whole pixels, so many channels at a time.
bool gives_means(const Graph& graph, const Node& node, int channels) {
  const Desc& y = graph[node.out[0]].desc;
  if (y.c() % channels != 0 || y.h() * y.w() == 1) return false;
  if (std::holds_alternative<InvertedResidual>(node.op)) return true;
  const auto* conv = std::get_if<Conv2d>(&node.op);
  if (!conv || conv->low_products || conv->shuffle != 1) return false;
  return !(conv->sources.size() == 1 && conv->sources[0].resize.mode == ResizeMode::nearest);  // in phases
}

class Means {
 public:
  Means(Graph& graph, int channels) : graph_(graph), structure_(graph), channels_(channels) {}

  // The means of a map, by the convolution that makes it; its map where it cannot.
  Value means_or(Value map) {
    const int k = structure_.producer_of(map);
    if (k < 0) return map;
    Node& node = graph_.nodes[static_cast<std::size_t>(k)];
    if (!gives_means(graph_, node, channels_)) return map;
    if (node.out.size() == 1) {
      const Desc& y = graph_[map].desc;
      node.out.push_back({static_cast<int>(graph_.values.size())});
      graph_.values.push_back({graph_[map].name + ".mean", Desc::nhwc(y.n(), y.c(), 1, 1), nullptr});
      if (auto* conv = std::get_if<Conv2d>(&node.op)) conv->mean = true;
      if (auto* block = std::get_if<InvertedResidual>(&node.op)) block->mean = true;
    }
    return node.out[1];
  }

 private:
  Graph& graph_;
  Structure structure_;
  int channels_;
};

}  // namespace

Graph take_means(Graph graph, int channels) {
  Means means(graph, channels);
  std::vector<Value> now(graph.values.size());  // what stands for a value
  for (std::size_t k = 0; k < now.size(); ++k) now[k] = {static_cast<int>(k)};
  for (Node& node : graph.nodes) {
    if (std::holds_alternative<GlobalMean>(node.op)) {
      if (const Value mean = means.means_or(node.in[0]); !(mean == node.in[0]))
        now[static_cast<std::size_t>(node.out[0].id)] = mean;
    } else if (const auto* gate = std::get_if<ChannelGate>(&node.op)) {
      for (std::size_t k = 0; k < gate->maps(node.in.size()); ++k) node.in[k] = means.means_or(node.in[k]);
    }
  }
  const auto replace = [&](Value& v) {
    if (static_cast<std::size_t>(v.id) < now.size()) v = now[static_cast<std::size_t>(v.id)];
  };
  for (Node& node : graph.nodes) std::for_each(node.in.begin(), node.in.end(), replace);
  for (Output& o : graph.outputs) replace(o.value);
  return remove_dead(std::move(graph));
}

}  // namespace fathom
