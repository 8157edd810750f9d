#include "engine/model.hpp"

#include "engine/graph_json.hpp"
#include "engine/model_file.hpp"
#include "engine/synthetic.hpp"
#include "fathom/error.hpp"

namespace fathom {

namespace {

Network listing(const Architecture& architecture, const ModelConfig& config, const Frame& frame) {
  Network network(nullptr);
  architecture.build(network, frame, config);
  return network;
}

bool ends_with(const std::string& text, const char* ending) { return text.ends_with(ending); }

}  // namespace

Model open_model(const std::string& path, std::int64_t budget_bytes) {
  ModelFile file = load_model_file(path, budget_bytes);
  Model model;
  try {
    if (!file.graph_json.empty()) {
      model.name = "graph";
    } else {
      model.architecture = &find_architecture(file.architecture);
      model.name = file.architecture;
      model.config = model.architecture->config;
    }
    if (!file.config_json.empty()) apply_config(model.config, file.config_json);
    model.graph_json = std::move(file.graph_json);
    model.weights = std::move(file.weights);
    // Weights are checked now, at the model's own size, and not when the first photograph comes.
    const Graph graph = build_graph(model, {1, model.config.crop_height ? model.config.crop_height : model.config.input_height,
                        model.config.crop_width ? model.config.crop_width : model.config.input_width});
    // What a graph says about its primary output holds where the configuration is silent.
    if (const Output& primary = graph.outputs.at(0); !model.architecture && primary.kind != OutputKind::tensor) {
      model.config = {.output = primary.kind, .scale = primary.scale};
      if (!file.config_json.empty()) apply_config(model.config, file.config_json);
    }
  } catch (const Error& e) {
    const bool unknown = e.kind() == ErrorKind::usage;  // an architecture's name: the file's fault, not the caller's
    throw Error(unknown ? ErrorKind::model : e.kind(), path + ": " + e.what());
  }
  return model;
}

Model synthetic_model(const std::string& name, const std::string& seed) {
  Model model;
  model.architecture = &find_architecture(name);
  model.name = name;
  model.config = model.architecture->config;
  model.weights = synthetic_weights(parameters_of(*model.architecture), seed);
  model.synthetic = true;
  return model;
}

Graph build_graph(const Model& model, const Frame& frame) {
  if (frame.batch < 1) throw Error(ErrorKind::shape, "the batch must be at least 1, got " + std::to_string(frame.batch));
  if (!model.architecture) return graph_from_json(model.graph_json, model.weights, frame.batch, frame.height, frame.width);
  check_size(*model.architecture, frame);
  Network network(&model.weights);
  model.architecture->build(network, frame, model.config);
  network.check_weights();
  return std::move(network.graph);
}

std::vector<Parameter> parameters_of(const Architecture& architecture) {
  const ModelConfig& c = architecture.config;
  return listing(architecture, c, {1, c.crop_height ? c.crop_height : c.input_height, c.crop_width ? c.crop_width : c.input_width}).parameters();
}

Census take_census(const Architecture& architecture, const ModelConfig& config, const Frame& frame) {
  const Network network = listing(architecture, config, frame);
  Census census;
  for (const Parameter& p : network.parameters())
    if (!ends_with(p.name, "running_mean") && !ends_with(p.name, "running_var") && !ends_with(p.name, "num_batches_tracked"))
      census.parameters += p.desc.elements();
  census.multiply_adds = multiply_adds(network.graph);
  return census;
}

}  // namespace fathom
