// conv(cat(a, b)) = conv_a(a) + conv_b(b): where few channels come out (DRNet's corrections), what is known of the sum
// early is taken early, so that a feature map need not be kept until the rest is there; a map of few channels is.
#include <algorithm>

#include "engine/passes/constants.hpp"
#include "engine/passes/rewrite.hpp"

namespace fathom {

namespace {

constexpr std::int64_t most_outputs = 4;

// Channels [first, first + count) of the inputs of a weight (O, C, kh, kw), for each of the given ranges, side by side.
struct Range {
  std::int64_t first, count;
};
Numbers channels_of(const Numbers& weight, const std::vector<Range>& ranges) {
  const Desc& w = weight->desc;
  const std::int64_t taps = w.extent[2] * w.extent[3], row = w.extent[1] * taps;
  std::int64_t channels = 0;
  for (const Range& r : ranges) channels += r.count;
  return lazily(Desc::dense({w.extent[0], channels, w.extent[2], w.extent[3]}), [=, outputs = w.extent[0]](float* to) {
    const auto from = weight->values();
    for (std::int64_t o = 0; o < outputs; ++o)
      for (const Range& r : ranges) to = std::copy_n(from.get() + o * row + r.first * taps, r.count * taps, to);
  });
}

class Splitter {
 public:
  Splitter(Graph graph, const std::vector<std::string>& whole)
      : graph_(std::move(graph)), structure_(graph_), whole_(whole), after_(graph_.nodes.size()) {}

  Graph split() {
    for (std::size_t k = 0; k < graph_.nodes.size(); ++k) split_node(static_cast<int>(k));
    std::vector<Node> nodes;
    for (std::size_t k = 0; k < after_.size(); ++k) {
      nodes.push_back(std::move(graph_.nodes[k]));
      for (Node& early : after_[k]) nodes.push_back(std::move(early));
    }
    graph_.nodes = std::move(nodes);
    return remove_dead(std::move(graph_));
  }

 private:
  // The last node that makes v or reads it, but for `reader`.
  int last_use(Value v, int reader) const {
    int last = structure_.producer_of(v);
    for (int r : structure_.reader[static_cast<std::size_t>(v.id)])
      if (r != reader) last = std::max(last, r);
    return last;
  }

  void split_node(int index) {
    Node& node = graph_.nodes[static_cast<std::size_t>(index)];
    const auto* conv = std::get_if<Conv2d>(&node.op);
    const bool added_twice = conv && conv->residual && conv->addend.mode != ResizeMode::none;
    if (!conv || conv->sources.size() < 2 || added_twice || conv->residual_last || conv->gate || conv->affine ||
        conv->output_gate || conv->shuffle != 1 || conv->groups != 1 || conv->low_products || conv->mean ||
        !(conv->input_activation == Activation{}) || std::find(whole_.begin(), whole_.end(), node.name) != whole_.end())
      return;
    const auto role = conv->inputs(std::span<const Value>(node.in));
    const ValueInfo weight = graph_[role.weight];
    if (weight.desc.extent[0] > most_outputs) return;

    // Early are the maps that nobody would need any more when the last of the others is made.
    int newest = -1;
    for (Value v : role.sources) newest = std::max(newest, structure_.producer_of(v));
    std::vector<std::size_t> early, late;
    std::vector<Range> early_channels, late_channels;
    std::int64_t channel = 0, freed = 0;
    int made = -1;
    for (std::size_t k = 0; k < role.sources.size(); ++k) {
      const Value v = role.sources[k];
      const Range range{channel, graph_[v].desc.c()};
      channel += range.count;
      const bool is_early =
          structure_.producer_of(v) >= 0 && last_use(v, index) < newest && range.count > 2 * weight.desc.extent[0];
      (is_early ? early : late).push_back(k), (is_early ? early_channels : late_channels).push_back(range);
      if (is_early) made = std::max(made, structure_.producer_of(v)), freed += graph_[v].desc.elements();
    }
    const Desc y = graph_[node.out[0]].desc;  // the sum is made before the crop
    const Desc sum = Desc::nhwc(y.n(), y.c(), y.h() + conv->crop.h, y.w() + conv->crop.w);
    if (early.empty() || late.empty() || freed < 2 * sum.elements()) return;

    const auto part = [&](const std::vector<std::size_t>& which, const std::vector<Range>& ranges, Conv2d op,
                          const char* name) {
      op.sources.clear();
      std::vector<Value> in;
      for (std::size_t k : which) op.sources.push_back(conv->sources[k]), in.push_back(role.sources[k]);
      in.push_back(add_once(graph_, weight.name + " of " + name + " inputs", channels_of(weight.constant, ranges)));
      return std::pair{op, in};
    };
    Conv2d plain = *conv;
    plain.bias = false, plain.residual = false, plain.addend = {}, plain.activation = {};
    plain.result = {}, plain.reciprocal = false, plain.crop = 0;
    auto [early_op, early_in] = part(early, early_channels, plain, "early");
    graph_.values.push_back({node.name + ".early", sum, nullptr});
    const Value early_sum{static_cast<int>(graph_.values.size()) - 1};
    after_[static_cast<std::size_t>(made)].push_back({early_op, early_in, {early_sum}, node.name + ".early"});

    auto [op, in] = part(late, late_channels, *conv, "late");
    op.residual = true;
    in.insert(in.end() - 1, early_sum);
    if (role.residual)  // a map enlarged to its own size is itself
      op.addend = {.mode = ResizeMode::bilinear, .size = {static_cast<int>(sum.h()), static_cast<int>(sum.w())}};
    for (const Value* added : {role.residual, role.addend})
      if (added) in.insert(in.end() - 1, *added);
    if (role.bias) in.push_back(*role.bias);
    Node& now = graph_.nodes[static_cast<std::size_t>(index)];
    now.op = op, now.in = in;
  }

