#include "tests/emulator/run_queue.hpp"

#include <algorithm>
#include <utility>

namespace fathom::emu {

void RunQueue::reset(std::size_t threads, Order order, std::uint64_t seed) {
  std::size_t size = 64;
  while (size < 2 * threads) size *= 2;
  if (ring_.size() < size) ring_.resize(size);
  head_ = count_ = 0;
  order_ = order;
  state_ = seed * 0x9E3779B97F4A7C15ull | 1;
}

std::uint32_t RunQueue::random(std::uint32_t bound) {  // xorshift
  state_ ^= state_ << 13, state_ ^= state_ >> 7, state_ ^= state_ << 17;
  return static_cast<std::uint32_t>((state_ >> 32) * bound >> 32);  // a division would cost more than the rest
}

void RunQueue::push(std::vector<ThreadState*>& group, bool in_front) {
  if (order_ == Order::reverse) std::reverse(group.begin(), group.end());
  if (order_ == Order::shuffle) {
    for (std::size_t i = group.size(); i > 1; --i)
      std::swap(group[i - 1], group[random(static_cast<std::uint32_t>(i))]);
    in_front = in_front && random(2) == 0;
  }
  const std::size_t wrap = ring_.size() - 1;
  if (in_front) head_ = (head_ - group.size()) & wrap;
  const std::size_t at = in_front ? head_ : head_ + count_;
  for (std::size_t i = 0; i < group.size(); ++i) ring_[(at + i) & wrap] = group[i];
  count_ += group.size();
}

ThreadState* RunQueue::pop() {
  if (count_ == 0) return nullptr;
  ThreadState* next = ring_[head_];
  head_ = (head_ + 1) & (ring_.size() - 1);
  --count_;
  return next;
}

}  // namespace fathom::emu
