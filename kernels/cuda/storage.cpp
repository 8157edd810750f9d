// What the planner may do with storage when the CUDA kernels run.
#include <algorithm>

#include "kernels/cuda/kernels.hpp"

namespace fathom {

namespace {

// Element-wise ops may overwrite an input of their output's shape and type; a convolution its residual, unless it also
// reads it otherwise: other blocks may still need what this one has overwritten.
std::vector<int> in_place(const Graph& graph, const Node& node) {
  const Desc& out = graph[node.out[0]].desc;
  std::vector<int> inputs;
  const auto offer = [&](std::size_t k) {
    const ValueInfo& in = graph[node.in[k]];
    if (!in.constant && in.desc.dtype == out.dtype && in.desc.same_extents(out)) inputs.push_back(static_cast<int>(k));
  };
  if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
    const std::size_t residual = conv->sources.size() + conv->gate;
    if (conv->residual && std::count(node.in.begin(), node.in.end(), node.in[residual]) == 1) offer(residual);
  } else if (std::holds_alternative<Add>(node.op) || std::holds_alternative<Multiply>(node.op)) {
    for (std::size_t k = 0; k < node.in.size(); ++k) offer(k);
  } else if (std::holds_alternative<Activation>(node.op) || std::holds_alternative<BatchNorm>(node.op) ||
             std::holds_alternative<Affine>(node.op) || std::holds_alternative<DisparityToDepth>(node.op)) {
    offer(0);
  }
  return inputs;
}

bool always(const Graph&, const Node&) { return true; }
bool reads(const Graph&, const Node&, int) { return true; }

}  // namespace

StorageRules cuda_storage_rules() { return {in_place, always, reads, 8}; }

}  // namespace fathom
