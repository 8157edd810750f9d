// One table of cases per op. It drives: the reference against PyTorch's numbers, every backend against the reference,
// and the micro-benchmarks. The sizes are small and uneven on purpose.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "engine/ops.hpp"

namespace fathom::test {

struct Case {
  std::string name;  // "conv2d/stride_2": unique; also the key of its golden numbers and the seed of its inputs
  Op op;
  std::vector<Desc> in;  // data, then parameters; dense (channels-last, parameters row-major)
  float low = -1;        // data inputs are spread over [low, high)
  float high = 1;
};

// The values of every input in logical order (N, C, H, W; O, I, H, W), made from the case's name by the formula of
// engine/synthetic: parameters as a checkpoint's "NAME.weight", ..., data "NAME.in0", ... u8 inputs hold whole numbers.
std::vector<std::vector<float>> values_of(const Case& c);

// How many of the inputs are data; the rest are parameters.
std::size_t data_inputs(const Op& op, std::size_t inputs);

// A case in full, on one line.
std::string to_json(const Case& c);

// A convolution "conv2d/NAME" with the inputs that the op's fields ask for: sources, gate, residual, weight, bias. For
// tables of what only one backend has.
Case conv_case(const std::string& name, Conv2d op, std::vector<Desc> sources, int out_channels, Size2 kernel);

// The same case with `n` images.
Case with_batch(const Case& c, std::int64_t n);

// An op that has no table does not compile.
template <class O>
std::vector<Case> cases_for() = delete;
template <>
std::vector<Case> cases_for<Conv2d>();
template <>
std::vector<Case> cases_for<InvertedResidual>();
template <>
std::vector<Case> cases_for<ConvTranspose2d>();
template <>
std::vector<Case> cases_for<Linear>();
template <>
std::vector<Case> cases_for<ChannelGate>();
template <>
std::vector<Case> cases_for<BatchNorm>();
template <>
std::vector<Case> cases_for<Activation>();
template <>
std::vector<Case> cases_for<Pool>();
template <>
std::vector<Case> cases_for<ConvPool>();
template <>
std::vector<Case> cases_for<PoolChain>();
template <>
std::vector<Case> cases_for<GlobalMean>();
template <>
std::vector<Case> cases_for<Add>();
template <>
std::vector<Case> cases_for<Multiply>();
template <>
std::vector<Case> cases_for<Affine>();
template <>
std::vector<Case> cases_for<Concat>();
template <>
std::vector<Case> cases_for<Resize>();
template <>
std::vector<Case> cases_for<PixelShuffle>();
template <>
std::vector<Case> cases_for<Pad>();
template <>
std::vector<Case> cases_for<Slice>();
template <>
std::vector<Case> cases_for<Reshape>();
template <>
std::vector<Case> cases_for<BoxFilter>();
template <>
std::vector<Case> cases_for<GuidedFilter>();
template <>
std::vector<Case> cases_for<Preprocess>();
template <>
std::vector<Case> cases_for<DisparityToDepth>();

// Convolutions with what only some backends take on (engine/passes/passes.hpp, Fusions): photographs (u8) as sources,
// products at the small size, photographs that are pooled, prologues, gates and addends where results are stored, pixel shuffles, branches.
std::vector<Case> fused_cases();

// The tables of all alternatives of Op, in their order.
std::vector<Case> all_cases();

}  // namespace fathom::test
