#include "engine/passes/rewrite.hpp"

namespace fathom {

namespace {

// Whether the mean over the resized map is the mean over the map: each source pixel weighs the same.
bool keeps_mean(const Resize& resize, const Desc& from, const Desc& to) {
  const bool whole = to.h() % from.h() == 0 && to.w() % from.w() == 0;
  return whole &&
         (resize.mode == ResizeMode::nearest || (resize.mode == ResizeMode::bilinear && !resize.align_corners));
}

// Means taken where the maps are small: of the parts of a concat, of the map below a resize. Each is taken once.
class Means {
 public:
  explicit Means(const Graph& before)
      : before_(before), structure_(before), now_(before.values.size()), mean_(before.values.size()) {
    for (std::size_t k = 0; k < now_.size(); ++k) now_[k] = {static_cast<int>(k)};
  }

  Graph lower() {
    graph_.values = before_.values, graph_.inputs = before_.inputs, graph_.outputs = before_.outputs;
    for (const Node& node : before_.nodes) {
      if (std::holds_alternative<GlobalMean>(node.op)) {
        now(node.out[0]) = mean(node.in[0]);
      } else {
        graph_.nodes.push_back(node);
        for (Value& v : graph_.nodes.back().in) v = now(v);
      }
    }
    for (Output& o : graph_.outputs) o.value = now(o.value);
    return std::move(graph_);
  }

 private:
  // The value that stands for a value of the graph before.
  Value& now(Value v) { return now_[static_cast<std::size_t>(v.id)]; }

  Value mean(Value v) {
    Value& known = mean_[static_cast<std::size_t>(v.id)];
    if (known.id >= 0) return known;
    const Node* node = producer_node(before_, structure_, v);
    const auto* resize = node ? std::get_if<Resize>(&node->op) : nullptr;
    if (resize && keeps_mean(*resize, before_[node->in[0]].desc, before_[v].desc)) return known = mean(node->in[0]);
    if (node && std::holds_alternative<Concat>(node->op)) {
      std::vector<Value> parts;
      for (Value part : node->in) parts.push_back(mean(part));
      return known = graph_.add(Concat{}, parts, before_[v].name + ".means");
    }
    return known = graph_.add(GlobalMean{}, {now(v)}, before_[v].name + ".mean");
  }

  const Graph& before_;
  Structure structure_;
  Graph graph_;
  std::vector<Value> now_, mean_;
};

}  // namespace

Graph merge_gates(Graph graph, const Fusions& fusions) {
  graph = remove_dead(Means(graph).lower());
  const Structure structure(graph);
  for (Node& node : graph.nodes) {
    auto* conv = std::get_if<Conv2d>(&node.op);
    if (!conv || conv->gate || conv->sources.size() != 1 || conv->sources[0].resize != Resize{}) continue;
    Value product_of = node.in[0];
    Activation activation;
    if (const Node* f = fusions.prologue ? sole_producer<Activation>(graph, structure, product_of) : nullptr)
      activation = std::get<Activation>(f->op), product_of = f->in[0];
    const Node* product = sole_producer<Multiply>(graph, structure, product_of);
    if (!product || std::get<Multiply>(product->op).activation.kind != ActivationKind::none) continue;
    const Value x = product->in[0], gate = product->in[1];
    if (!graph[gate].desc.same_extents(Desc::nhwc(graph[x].desc.n(), graph[x].desc.c(), 1, 1))) continue;
    conv->gate = true, conv->input_activation = activation;
    node.in[0] = x;
    node.in.insert(node.in.begin() + 1, gate);
  }
  return remove_dead(std::move(graph));
}

}  // namespace fathom
