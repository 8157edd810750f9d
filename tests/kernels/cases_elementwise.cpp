// Cases of what treats every element by itself: activations, sums, products, norms, the reading of a disparity.
#include "tests/kernels/cases.hpp"

namespace fathom::test {

namespace {

Desc map(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) { return Desc::nhwc(n, c, h, w); }

}  // namespace

template <>
std::vector<Case> cases_for<Activation>() {
  std::vector<Case> t;
  for (std::size_t k = 0; k < enum_names<ActivationKind>.size(); ++k) {
    const auto kind = static_cast<ActivationKind>(k);
    const std::string name = "activation/" + std::string(activation_names[k]);
    t.push_back({name, Activation{kind}, {map(1, 33, 3, 5)}, -8, 8});
    t.push_back({name + "_c1_batch_3", Activation{kind, 0.2f}, {map(3, 1, 7, 3)}, -8, 8});
  }
  t.push_back({"activation/sigmoid_far", Activation{ActivationKind::sigmoid}, {map(1, 31, 1, 5)}, -100, 100});
  t.push_back({"activation/elu_far", Activation{ActivationKind::elu, 0.5f}, {map(1, 3, 9, 1)}, -100, 100});
  t.push_back({"activation/elu_near_0", Activation{ActivationKind::elu}, {map(1, 3, 5, 5)}, -1e-3f, 1e-3f});
  return t;
}

template <>
std::vector<Case> cases_for<Add>() {
  const auto add = [](const std::string& name, Activation f, const Desc& x) {
    return Case{"add/" + name, Add{f}, {x, x}};
  };
  const auto several = [](const std::string& name, Activation f, const Desc& x, std::size_t count) {
    return Case{"add/" + name, Add{f}, std::vector<Desc>(count, x)};
  };
  return {add("c1", {}, map(1, 1, 5, 7)),
          add("c33_relu", {ActivationKind::relu}, map(1, 33, 4, 5)),
          add("c31_batch_3", {}, map(3, 31, 3, 2)),
          add("map_1x17_elu", {ActivationKind::elu, 0.5f}, map(1, 3, 1, 17)),
          add("map_17x1_leaky_relu", {ActivationKind::leaky_relu, 0.1f}, map(2, 8, 17, 1)),
          add("relu6", {ActivationKind::relu6}, map(1, 16, 5, 3)),
          several("three_c33_relu", {ActivationKind::relu}, map(1, 33, 4, 5), 3),
          several("five_batch_3", {}, map(3, 8, 3, 4), 5),
          several("eight_c1", {}, map(2, 1, 3, 7), 8),
          several("eight_c24", {}, map(1, 24, 5, 3), 8)};
}

template <>
std::vector<Case> cases_for<Multiply>() {
  const auto multiply = [](const std::string& name, Activation f, const Desc& a, const Desc& b) {
    return Case{"multiply/" + name, Multiply{f}, {a, b}};
  };
  return {multiply("same_c33", {}, map(1, 33, 3, 4), map(1, 33, 3, 4)),
          multiply("same_c1_batch_3", {ActivationKind::relu}, map(3, 1, 5, 7), map(3, 1, 5, 7)),
          multiply("gate_c31", {}, map(1, 31, 4, 5), map(1, 31, 1, 1)),
          multiply("gate_batch_3_hard_swish", {ActivationKind::hard_swish}, map(3, 16, 3, 5), map(3, 16, 1, 1)),
          multiply("mask_c3", {}, map(2, 3, 5, 6), map(2, 1, 5, 6)),
          multiply("mask_c33", {}, map(1, 33, 2, 3), map(1, 1, 2, 3)),
          multiply("one_number_each", {}, map(3, 5, 2, 4), map(3, 1, 1, 1)),
          multiply("row", {}, map(1, 4, 3, 7), map(1, 4, 1, 7))};
}

template <>
std::vector<Case> cases_for<Affine>() {
  return {{"affine/identity", Affine{}, {map(1, 3, 4, 5)}},
          {"affine/scale", Affine{0.3f, 0}, {map(1, 33, 2, 3)}},
          {"affine/shift_batch_3", Affine{-2, 0.7f}, {map(3, 1, 5, 3)}},
          {"affine/to_image", Affine{1 / 0.225f, -0.45f / 0.225f}, {map(1, 3, 1, 31)}, 0, 1}};
}

template <>
std::vector<Case> cases_for<BatchNorm>() {
  const auto norm = [](const std::string& name, const BatchNorm& op, const Desc& x) {
    const Desc per_channel = Desc::dense({x.c()});
    return Case{"batch_norm/" + name, op, {x, per_channel, per_channel, per_channel, per_channel}};
  };
  return {norm("c1", {}, map(1, 1, 5, 7)),
          norm("c3_batch_3", {}, map(3, 3, 4, 5)),
          norm("c31", {}, map(1, 31, 3, 4)),
          norm("c33_relu", {.activation = {ActivationKind::relu}}, map(1, 33, 3, 5)),
          norm("eps_1e-3_map_1x17", {.eps = 1e-3f, .activation = {ActivationKind::hard_swish}}, map(1, 16, 1, 17)),
          norm("eps_half", {.eps = 0.5f}, map(2, 9, 3, 4)),
          norm("c130_map_1x1", {}, map(2, 130, 1, 1))};
}

template <>
std::vector<Case> cases_for<DisparityToDepth>() {
  return {{"disparity_to_depth/default", DisparityToDepth{}, {map(1, 1, 6, 9)}, 0, 1},
          {"disparity_to_depth/batch_3", DisparityToDepth{1, 80}, {map(3, 1, 4, 5)}, 0, 1},
          {"disparity_to_depth/c3_map_1x7", DisparityToDepth{0.1f, 10}, {map(1, 3, 1, 7)}, 0, 1}};
}

}  // namespace fathom::test
