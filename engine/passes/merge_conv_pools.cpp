// conv -> pool of maxima as one ConvPool.
//
// A kernel of it makes strips of up to 32 rows and some columns of the convolution, and computes the rows and columns
// that windows of two strips see for each of them.
#include "engine/passes/rewrite.hpp"

namespace fathom {

namespace {

constexpr std::int64_t most_inputs = 8;  // channels: what such a kernel reads

// A convolution of few channels with a bias, behind which there is nothing but an activation that never falls; `op` is
// what would be made of it.
bool is_first(const Graph& graph, const Node& node, const ConvPool& op) {
  const auto& conv = std::get<Conv2d>(node.op);
  if (!(op.conv() == conv)) return false;
  const auto role = conv.inputs(std::span<const Value>(node.in));
  std::int64_t inputs = 0;
  for (Value x : role.sources) inputs += graph[x].desc.c();
  for (const Source& s : conv.sources)
    if (s.centre || s.stride != Size2(1)) return false;
  return inputs <= most_inputs && graph[node.out[0]].desc.c() >= 8 && graph[role.weight].constant &&
         graph[*role.bias].constant && conv.activation.never_falls();
}

bool is_known(const Pool& pool) {
  return pool.kind == PoolKind::max && pool.kernel == Size2(3) && pool.stride == Size2(2) && !pool.affine &&
         pool.activation.kind == ActivationKind::none;
}

// Whether one is less than both, in bytes moved or in the time of so many.
bool pays(const Graph& graph, const Node& conv, const Node& pool, const Rates& rates) {
  const auto bytes = [&](Value v) {
    const double element = graph[v].desc.dtype == DType::u8 ? 1 : 2;
    return static_cast<double>(graph[v].desc.elements()) * element;
  };
  const Desc &map = graph[conv.out[0]].desc, &y = graph[pool.out[0]].desc;
  const auto in = [](std::int64_t x, std::int64_t pieces) { return static_cast<double>((x + pieces - 1) / pieces); };
  // Four warps of a strip make 32 channels of 8 columns each.
  const std::int64_t columns = map.c() > 96 ? 8 : map.c() > 32 ? 16 : 32, rows_long = 32, rows_short = 8;
  const auto strips = [&](std::int64_t rows) {
    return static_cast<double>(y.n()) * in(y.h(), rows / 2 - 1) * in(y.w(), columns / 2 - 1);
  };
  const auto computed = [&](std::int64_t rows) {  // of the map, its borders as often as strips see them
    return static_cast<double>(rows * columns) / static_cast<double>((rows - 2) * (columns - 2));
  };
  const double again = computed(strips(rows_long) >= rates.blocks ? rows_long : rows_short);
  double read = 0;
  for (Value v : conv.in) read += bytes(v);
  const double products = 2 * multiply_adds(conv.op, input_descs(graph, conv), map) / rates.flops_per_byte;
  const double apart = std::max(read + bytes(conv.out[0]), products) + bytes(conv.out[0]) + bytes(pool.out[0]) +
                       2 * rates.launch_bytes;
  return std::max(read + bytes(pool.out[0]), again * products) + rates.launch_bytes < apart;
}

}  // namespace

Graph merge_conv_pools(Graph graph, const Rates& rates) {
  const Structure structure(graph);
  for (Node& node : graph.nodes) {
    const auto* pool = std::get_if<Pool>(&node.op);
    if (!pool || !is_known(*pool)) continue;
    const Node* before = sole_producer<Conv2d>(graph, structure, node.in[0]);
    if (!before) continue;
    const auto& conv = std::get<Conv2d>(before->op);
    const ConvPool op{.stride = conv.stride,
                      .padding = conv.padding,
                      .sources = conv.sources,
                      .activation = conv.activation,
                      .pool = *pool};
    if (!is_first(graph, *before, op) || !pays(graph, *before, node, rates)) continue;
    std::vector<Value> in = before->in;
    take_over(graph, node, *before, op, std::move(in));
  }
  return remove_dead(std::move(graph));
}

}  // namespace fathom
