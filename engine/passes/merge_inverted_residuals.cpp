// 1x1 -> depthwise -> 1x1 as one InvertedResidual, or the depthwise convolution with one of the two.
//
// A kernel of it makes tiles of 8x8 outputs, and goes through the wide channels 32 at a time: the pixels under a tile's
// border are expanded by every tile that sees them, and small maps have few tiles. Where the sum over the wide channels
// is shared out among blocks, it is written and read in parts.
#include <cmath>

#include "engine/passes/rewrite.hpp"

namespace fathom {

namespace {

constexpr std::int64_t most_projected = 128;        // channels: sums that a kernel keeps in registers
constexpr std::int64_t most_tile_bytes = 96 << 10;  // of the input under a tile, in shared memory
constexpr std::int64_t side = 8, chunk = 32;
constexpr double most_parts = 6;  // of a projection's sum

// A convolution of one plain source with a bias, whatever its weight: nothing but an activation and a residual follows.
bool is_plain(const Graph& graph, const Node& node, const Conv2d& conv) {
  Conv2d plain{.stride = conv.stride, .padding = conv.padding, .groups = conv.groups, .bias = true};
  plain.residual = conv.residual, plain.activation = conv.activation;
  const auto role = conv.inputs(std::span<const Value>(node.in));
  return conv == plain && graph[role.weight].constant && graph[*role.bias].constant;
}

bool is_pointwise(const Graph& graph, const Node& node) {
  const auto* conv = std::get_if<Conv2d>(&node.op);
  if (!conv || !is_plain(graph, node, *conv)) return false;
  const Desc& w = graph[conv->inputs(std::span<const Value>(node.in)).weight].desc;
  return conv->groups == 1 && conv->stride == Size2(1) && !conv->padding.any() && w.extent[2] == 1 && w.extent[3] == 1;
}

bool is_depthwise(const Graph& graph, const Node& node) {
  const auto* conv = std::get_if<Conv2d>(&node.op);
  if (!conv || !is_plain(graph, node, *conv) || conv->residual) return false;
  const Desc& w = graph[node.in[1]].desc;
  return conv->groups == w.extent[0] && w.extent[1] == 1 && graph[node.in[0]].desc.c() == w.extent[0] &&
         w.extent[2] == w.extent[3] && (w.extent[2] == 3 || w.extent[2] == 5) && conv->stride.h == conv->stride.w &&
         conv->stride.h <= 2;
}

// What a kernel takes in, or gives: several pixels of channels in eights, once they are padded.
bool is_map(const Desc& d) { return d.c() >= 8 && d.h() * d.w() > 1; }

// A depthwise convolution and its neighbours, where they can be one.
struct Block {
  const Node *expand = nullptr, *depthwise = nullptr, *project = nullptr;

  const Node& last() const { return project ? *project : *depthwise; }
  Value x() const { return (expand ? expand : depthwise)->in[0]; }
  // Pixels that a tile sees along a side.
  std::int64_t under(const Graph& graph) const {
    return (side - 1) * std::get<Conv2d>(depthwise->op).stride.h + graph[depthwise->in[1]].desc.extent[2];
  }
};

bool can_be_one(const Graph& graph, const Block& b) {
  if (!b.expand && !b.project) return false;
  const Desc &x = graph[b.x()].desc, &y = graph[b.last().out[0]].desc;
  if (!is_map(x) || !is_map(y) || b.under(graph) * b.under(graph) * x.c() * 2 > most_tile_bytes) return false;
  if (!b.project) return true;
  const auto& op = std::get<Conv2d>(b.project->op);
  return y.c() <= most_projected &&
         (!op.residual || *op.inputs(std::span<const Value>(b.project->in)).residual == b.x());
}

struct Cost {
  const Graph& graph;
  const Rates& rates;

  static constexpr double element_bytes = 2, sum_bytes = 4;
  static constexpr double depthwise_outputs = 4096;  // of a block of a depthwise convolution by itself

  double elements(Value v) const { return static_cast<double>(graph[v].desc.elements()); }
  double weights(const Node* node) const { return node ? elements(node->in[node->in.size() - 2]) : 0; }

