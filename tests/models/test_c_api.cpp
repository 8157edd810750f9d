// The C face: the same numbers as Session, and errors as codes with a text.
#include <cstring>
#include <memory>

#include "engine/model.hpp"
#include "engine/model_file.hpp"
#include "engine/synthetic.hpp"
#include "fathom/fathom.h"
#include "fathom/fathom.hpp"
#include "tests/catch.hpp"

using namespace fathom;

TEST_CASE("the C API computes what the C++ API does", "[models]") {
  const std::string path = std::string(FATHOM_BINARY_DIR) + "/c_api_model.safetensors";
  Model model = synthetic_model("mobile_baseline_1");
  write_model_file(path, {model.name, config_to_json(model.config), "", model.weights});

  const std::vector<std::uint8_t> rgb = synthetic_image(60, 80);
  std::vector<float> depth(60 * 80), bare(480 * 640);
  const fathom_options options = {FATHOM_CPU, FATHOM_FP32, 2, 0, 0, 0, nullptr};
  fathom_engine* engine = fathom_engine_load(path.c_str(), &options);
  REQUIRE(engine);
  CHECK(std::string(fathom_engine_network(engine)) == "mobile_baseline_1");
  CHECK((!*fathom_engine_warning(engine) && !*fathom_engine_warning(nullptr)));
  fathom_tensor tensors[2] = {};
  int count = 2;
  REQUIRE(fathom_engine_inputs(engine, 0, 0, 0, tensors, &count) == FATHOM_OK);
  CHECK(
      (count == 1 && tensors[0].kind == std::string("u8") && tensors[0].shape[2] == 480 && tensors[0].shape[3] == 640));
  CHECK(tensors[0].shape[1] == 3);
  CHECK(tensors[1].name == nullptr);  // not touched
  count = 2;
  REQUIRE(fathom_engine_outputs(engine, 3, 96, 128, tensors, &count) == FATHOM_OK);
  CHECK((count == 1 && tensors[0].name == std::string("depth") && tensors[0].kind == std::string("depth")));
  CHECK((tensors[0].shape[0] == 3 && tensors[0].shape[1] == 1 && tensors[0].shape[2] == 96 &&
         tensors[0].shape[3] == 128));
  count = 0;
  CHECK((fathom_engine_outputs(engine, 0, 0, 0, nullptr, &count) == FATHOM_OK && count == 1));
  CHECK((fathom_engine_outputs(engine, 0, 0, 0, tensors, &(count = 0)) == FATHOM_OK && count == 1));
  CHECK(fathom_engine_outputs(engine, -1, 96, 128, tensors, &count) == FATHOM_SHAPE);
  CHECK(fathom_engine_outputs(engine, 0, 0, 0, tensors, nullptr) == FATHOM_USAGE);
  CHECK(fathom_engine_inputs(nullptr, 0, 0, 0, tensors, &count) == FATHOM_USAGE);
  CHECK(fathom_engine_inputs(engine, 0, 0, 0, tensors, &(count = -1)) == FATHOM_USAGE);

  fathom_session* session = fathom_session_create(engine);
  REQUIRE(session);
  REQUIRE(fathom_depth(session, rgb.data(), 80, 60, nullptr, depth.data()) == FATHOM_OK);
  CHECK(std::string(fathom_depth_unit(session)) == "m");

  Session other = Engine::load(path, {.device = Device::cpu, .threads = 2}).session();
  CHECK(depth == other.depth(ImageView(rgb.data(), 80, 60)).depth);

  const std::vector<std::uint8_t> picture = synthetic_image(480, 640);
  const void* inputs[] = {picture.data()};
  const char* names[] = {"depth"};
  float* outputs[] = {bare.data()};
  CHECK(fathom_run(session, 1, 480, 640, inputs, 1, names, outputs, 1, nullptr) == FATHOM_OK);

  names[0] = nullptr;
  CHECK(fathom_run(session, 1, 480, 640, inputs, 1, names, outputs, 1, nullptr) == FATHOM_USAGE);
  names[0] = "no such output";
  CHECK(fathom_run(session, 1, 480, 640, inputs, 1, names, outputs, 1, nullptr) == FATHOM_USAGE);
  CHECK(std::strstr(fathom_last_error(), "no such output"));
  CHECK(fathom_depth(session, nullptr, 80, 60, nullptr, depth.data()) == FATHOM_USAGE);
  CHECK(fathom_depth(nullptr, rgb.data(), 80, 60, nullptr, depth.data()) == FATHOM_USAGE);
  fathom_session_free(session);
  fathom_engine_free(engine);

  CHECK(fathom_engine_load("/no/such/file", nullptr) == nullptr);
  CHECK(std::strstr(fathom_last_error(), "/no/such/file"));
  CHECK(fathom_session_create(nullptr) == nullptr);
  fathom_engine_free(nullptr), fathom_session_free(nullptr);
  CHECK(std::strlen(fathom_version()) > 0);
  std::remove(path.c_str());
}

