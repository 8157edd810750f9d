#include "engine/place_climb.hpp"

#include <algorithm>

namespace fathom {

namespace {

// How far a buffer may move back in its order, as a share of all.
constexpr double reaches[] = {0.02, 0.05, 0.1, 0.2, 0.4};

}  // namespace

PlaceClimb::PlaceClimb(PlaceSearch& search, std::size_t buffers)
    : search_(search), buffers_(static_cast<std::int64_t>(buffers)) {
  for (const Strategy& s : strategies) starts_.push_back({s, search.in_order_of(s.rank)});
}

PlaceSearch::End PlaceClimb::step(std::int64_t bound, std::int64_t arena, Effort& effort) {
  const std::uint64_t turn = steps_++;
  const bool for_the_bound = turn % 4 != 3;
  const Start& from = starts_[random_() % starts_.size()];
  Start to{from.strategy, shuffled(from.order, reaches[random_() % std::size(reaches)])};
  capacity_ = for_the_bound ? bound : arena - 1 - (arena - 1 - bound) / 16;
  const std::int64_t most_nodes = for_the_bound ? 3 * buffers_ : buffers_ + buffers_ / 16;
  const PlaceSearch::End end = search_.run(capacity_, to.strategy, to.order, most_nodes, effort);
  if (end == PlaceSearch::End::found) {
    starts_.resize(std::size(strategies));
    starts_.push_back(std::move(to));
  }
  return end;
}

std::vector<int> PlaceClimb::shuffled(const std::vector<int>& order, double reach) {
  std::vector<std::pair<double, int>> moved;
  const double most = reach * static_cast<double>(order.size());
  for (std::size_t k = 0; k < order.size(); ++k)  // 53 random bits: a number in [0, 1)
    moved.emplace_back(static_cast<double>(k) + most * static_cast<double>(random_() >> 11) * 0x1p-53, order[k]);
  std::sort(moved.begin(), moved.end());
  std::vector<int> result;
  for (const auto& [place, b] : moved) result.push_back(b);
  return result;
}

}  // namespace fathom
