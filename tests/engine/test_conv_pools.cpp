// Which convolutions the pass merge_conv_pools makes one with the pool behind them, and which it leaves apart. That what
// it makes computes the same, random networks show (test_passes.cpp).
#include "engine/passes/passes.hpp"
#include "engine/synthetic.hpp"
#include "tests/catch.hpp"

using namespace fathom;

namespace {

// photograph -> conv -> pool -> conv, as a network's graph is once norms and activations are merged.
struct Stem {
  Conv2d first{.stride = 2, .padding = 3, .bias = true, .activation = {ActivationKind::relu}};
  Pool pool{.kernel = 3, .stride = 2, .padding = 1};
  int inputs = 3, channels = 64, size = 64;
  Value map{}, pooled{};

  Graph build() {
    Graph g;
    const auto constant = [&](const std::string& name, const Desc& d) {
      return g.add_constant(name, Constant::of(d, synthetic_parameter(name, d)));
    };
    std::vector<Value> in{g.add_input("image", Desc::nhwc(1, inputs, size, size))};
    in.push_back(constant("first.weight", Desc::dense({channels, inputs, 7, 7})));
    if (first.bias) in.push_back(constant("first.bias", Desc::dense({channels})));
    map = g.add(first, in, "first");
    pooled = g.add(pool, {map}, "pool");
    g.outputs = {{"y", g.add(Conv2d{}, {pooled, constant("next.weight", Desc::dense({8, channels, 1, 1}))}, "next")}};
    return g;
  }
};

bool merges(Graph graph, const Rates& rates = {}) {
  const Graph merged = merge_conv_pools(std::move(graph), rates);
  validate(merged);
  return std::holds_alternative<ConvPool>(merged.nodes[0].op);
}

bool merges_with(void (*change)(Stem&)) {
  Stem stem;
  change(stem);
  return merges(stem.build());
}

}  // namespace

TEST_CASE("a first convolution and the pool behind it become one", "[engine]") {
  Stem stem;
  const Graph merged = merge_conv_pools(stem.build());
  REQUIRE(merged.nodes.size() == 2);
  CHECK(merged.nodes[0].op == Op(ConvPool{.stride = 2,
                                          .padding = 3,
                                          .activation = {ActivationKind::relu},
                                          .pool = {.kernel = 3, .stride = 2, .padding = 1}}));
  CHECK(merged.nodes[0].name == "first");
  CHECK(merged.nodes[0].in.size() == 3);
}

TEST_CASE("convolutions whose maps others read, or that no pooling kernel takes, stay apart from their pool", "[engine]") {
  Stem stem;
  Graph shared = stem.build();
  shared.outputs.push_back({"map", stem.map});
  CHECK_FALSE(merges(shared));
  CHECK(merges_with([](Stem& s) { s.inputs = 6; }));
  CHECK_FALSE(merges_with([](Stem& s) { s.inputs = 9; }));
  CHECK_FALSE(merges_with([](Stem& s) { s.channels = 4; }));
  CHECK_FALSE(merges_with([](Stem& s) { s.first.bias = false; }));
  CHECK_FALSE(merges_with([](Stem& s) { s.first.dilation = 2; }));
  CHECK_FALSE(merges_with([](Stem& s) { s.first.activation = {ActivationKind::hard_swish}; }));
  CHECK_FALSE(merges_with([](Stem& s) { s.first.activation = {ActivationKind::leaky_relu, -1}; }));
  CHECK(merges_with([](Stem& s) { s.pool = {.kernel = 3, .stride = 2, .ceil_mode = true}; }));
  CHECK_FALSE(merges_with([](Stem& s) { s.pool.kind = PoolKind::average; }));
  CHECK_FALSE(merges_with([](Stem& s) { s.pool.kernel = 2; }));
  CHECK_FALSE(merges_with([](Stem& s) { s.pool.activation = {ActivationKind::relu}; }));
}

TEST_CASE("what strips compute twice is weighed against the map that is not stored", "[engine]") {
  Stem stem{.size = 256};
  CHECK(merges(stem.build()));
  CHECK(merges(stem.build(), {.flops_per_byte = 1000, .launch_bytes = 0}));  // for the map alone
  CHECK_FALSE(merges(stem.build(), {.flops_per_byte = 5, .launch_bytes = 0}));
}
