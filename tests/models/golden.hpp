// Golden files: what the official implementations compute with synthetic weights, and how near a network of ours comes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <filesystem>

#include "engine/safetensors.hpp"
#include "engine/synthetic.hpp"
#include "models/architectures.hpp"
#include "tests/models/run_graph.hpp"

namespace fathom::test {

struct Golden {
  std::string architecture;
  Frame frame;
  Treatment treatment = Treatment::pad;
  std::map<std::string, std::vector<std::uint8_t>> inputs;  // HWC
  std::map<std::string, std::vector<float>> outputs;        // NCHW
};

inline Golden read_golden(const std::string& path) {
  const auto file = SafetensorsFile::open(path);
  Golden golden;
  golden.architecture = file->metadata().at("network");
  if (const auto t = file->metadata().find("treatment"); t != file->metadata().end())
    golden.treatment = t->second == "fit" ? Treatment::fit : Treatment::pad;
  for (const TensorEntry& t : file->entries()) {
    const std::string name = t.name.substr(t.name.find('.') + 1);
    if (t.name.starts_with("input.")) {
      golden.frame = {1, static_cast<int>(t.desc.extent[0]), static_cast<int>(t.desc.extent[1])};
      golden.inputs[name].resize(static_cast<std::size_t>(t.end - t.begin));
      file->read(t, reinterpret_cast<std::byte*>(golden.inputs[name].data()));
    } else {
      const auto values = file->read_floats(t);
      golden.outputs[name].assign(values.get(), values.get() + t.desc.elements());
    }
  }
  return golden;
}

// The network of a golden file with its synthetic weights; `batch` copies of the image.
inline Graph build(const Golden& golden, int batch = 1) {
  const Architecture& a = find_architecture(golden.architecture);
  ModelConfig config = a.config;
  config.treatment = golden.treatment;
  Frame frame = golden.frame;
  frame.batch = batch;
  check_size(a, frame);
  Network list(nullptr);
  a.build(list, frame, config);
  const Weights weights = synthetic_weights(list.parameters());
  Network g(&weights);
  a.build(g, frame, config);
  g.check_weights();
  return g.graph;
}

// max |y - g| / max(max g - min g, max |g| / 10); a NaN gives infinity
inline double error_of(const std::vector<float>& y, const std::vector<float>& g) {
  if (y.size() != g.size()) return INFINITY;
  const auto [low, high] = std::minmax_element(g.begin(), g.end());
  double largest = 0, difference = 0;
  for (std::size_t k = 0; k < g.size(); ++k) {
    if (!std::isfinite(y[k])) return INFINITY;
    largest = std::max(largest, std::abs(static_cast<double>(g[k])));
    difference = std::max(difference, std::abs(static_cast<double>(y[k]) - g[k]));
  }
  return difference / std::max(static_cast<double>(*high) - *low, 0.1 * largest);
}

// Runs the network of a golden file and returns the largest error of its outputs; prints one line, with processor
// seconds.
template <class Backend>
double golden_error(const std::string& path, Backend& backend, const char* backend_name) {
  const std::clock_t start = std::clock();
  const Golden golden = read_golden(path);
  const auto outputs = run_graph(build(golden), golden.inputs, backend);
  double worst = outputs.size() == golden.outputs.size() ? 0 : INFINITY;
  std::string text;
  for (const auto& [name, expected] : golden.outputs) {
    const auto found = outputs.find(name);
    const double error = found == outputs.end() ? INFINITY : error_of(found->second.values, expected);
    char part[64];
    std::snprintf(part, sizeof part, "  %s %.1e", name.c_str(), error);
    text += part, worst = std::max(worst, error);
  }
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;  // of all threads
  std::printf("%-9s %-44s %6.2f s%s\n", backend_name, std::filesystem::path(path).stem().c_str(), seconds,
              text.c_str());
  std::fflush(stdout);
  return worst;
}

}  // namespace fathom::test
