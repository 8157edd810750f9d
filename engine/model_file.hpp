// A model file: safetensors whose metadata say what network its tensors belong to.
//   fathom.architecture  a name of models/              fathom.graph   or the network itself, as JSON (graph_json.hpp)
//   fathom.config        JSON with the fields of ModelConfig that differ from the architecture's own
#pragma once

#include <string>
#include <vector>

#include "engine/model_config.hpp"
#include "engine/safetensors.hpp"
#include "models/network.hpp"

namespace fathom {

struct ModelFile {
  std::string architecture;  // empty: graph_json is the network
  std::string config_json;   // empty: the defaults
  std::string graph_json;
  // Constants read the file when asked for their values. Those of F16 tensors are f32; I64 and U8 tensors keep their
  // dtype in `desc` and have no float values: asking for them is an Error{model}.
  Weights weights;
};

ModelFile load_model_file(const std::string& path, std::int64_t budget_bytes = default_budget_bytes);
ModelFile model_from(std::shared_ptr<const SafetensorsFile> file);

// Floats are stored as `dtype` (f32 or f16), one tensor at a time in memory.
void write_model_file(const std::string& path, const ModelFile& model, DType dtype = DType::f32);

// The tensors that hold a NaN or an infinity, each with its count: "'conv1.weight': 3 of 9408 values are not finite".
std::vector<std::string> check_finite(const ModelFile& model);

// Sets what the text of `fathom.config` says; Error{model} names a key that is unknown, of wrong type or out of range.
void apply_config(ModelConfig& config, const std::string& text);
std::string config_to_json(const ModelConfig& config);

}  // namespace fathom
