// What the tests of whole networks on a GPU share.
#pragma once

#include "engine/graph_json.hpp"
#include "engine/model_file.hpp"
#include "fathom/fathom.hpp"
#include "tests/catch.hpp"
#include "tests/engine/temporary.hpp"
#include "tests/models/cuda/narrow.hpp"
#include "tests/models/golden.hpp"

namespace fathom::test {

using Pictures = std::vector<std::vector<std::uint8_t>>;  // one an input

inline Pictures pictures_for(const Engine& engine, const Frame& frame) {
  Pictures pictures;
  for (const TensorInfo& i : engine.inputs(frame))
    pictures.push_back(synthetic_image(frame.batch * frame.height, frame.width, i.name));
  return pictures;
}

inline std::vector<const void*> pointers_to(const Pictures& pictures) {
  std::vector<const void*> list;
  for (const auto& p : pictures) list.push_back(p.data());
  return list;
}

using Outputs = std::map<std::string, std::vector<float>>;

// All outputs of a session, from and to the host's memory.
inline Outputs run_all(const Engine& engine, Session& session, const Frame& frame, const Pictures& pictures) {
  Outputs outputs;
  std::vector<NamedOutput> named;
  for (const TensorInfo& o : engine.outputs(frame)) {
    auto& values = outputs[o.name];
    values.assign(static_cast<std::size_t>(o.shape[0] * o.shape[1] * o.shape[2] * o.shape[3]), std::nanf(""));
    named.push_back({o.name, values.data()});
  }
  session.run_from_host(frame, pointers_to(pictures), named);
  return outputs;
}

// The largest error of all outputs.
inline double error_of(const Outputs& got, const Outputs& wanted) {
  double worst = got.size() == wanted.size() ? 0 : INFINITY;
  for (const auto& [name, values] : wanted)
    worst = std::max(worst, got.contains(name) ? error_of(got.at(name), values) : INFINITY);
  return worst;
}

// A model file of an architecture whose channels are divided, at one size.
inline void write_narrowed(const std::string& path, const std::string& architecture, const Frame& frame, int divisor) {
  const Architecture& a = find_architecture(architecture);
  ModelConfig config = a.config;
  config.input_width = frame.width, config.input_height = frame.height, config.crop_width = config.crop_height = 0;
  check_size(a, frame);
  Network network(nullptr);
  a.build(network, frame, config);
  Narrowed made = narrow(network.graph, divisor);
  ModelFile file;
  file.config_json = config_to_json(config), file.graph_json = graph_to_json(made.graph),
  file.weights = std::move(made.weights);
  write_model_file(path, file);
}

inline double tolerance_of(Precision p) { return p == Precision::fp32 ? 1e-4 : 1e-2; }
inline const char* name_of(Precision p) {
  return p == Precision::fp32 ? "fp32" : p == Precision::fp16 ? "fp16" : "tf32";
}

}  // namespace fathom::test
