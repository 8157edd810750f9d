// The sum of two convolutions as one.
#pragma once

#include <optional>
#include <utility>

#include "engine/passes/rewrite.hpp"

namespace fathom {

// conv_a(x) + conv_b(y) as one convolution over the sources of both, where b is a 1x1 one that reads y where a's kernel
// has its middle: a residual block's downsample branch, two 1x1 convolutions of one size. Nothing where that does not
// hold.
std::optional<std::pair<Conv2d, std::vector<Value>>> join_branches(Graph& graph, const Node& a, const Node& b);

}  // namespace fathom
