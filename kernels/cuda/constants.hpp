// Parameters on their way to the device: read as float32, laid out as a kernel wants them, packed once.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <string>

#include "engine/cuda/backend_cuda.hpp"
#include "engine/step.hpp"
#include "fathom/error.hpp"

namespace fathom::gpu {

// The numbers of a parameter, as the model file has them.
inline std::shared_ptr<const float[]> constant_values(const Operand& o) {
  if (!o.constant)
    throw Error(ErrorKind::unsupported,
                "'" + o.name + "' on a GPU: a parameter that is computed while running; store it as a constant");
  return o.constant->values();
}

// `count` numbers that fill(values, out) writes, in device memory; null where constants are left out. Layout says everything that fill
// depends on besides the constant. T is float, or std::uint16_t for the bits of halves.
template <class T>
std::shared_ptr<const T> packed(CudaBackend& backend, const Operand& o, const std::string& layout, std::int64_t count,
                                const std::function<void(const float* values, T* out)>& fill) {
  const std::string key = o.name + " as " + layout;
  return std::static_pointer_cast<const T>(
      backend.packed(key, count * static_cast<std::int64_t>(sizeof(T)),
                     [&](std::byte* to) { fill(constant_values(o).get(), reinterpret_cast<T*>(to)); }));
}

// One number a channel, filled up with zeros to a multiple of 8: kernels read them in chunks.
inline std::shared_ptr<const float> packed_channels(CudaBackend& backend, const Operand& o) {
  const std::int64_t c = o.desc.elements(), stored = (c + 7) / 8 * 8;
  return packed<float>(backend, o, "filled up to " + std::to_string(stored), stored,
                       [=](const float* from, float* to) { std::fill_n(std::copy_n(from, c, to), stored - c, 0.0f); });
}

// A weight as a half; what no half can hold names its layer.
inline std::uint16_t checked_half(float value, const Operand& o) {
  if (std::isfinite(value) && std::fabs(value) >= 65520)
    throw Error(ErrorKind::unsupported,
                "'" + o.name + "' holds " + std::to_string(value) + ", beyond what fp16 can hold; use fp32");
  return float_to_half(value);
}

}  // namespace fathom::gpu
