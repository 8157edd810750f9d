// write_corpus FOLDER: the seeds that fuzzing starts from (FOLDER/model_file, FOLDER/graph_json) and the words it may
// put in (FOLDER/words.dict), all made from the engine's own types.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>

#include "engine/json_fields.hpp"
#include "engine/synthetic.hpp"
#include "fathom/error.hpp"
#include "tests/engine/every_op.hpp"
#include "tests/engine/use_model.hpp"

using namespace fathom;

namespace {

constexpr const char* small_graphs[] = {
    R"({"version": 1, "inputs": [{"name": "x", "dtype": "u8", "mean": [0.45], "std": [0.225]}], "nodes": [{"op": "Conv2d", "name": "c", "in": ["x"], "out": ["y"], "weight": "w", "bias": "b", "padding": 1, "activation": "relu"}], "outputs": [{"name": "o", "value": "y", "kind": "disparity"}]})",
    R"({"version": 1, "inputs": [{"name": "x", "dtype": "f32"}], "nodes": [{"op": "Conv2d", "name": "c", "in": ["x"], "out": ["y"], "weight": "w", "stride": [2, 1], "padding": [1, 2]}, {"op": "Conv2d", "name": "d", "in": ["y"], "out": ["z"], "weight": "one", "sources": [{"resize": {"mode": "nearest", "scale": 2}, "pad_mode": "reflect"}], "padding": 2, "activation": {"kind": "elu", "alpha": 0.5}}], "outputs": [{"name": "o", "value": "z", "kind": "depth", "scale": 0.01}]})",
    R"({"version": 1, "inputs": [{"name": "x", "dtype": "f32", "channels": 4}], "nodes": [{"op": "Pool", "name": "p", "in": ["x"], "out": ["y"], "kernel": 3, "stride": 2, "padding": 1, "ceil_mode": true}, {"op": "Resize", "name": "r", "in": ["y"], "out": ["z"], "mode": "bilinear", "size": [24, 40]}, {"op": "Concat", "name": "j", "in": ["x", "z"], "out": ["q"]}, {"op": "PixelShuffle", "name": "s", "in": ["q"], "out": ["t"]}], "outputs": [{"name": "o", "value": "t"}]})",
    R"({"version": 1, "inputs": [{"name": "x", "dtype": "f32", "channels": 4}], "nodes": [{"op": "Reshape", "name": "r", "in": ["x"], "out": ["y"], "c": 8, "h": 12, "w": 40}, {"op": "Slice", "name": "s", "in": ["y"], "out": ["z"], "axis": 1, "begin": 2, "count": 4}, {"op": "Pad", "name": "p", "in": ["z"], "out": ["q"], "padding": [1, 2, 3, 4], "mode": "reflect"}], "outputs": [{"name": "o", "value": "q"}]})",
    R"({"version": 1, "inputs": [{"name": "x", "dtype": "f32", "channels": 3}], "nodes": [{"op": "ConvTranspose2d", "name": "t", "in": ["x"], "out": ["y"], "weight": "deep", "stride": 2, "padding": 1, "output_padding": 1, "groups": 3}, {"op": "GlobalMean", "name": "m", "in": ["y"], "out": ["z"]}, {"op": "Multiply", "name": "p", "in": ["y", "z"], "out": ["q"], "activation": "sigmoid"}], "outputs": [{"name": "o", "value": "q"}]})",
};

void words_of(const nlohmann::json& value, std::set<std::string>& words) {
  if (value.is_string()) words.insert(value.get<std::string>());
  if (value.is_object())
    for (const auto& [key, member] : value.items()) words.insert(key);
  if (value.is_structured())
    for (const auto& member : value) words_of(member, words);
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) throw Error(ErrorKind::usage, "write_corpus FOLDER");
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder / "model_file");
  std::filesystem::create_directories(folder / "graph_json");

  const EveryOp every;
  std::vector<std::string> graphs(std::begin(small_graphs), std::end(small_graphs));
  graphs.push_back(graph_to_json(every.graph));
  for (std::size_t k = 0; k < graphs.size(); ++k)
    std::ofstream(folder / "graph_json" / ("seed" + std::to_string(k) + ".json")) << graphs[k];

  const std::vector<Parameter> parameters = {{"w", Desc::dense({4, 3, 3, 3})},
                                             {"b", Desc::dense({4})},
                                             {"bn.num_batches_tracked", Desc::dense({}, DType::i64), false}};
  const Weights weights = synthetic_weights(parameters);
  write_model_file(folder / "model_file/named", {"hr_depth", config_to_json({}), "", weights});
  write_model_file(folder / "model_file/named_f16",
                   {"umich_squeezenet", R"({"scale": 0.01, "output": "depth"})", "", weights}, DType::f16);
  write_model_file(folder / "model_file/graph", {"", R"({"input_width": 64, "input_height": 32})", graphs[0], weights});
  write_model_file(folder / "model_file/empty", {"", "", graphs[2], {}});

  std::set<std::string> words = {"I64", "F16", "U8", "F32", "BF16", "dtype", "shape", "data_offsets", "__metadata__"};
  for (const std::string& text : graphs) words_of(nlohmann::json::parse(text), words);
  words_of(nlohmann::json::parse(config_to_json({})), words);
  for (const auto& names :
       {enum_names<ActivationKind>, enum_names<PadMode>, enum_names<ResizeMode>, enum_names<PoolKind>})
    words.insert(names.begin(), names.end());
  std::ofstream dictionary(folder / "words.dict");
  for (const std::string& word : words) dictionary << "\"\\\"" << word << "\\\"\"\n";
  for (const char* number :
       {"0", "-1", "1e39", "16777216", "2147483648", "9223372036854775807", "18446744073709551616"})
    dictionary << "\"" << number << "\"\n";
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
