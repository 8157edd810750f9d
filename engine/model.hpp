// A model as it was loaded: what network it is, how photographs go in, and its weights. Builds the graph for any frame.
#pragma once

#include "engine/model_config.hpp"
#include "fathom/frame.hpp"
#include "models/architectures.hpp"

namespace fathom {

struct Model {
  std::string name;                            // the architecture's, or "graph" where the file describes its own
  const Architecture* architecture = nullptr;  // null: graph_json says it
  std::string graph_json;
  ModelConfig config;
  Weights weights;
  bool synthetic = false;  // the weights say nothing: `synthesize` made them
};

Model open_model(const std::string& path, std::int64_t budget_bytes);
// The architecture with the synthetic weights that tests and benchmarks use where there are no trained ones.
Model synthetic_model(const std::string& architecture, const std::string& seed = "");

// The network's graph as its authors wrote it. Throws Error{shape} for sizes it cannot take, Error{model} when weights
// do not fit.
Graph build_graph(const Model& model, const Frame& frame);

// What a network is made of, without its weights.
struct Census {
  std::int64_t parameters = 0;  // weights, biases, norm scales and shifts, unused ones included; no running statistics
  double multiply_adds = 0;     // at the given frame
};
Census take_census(const Architecture& architecture, const ModelConfig& config, const Frame& frame);
std::vector<Parameter> parameters_of(const Architecture& architecture);

}  // namespace fathom
