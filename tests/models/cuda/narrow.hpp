// A network with fewer channels, for running it whole where work is dear: the builder's own graph, every layer in its
// place, with the channels between layers divided. Photographs, heads and pixel shuffles keep what they need.
#pragma once

#include "engine/graph.hpp"
#include "models/network.hpp"

namespace fathom::test {

struct Narrowed {
  Graph graph;
  Weights weights;  // synthetic, by the names of the constants
};

Narrowed narrow(const Graph& graph, int divisor);

}  // namespace fathom::test
