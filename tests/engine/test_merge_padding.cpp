// A padding goes into the convolution behind it only where the convolution then reads the same border.
#include "engine/passes/passes.hpp"
#include "tests/catch.hpp"

using namespace fathom;

namespace {

// A padding, a convolution with a padding of its own, merged.
Graph merged(Pad pad, Padding own) {
  Graph g;
  Value x = g.add_input("x", Desc::nhwc(1, 2, 12, 10));
  x = g.add(pad, {x}, "pad");
  const Desc shape = Desc::dense({1, 2, 3, 3});
  const Value weight = g.add_constant("w", Constant::of(shape, std::vector<float>(18, 1.0f)));
  g.outputs.push_back({"y", g.add(Conv2d{.padding = own}, {x, weight}, "conv")});
  return merge_padding(std::move(g));
}

}  // namespace

TEST_CASE("a padding merges into a convolution without one, side by side and with its mode", "[engine]") {
  for (const PadMode mode : {PadMode::zeros, PadMode::reflect, PadMode::replicate}) {
    const Graph g = merged({.padding = {1, 2, 3, 4}, .mode = mode}, 0);
    REQUIRE(g.nodes.size() == 1);
    const Conv2d& conv = std::get<Conv2d>(g.nodes[0].op);
    CHECK(conv.padding == Padding{1, 2, 3, 4});
    CHECK(conv.sources[0].pad_mode == mode);
  }
}

TEST_CASE("zeros round zeros add up side by side", "[engine]") {
  const Graph g = merged({.padding = {1, 2, 3, 4}, .mode = PadMode::zeros}, {5, 7, 9, 11});
  REQUIRE(g.nodes.size() == 1);
  CHECK(std::get<Conv2d>(g.nodes[0].op).padding == Padding{6, 9, 12, 15});
}

TEST_CASE("a reflected or replicated border stays apart from a convolution that pads with zeros", "[engine]") {
  for (const PadMode mode : {PadMode::reflect, PadMode::replicate}) {
    const Graph g = merged({.padding = 1, .mode = mode}, 1);
    REQUIRE(g.nodes.size() == 2);
    CHECK(std::holds_alternative<Pad>(g.nodes[0].op));
    CHECK(std::get<Conv2d>(g.nodes[1].op).padding == Padding{1});
  }
}
