// act(a (conv(x, w) + b - mean) + beta) = act(conv(x, a w) + a (b - mean) + beta),  a = gamma / sqrt(var + eps) per
// channel
#include <bit>
#include <cmath>
#include <cstdint>

#include "engine/passes/constants.hpp"
#include "engine/passes/rewrite.hpp"

namespace fathom {

namespace {

struct Norm {
  double eps;
  Numbers gamma, beta, mean, var;
};

std::vector<double> scales(const Norm& norm) {
  const auto gamma = norm.gamma->values(), var = norm.var->values();
  std::vector<double> a(static_cast<std::size_t>(norm.gamma->desc.elements()));
  for (std::size_t o = 0; o < a.size(); ++o) a[o] = gamma[o] / std::sqrt(var[o] + norm.eps);
  return a;
}

// a w. `channel(k)` is the output channel of the k-th weight.
Numbers scaled_weight(const Numbers& weight, const Norm& norm,
                      const std::function<std::int64_t(std::int64_t)>& channel) {
  return lazily(weight->desc, [=](float* result) {
    const auto w = weight->values();
    const std::vector<double> a = scales(norm);
    for (std::int64_t k = 0; k < weight->desc.elements(); ++k)
      result[k] = static_cast<float>(a[static_cast<std::size_t>(channel(k))] * static_cast<double>(w[k]));
  });
}

// a (b - mean) + beta; no bias: b = 0.
Numbers shifted_bias(const Numbers& bias, const Norm& norm) {
  return lazily(norm.beta->desc, [=](float* result) {
    const auto mean = norm.mean->values(), beta = norm.beta->values();
    const auto b = bias ? bias->values() : nullptr;
    const std::vector<double> a = scales(norm);
    for (std::size_t o = 0; o < a.size(); ++o)
      result[o] = static_cast<float>(a[o] * ((b ? static_cast<double>(b[o]) : 0.0) - static_cast<double>(mean[o])) +
                                     static_cast<double>(beta[o]));
  });
}

// Which output channel a weight belongs to: its first index in Conv2d (O, C/g, kh, kw); in ConvTranspose2d
// (C, O/g, kh, kw) the second, within the group of the first.
std::function<std::int64_t(std::int64_t)> output_channel(const Op& op, const Desc& w) {
  const std::int64_t taps = w.extent[2] * w.extent[3];
  if (const auto* transposed = std::get_if<ConvTranspose2d>(&op)) {
    const std::int64_t in_per_group = w.extent[0] / transposed->groups, out = w.extent[1];
    return [=](std::int64_t k) { return k / (out * taps) / in_per_group * out + k / taps % out; };
  }
  const std::int64_t row = w.extent[1] * taps;
  return [=](std::int64_t k) { return k / row; };
}

// Whether nothing stands between the convolution's sum and its output.
bool is_plain(const Op& op) {
  if (const auto* conv = std::get_if<Conv2d>(&op))
    return !conv->residual && conv->activation.kind == ActivationKind::none;
  return std::get<ConvTranspose2d>(op).activation.kind == ActivationKind::none;
}

}  // namespace

Graph fold_batch_norm(Graph graph) {
  const Structure structure(graph);
  for (Node& node : graph.nodes) {
    const auto* norm_op = std::get_if<BatchNorm>(&node.op);
    if (!norm_op) continue;
    const Node* conv = sole_producer<Conv2d>(graph, structure, node.in[0]);
    if (!conv) conv = sole_producer<ConvTranspose2d>(graph, structure, node.in[0]);
    if (!conv || !is_plain(conv->op)) continue;

    const bool had_bias = parameter_names(conv->op).size() == 2;
    std::vector<Value> in = conv->in;
    const Numbers bias = had_bias ? graph[in.back()].constant : nullptr;
    if (had_bias) in.pop_back();
    const ValueInfo weight = graph[in.back()];
    // Backends keep what they packed by name, so that a name says all that the numbers are made of.
    std::string by;
    for (std::size_t k = 1; k < 5; ++k) by += graph[node.in[k]].name + ", ";
    by += "eps " + std::to_string(std::bit_cast<std::uint32_t>(norm_op->eps));
    const std::string shifted = (had_bias ? graph[conv->in.back()].name : "no bias") + " of " + weight.name;
    const Norm norm{static_cast<double>(norm_op->eps), graph[node.in[1]].constant, graph[node.in[2]].constant,
                    graph[node.in[3]].constant, graph[node.in[4]].constant};
    in.back() = graph.add_constant(weight.name + " scaled by " + by,
                                   scaled_weight(weight.constant, norm, output_channel(conv->op, weight.desc)));
    in.push_back(graph.add_constant(shifted + " shifted by " + by, shifted_bias(bias, norm)));

    Op op = conv->op;
    const auto absorb = [&](auto& o) { o.bias = true, o.activation = norm_op->activation; };
    if (auto* o = std::get_if<Conv2d>(&op)) absorb(*o);
    if (auto* o = std::get_if<ConvTranspose2d>(&op)) absorb(*o);
    take_over(graph, node, *conv, std::move(op), std::move(in));
  }
  return remove_dead(std::move(graph));
}

}  // namespace fathom
