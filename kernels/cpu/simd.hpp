// What the vector loops share: compilation for several instruction sets, and the activations as functors.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "engine/ops.hpp"

// A function with FATHOM_CLONES is compiled for AVX-512, AVX2 and plain x86-64; the loader picks by the machine. Loops
// of an OpenMP region are outlined before that happens: call such functions from parallel_for, don't put one inside.
// (Sanitizers cannot run before relocations are done, where the pick is made; elsewhere the compiler's default is
// used.)
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && __GNUC__ >= 11 && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define FATHOM_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FATHOM_CLONES
#endif
// Inlined into every clone, so that it is compiled for the clone's instruction set.
#define FATHOM_INLINE [[gnu::always_inline]] inline

namespace fathom::cpu {

// e^x - 1 within 2 units in the last place of e^x for x <= 88, without branches, so that loops over it become vectors.
//   x = k ln 2 + r, |r| <= ln 2 / 2;  e^x - 1 = 2^k (e^r - 1) + (2^k - 1)
FATHOM_INLINE float fast_expm1(float x) {
  constexpr float shift = 12582912.f;  // 1.5 * 2^23: adding it rounds to a whole number
  x = x < -87.f ? -87.f : x;
  x = x > 88.f ? 88.f : x;
  const float rounded = x * 1.44269504f + shift;
  const float k = rounded - shift;
  const float r = (x - k * 0.693359375f) + k * 2.12194440e-4f;
  float p = 1.f / 5040;
  p = p * r + 1.f / 720;
  p = p * r + 1.f / 120;
  p = p * r + 1.f / 24;
  p = p * r + 1.f / 6;
  p = p * r + 0.5f;
  p = p * r * r + r;
  const float power = std::bit_cast<float>((std::bit_cast<std::int32_t>(rounded) + 127) << 23);
  return p * power + (power - 1);
}

// Calls body(f) with the activation as a functor of one float: the choice is made outside the loop.
template <class Body>
FATHOM_INLINE void with_activation(const Activation& a, Body&& body) {
  const float alpha = a.alpha;
  switch (a.kind) {
    case ActivationKind::none: body([](float x) { return x; }); return;
    case ActivationKind::relu: body([](float x) { return x < 0 ? 0 : x; }); return;
    case ActivationKind::relu6: body([](float x) { return x < 0 ? 0 : x > 6 ? 6 : x; }); return;
    case ActivationKind::leaky_relu: body([alpha](float x) { return x < 0 ? alpha * x : x; }); return;
    case ActivationKind::elu: body([alpha](float x) { return x < 0 ? alpha * fast_expm1(x) : x; }); return;
    case ActivationKind::sigmoid: body([](float x) { return 1 / (2 + fast_expm1(-x)); }); return;
    case ActivationKind::hard_sigmoid:
      body([](float x) {
        const float s = x + 3;
        return (s < 0 ? 0 : s > 6 ? 6 : s) * (1.f / 6);
      });
      return;
    case ActivationKind::hard_swish:
      body([](float x) {
        const float s = x + 3;
        return x * (s < 0 ? 0 : s > 6 ? 6 : s) * (1.f / 6);
      });
      return;
  }
}

// y = act(x), where x may be y.
void activate_run(const Activation& act, const float* x, float* y, std::int64_t count);

}  // namespace fathom::cpu
