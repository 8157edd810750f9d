// f(x) of an Activation, in float32. Comparisons let a NaN through.
#pragma once
#include <cmath>
#include <type_traits>

#include "engine/ops.hpp"
#include "platform.cuh"

namespace fathom::gpu {

__device__ inline float relu6(float x) { return x < 0 ? 0 : x > 6 ? 6 : x; }

__device__ inline float apply(const Activation& f, float x) {
  switch (f.kind) {
    case ActivationKind::none: return x;
    case ActivationKind::relu: return x < 0 ? 0 : x;
    case ActivationKind::relu6: return relu6(x);
    case ActivationKind::leaky_relu: return x < 0 ? f.alpha * x : x;
    case ActivationKind::elu: return x < 0 ? f.alpha * expm1f(x) : x;
    case ActivationKind::sigmoid: return 1 / (1 + expf(-x));
    case ActivationKind::hard_sigmoid: return relu6(x + 3) * (1.0f / 6);
    case ActivationKind::hard_swish: return x * relu6(x + 3) * (1.0f / 6);
  }
  return x;
}

// The same for several values; the choice of f is made once.
template <int N>
__device__ inline void apply(const Activation& f, float (&x)[N]) {
  const auto each = [&](auto kind) {
#pragma unroll
    for (int i = 0; i < N; ++i) x[i] = apply(Activation{decltype(kind)::value, f.alpha}, x[i]);
  };
  using enum ActivationKind;
  switch (f.kind) {
    case none: return;
    case relu: return each(std::integral_constant<ActivationKind, relu>());
    case relu6: return each(std::integral_constant<ActivationKind, relu6>());
    case leaky_relu: return each(std::integral_constant<ActivationKind, leaky_relu>());
    case elu: return each(std::integral_constant<ActivationKind, elu>());
    case sigmoid: return each(std::integral_constant<ActivationKind, sigmoid>());
    case hard_sigmoid: return each(std::integral_constant<ActivationKind, hard_sigmoid>());
    case hard_swish: return each(std::integral_constant<ActivationKind, hard_swish>());
  }
}

}  // namespace fathom::gpu
