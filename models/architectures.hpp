// The one table of networks: a name, the paper it comes from, its defaults and its builder.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "engine/model_config.hpp"
#include "fathom/frame.hpp"
#include "models/network.hpp"

namespace fathom {

struct Architecture {
  std::string name;    // "hr_depth": fathom.architecture of a model file
  std::string paper;   // authors, venue, and the module it stands for
  std::string inputs;  // "photograph", "photograph, right photograph", "earlier frame, later frame"
  ModelConfig config;  // the paper's own
  int multiple;        // height and width must be multiples of this
  int smallest;        // and at least this
  std::function<void(Network& g, const Frame& frame, const ModelConfig& config)> build;
};

std::span<const Architecture> architectures();  // grouped by paper
// Throws Error{usage} with the nearest names when there is no such one.
const Architecture& find_architecture(const std::string& name);
// Throws Error{shape} that names the nearest legal sizes (WxH) unless the frame suits the architecture.
void check_size(const Architecture& architecture, const Frame& frame);

}  // namespace fathom
