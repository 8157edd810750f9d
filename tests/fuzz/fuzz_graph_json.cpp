// Any text as the graph of a model file: Error, or a graph that is sound and survives the way to JSON and back.
#include "fathom/error.hpp"
#include "tests/engine/every_op.hpp"
#include "tests/engine/use_model.hpp"

using namespace fathom;

namespace {

// Weights of the seeds; those that the text names are in the "file", so that none is surplus by chance.
Weights weights_named_in(const std::string& text) {
  static const Weights all = [] {
    Weights weights = EveryOp().weights;
    const auto add = [&](const char* name, const Desc& desc) {
      weights[name] = std::make_shared<Constant>(Constant{desc, nullptr});
    };
    add("w", Desc::dense({4, 3, 3, 3})), add("b", Desc::dense({4})), add("v", Desc::dense({8, 4, 1, 1}));
    add("one", Desc::dense({1, 4, 5, 5})), add("deep", Desc::dense({3, 1, 3, 3})), add("s", Desc::dense({}));
    add("n", Desc::dense({}, DType::i64));
    return weights;
  }();
  Weights named;
  for (const auto& [name, constant] : all)
    if (text.find('"' + name + '"') != std::string::npos) named.emplace(name, constant);
  return named;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const Weights weights = weights_named_in(text);
  Graph graph;
  try {
    graph = graph_from_json(text, weights, 2, 24, 40);
  } catch (const Error& error) {
    if (std::string(error.what()).find('\n') != std::string::npos) throw;  // one line is what a user sees
    return 0;
  }
  use_graph(graph, weights, 2, 24, 40);
  return 0;
}
