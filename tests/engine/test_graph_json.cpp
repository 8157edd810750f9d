// Graphs as JSON: every op and every field there and back, the network builders' graphs, defaults, and the schema's
// shorthands.
#include "engine/graph_json.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/synthetic.hpp"
#include "fathom/error.hpp"
#include "models/architectures.hpp"
#include "tests/catch.hpp"
#include "tests/engine/every_op.hpp"
#include "tests/engine/temporary.hpp"

using namespace fathom;

namespace {

void check_equal(const Graph& a, const Graph& b) {
  REQUIRE(a.values.size() == b.values.size());
  for (std::size_t k = 0; k < a.values.size(); ++k) {
    INFO(a.values[k].name);
    CHECK(a.values[k].name == b.values[k].name);
    CHECK(a.values[k].desc == b.values[k].desc);
    CHECK(a.values[k].constant == b.values[k].constant);
  }
  REQUIRE(a.nodes.size() == b.nodes.size());
  for (std::size_t k = 0; k < a.nodes.size(); ++k) {
    INFO(a.nodes[k].name);
    CHECK(a.nodes[k].name == b.nodes[k].name);
    CHECK(a.nodes[k].op == b.nodes[k].op);
    CHECK(a.nodes[k].in == b.nodes[k].in);
    CHECK(a.nodes[k].out == b.nodes[k].out);
  }
  CHECK(a.inputs == b.inputs);
  REQUIRE(a.outputs.size() == b.outputs.size());
  for (std::size_t k = 0; k < a.outputs.size(); ++k) {
    CHECK(a.outputs[k].name == b.outputs[k].name);
    CHECK(a.outputs[k].value == b.outputs[k].value);
    CHECK(a.outputs[k].kind == b.outputs[k].kind);
    CHECK(a.outputs[k].scale == b.outputs[k].scale);
  }
}

Weights some_weights() {
  const std::vector<Parameter> parameters = {{"w", Desc::dense({4, 3, 3, 3})}, {"b", Desc::dense({4})}};
  return synthetic_weights(parameters);
}

// One convolution with the given members.
Conv2d convolution(const std::string& members) {
  const std::string text =
      R"({"version": 1, "inputs": [{"name": "x", "dtype": "f32"}], "nodes": [{"op": "Conv2d", "name": "c",
      "in": ["x"], "out": ["y"], "weight": "w", "bias": "b")" +
      members + R"(}], "outputs": [{"name": "o", "value": "y"}]})";
  return std::get<Conv2d>(graph_from_json(text, some_weights(), 1, 32, 64).nodes.at(0).op);
}

}  // namespace

TEST_CASE("a graph with every op goes to JSON and back", "[engine]") {
  const EveryOp every;
  std::vector<bool> seen(std::variant_size_v<Op>);
  for (const Node& node : every.graph.nodes) seen[node.op.index()] = true;
  for (std::size_t k = 0; k < seen.size(); ++k) {
    INFO("op number " << k << " is missing from this test");
    CHECK(seen[k]);
  }
  const std::string text = graph_to_json(every.graph);
  INFO(text);
  const Graph back = graph_from_json(text, every.weights, 2, 24, 40);
  check_equal(every.graph, back);
  CHECK(graph_to_json(back) == text);
}

TEST_CASE("the graphs of all architectures go to JSON and back", "[engine]") {
  for (const Architecture& architecture : architectures()) {
    INFO(architecture.name);
    Network list(nullptr);
    Frame frame{1, architecture.config.input_height, architecture.config.input_width};
    architecture.build(list, frame, architecture.config);
    Weights weights;
    for (const ValueInfo& value : list.graph.values)
      if (value.constant) weights[value.name] = value.constant;
    const std::string text = graph_to_json(list.graph);
    const Graph back = graph_from_json(text, weights, 1, frame.height, frame.width);
    CHECK(to_text(back) == to_text(list.graph));
    CHECK(graph_to_json(back) == text);
    CHECK(multiply_adds(back) == multiply_adds(list.graph));
  }
}

