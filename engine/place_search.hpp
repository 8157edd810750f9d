// The exact half of placement: a search for offsets that fit a given capacity.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <unordered_set>
#include <vector>

#include "engine/plan.hpp"

namespace fathom {

// Buffers with their lifetimes in sections of time. A section stands for all neighbouring steps at which the same
// buffers are alive, or only some of those: two buffers meet at a step if and only if they meet in a section.
struct Sections {
  explicit Sections(std::span<const Lifetime> by_step);

  std::vector<Lifetime> buffers;
  std::vector<std::int64_t> total;  // by section: the sum of its buffers
};

// Which buffer to put down next, among those that may be: by place first, then by rank.
struct Strategy {
  enum Place { low, low_and_tight, tight, anywhere } place = low;
  enum Rank { tight_long, tight_area, tight_large, long_tight, long_large, large_long, area } rank = tight_long;
  bool whole = false;  // look only at what competes with the buffer whose top is lowest of all
};

// Each is good at problems where others give up.
constexpr Strategy strategies[] = {
    {Strategy::low_and_tight, Strategy::tight_long, true},
    {Strategy::low, Strategy::long_tight, false},
    {Strategy::low, Strategy::long_tight, true},
    {Strategy::low_and_tight, Strategy::area, true},
    {Strategy::low_and_tight, Strategy::tight_long, false},
    {Strategy::tight, Strategy::tight_long, true},
    {Strategy::low_and_tight, Strategy::long_tight, true},
    {Strategy::anywhere, Strategy::tight_long, true},
};

// What searches may still spend, all together.
struct Effort {
  using Clock = std::chrono::steady_clock;

  std::int64_t nodes;
  Clock::time_point deadline = Clock::time_point::max();
  bool spent() const { return nodes <= 0 || Clock::now() > deadline; }
};

class PlaceSearch {
 public:
  enum class End { found, refuted, gave_up };  // refuted: there are no offsets that fit

  explicit PlaceSearch(const Sections& problem);
  // All buffers, those first that a rank puts first.
  std::vector<int> in_order_of(Strategy::Rank rank) const;
  // `order` says which of two buffers to put down first where the strategy leaves it open.
  End run(std::int64_t capacity, const Strategy& strategy, std::span<const int> order, std::int64_t most_nodes,
          Effort& effort);
  End run(std::int64_t capacity, const Strategy& strategy, std::int64_t most_nodes, Effort& effort) {
    return run(capacity, strategy, in_order_of(strategy.rank), most_nodes, effort);
  }
  const std::vector<std::int64_t>& offset() const { return offset_; }
  std::int64_t nodes() const { return nodes_; }

 private:
  using Items = std::vector<int>;  // buffers that are not down yet, by their least offset
  struct Change {
    int buffer;
    std::int64_t base, least;
  };

  bool solve(const Items& items);
  bool solve_connected(Items items);
  bool put_down(int b, const Items& items);
  bool fits(const Items& items, int first, int last);
  int choose(const Items& items);
  bool has_twin_before(int b) const;
  bool stacks_badly(int b) const;
  std::uint64_t state_of(const Items& items) const;
  void raise(int b, std::int64_t base, std::int64_t least);
  void undo(std::size_t mark);

  const Sections& problem_;
  const std::vector<Lifetime>& life_;
  std::vector<std::vector<int>> alike_;  // by buffer: the others with its lifetime
  Strategy strategy_;
  std::int64_t capacity_ = 0, nodes_ = 0, most_nodes_ = 0;
  Effort::Clock::time_point deadline_;
  bool gave_up_ = false;
  std::vector<int> rank_;              // by buffer: the smaller, the sooner
  std::vector<std::int64_t> base_;     // by buffer: the top of all that is down and meets it
  std::vector<std::int64_t> least_;    // by buffer: the least offset that it can still have, base or more
  std::vector<std::int64_t> offset_;   // by buffer; -1: not down yet
  std::vector<std::int64_t> height_;   // by section: what `fits` found
  std::vector<std::int64_t> low_top_;  // by section: the lowest top that a buffer there can still have
  std::vector<Change> trail_;
  std::unordered_set<std::uint64_t> refuted_;
};

}  // namespace fathom