  Graph graph_;
  Structure structure_;
  const std::vector<std::string>& whole_;
  std::vector<std::vector<Node>> after_;  // nodes to stand behind each node
};

// What a convolution costs, in bytes moved: its maps, or what its arithmetic keeps the GPU from moving.
double cost(const Rates& rates, double elements, double multiply_adds) {
  constexpr double element_bytes = 2;
  return rates.launch_bytes + std::max(elements * element_bytes, 2 * multiply_adds / rates.flops_per_byte);
}

// The one source that is enlarged to twice its size by repetition; -1: there are none, or several.
int enlarged_source(const Graph& graph, const Node& node, const Conv2d& conv) {
  int found = -1;
  for (std::size_t k = 0; k < conv.sources.size(); ++k) {
    const Source& source = conv.sources[k];
    if (source.resize.mode == ResizeMode::none) continue;
    const Desc& x = graph[node.in[k]].desc;
    const Desc large = source.resize.infer({&x, 1});
    const bool twice = source.resize.mode == ResizeMode::nearest && large.h() == 2 * x.h() && large.w() == 2 * x.w();
    if (!twice || found >= 0 || source.centre || source.stride != Size2(1) || !source.mean.empty()) return -1;
    found = static_cast<int>(k);
  }
  return found;
}

}  // namespace

// conv(cat(up(x), z)) = conv_x(up(x)) + conv_z(z). Of an enlarged map alone a 3x3 convolution takes 16 products a pixel
// of x instead of 36 (kernels/cuda/conv_phases.cu), for a map more that is written and read, and a launch.
Graph split_enlarged(Graph graph, const Rates& rates) {
  std::vector<Node> nodes;
  for (Node node : std::vector<Node>(graph.nodes)) {
    const auto* conv = std::get_if<Conv2d>(&node.op);
    const int k = conv && conv->sources.size() > 1 ? enlarged_source(graph, node, *conv) : -1;
    Conv2d simple;  // with all that may be there
    if (k >= 0)
      simple.padding = 1, simple.bias = conv->bias, simple.sources = conv->sources,
      simple.activation = conv->activation;
    if (k < 0 || !(*conv == simple)) {
      nodes.push_back(std::move(node));
      continue;
    }
    const auto role = conv->inputs(std::span<const Value>(node.in));
    const ValueInfo weight = graph[role.weight];
    const Desc y = graph[node.out[0]].desc;
    const auto enlarged = static_cast<std::size_t>(k);
    const double pixels = static_cast<double>(y.n() * y.h() * y.w()), outputs = static_cast<double>(y.c());
    std::vector<Range> of_enlarged, of_others;
    double read_small = 0, read_others = 0, channels = 0, channels_small = 0;  // channels: that all taps read
    std::int64_t first_channel = 0;
    for (std::size_t s = 0; s < conv->sources.size(); ++s) {
      const Desc& x = graph[role.sources[s]].desc;
      (s == enlarged ? of_enlarged : of_others).push_back({first_channel, x.c()});
      first_channel += x.c();
      channels += static_cast<double>(x.c()) * (conv->sources[s].centre ? 1.0 / 9 : 1);
      (s == enlarged ? read_small : read_others) += static_cast<double>(x.elements());
      if (s == enlarged) channels_small = static_cast<double>(x.c());
    }
    const double written = pixels * outputs, product = 9 * pixels * outputs;
    const double together = cost(rates, read_small + read_others + written, product * channels);
    const double apart = cost(rates, read_small + written, product * channels_small * 4 / 9) +
                         cost(rates, read_others + 2 * written, product * (channels - channels_small));
    const bool in_eights = y.c() >= 8 && weight.desc.extent[2] == 3 && weight.desc.extent[3] == 3;
    if (!in_eights || apart > rates.worth * together) {
      nodes.push_back(std::move(node));
      continue;
    }
    graph.values.push_back({node.name + ".enlarged", y, nullptr});
    const Value sum{static_cast<int>(graph.values.size()) - 1};
    const auto part_weight = [&](const char* name, const std::vector<Range>& ranges) {
      return add_once(graph, weight.name + " of " + name + " inputs", channels_of(weight.constant, ranges));
    };
    Conv2d first{.padding = 1, .sources = {conv->sources[enlarged]}};
    nodes.push_back(
        {first, {role.sources[enlarged], part_weight("enlarged", of_enlarged)}, {sum}, node.name + ".enlarged"});
    Conv2d rest = *conv;
    rest.sources.erase(rest.sources.begin() + k), rest.residual = true;
    std::vector<Value> in(role.sources.begin(), role.sources.end());
    in.erase(in.begin() + k);
    in.insert(in.end(), {sum, part_weight("other", of_others)});
    if (role.bias) in.push_back(*role.bias);
    node.op = rest, node.in = std::move(in);
    nodes.push_back(std::move(node));
  }
  graph.nodes = std::move(nodes);
  return graph;
}

Graph split_sources(Graph graph, const std::vector<std::string>& whole) {
  return Splitter(std::move(graph), whole).split();
}

}  // namespace fathom
