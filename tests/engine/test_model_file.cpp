// Model files: what the metadata say, lazy weights, and the configuration's ranges.
#include "engine/model_file.hpp"

#include <cmath>

#include "engine/synthetic.hpp"
#include "fathom/error.hpp"
#include "tests/catch.hpp"
#include "tests/engine/temporary.hpp"

using namespace fathom;

namespace {

const std::vector<Parameter> parameters = {{"conv.weight", Desc::dense({4, 3, 3, 3})},
                                           {"conv.bias", Desc::dense({4})},
                                           {"bn.num_batches_tracked", Desc::dense({}, DType::i64), false}};

std::vector<float> values_of(const Weights& weights, const std::string& key) {
  const auto values = weights.at(key)->values();
  return {values.get(), values.get() + weights.at(key)->desc.elements()};
}

void write_metadata(const std::string& path, const Metadata& metadata) { write_safetensors(path, {}, metadata); }

}  // namespace

TEST_CASE("a model file is written and loaded", "[engine]") {
  const TemporaryFolder folder;
  const ModelFile model{"some_network", R"({"input_width": 320})", "", synthetic_weights(parameters)};
  write_model_file(folder / "m.safetensors", model);
  const ModelFile loaded = load_model_file(folder / "m.safetensors");
  CHECK(loaded.architecture == "some_network");
  CHECK(loaded.config_json == model.config_json);
  CHECK(loaded.graph_json.empty());
  REQUIRE(loaded.weights.size() == 3);
  CHECK(loaded.weights.at("conv.weight")->desc == Desc::dense({4, 3, 3, 3}));
  for (const char* key : {"conv.weight", "conv.bias"})
    CHECK(values_of(loaded.weights, key) == values_of(model.weights, key));
  CHECK(loaded.weights.at("bn.num_batches_tracked")->desc.dtype == DType::i64);
  CHECK_THROWS_MATCHES(loaded.weights.at("bn.num_batches_tracked")->values(), Error,
                       Fails(ErrorKind::model, {"'bn.num_batches_tracked'", "i64"}));
  CHECK(check_finite(loaded).empty());

  // In half precision: half the bytes, the values rounded.
  write_model_file(folder / "h.safetensors", model, DType::f16);
  const ModelFile halved = load_model_file(folder / "h.safetensors");
  CHECK(halved.weights.at("conv.weight")->desc == Desc::dense({4, 3, 3, 3}));
  std::vector<float> rounded = values_of(model.weights, "conv.weight");
  for (float& v : rounded) v = half_to_float(float_to_half(v));
  CHECK(values_of(halved.weights, "conv.weight") == rounded);
  CHECK_THROWS_MATCHES(write_model_file(folder / "x", model, DType::u8), Error, Fails(ErrorKind::usage, {"u8"}));
}

TEST_CASE("weights that are no numbers are named", "[engine]") {
  const TemporaryFolder folder;
  ModelFile model{"some_network", "", "", synthetic_weights(parameters)};
  std::vector<float> values = values_of(model.weights, "conv.weight");
  values[3] = NAN, values[17] = INFINITY, values[18] = -INFINITY;
  model.weights["conv.weight"] = Constant::of(Desc::dense({4, 3, 3, 3}), values);
  write_model_file(folder / "m", model);
  CHECK(check_finite(load_model_file(folder / "m")) ==
        std::vector<std::string>{"'conv.weight': 3 of 108 values are not finite"});
  values[3] = 1e6f;  // fine as it is, infinite in half precision
  model.weights["conv.weight"] = Constant::of(Desc::dense({4, 3, 3, 3}), values);
  write_model_file(folder / "h", model, DType::f16);
  CHECK(check_finite(load_model_file(folder / "h")).size() == 1);
}

TEST_CASE("a model file says what network it is, once", "[engine]") {
  const TemporaryFolder folder;
  const std::string path = folder / "m";
  write_metadata(path, {});
  CHECK_THROWS_MATCHES(load_model_file(path), Error,
                       Fails(ErrorKind::model, {path, "neither", "fathom.architecture", "fathom.graph"}));
  write_metadata(path, {{"fathom.architecture", "a"}, {"fathom.graph", "{}"}});
  CHECK_THROWS_MATCHES(load_model_file(path), Error, Fails(ErrorKind::model, {path, "both"}));
  write_metadata(path, {{"fathom.architecture", "a"}, {"fathom.confg", "{}"}});
  CHECK_THROWS_MATCHES(load_model_file(path), Error, Fails(ErrorKind::model, {path, "'fathom.confg'"}));
  write_metadata(path, {{"fathom.architecture", "a"}, {"format", "pt"}});
  CHECK(load_model_file(path).architecture == "a");
}

