// conv(up(x), w)(i, j) = sum over taps (a, b) of up(W_ab x)(i + a, j + b), zero where (i + a, j + b) lies outside
// up(x): both the 1x1 product W_ab and the bilinear up are linear, and they act on different axes. The products cost
// taps C O h w instead of taps C O H W; what is added is their enlarging, a few operations per tap and output.
#include "engine/passes/rewrite.hpp"

namespace fathom {

Graph lower_products(Graph graph) {
  constexpr double resize_cost =
      16;  // multiply-adds of a matrix product that enlarging one tap's value takes as long as
  for (Node& node : graph.nodes) {
    auto* conv = std::get_if<Conv2d>(&node.op);
    if (!conv || conv->sources.size() != 1 || conv->sources[0].resize.mode != ResizeMode::bilinear ||
        conv->sources[0].pad_mode != PadMode::zeros || conv->groups != 1 || conv->gate || conv->stride != Size2(1) ||
        conv->dilation != Size2(1))
      continue;
    const Desc &x = graph[node.in[0]].desc, &y = graph[node.out[0]].desc;
    const double small = static_cast<double>(x.h() * x.w()), large = static_cast<double>(y.h() * y.w());
    const auto c = static_cast<double>(x.c());
    conv->low_products = c * small + resize_cost * large < c * large;
  }
  return graph;
}

}  // namespace fathom
