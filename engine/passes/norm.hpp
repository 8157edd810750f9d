// A norm's constants as a scale and a shift.
#pragma once

#include <bit>
#include <cmath>

#include "engine/passes/constants.hpp"

namespace fathom {

struct ScaleAndShift {
  Value scale, shift;
};

// y = scale x + shift is what the norm computes.
inline ScaleAndShift scale_and_shift(Graph& graph, const Node& norm) {
  const float eps = std::get<BatchNorm>(norm.op).eps;
  const Numbers gamma = graph[norm.in[1]].constant, beta = graph[norm.in[2]].constant,
                mean = graph[norm.in[3]].constant, var = graph[norm.in[4]].constant;
  std::string by = " of a norm by ";
  for (std::size_t k = 1; k < 5; ++k) by += graph[norm.in[k]].name + ", ";
  by += "eps " + std::to_string(std::bit_cast<std::uint32_t>(eps));
  const Desc desc = gamma->desc;
  const auto slope = [=](std::int64_t c, const float* g, const float* v) {
    return g[c] / std::sqrt(static_cast<double>(v[c]) + eps);
  };
  const auto scale = lazily(desc, [=](float* to) {
    const auto g = gamma->values(), v = var->values();
    for (std::int64_t c = 0; c < desc.elements(); ++c) to[c] = static_cast<float>(slope(c, g.get(), v.get()));
  });
  const auto shift = lazily(desc, [=](float* to) {
    const auto g = gamma->values(), v = var->values(), b = beta->values(), m = mean->values();
    for (std::int64_t c = 0; c < desc.elements(); ++c)
      to[c] = static_cast<float>(static_cast<double>(b[c]) - slope(c, g.get(), v.get()) * static_cast<double>(m[c]));
  });
  return {add_once(graph, "scale" + by, scale), add_once(graph, "shift" + by, shift)};
}

}  // namespace fathom
