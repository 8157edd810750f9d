// A transposed convolution of stride 1 is a convolution with its taps turned by half a circle, padded by what its
// kernel reaches beyond its own padding. As one it gathers its sources and takes on what convolutions do.
#include <algorithm>

#include "engine/passes/constants.hpp"
#include "engine/passes/rewrite.hpp"

namespace fathom {

namespace {

// (C, O / groups, kh, kw) becomes (O, C / groups, kh, kw).
Numbers turned(const Numbers& weight, int groups) {
  const auto [c, group_o, kh, kw] = weight->desc.extent;
  const std::int64_t group_c = c / groups, taps = kh * kw;
  return lazily(Desc::dense({group_o * groups, group_c, kh, kw}), [=, c = c, group_o = group_o](float* to) {
    const auto from = weight->values();
    for (std::int64_t q = 0; q < c; ++q)
      for (std::int64_t o = 0; o < group_o; ++o)
        for (std::int64_t t = 0; t < taps; ++t)
          to[((q / group_c * group_o + o) * group_c + q % group_c) * taps + taps - 1 - t] =
              from[static_cast<std::size_t>((q * group_o + o) * taps + t)];
  });
}

}  // namespace

Graph turn_transposes(Graph graph) {
  for (Node& node : graph.nodes) {
    const auto* op = std::get_if<ConvTranspose2d>(&node.op);
    if (!op || op->stride != Size2(1)) continue;
    const ValueInfo weight = graph[node.in[1]];
    const int reach_h = op->dilation.h * static_cast<int>(weight.desc.extent[2] - 1),
              reach_w = op->dilation.w * static_cast<int>(weight.desc.extent[3] - 1);
    const Padding& p = op->padding;
    if (std::max(p.top, p.bottom) > reach_h || std::max(p.left, p.right) > reach_w) continue;  // it would cut the input
    const Conv2d conv{.padding = {reach_h - p.top, reach_w - p.left, reach_h - p.bottom + op->output_padding.h,
                                  reach_w - p.right + op->output_padding.w},
                      .dilation = op->dilation,
                      .groups = op->groups,
                      .bias = op->bias,
                      .activation = op->activation};
    node.in[1] = add_once(graph, weight.name + " turned in " + std::to_string(op->groups) + " groups",
                          turned(weight.constant, op->groups));
    node.op = conv;
  }
  return graph;
}

}  // namespace fathom
