// What the planner may do with storage when these kernels run.
#include <algorithm>

#include "kernels/cpu/kernels.hpp"

namespace fathom {

namespace {

// Element-wise ops may overwrite an input of their output's shape; a convolution its residual, unless it also reads it
// otherwise, because oneDNN then reads what was already overwritten.
std::vector<int> in_place(const Graph& graph, const Node& node) {
  const Desc& out = graph[node.out[0]].desc;
  const auto fits = [&](std::size_t k) {
    const ValueInfo& in = graph[node.in[k]];
    return !in.constant && in.desc.dtype == out.dtype && in.desc.same_extents(out);
  };
  std::vector<int> inputs;
  const auto offer = [&](std::size_t k) {
    if (fits(k)) inputs.push_back(static_cast<int>(k));
  };
  if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
    const std::size_t residual = conv->sources.size() + conv->gate;
    if (conv->residual && std::count(node.in.begin(), node.in.end(), node.in[residual]) == 1) offer(residual);
  } else if (std::holds_alternative<Add>(node.op) || std::holds_alternative<Multiply>(node.op)) {
    offer(0), offer(1);
  } else if (std::holds_alternative<Activation>(node.op) || std::holds_alternative<BatchNorm>(node.op) ||
             std::holds_alternative<Affine>(node.op) || std::holds_alternative<DisparityToDepth>(node.op)) {
    offer(0);
  }
  return inputs;
}

// All kernels can; oneDNN's convolutions only write dense maps, and what would take their place is slower than the copy
// that a slice saves.
bool writes_slice(const Graph&, const Node& node) {
  return !std::holds_alternative<Conv2d>(node.op) && !std::holds_alternative<ConvTranspose2d>(node.op);
}

}  // namespace

StorageRules cpu_storage_rules() { return {in_place, writes_slice}; }

}  // namespace fathom