TEST_CASE("a model larger than the budget is refused before it is read", "[engine]") {
  const TemporaryFolder folder;
  write_model_file(folder / "m", {"some_network", "", "", synthetic_weights(parameters)}, DType::f16);
  const std::int64_t floats = (4 * 3 * 3 * 3 + 4 + 1) * 4;
  CHECK_NOTHROW(load_model_file(folder / "m", 1000));  // the header takes more than the weights
  CHECK_THROWS_MATCHES(load_model_file(folder / "m", floats - 1), Error, Fails(ErrorKind::memory, {"budget"}));
}

TEST_CASE("a configuration is written and read back", "[engine]") {
  ModelConfig config;
  config.input_width = 1024, config.resize = PhotoResize::bilinear, config.crop_height = 100;
  config.mean = {0.485f, 0.456f, 0.406f}, config.std = {0.229f, 0.224f, 0.225f};
  config.output = OutputKind::depth, config.unit = "m", config.scale = 0.01f, config.treatment = Treatment::fit;
  config.absolute = true, config.output_resize = ResizeMode::bilinear;
  ModelConfig read;
  apply_config(read, config_to_json(config));
  CHECK(read == config);
  CHECK(config_to_json(config).find("\"mean\":[0.485,0.456,0.406]") != std::string::npos);

  ModelConfig partly;
  apply_config(partly, R"({"input_height": 320, "std": [0.5]})");
  CHECK(partly.input_height == 320);
  CHECK(partly.std == std::vector<float>{0.5f});
  CHECK(partly.input_width == ModelConfig{}.input_width);
}

TEST_CASE("a configuration's errors name the key", "[engine]") {
  struct Case {
    const char* text;
    std::vector<std::string> parts;
  };
  const Case cases[] = {
      {"", {"not valid JSON"}},
      {"[]", {"not an object"}},
      {"{\"input_width\": 640", {"not valid JSON", "byte"}},
      {"{\"input_width\": 640, \"input_width\": 641}", {"'input_width'", "twice"}},
      {"{\"inputwidth\": 640}", {"'inputwidth'", "unknown", "input_width"}},
      {"{\"input_width\": \"640\"}", {"'input_width'", "whole number"}},
      {"{\"input_width\": 640.5}", {"'input_width'", "whole number"}},
      {"{\"input_width\": 0}", {"'input_width'", "16384"}},
      {"{\"input_width\": -1}", {"'input_width'", "16384"}},
      {"{\"input_height\": 16385}", {"'input_height'", "16384"}},
      {"{\"input_height\": 99999999999999999999}", {"'input_height'", "whole number"}},
      {"{\"input_height\": 1000000000000}", {"'input_height'", "out of range"}},
      {"{\"crop_width\": 641}", {"'crop_width'"}},
      {"{\"crop_height\": -1}", {"'crop_height'"}},
      {"{\"resize\": \"cubic\"}", {"'resize'", "'cubic'", "lanczos"}},
      {"{\"resize\": 1}", {"'resize'", "text"}},
      {"{\"mean\": 0.5}", {"'mean'", "list"}},
      {"{\"mean\": [1, 2]}", {"'mean'", "one or three"}},
      {"{\"mean\": []}", {"'mean'", "one or three"}},
      {"{\"mean\": [\"a\"]}", {"'mean'[0]", "number"}},
      {"{\"std\": [0]}", {"'std'", "above 0"}},
      {"{\"std\": [0.2, 0.2, -0.2]}", {"'std'", "above 0"}},
      {"{\"scale\": 0}", {"'scale'"}},
      {"{\"scale\": 1e39}", {"'scale'", "out of range"}},
      {"{\"scale\": 1e999}", {"not valid JSON"}},
      {"{\"scale\": NaN}", {"not valid JSON"}},
      {"{\"scale\": null}", {"'scale'", "number"}},
      {"{\"absolute\": 1}", {"'absolute'", "true or false"}},
      {"{\"unit\": \"feet\"}", {"'unit'"}},
      {"{\"output\": \"colour\"}", {"'output'", "disparity"}},
      {"{\"min_depth\": 0}", {"'min_depth'"}},
      {"{\"max_depth\": 0.05}", {"'max_depth'", "min_depth"}},
      {"{\"mean\": [[[[[[[[]]]]]]]]}", {"nested deeper", "'mean'"}},
  };
  for (const Case& c : cases) {
    INFO(c.text);
    ModelConfig config;
    std::vector<std::string> parts = c.parts;
    parts.push_back("fathom.config");
    CHECK_THROWS_MATCHES(apply_config(config, c.text), Error, Fails(ErrorKind::model, parts));
    CHECK(config == ModelConfig{});
  }
}
