// Which convolutions the pass merge_inverted_residuals makes one, and which it leaves apart. That what it makes
// computes the same, random networks show (test_passes.cpp).
#include "engine/passes/passes.hpp"
#include "engine/synthetic.hpp"
#include "tests/catch.hpp"

using namespace fathom;

namespace {

// x -> expand -> depthwise -> project (+ x), as a network's graph is once norms and activations are merged.
struct Blocks {
  Graph g;
  int narrow = 16, wide = 96, out = 16, size = 24, dilation = 1;
  bool residual = false, bias = true;
  Value x{}, expanded{}, thin{}, y{};

  Value conv(const std::string& name, Conv2d op, std::vector<Value> in, int channels, int kernel) {
    const Desc w = Desc::dense({channels, g[in[0]].desc.c() / op.groups, kernel, kernel}), b = Desc::dense({channels});
    const auto constant = [&](const std::string& part, const Desc& d) {
      return g.add_constant(name + part, Constant::of(d, synthetic_parameter(name + part, d)));
    };
    op.bias = bias;
    in.push_back(constant(".weight", w));
    if (bias) in.push_back(constant(".bias", b));
    return g.add(op, in, name);
  }
  Graph& build() {
    x = conv("stem", {.padding = 1}, {g.add_input("image", Desc::nhwc(1, 3, size, size))}, narrow, 3);
    expanded = conv("expand", {.activation = {ActivationKind::relu6}}, {x}, wide, 1);
    const Conv2d depthwise{
        .padding = dilation, .dilation = dilation, .groups = wide, .activation = {ActivationKind::relu}};
    thin = conv("depthwise", depthwise, {expanded}, wide, 3);
    y = residual ? conv("project", {.residual = true}, {thin, x}, out, 1) : conv("project", {}, {thin}, out, 1);
    g.outputs = {{"y", y}};
    return g;
  }
};

// The names of the blocks made, and which of the 1x1 convolutions they have.
std::string made_of(const Graph& graph, const Rates& rates = {}) {
  const Graph merged = merge_inverted_residuals(graph, rates);
  validate(merged);
  std::string text;
  for (const Node& node : merged.nodes)
    if (const auto* op = std::get_if<InvertedResidual>(&node.op))
      text += (text.empty() ? "" : " ") + node.name + (op->expand ? " expands" : "") + (op->project ? " projects" : "");
  return text;
}

}  // namespace

TEST_CASE("inverted residual blocks become one op", "[engine]") {
  Blocks plain;
  CHECK(made_of(plain.build()) == "project expands projects");

  Blocks with_residual{.residual = true};
  const Graph merged = merge_inverted_residuals(with_residual.build());
  REQUIRE(merged.nodes.size() == 2);
  CHECK(merged.nodes[1].op == Op(InvertedResidual{.padding = 1,
                                                  .residual = true,
                                                  .expand_activation = {ActivationKind::relu6},
                                                  .depth_activation = {ActivationKind::relu}}));
  CHECK(merged.nodes[1].in.size() == 7);
}

TEST_CASE("convolutions whose maps others read, or that no kernel takes, stay apart", "[engine]") {
  const auto with = [](auto change) {
    Blocks b;
    change(b);
    return made_of(b.build());
  };
  const auto with_output = [](Value Blocks::*map) {
    Blocks b;
    b.build().outputs.push_back({"map", b.*map});
    return made_of(b.g);
  };
  CHECK(with_output(&Blocks::x) == "project expands projects");
  CHECK(with_output(&Blocks::expanded) == "project projects");
  CHECK(with_output(&Blocks::thin) == "depthwise expands");
  CHECK(with([](Blocks& b) { b.out = 136; }) == "depthwise expands");
  CHECK(with([](Blocks& b) { b.narrow = 4; }) == "project projects");
  CHECK(with([](Blocks& b) { b.out = 4; }) == "depthwise expands");
  CHECK(with([](Blocks& b) { b.narrow = 4, b.out = 4; }) == "");
  CHECK(with([](Blocks& b) { b.dilation = 2; }) == "");
  CHECK(with([](Blocks& b) { b.bias = false; }) == "");

  Blocks other;  // another map is added
  other.build();
  const Value skip = other.conv("skip", {}, {other.x}, other.out, 1);
  other.g.outputs = {{"y", other.conv("sum", {.residual = true}, {other.thin, skip}, other.out, 1)}};
  other.g = remove_dead(std::move(other.g));
  CHECK(made_of(other.g) == "depthwise expands");
}

TEST_CASE("what blocks compute twice is weighed against what they need not move", "[engine]") {
  Blocks b{.narrow = 64, .wide = 384, .out = 64, .size = 64};
  b.build();
  const auto with = [&](Rates rates) {
    rates.worth = 1;
    return made_of(b.g, rates);
  };
  CHECK(with({}) == "project expands projects");
  CHECK(with({.launch_bytes = 0}) == "project expands projects");               // for its maps alone
  CHECK(with({.flops_per_byte = 1, .launch_bytes = 0}) == "project projects");  // borders are dear
  CHECK(made_of(b.g, {.worth = 0.1}) == "");
  CHECK(with({.launch_bytes = 0, .blocks = 1e5}) == "depthwise expands");  // too few tiles for sums in parts
}
