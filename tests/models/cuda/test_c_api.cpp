// The C face on a GPU: kernels chosen by timing.
#include <cuda_runtime_api.h>

#include <cstring>
#include <fstream>
#include <iterator>

#include "fathom/fathom.h"
#include "tests/models/cuda/networks.hpp"

using namespace fathom;
using namespace fathom::test;

namespace {

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// y = relu(3x3 convolution of x (1, 16, 6, 10)), as a model file.
void write_one_convolution(const std::string& path) {
  Graph graph;
  ModelFile file;
  const Desc weight = Desc::dense({16, 16, 3, 3});
  file.weights["conv.weight"] = Constant::of(weight, synthetic_parameter("conv.weight", weight));
  const Value x = graph.add_input("x", Desc::nhwc(1, 16, 6, 10));
  const Value w = graph.add_constant("conv.weight", file.weights["conv.weight"]);
  const Value y = graph.add(Conv2d{.padding = 1, .activation = {ActivationKind::relu}}, {x, w}, "conv");
  graph.outputs.push_back({"y", y});
  file.graph_json = graph_to_json(graph);
  ModelConfig config;
  config.input_width = 10, config.input_height = 6;
  file.config_json = config_to_json(config);
  write_model_file(path, file);
}

// Its output by an engine with this tuning file (null: none), and the engine's warning.
std::vector<float> run(const std::string& model, const char* tuning, std::string& warning) {
  const fathom_options options = {FATHOM_CUDA, FATHOM_FP32, 0, 0, 0, 0, tuning};
  fathom_engine* const engine = fathom_engine_load(model.c_str(), &options);
  INFO(fathom_last_error());
  REQUIRE(engine);
  fathom_session* const session = fathom_session_create(engine);
  REQUIRE(session);
  std::vector<float> x(16 * 6 * 10), y(x.size());
  for (std::size_t k = 0; k < x.size(); ++k) x[k] = static_cast<float>(k % 7) - 3;
  const std::size_t bytes = x.size() * sizeof(float);
  void *in = nullptr, *out = nullptr;
  REQUIRE((cudaMalloc(&in, bytes) == cudaSuccess && cudaMalloc(&out, bytes) == cudaSuccess));
  REQUIRE(cudaMemcpy(in, x.data(), bytes, cudaMemcpyHostToDevice) == cudaSuccess);
  const void* inputs[] = {in};
  const char* names[] = {"y"};
  float* outputs[] = {static_cast<float*>(out)};
  CHECK(fathom_run(session, 1, 6, 10, inputs, 1, names, outputs, 1, nullptr) == FATHOM_OK);
  REQUIRE(cudaMemcpy(y.data(), out, bytes, cudaMemcpyDeviceToHost) == cudaSuccess);
  (void)cudaFree(in), (void)cudaFree(out);
  warning = fathom_engine_warning(engine);
  fathom_session_free(session);
  fathom_engine_free(engine);
  return y;
}

}  // namespace

TEST_CASE("cuda: the C API times kernels and keeps the choices", "[networks]") {
  const TemporaryFolder folder;
  const std::string model = folder / "model.safetensors", path = folder / "choices.txt";
  write_one_convolution(model);
  std::string warning;
  const std::vector<float> plain = run(model, nullptr, warning);
  CHECK(run(model, "", warning) == plain);
  CHECK(error_of(run(model, path.c_str(), warning), plain) <= 1e-5);
  CHECK(warning.empty());
  const std::string choices = contents(path);
  CHECK(choices.find("\tConv2d ") != std::string::npos);
  run(model, path.c_str(), warning);
  CHECK(contents(path) == choices);  // nothing was timed again

  std::ofstream(path) << "somebody's own notes\n";
  CHECK(error_of(run(model, path.c_str(), warning), plain) <= 1e-5);
  CHECK(warning.find("left as it is") != std::string::npos);
}
