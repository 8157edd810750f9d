// The lucky half of placement: short searches in orders changed by chance.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "engine/place_search.hpp"

namespace fathom {

// How long a search in a fixed order takes has a heavy tail: what one bad choice near the bottom spoils, no effort
// above it mends. So many short searches in shuffled orders find what a long one does not. A step is one of two:
//  - Three in four ask for the bound itself, where pruning is sharpest, with a little backtracking.
//  - The fourth asks for a little less than the arena, almost without. Where it succeeds, later steps start from its
//    order too.
// Chance is seeded with a constant: the same problem takes the same steps every time.
class PlaceClimb {
 public:
  PlaceClimb(PlaceSearch& search, std::size_t buffers);
  // found: search.offset() holds a smaller arena. refuted: nothing fits capacity().
  PlaceSearch::End step(std::int64_t bound, std::int64_t arena, Effort& effort);
  std::int64_t capacity() const { return capacity_; }

 private:
  struct Start {
    Strategy strategy;
    std::vector<int> order;
  };
  std::vector<int> shuffled(const std::vector<int>& order, double reach);

  PlaceSearch& search_;
  std::int64_t buffers_, capacity_ = 0;
  std::uint64_t steps_ = 0;
  std::vector<Start> starts_;  // one per strategy, then the last that succeeded
  std::mt19937_64 random_{1};
};

}  // namespace fathom