  // Of a convolution by itself, in bytes moved.
  double alone(const Node* node) const {
    if (!node) return 0;
    double moved = elements(node->out[0]);
    for (Value v : node->in) moved += elements(v);
    const double outputs = elements(node->out[0]), pixels = outputs / static_cast<double>(graph[node->out[0]].desc.c());
    const bool depthwise = is_depthwise(graph, *node);
    const double arithmetic = 2 * pixels * weights(node) / (depthwise ? rates.depth_flops_per_byte : rates.flops_per_byte);
    const double idle = depthwise ? std::max(1.0, rates.blocks / (outputs / depthwise_outputs)) : 1;
    return rates.launch_bytes + std::max(moved * element_bytes, arithmetic * idle);
  }

  double together(const Block& b) const {
    const Desc& wide = graph[b.depthwise->out[0]].desc;
    const auto in = [](std::int64_t x, std::int64_t pieces) { return static_cast<double>((x + pieces - 1) / pieces); };
    const double tiles = static_cast<double>(wide.n()) * in(wide.h(), side) * in(wide.w(), side);
    const double under = static_cast<double>(b.under(graph) * b.under(graph)), outputs = side * side;
    const double products = tiles * (under * weights(b.expand) + outputs * weights(b.project));
    const double arithmetic =
        2 * products / rates.flops_per_byte + 2 * tiles * outputs * weights(b.depthwise) / rates.depth_flops_per_byte;
    const double chunks = in(wide.c(), chunk);
    const double parts = std::ceil(std::min(rates.blocks / tiles, b.project ? std::min(chunks, most_parts) : chunks));
    const double idle = std::max(1.0, rates.blocks / (tiles * parts));
    double moved = elements(b.x()) + elements(b.last().out[0]);
    for (const Node* node : {b.expand, b.depthwise, b.project}) moved += weights(node);
    moved *= element_bytes;
    if (b.project && parts > 1) moved += 2 * sum_bytes * parts * elements(b.project->out[0]);
    return rates.launch_bytes + std::max(moved, arithmetic * idle);
  }
};

void make_one(Graph& graph, const Block& b) {
  const auto conv = [](const Node* node) { return node ? std::get<Conv2d>(node->op) : Conv2d{}; };
  const Conv2d depthwise = conv(b.depthwise), project = conv(b.project);
  const InvertedResidual op{.stride = depthwise.stride,
                            .padding = depthwise.padding,
                            .expand = b.expand != nullptr,
                            .project = b.project != nullptr,
                            .residual = project.residual,
                            .expand_activation = conv(b.expand).activation,
                            .depth_activation = depthwise.activation,
                            .activation = project.activation};
  std::vector<Value> in = {b.x()};
  for (const Node* node : {b.expand, b.depthwise, b.project})
    if (node) in.insert(in.end(), node->in.end() - 2, node->in.end());
  Node& last = graph.nodes[static_cast<std::size_t>(&b.last() - graph.nodes.data())];
  take_over(graph, last, b.last(), op, std::move(in));
}

}  // namespace

Graph merge_inverted_residuals(Graph graph, const Rates& rates) {
  const Structure structure(graph);
  const Cost cost{graph, rates};
  for (const Node& depthwise : graph.nodes) {
    if (!is_depthwise(graph, depthwise)) continue;
    const Node* expand = sole_producer<Conv2d>(graph, structure, depthwise.in[0]);
    if (expand && (!is_pointwise(graph, *expand) || std::get<Conv2d>(expand->op).residual)) expand = nullptr;
    const std::vector<int>& readers = structure.reader[static_cast<std::size_t>(depthwise.out[0].id)];
    const Node* project = readers.size() == 1 && readers[0] < static_cast<int>(graph.nodes.size())
                              ? &graph.nodes[static_cast<std::size_t>(readers[0])]
                              : nullptr;
    if (project && !(is_pointwise(graph, *project) && project->in[0] == depthwise.out[0])) project = nullptr;

    Block best;
    double saved = 0;
    for (const Block& b : {Block{expand, &depthwise, project}, Block{expand, &depthwise, nullptr},
                           Block{nullptr, &depthwise, project}}) {
      if (!can_be_one(graph, b)) continue;
      const double apart = cost.alone(b.expand) + cost.alone(b.depthwise) + cost.alone(b.project);
      const double one = cost.together(b);
      if (one <= rates.worth * apart && apart - one > saved) best = b, saved = apart - one;
    }
    if (best.depthwise) make_one(graph, best);
  }
  return remove_dead(std::move(graph));
}

}  // namespace fathom
