#include "bench/rotation.hpp"

#include <algorithm>

namespace fathom {

Rotation rotation_of(std::int64_t input_bytes, std::int64_t cache_bytes) {
  constexpr std::int64_t times_the_cache = 2, most_buffers = 1024;
  if (input_bytes <= 0 || cache_bytes <= 0) return {1, input_bytes, 0};
  const std::int64_t wanted = (times_the_cache * cache_bytes + input_bytes - 1) / input_bytes;
  const std::int64_t buffers = std::min(wanted, most_buffers);
  return {static_cast<int>(buffers), buffers * input_bytes, cache_bytes};
}

std::string to_text(const Rotation& rotation) {
  if (rotation.cache_bytes == 0) return "warm";
  const std::string buffers = std::to_string(rotation.buffers) + (rotation.buffers == 1 ? " buffer)" : " buffers)");
  if (rotation.bytes > rotation.cache_bytes) return "rotated past L2 (" + buffers;
  return "rotated, but all within L2 (" + buffers;
}

}  // namespace fathom
