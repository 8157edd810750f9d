// Everything that a program does with a model file before it runs the network: for hostile files and fuzzing.
#pragma once

#include <memory>
#include <stdexcept>

#include "engine/graph_json.hpp"
#include "engine/model_file.hpp"

namespace fathom {

// A graph that was accepted is sound, can be printed, written as JSON, and read again.
inline void use_graph(const Graph& graph, const Weights& weights, int batch, int height, int width) {
  validate(graph);
  to_text(graph);
  multiply_adds(graph);
  const std::string text = graph_to_json(graph);
  const Graph again = graph_from_json(text, weights, batch, height, width);
  if (graph_to_json(again) != text || to_text(again) != to_text(graph))
    throw std::logic_error("a graph changed on its way through JSON: " + text);
}

inline void use_model(std::shared_ptr<const SafetensorsFile> file) {
  const ModelFile model = model_from(std::move(file));
  check_finite(model);
  ModelConfig config;
  if (!model.config_json.empty()) {
    apply_config(config, model.config_json);
    ModelConfig again;
    apply_config(again, config_to_json(config));
    if (again != config)
      throw std::logic_error("a configuration changed on its way through JSON: " + model.config_json);
  }
  if (!model.graph_json.empty())
    use_graph(graph_from_json(model.graph_json, model.weights, 1, 32, 64), model.weights, 1, 32, 64);
}

}  // namespace fathom