TEST_CASE("every option of the C API has its effect", "[models]") {
  const std::string path = std::string(FATHOM_BINARY_DIR) + "/c_api_options.safetensors";
  const Model model = synthetic_model("mobile_baseline_1");
  write_model_file(path, {model.name, config_to_json(model.config), "", model.weights});
  const auto load = [&](const fathom_options& options) {
    return std::unique_ptr<fathom_engine, void (*)(fathom_engine*)>(fathom_engine_load(path.c_str(), &options), fathom_engine_free);
  };
  const auto device = [&](const fathom_options& options) {
    const auto engine = load(options);
    return std::string(engine ? fathom_engine_device(engine.get()) : fathom_last_error());
  };
  const auto size = [&](int width, int height) {
    const auto engine = load({FATHOM_CPU, FATHOM_FP32, 1, width, height, 0, nullptr});
    REQUIRE(engine);
    fathom_tensor input{};
    int count = 1;
    REQUIRE(fathom_engine_inputs(engine.get(), 0, 0, 0, &input, &count) == FATHOM_OK);
    return std::pair(input.shape[3], input.shape[2]);
  };
  CHECK(device({FATHOM_CPU, FATHOM_FP32, 3, 0, 0, 0, nullptr}) == Engine::load(path, {.device = Device::cpu, .threads = 3}).device());
  CHECK(device({FATHOM_CPU, FATHOM_FP32, 3, 0, 0, 0, nullptr}) != device({FATHOM_CPU, FATHOM_FP32, 1, 0, 0, 0, nullptr}));
  CHECK(device({FATHOM_REFERENCE, FATHOM_FP32, 0, 0, 0, 0, nullptr}) == Engine::load(path, {.device = Device::reference}).device());
  CHECK(std::strstr(device({FATHOM_CPU, FATHOM_FP16, 0, 0, 0, 0, nullptr}).c_str(), "fp16 runs on a GPU only"));
  CHECK(std::strstr(device({FATHOM_CPU, FATHOM_TF32, 0, 0, 0, 0, nullptr}).c_str(), "tf32 runs on a GPU only"));
  CHECK(std::strstr(device({static_cast<fathom_device>(99), FATHOM_FP32, 0, 0, 0, 0, nullptr}).c_str(), "unknown device"));
  CHECK(std::strstr(device({FATHOM_CPU, static_cast<fathom_precision>(99), 0, 0, 0, 0, nullptr}).c_str(), "unknown precision"));
  CHECK(std::strstr(device({FATHOM_CPU, FATHOM_FP32, -1, 0, 0, 0, nullptr}).c_str(), "threads"));
  CHECK(size(0, 0) == std::pair<std::int64_t, std::int64_t>(640, 480));
  CHECK(size(96, 64) == std::pair<std::int64_t, std::int64_t>(96, 64));
  CHECK(device({FATHOM_CPU, FATHOM_FP32, 0, 0, 0, 1000, nullptr}).find("the budget is 1000") != std::string::npos);
  std::remove(path.c_str());
}