TEST_CASE("members of an op have shorthands and defaults", "[engine]") {
  CHECK(convolution("") == Conv2d{.bias = true});
  CHECK(convolution(R"(, "stride": 2)").stride == Size2(2, 2));
  CHECK(convolution(R"(, "stride": [2, 1])").stride == Size2(2, 1));
  CHECK(convolution(R"(, "padding": 1)").padding == Padding(1, 1, 1, 1));
  CHECK(convolution(R"(, "padding": [1, 2])").padding == Padding(1, 2, 1, 2));
  CHECK(convolution(R"(, "padding": [1, 2, 3, 4])").padding == Padding(1, 2, 3, 4));
  CHECK(convolution(R"(, "activation": "relu")").activation == Activation{ActivationKind::relu});
  CHECK(convolution(R"(, "activation": {"kind": "elu", "alpha": 0.1})").activation ==
        Activation{ActivationKind::elu, 0.1f});
  CHECK(convolution(R"(, "sources": [{"resize": {"mode": "nearest", "scale": 2}, "pad_mode": "reflect"}])").sources ==
        std::vector<Source>{{.resize = {ResizeMode::nearest, 2}, .pad_mode = PadMode::reflect}});
  CHECK(convolution(R"(, "sources": [{}])") == Conv2d{.bias = true});
}

TEST_CASE("a picture as input is normalised first", "[engine]") {
  const std::string text = R"({"version": 1, "inputs": [{"name": "x", "dtype": "u8", "mean": [0.45], "std": [0.225]}],
    "nodes": [{"op": "GlobalMean", "name": "m", "in": ["x"], "out": ["y"]}], "outputs": [{"name": "o", "value": "y"}]})";
  const Graph g = graph_from_json(text, {}, 3, 32, 64);
  REQUIRE(g.nodes.size() == 2);
  CHECK(g[g.inputs[0]].desc == Desc::nhwc(3, 3, 32, 64, DType::u8));
  CHECK(std::get<Preprocess>(g.nodes[0].op) == Preprocess{{0.45f}, {0.225f}});
  CHECK(g.nodes[1].in[0] == g.nodes[0].out[0]);
  CHECK(g.outputs[0].kind == OutputKind::tensor);
  CHECK(g.outputs[0].scale == 1);
}

TEST_CASE("counters of batch norms are no surplus weights", "[engine]") {
  const std::string text = R"({"version": 1, "inputs": [{"name": "x", "dtype": "f32"}],
    "nodes": [{"op": "GlobalMean", "name": "m", "in": ["x"], "out": ["y"]}], "outputs": [{"name": "o", "value": "y"}]})";
  Weights weights = {
      {"bn.num_batches_tracked", std::make_shared<Constant>(Constant{Desc::dense({}, DType::i64), nullptr})}};
  CHECK_NOTHROW(graph_from_json(text, weights, 1, 32, 64));
  weights["bn.other"] = std::make_shared<Constant>(Constant{Desc::dense({}, DType::i64), nullptr});
  CHECK_THROWS_MATCHES(graph_from_json(text, weights, 1, 32, 64), Error,
                       Fails(ErrorKind::model, {"'bn.other'", "no node"}));
}

