#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/emulator/emu.hpp"

namespace fathom::emu {

struct ThreadState;

// First in, first out, except that what a warp operation releases may go in front.
class RunQueue {
 public:
  void reset(std::size_t threads, Order order, std::uint64_t seed);
  void push(std::vector<ThreadState*>& group, bool in_front);  // in the order of the policy
  ThreadState* pop();

 private:
  std::uint32_t random(std::uint32_t bound);
  std::vector<ThreadState*> ring_;  // its size is a power of two
  std::size_t head_ = 0, count_ = 0;
  Order order_ = Order::in_order;
  std::uint64_t state_ = 1;
};

}  // namespace fathom::emu
