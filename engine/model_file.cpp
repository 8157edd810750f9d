#include "engine/model_file.hpp"

#include <algorithm>
#include <cmath>

#include "engine/json_fields.hpp"
#include "fathom/error.hpp"

namespace fathom {

namespace {

constexpr const char* architecture_key = "fathom.architecture";
constexpr const char* config_key = "fathom.config";
constexpr const char* graph_key = "fathom.graph";

std::string take(const Metadata& metadata, const char* key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? std::string() : found->second;
}

}  // namespace

ModelFile model_from(std::shared_ptr<const SafetensorsFile> file) {
  const Metadata& metadata = file->metadata();
  for (const auto& [key, value] : metadata)
    if (key.starts_with("fathom.") && key != architecture_key && key != config_key && key != graph_key)
      throw Error(ErrorKind::model, file->path() + ": unknown metadata " + in_quotes(key) + "; known are " +
                                        architecture_key + ", " + config_key + " and " + graph_key);
  ModelFile model{take(metadata, architecture_key), take(metadata, config_key), take(metadata, graph_key), {}};
  if (model.architecture.empty() == model.graph_json.empty())
    throw Error(ErrorKind::model, file->path() + (model.architecture.empty() ? " has neither " : " has both ") +
                                      architecture_key + (model.architecture.empty() ? " nor " : " and ") + graph_key +
                                      " in its metadata: a model file has exactly one of them");
  if (model.architecture.size() > 256 || has_control_characters(model.architecture))
    throw Error(ErrorKind::model, file->path() + ": " + architecture_key + " " + in_quotes(model.architecture) +
                                      " is no name: it is longer than 256 bytes or has control characters");
  for (const TensorEntry& entry : file->entries()) {
    Desc desc = entry.desc;
    if (desc.dtype == DType::f16) desc.dtype = DType::f32;
    model.weights[entry.name] =
        std::make_shared<Constant>(Constant{desc, [file, &entry] { return file->read_floats(entry); }});
  }
  return model;
}

ModelFile load_model_file(const std::string& path, std::int64_t budget_bytes) {
  return model_from(SafetensorsFile::open(path, budget_bytes));
}

void write_model_file(const std::string& path, const ModelFile& model, DType dtype) {
  if (dtype != DType::f32 && dtype != DType::f16)
    throw Error(ErrorKind::usage, std::string("weights are stored as f32 or f16, not as ") + to_string(dtype));
  Metadata metadata;
  if (!model.architecture.empty()) metadata[architecture_key] = model.architecture;
  if (!model.config_json.empty()) metadata[config_key] = model.config_json;
  if (!model.graph_json.empty()) metadata[graph_key] = model.graph_json;

  std::vector<NamedTensor> tensors;
  for (const auto& [name, constant] : model.weights) {
    Desc desc = constant->desc;
    if (desc.dtype == DType::f32) desc.dtype = dtype;
    tensors.push_back({name, desc, [constant = constant, desc]() -> std::shared_ptr<const void> {
                         const std::shared_ptr<const float[]> values = constant->values();
                         if (desc.dtype == DType::f32) return values;
                         const std::int64_t count = desc.elements();
                         const auto bytes = std::make_shared<Buffer>(count * size_of(desc.dtype));
                         const float* from = values.get();
                         if (desc.dtype == DType::f16)
                           std::transform(from, from + count, bytes->as<std::uint16_t>(), float_to_half);
                         if (desc.dtype == DType::i64) std::copy_n(from, count, bytes->as<std::int64_t>());
                         if (desc.dtype == DType::u8) std::copy_n(from, count, bytes->as<std::uint8_t>());
                         return {bytes, bytes->data()};
                       }});
  }
  write_safetensors(path, std::move(tensors), metadata);
}

std::vector<std::string> check_finite(const ModelFile& model) {
  std::vector<std::string> found;
  for (const auto& [name, constant] : model.weights) {
    if (constant->desc.dtype != DType::f32) continue;
    const std::int64_t count = constant->desc.elements();
    const std::shared_ptr<const float[]> values = constant->values();
    const auto bad = std::count_if(values.get(), values.get() + count, [](float v) { return !std::isfinite(v); });
    if (bad)
      found.push_back(in_quotes(name) + ": " + std::to_string(bad) + " of " + std::to_string(count) +
                      " values are not finite");
  }
  return found;
}

namespace {

void check_config(const ModelConfig& c) {
  const auto expect = [](bool fine, const char* key, const char* wanted) {
    if (!fine) throw Error(ErrorKind::model, std::string("fathom.config: '") + key + "' must be " + wanted);
  };
  constexpr int largest = 16384;
  const bool resized = c.resize != PhotoResize::none;
  expect(c.input_width >= 1 && c.input_width <= largest, "input_width", "from 1 to 16384");
  expect(c.input_height >= 1 && c.input_height <= largest, "input_height", "from 1 to 16384");
  expect(c.crop_width >= 0 && c.crop_width <= (resized ? c.input_width : largest), "crop_width",
         "from 0 to input_width");
  expect(c.crop_height >= 0 && c.crop_height <= (resized ? c.input_height : largest), "crop_height",
         "from 0 to input_height");
  expect(c.mean.size() == 1 || c.mean.size() == 3, "mean", "a list of one or three numbers");
  expect(c.std.size() == 1 || c.std.size() == 3, "std", "a list of one or three numbers");
  expect(std::all_of(c.std.begin(), c.std.end(), [](float s) { return s > 0; }), "std", "above 0");
  expect(c.unit == "m" || c.unit == "relative", "unit", "m or relative");
  expect(c.scale > 0, "scale", "above 0");
  expect(c.min_depth > 0, "min_depth", "above 0");
  expect(c.max_depth > c.min_depth, "max_depth", "above min_depth");
}

}  // namespace

void apply_config(ModelConfig& config, const std::string& text) {
  ModelConfig changed = config;
  JsonReader::read_fields(parse_json(text, "fathom.config", {.bytes = 1 << 20, .values = 10'000, .depth = 4}),
                          "fathom.config", changed);
  check_config(changed);
  config = changed;
}

std::string config_to_json(const ModelConfig& config) {
  auto object = nlohmann::ordered_json::object();
  JsonWriter::write_fields(config, object, true);
  return object.dump();
}

}  // namespace fathom