TEST_CASE("gates that are no convolution's second output are refused", "[engine]") {
  const auto constant = [](const Desc& d) { return std::make_shared<Constant>(Constant{d, nullptr}); };
  const Weights weights = {{"w", constant(Desc::dense({8, 3, 1, 1}))}, {"s", constant(Desc::dense({2, 11}))}, {"e", constant(Desc::dense({8, 2}))}};
  const auto read = [&](const std::string& fields, const std::string& out = R"("y", "g")", const std::string& other = "m") {
    return graph_from_json(R"({"version": 1, "inputs": [{"name": "x", "dtype": "f32"}], "nodes": [
      {"op": "GlobalMean", "name": "mean", "in": ["x"], "out": ["m"]},
      {"op": "Conv2d", "name": "n", "in": ["x", ")" + other + R"("], "weight": "w", "squeeze_weight": "s", "excite_weight": "e", "out": [)" +
                               out + "]" + fields + R"(}], "outputs": [{"name": "o", "value": "y"}]})",
                           weights, 1, 16, 16);
  };
  CHECK_NOTHROW(read(R"(, "mean": true, "excitation": {"maps": 2, "place": 1})"));
  const auto refused = [&](const std::string& fields, const auto&... more) {
    INFO(fields);
    CHECK_THROWS_AS(read(fields, more...), Error);
  };
  refused(R"(, "mean": true, "excitation": {"maps": 2, "place": 16000000})");
  refused(R"(, "mean": true, "excitation": {"maps": 2, "place": -16000000})");
  refused(R"(, "mean": true, "excitation": {"maps": -3, "place": 900})");
  refused(R"(, "mean": true, "excitation": {"maps": 16777216})");
  refused(R"(, "mean": true, "excitation": {"maps": 1, "place": 1})");
  refused(R"(, "excitation": {"maps": 2, "place": 1})");
  refused(R"(, "mean": true, "excitation": {"maps": 2, "place": 1})", R"("y")");
  refused(R"(, "mean": true, "excitation": {"maps": 2, "place": 1})", R"("y", "g")", "x");  // a map, and no means
}

TEST_CASE("RT-MonoDepth-S is a graph", "[engine]") {
  std::ifstream file(std::string(FATHOM_SOURCE_DIR) + "/weights_tools/examples/rt_monodepth_s.json");
  REQUIRE(file);
  std::stringstream text;
  text << file.rdbuf();
  Weights weights;
  const auto conv = [&](const std::string& key, int out, int in, int kernel, bool bias) {
    weights[key + ".weight"] = std::make_shared<Constant>(Constant{Desc::dense({out, in, kernel, kernel}), nullptr});
    if (bias) weights[key + ".bias"] = std::make_shared<Constant>(Constant{Desc::dense({out}), nullptr});
  };
  conv("encoder.conv1", 64, 3, 7, false);
  const int stages[] = {64, 64, 128, 192}, widths[] = {192, 96, 64, 32, 16};
  for (int s = 0; s < 3; ++s) {
    conv("encoder.convs." + std::to_string(s) + ".0", stages[s + 1], stages[s], 3, true);
    conv("encoder.convs." + std::to_string(s) + ".2", stages[s + 1], stages[s + 1], 3, true);
  }
  for (int n = 0; n < 8; ++n)
    conv("depth.decoder." + std::to_string(n) + ".conv", widths[n / 2 + 1], n % 2 ? widths[n / 2 + 1] : widths[n / 2],
         3, true);
  for (int n = 8; n < 11; ++n) conv("depth.decoder." + std::to_string(n) + ".conv3", 1, 16 << (n - 8), 3, true);
  std::int64_t parameters = 0;
  for (const auto& [key, constant] : weights) parameters += constant->desc.elements();
  CHECK(parameters == 1235027);
  for (const char* head : {"9", "10"})  // not part of the graph: it gives the finest disparity alone
    for (const char* part : {"weight", "bias"}) weights.erase("depth.decoder." + std::string(head) + ".conv3." + part);
  const Graph g = graph_from_json(text.str(), weights, 1, 192, 640);
  CHECK(g[g.outputs[0].value].desc == Desc::nhwc(1, 1, 192, 640));
}

TEST_CASE("graphs that JSON cannot say are refused", "[engine]") {
  Graph g;
  const Value x = g.add_input("photo", Desc::nhwc(1, 3, 8, 8, DType::u8));
  const Value y = g.add(Preprocess{}, {x}, "a");
  const Value z = g.add(Preprocess{}, {x}, "b");
  g.outputs = {{"y", y}, {"z", z}};
  CHECK_THROWS_MATCHES(graph_to_json(g), Error, Fails(ErrorKind::unsupported, {"'photo'", "one Preprocess"}));
}
