#include <algorithm>

#include "engine/passes/rewrite.hpp"
#include "fathom/error.hpp"

namespace fathom {

Graph remove_dead(Graph graph) {
  std::vector<bool> needed(graph.values.size());
  for (const Output& o : graph.outputs) needed[static_cast<std::size_t>(o.value.id)] = true;
  std::vector<Node> kept;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    const auto is_needed = [&](Value v) { return static_cast<bool>(needed[static_cast<std::size_t>(v.id)]); };
    if (std::none_of(node->out.begin(), node->out.end(), is_needed)) continue;
    for (Value v : node->out) needed[static_cast<std::size_t>(v.id)] = true;  // what is made has its place
    for (Value v : node->in) needed[static_cast<std::size_t>(v.id)] = true;
    kept.push_back(std::move(*node));
  }
  std::reverse(kept.begin(), kept.end());
  graph.nodes = std::move(kept);
  for (Value v : graph.inputs) needed[static_cast<std::size_t>(v.id)] = true;

  // Values are numbered anew, in their old order.
  std::vector<int> id(graph.values.size(), -1);
  std::vector<ValueInfo> values;
  for (std::size_t k = 0; k < graph.values.size(); ++k)
    if (needed[k]) id[k] = static_cast<int>(values.size()), values.push_back(std::move(graph.values[k]));
  graph.values = std::move(values);
  const auto renumber = [&](Value& v) { v.id = id[static_cast<std::size_t>(v.id)]; };
  for (Node& node : graph.nodes) {
    std::for_each(node.in.begin(), node.in.end(), renumber);
    std::for_each(node.out.begin(), node.out.end(), renumber);
  }
  std::for_each(graph.inputs.begin(), graph.inputs.end(), renumber);
  for (Output& o : graph.outputs) renumber(o.value);
  return graph;
}

Graph select_outputs(Graph graph, const std::vector<std::string>& names) {
  std::vector<Output> kept;
  for (const std::string& name : names) {
    const auto found =
        std::find_if(graph.outputs.begin(), graph.outputs.end(), [&](const Output& o) { return o.name == name; });
    if (found == graph.outputs.end()) {
      std::string known;
      for (const Output& o : graph.outputs) known += (known.empty() ? "" : ", ") + o.name;
      throw Error(ErrorKind::usage, "the network has no output '" + name + "'; it has " + known);
    }
    kept.push_back(*found);
  }
  if (names.empty()) kept = {graph.outputs.at(0)};
  graph.outputs = std::move(kept);
  return remove_dead(std::move(graph));
}

Graph finish_outputs(Graph graph) {
  const Structure structure(graph);
  for (Output& o : graph.outputs) {
    const Desc d = graph[o.value].desc;
    const bool planar = d.c() == 1 || d.h() * d.w() == 1;  // channels-last is the caller's order already
    if (planar && structure.readers_of(o.value) == 1 && structure.producer_of(o.value) >= 0) continue;
    const int c = static_cast<int>(d.c()), h = static_cast<int>(d.h()), w = static_cast<int>(d.w());
    o.value = graph.add(planar ? Reshape{c, h, w} : Reshape{c * h * w, 1, 1}, {o.value}, "output " + o.name);
  }
  return graph;
}

Graph fuse(Graph graph, const Fusions& fusions) {
  graph = remove_dead(std::move(graph));
  if (fusions.transposes) graph = turn_transposes(std::move(graph));
  graph = fold_batch_norm(std::move(graph));
  graph = merge_pools(std::move(graph), fusions);
  if (fusions.padding) graph = merge_padding(std::move(graph));
  if (fusions.output_gate) graph = lower_means_of_convolutions(std::move(graph));
  if (fusions.gate) graph = merge_gates(std::move(graph), fusions);
  if (fusions.gather) graph = gather_sources(std::move(graph));
  if (fusions.preprocess) graph = merge_preprocess(std::move(graph));
  if (fusions.products) graph = lower_products(std::move(graph));
  if (fusions.prologue) graph = merge_prologue(std::move(graph));
  if (fusions.epilogue) graph = merge_epilogue(std::move(graph), fusions);
  graph = merge_results(std::move(graph), fusions);
  if (fusions.sums) graph = merge_sums(std::move(graph));
  if (fusions.gather && fusions.addend) graph = gather_sources(std::move(graph));  // what was kept for a sum alone
  if (fusions.phases) graph = split_enlarged(std::move(graph));
  if (fusions.stems) graph = merge_conv_pools(std::move(graph));
  if (fusions.blocks) graph = merge_inverted_residuals(std::move(graph));
  if (fusions.split) graph = split_sources(std::move(graph));
  if (fusions.channel_gate) graph = merge_channel_gates(std::move(graph));
  if (fusions.means) graph = take_means(std::move(graph));
  return graph;
}

}  // namespace fathom
