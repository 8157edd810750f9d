// Which gates the pass make_gates_early has made by the convolution that makes the last of their means. That what it makes
// computes the same, random networks show (test_passes.cpp).
#include "engine/passes/passes.hpp"
#include "engine/synthetic.hpp"
#include "tests/catch.hpp"

using namespace fathom;

namespace {

// x -> first -> last, and a gate of both maps in some order, on which `gated` waits.
struct Gated {
  int hidden = 4, outputs = 16;
  bool last_comes_first = false;
  Value first{}, last{}, gate{};

  Graph build() {
    Graph g;
    const auto weight = [&](const std::string& name, const Desc& d) {
      return g.add_constant(name, Constant::of(d, synthetic_parameter(name, d)));
    };
    const Value x = g.add_input("x", Desc::nhwc(2, 8, 6, 5));
    first = g.add(Conv2d{}, {x, weight("a", Desc::dense({24, 8, 1, 1}))}, "first");
    last = g.add(Conv2d{.padding = 1}, {first, weight("b", Desc::dense({16, 24, 3, 3}))}, "last");
    const ChannelGate op{.bias = true, .squeeze_activation = {ActivationKind::relu}, .activation = {ActivationKind::sigmoid}};
    std::vector<Value> in = last_comes_first ? std::vector{last, first} : std::vector{first, last};
    in.insert(in.end(), {weight("w1", Desc::dense({hidden, 40})), weight("b1", Desc::dense({hidden})),
                         weight("w2", Desc::dense({outputs, hidden})), weight("b2", Desc::dense({outputs}))});
    gate = g.add(op, in, "gate");
    g.outputs = {{"y", outputs == 16 ? g.add(Multiply{}, {last, gate}, "gated") : gate}};
    return g;
  }
};

Graph early(Graph graph) { return make_gates_early(take_means(std::move(graph))); }

Excitation excitation_of(const Graph& graph, const std::string& name) {
  for (const Node& node : graph.nodes)
    if (node.name == name) return std::get<Conv2d>(node.op).excitation;
  return {};
}

}  // namespace

TEST_CASE("small gates are made where the last of their means is", "[engine]") {
  for (const bool order : {false, true}) {
    Gated net{.last_comes_first = order};
    const Graph g = net.build();
    const Graph made = early(g);
    validate(made);
    REQUIRE(made.nodes.size() == g.nodes.size() - 1);
    CHECK(excitation_of(made, "first").maps == 0);
    const Excitation e = excitation_of(made, "last");
    CHECK(e == Excitation{2, order ? 0 : 1, true, {ActivationKind::relu}, {ActivationKind::sigmoid}});
    const Node& last = made.nodes[1];
    REQUIRE(last.out.size() == 2);
    CHECK(made[last.out[1]].name == "gate");
    CHECK(made[last.out[1]].desc.same_extents(Desc::nhwc(2, 16, 1, 1)));
    CHECK(last.in[1] == made.nodes[0].out[1]);  // the other map's means
    CHECK(made.nodes[2].in[1] == last.out[1]);
    CHECK(make_gates_early(made).nodes.size() == made.nodes.size());
  }
}

TEST_CASE("gates that are large, or whose means others read, are made by themselves", "[engine]") {
  Gated large{.hidden = 1000};
  CHECK(excitation_of(early(large.build()), "last").maps == 0);
  Gated wide{.hidden = 990, .outputs = 8};  // 40 + 990 floats of shared memory
  CHECK(excitation_of(early(wide.build()), "last").maps == 0);
  Gated narrow{.hidden = 800, .outputs = 8};
  CHECK(excitation_of(early(narrow.build()), "last").maps == 2);

  Gated shared;
  Graph g = shared.build();
  g.outputs.push_back({"mean", g.add(GlobalMean{}, {shared.last}, "mean")});
  const Graph taken = early(g);
  validate(taken);
  CHECK(excitation_of(taken, "last").maps == 0);
  CHECK(std::holds_alternative<ChannelGate>(taken.nodes[2].op));

  Gated both;
  Graph of_first = both.build();
  of_first.outputs.push_back({"mean", of_first.add(GlobalMean{}, {both.first}, "mean")});
  CHECK(excitation_of(early(of_first), "last").maps == 2);
}
