// What the reference kernels share: a step's head, operands as views, and the loop over a map.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>

#include "engine/step.hpp"

namespace fathom::reference {

// May the output lie on an input? Only where each element is read just before it is written.
enum class Reuse { none, same_element };

// The step of an op without its `run`; throws Error{unsupported} for what these kernels do not read or write.
Step begin(const Op& op, const NodeIo& io, Reuse reuse = Reuse::none);

// One input as the loops see it. A constant is read once, when this is made, and kept.
class Input {
 public:
  explicit Input(const Operand& operand) : Input(&operand) {}
  explicit Input(const Operand* operand) {  // null: the op has no such input
    if (operand) operand_ = *operand, given_ = true;
    if (operand_.constant) kept_ = operand_.constant->values();
  }
  explicit operator bool() const { return given_; }
  View<const float, 4> operator()(const RunArgs& args) const {
    if (!given_) return {};
    return kept_ ? view<const float, 4>(operand_.desc, kept_.get()) : args.view<const float>(operand_);
  }

 private:
  bool given_ = false;
  Operand operand_;
  std::shared_ptr<const float[]> kept_;
};

// f(n, c, h, w) for every element of a map, in the order of channels-last memory.
template <class F>
void for_each(const Desc& map, F&& f) {
  for (std::int64_t n = 0; n < map.n(); ++n)
    for (std::int64_t h = 0; h < map.h(); ++h)
      for (std::int64_t w = 0; w < map.w(); ++w)
        for (std::int64_t c = 0; c < map.c(); ++c) f(n, c, h, w);
}

// f(x) of an Activation. Comparisons are written so that NaN stays NaN.
inline double apply(const Activation& f, double x) {
  const auto relu6 = [](double v) { return v < 0 ? 0 : v > 6 ? 6 : v; };
  switch (f.kind) {
    case ActivationKind::none: return x;
    case ActivationKind::relu: return x < 0 ? 0 : x;
    case ActivationKind::relu6: return relu6(x);
    case ActivationKind::leaky_relu: return x < 0 ? f.alpha * x : x;
    case ActivationKind::elu: return x < 0 ? f.alpha * std::expm1(x) : x;
    case ActivationKind::sigmoid: return 1 / (1 + std::exp(-x));
    case ActivationKind::hard_sigmoid: return relu6(x + 3) / 6;
    case ActivationKind::hard_swish: return x * relu6(x + 3) / 6;
  }
  return x;
}

}  // namespace fathom::reference
