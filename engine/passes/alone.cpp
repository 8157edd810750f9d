// Why an op that moves or scales elements was left standing by itself.
#include "engine/passes/rewrite.hpp"

namespace fathom {

namespace {

bool moves_elements(const Op& op) {
  return std::visit(
      []<class O>(const O&) {
        return !(std::is_same_v<O, Conv2d> || std::is_same_v<O, ConvPool> || std::is_same_v<O, InvertedResidual> ||
                 std::is_same_v<O, ConvTranspose2d> || std::is_same_v<O, Linear> || std::is_same_v<O, ChannelGate> ||
                 std::is_same_v<O, GlobalMean> || std::is_same_v<O, PoolChain> || std::is_same_v<O, BoxFilter> ||
                 std::is_same_v<O, GuidedFilter>);
      },
      op);
}

std::string count_of(std::size_t readers) { return std::to_string(readers) + (readers == 1 ? " reader" : " readers"); }

}  // namespace

std::string why_alone(const Graph& graph, const Node& node) {
  const Op& op = node.op;
  if (!moves_elements(op)) return {};
  const Structure structure(graph);
  const Value x = node.in[0], y = node.out[0];
  const auto& readers = structure.reader[static_cast<std::size_t>(y.id)];
  const auto is_of_a_conv = [&](Value v) {
    const Node* before = producer_node(graph, structure, v);
    return before && std::holds_alternative<Conv2d>(before->op) && structure.readers_of(v) == 1;
  };
  const bool is_output = std::count(readers.begin(), readers.end(), static_cast<int>(graph.nodes.size())) > 0;
  const std::int64_t bytes = graph[x].desc.elements() * size_of(graph[x].desc.dtype);

  if (std::holds_alternative<Reshape>(op)) return "the order that the caller wants";
  if (std::holds_alternative<Resize>(op) && is_output) return "the output's own enlargement";
  if (std::holds_alternative<Pool>(op))
    return is_of_a_conv(x) ? "windows, which only the end of a first convolution takes on"
                           : "what it reads has " + count_of(structure.reader[static_cast<std::size_t>(x.id)].size());
  if (std::holds_alternative<Add>(op))
    return std::any_of(node.in.begin(), node.in.end(), is_of_a_conv) ? "the convolution before it takes on no sum"
                                                                     : "each of its terms has other readers";
  if (bytes < 4096) return "small: " + std::to_string(bytes) + " bytes";
  if (std::holds_alternative<Preprocess>(op)) return "not all that read it are convolutions";
  if (std::holds_alternative<BatchNorm>(op)) return "not all that read it are 1x1 convolutions";
  if (std::holds_alternative<PixelShuffle>(op) && is_of_a_conv(x))
    return "the convolution before it adds a residual first";
  if (structure.readers_of(x) > 1)
    return "what it reads has " + count_of(structure.reader[static_cast<std::size_t>(x.id)].size());
  return is_output ? "an output" : "it has " + count_of(readers.size()) + ", and none takes it on";
}

}  // namespace fathom
