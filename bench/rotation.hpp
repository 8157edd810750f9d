// How the inputs of a network lie in a GPU's memory while it is timed: in so many buffers, used in turns, that none is
// still in the L2 cache when its turn comes. A camera's pictures come from memory too.
#pragma once

#include <cstdint>
#include <string>

namespace fathom {

struct Rotation {
  int buffers = 1;
  std::int64_t bytes = 0;        // of all of them
  std::int64_t cache_bytes = 0;  // of the L2; 0: not known
};

// Twice the cache together, with no more buffers than can be set up in a moment.
Rotation rotation_of(std::int64_t input_bytes, std::int64_t cache_bytes);

// "rotated past L2 (284 buffers)", or what it is instead.
std::string to_text(const Rotation& rotation);

}  // namespace fathom
