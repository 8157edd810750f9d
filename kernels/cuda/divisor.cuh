// Division by a number that is known at the launch: a multiplication and a shift.
#pragma once
#include <cstdint>

#include "platform.cuh"

namespace fathom::gpu {

// floor(x / divisor) for 0 <= x < 2^31. With 2^s the power of two from the divisor up, and
// factor = floor(2^32 (2^s - divisor) / divisor) + 1:  x / divisor = (x + x factor / 2^32) / 2^s
struct Divisor {
  int divisor = 1;
  unsigned factor = 1, shift = 0;

  Divisor() = default;
  explicit Divisor(int divisor) : divisor(divisor) {
    while ((std::int64_t{1} << shift) < divisor) ++shift;
    factor = static_cast<unsigned>((std::uint64_t{1} << 32) *
                                       ((std::uint64_t{1} << shift) - static_cast<unsigned>(divisor)) /
                                       static_cast<unsigned>(divisor) +
                                   1);
  }
  __host__ __device__ int quotient(int x) const {
    const unsigned n = static_cast<unsigned>(x), product = static_cast<unsigned>(std::uint64_t{n} * factor >> 32);
    return static_cast<int>((product + n) >> shift);
  }
};

}  // namespace fathom::gpu
