// pool -> norm, and RefineNet's chained residual pooling: t_k = w_k pool(t_(k-1)), x + t_1 + t_2 + ..., whose maps
// between are then never stored. After a chain one more factor a channel may follow.
#include <optional>

#include "engine/passes/norm.hpp"
#include "engine/passes/rewrite.hpp"

namespace fathom {

namespace {

void absorb_norm(Graph& graph, const Structure& structure, Node& node) {
  const Node* before = sole_producer<Pool>(graph, structure, node.in[0]);
  if (!before) return;
  Pool op = std::get<Pool>(before->op);
  if (op.affine || op.activation.kind != ActivationKind::none) return;
  const auto [weight, bias] = scale_and_shift(graph, node);
  op.affine = true, op.activation = std::get<BatchNorm>(node.op).activation;
  take_over(graph, node, *before, op, {before->in[0], weight, bias});
}

// A 1x1 convolution that is one factor a channel and nothing else.
bool is_factor(const Graph& graph, const Node& node) {
  const auto* conv = std::get_if<Conv2d>(&node.op);
  if (!conv) return false;
  const Desc &x = graph[node.in[0]].desc, &w = graph[node.in[1]].desc;
  Conv2d plain;
  plain.groups = static_cast<int>(x.c());
  return *conv == plain && w.extent[0] == x.c() && w.extent[2] == 1 && w.extent[3] == 1;
}

// The largest of 3x3 or 5x5 round each pixel.
bool is_chainable(const Pool& op) {
  Pool round;
  round.kernel = op.kernel.h == 3 ? 3 : 5, round.padding = round.kernel.h / 2;
  return op == round;
}

struct Chain {
  Value x, last;  // t_0 and t_k
  int kernel;
  std::vector<Value> weights;
};

// The chain whose sum `sum` is, as the graph was written.
std::optional<Chain> chain_of(const Graph& graph, const Structure& structure, Value sum) {
  constexpr std::size_t most_stages = 4;
  const Node* add = producer_node(graph, structure, sum);
  const auto* op = add ? std::get_if<Add>(&add->op) : nullptr;
  if (!op || add->in.size() != 2 || op->activation.kind != ActivationKind::none) return {};
  for (int order = 0; order < 2; ++order) {
    const Value t = add->in[static_cast<std::size_t>(order)], rest = add->in[static_cast<std::size_t>(1 - order)];
    const Node* factor = producer_node(graph, structure, t);
    const Node* pool =
        factor && is_factor(graph, *factor) ? sole_producer<Pool>(graph, structure, factor->in[0]) : nullptr;
    if (!pool || !is_chainable(std::get<Pool>(pool->op))) continue;
    const Value previous = pool->in[0];
    const int kernel = std::get<Pool>(pool->op).kernel.h;
    if (rest == previous) return Chain{previous, t, kernel, {factor->in[1]}};
    if (structure.readers_of(rest) != 1 || structure.readers_of(previous) != 2) continue;
    std::optional<Chain> chain = chain_of(graph, structure, rest);
    if (!chain || !(chain->last == previous) || chain->kernel != kernel || chain->weights.size() == most_stages)
      continue;
    chain->last = t, chain->weights.push_back(factor->in[1]);
    return chain;
  }
  return {};
}

// (stages + 1, C): what the sum is multiplied by (null: by one), then each stage.
Value chain_weight(Graph& graph, const Chain& chain, const ValueInfo* of_sum) {
  std::vector<Numbers> rows = {of_sum ? of_sum->constant : nullptr};
  std::string name = (of_sum ? of_sum->name : std::string("ones")) + " on";
  for (Value w : chain.weights) rows.push_back(graph[w].constant), name += " " + graph[w].name;
  const std::int64_t c = graph[chain.x].desc.c();
  return add_once(graph, name + " chained",
                  lazily(Desc::dense({static_cast<std::int64_t>(rows.size()), c}), [=](float* to) {
                    for (const Numbers& row : rows)
                      to = row ? std::copy_n(row->values().get(), c, to) : std::fill_n(to, c, 1.0f);
                  }));
}

}  // namespace

Graph merge_pools(Graph graph, const Fusions& fusions) {
  {
    const Structure structure(graph);
    for (Node& node : graph.nodes)
      if (std::holds_alternative<BatchNorm>(node.op)) absorb_norm(graph, structure, node);
    graph = remove_dead(std::move(graph));
  }
  if (!fusions.chains) return graph;
  const Structure structure(graph);
  const Graph before = graph;
  for (Node& node : graph.nodes) {
    const bool factor = is_factor(before, node);  // of the sum, where nothing else reads it
    if (factor && structure.readers_of(node.in[0]) != 1) continue;
    const std::optional<Chain> chain = chain_of(before, structure, factor ? node.in[0] : node.out[0]);
    if (!chain || structure.readers_of(chain->last) != 1) continue;
    const ValueInfo of_sum = factor ? before[node.in[1]] : ValueInfo{};
    node.in = {chain->x, chain_weight(graph, *chain, factor ? &of_sum : nullptr)};
    node.op = PoolChain{.kernel = chain->kernel, .stages = static_cast<int>(chain->weights.size())};
  }
  return remove_dead(std::move(graph));
}

}  // namespace fathom
