// Branch and bound for dynamic storage allocation.
//
// Buffers are put down from the bottom to the top, each at its base: the highest top among those below that are alive
// with it. Some smallest arena is built so. One step of the search takes a buffer that can go down at its base now, and
// asks: does it lie there? If so, all that meet it move up. If not, something that is not down yet lies below it, so
// its least offset is the lowest top of those: its place is passed over, and comes back when its base has risen so far.
//
// What makes this fast:
//  - Only buffers are taken below whose base nothing fits any more: otherwise that gap would be filled, or moved into
//    (the active schedules of Giffler and Thompson, 1960, with sections of time as machines).
//  - In every section the buffers to come, stacked by least offset, must stay within the capacity (`fits`).
//  - Where the buffers to come fall into parts that never meet, each part is solved for itself.
//  - Of two neighbours with one lifetime, the better ranked lies below: their exchange changes nothing else.
//  - What failed is remembered by what matters of it: bases and least offsets of the buffers to come.
#include "engine/place_search.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <tuple>

namespace fathom {
namespace {

std::size_t at(int k) { return static_cast<std::size_t>(k); }

bool meet(const Lifetime& a, const Lifetime& b) { return a.first <= b.last && b.first <= a.last; }

std::uint64_t mixed(std::uint64_t x) {  // splitmix64
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

}  // namespace

// The buffers alive at a step are all that a section needs, if one of them ends before another begins.
Sections::Sections(std::span<const Lifetime> by_step) : buffers(by_step.begin(), by_step.end()) {
  std::vector<std::pair<int, bool>> events;  // (step, whether something ends after it rather than begins)
  for (const Lifetime& b : by_step) events.insert(events.end(), {{b.first, false}, {b.last, true}});
  std::sort(events.begin(), events.end());
  std::vector<int> ends;  // the last step of each section
  for (std::size_t k = 0; k < events.size(); ++k)
    if (events[k].second && (k == 0 || !events[k - 1].second)) ends.push_back(events[k].first);
  for (Lifetime& b : buffers) {
    b.first = static_cast<int>(std::lower_bound(ends.begin(), ends.end(), b.first) - ends.begin());
    b.last = static_cast<int>(std::upper_bound(ends.begin(), ends.end(), b.last) - ends.begin()) - 1;
  }
  total.resize(ends.size());
  for (const Lifetime& b : buffers)
    for (int s = b.first; s <= b.last; ++s) total[at(s)] += b.bytes;
}

PlaceSearch::PlaceSearch(const Sections& problem)
    : problem_(problem),
      life_(problem.buffers),
      alike_(life_.size()),
      rank_(life_.size()),
      base_(life_.size()),
      least_(life_.size()),
      offset_(life_.size()),
      height_(problem.total.size()),
      low_top_(problem.total.size()) {
  for (std::size_t a = 0; a < life_.size(); ++a)
    for (std::size_t b = 0; b < life_.size(); ++b)
      if (a != b && life_[a].first == life_[b].first && life_[a].last == life_[b].last)
        alike_[a].push_back(static_cast<int>(b));
}

PlaceSearch::End PlaceSearch::run(std::int64_t capacity, const Strategy& strategy, std::span<const int> order,
                                  std::int64_t most_nodes, Effort& effort) {
  capacity_ = capacity, strategy_ = strategy, deadline_ = effort.deadline;
  most_nodes_ = std::min(most_nodes, effort.nodes);
  nodes_ = 0, gave_up_ = false;
  std::fill(base_.begin(), base_.end(), 0);
  std::fill(least_.begin(), least_.end(), 0);
  std::fill(offset_.begin(), offset_.end(), -1);
  trail_.clear(), refuted_.clear();
  for (std::size_t k = 0; k < order.size(); ++k) rank_[at(order[k])] = static_cast<int>(k);
  Items all(life_.size());
  std::iota(all.begin(), all.end(), 0);
  const bool found = solve(all);
  effort.nodes -= nodes_;
  return found ? End::found : gave_up_ ? End::gave_up : End::refuted;
}

std::vector<int> PlaceSearch::in_order_of(Strategy::Rank rank) const {
  const auto key = [&](int k) {
    const Lifetime& b = life_[at(k)];
    const double length = b.last - b.first + 1, size = static_cast<double>(b.bytes);
    const double tightest =
        static_cast<double>(*std::max_element(problem_.total.begin() + b.first, problem_.total.begin() + b.last + 1));
    switch (rank) {
      case Strategy::tight_long: return std::tuple(tightest, length, size);
      case Strategy::tight_area: return std::tuple(tightest, length * size, length);
      case Strategy::tight_large: return std::tuple(tightest, size, length);
      case Strategy::long_tight: return std::tuple(length, tightest, size);
      case Strategy::long_large: return std::tuple(length, size, tightest);
      case Strategy::large_long: return std::tuple(size, length, tightest);
      case Strategy::area: return std::tuple(length * size, length, tightest);
    }
    return std::tuple(0., 0., 0.);
  };
  std::vector<int> order(life_.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return key(a) > key(b); });
  return order;
}

void PlaceSearch::raise(int b, std::int64_t base, std::int64_t least) {
  trail_.push_back({b, base_[at(b)], least_[at(b)]});
  base_[at(b)] = base, least_[at(b)] = least;
}

void PlaceSearch::undo(std::size_t mark) {
  for (; trail_.size() > mark; trail_.pop_back()) {
    const Change& c = trail_.back();
    base_[at(c.buffer)] = c.base, least_[at(c.buffer)] = c.least;
  }
}

// Parts of the items that never meet have nothing to do with each other.
bool PlaceSearch::solve(const Items& items) {
  std::vector<int> reach(problem_.total.size(), -1);  // by section: the last one of the items that begin there
  for (int b : items) reach[at(life_[at(b)].first)] = std::max(reach[at(life_[at(b)].first)], life_[at(b)].last);
  std::size_t solved = 0;
  for (int first = 0; solved < items.size(); ++first) {
    if (reach[at(first)] < 0) continue;
    int last = first;
    for (int s = first; s <= last; ++s) last = std::max(last, reach[at(s)]);
    Items part;
    for (int b : items)
      if (first <= life_[at(b)].first && life_[at(b)].last <= last) part.push_back(b);
    solved += part.size();
    if (!solve_connected(std::move(part))) return false;
    first = last;
  }
  return true;
}

bool PlaceSearch::solve_connected(Items items) {
  if (nodes_++ >= most_nodes_ || (nodes_ % 16 == 0 && Effort::Clock::now() > deadline_)) gave_up_ = true;
  const std::uint64_t state = state_of(items);
  if (gave_up_ || refuted_.contains(state)) return false;
  const std::size_t mark = trail_.size();
  int first = std::numeric_limits<int>::max(), last = 0;
  for (int b : items) first = std::min(first, life_[at(b)].first), last = std::max(last, life_[at(b)].last);
  while (fits(items, first, last)) {
    const int b = choose(items);
    if (b < 0) break;
    if (!stacks_badly(b) && put_down(b, items)) return true;
    if (gave_up_) return false;
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (int c : items)
      if (c != b && meet(life_[at(b)], life_[at(c)])) least = std::min(least, least_[at(c)] + life_[at(c)].bytes);
    if (least > capacity_) break;
    raise(b, base_[at(b)], least);
    std::erase(items, b);
    items.insert(std::find_if(items.begin(), items.end(), [&](int c) { return least_[at(c)] >= least; }), b);
  }
  undo(mark);
  refuted_.insert(state);
  return false;
}

// Puts b down at its base and solves the rest.
bool PlaceSearch::put_down(int b, const Items& items) {
  const std::size_t mark = trail_.size();
  const std::int64_t top = base_[at(b)] + life_[at(b)].bytes;
  int first = life_[at(b)].first, last = life_[at(b)].last;
  offset_[at(b)] = base_[at(b)];
  Items rest, raised;
  rest.reserve(items.size());
  std::size_t below = 0;  // how many of the rest have a lesser least offset than top
  for (int c : items) {
    if (c == b) continue;
    const bool moves = base_[at(c)] < top && meet(life_[at(b)], life_[at(c)]), rises = moves && least_[at(c)] < top;
    if (moves) raise(c, top, std::max(least_[at(c)], top));
    if (rises) {
      raised.push_back(c);
      first = std::min(first, life_[at(c)].first), last = std::max(last, life_[at(c)].last);
    } else {
      rest.push_back(c);
      below += least_[at(c)] < top;
    }
  }
  rest.insert(rest.begin() + static_cast<std::ptrdiff_t>(below), raised.begin(), raised.end());
  if (fits(rest, first, last) && solve(rest)) return true;
  undo(mark);
  for (int c : items) offset_[at(c)] = -1;
  return false;
}

// Whether the items, stacked by least offset, stay within the capacity in each of these sections.
bool PlaceSearch::fits(const Items& items, int first, int last) {
  std::fill(height_.begin() + first, height_.begin() + last + 1, 0);
  for (int b : items) {
    const std::int64_t least = least_[at(b)], bytes = life_[at(b)].bytes;
    const int from = std::max(first, life_[at(b)].first), to = std::min(last, life_[at(b)].last);
    for (int s = from; s <= to; ++s) height_[at(s)] = std::max(height_[at(s)], least) + bytes;
  }
  return *std::max_element(height_.begin() + first, height_.begin() + last + 1) <= capacity_;
}

// The next buffer to go down at its base; -1: there is none, so something was passed over wrongly. `fits` comes first.
int PlaceSearch::choose(const Items& items) {
  constexpr std::int64_t none = std::numeric_limits<std::int64_t>::max();
  std::int64_t lowest = none;
  for (int b : items) std::fill(low_top_.begin() + life_[at(b)].first, low_top_.begin() + life_[at(b)].last + 1, none);
  for (int b : items) {
    const std::int64_t top = least_[at(b)] + life_[at(b)].bytes;
    lowest = std::min(lowest, top);
    for (int s = life_[at(b)].first; s <= life_[at(b)].last; ++s) low_top_[at(s)] = std::min(low_top_[at(s)], top);
  }
  int best = -1;
  std::pair<std::int64_t, int> best_key;
  for (int b : items) {
    if (least_[at(b)] != base_[at(b)] || has_twin_before(b)) continue;  // passed over
    std::int64_t low_top = none, height = 0;
    for (int s = life_[at(b)].first; s <= life_[at(b)].last; ++s)
      low_top = std::min(low_top, low_top_[at(s)]), height = std::max(height, height_[at(s)]);
    if (low_top <= base_[at(b)] || (strategy_.whole && low_top != lowest)) continue;  // something fits below it
    std::pair<std::int64_t, int> key{0, rank_[at(b)]};
    switch (strategy_.place) {
      case Strategy::low: key.first = base_[at(b)]; break;
      case Strategy::low_and_tight: key.first = base_[at(b)] - height; break;
      case Strategy::tight: key.first = -height; break;
      case Strategy::anywhere: break;
    }
    if (best < 0 || key < best_key) best = b, best_key = key;
  }
  return best;
}

// Whether b has an equal that goes down first.
bool PlaceSearch::has_twin_before(int b) const {
  return std::any_of(alike_[at(b)].begin(), alike_[at(b)].end(), [&](int c) {
    return offset_[at(c)] < 0 && life_[at(c)].bytes == life_[at(b)].bytes && rank_[at(c)] < rank_[at(b)];
  });
}

// Whether b would lie right on a buffer with its lifetime that is ranked behind it.
bool PlaceSearch::stacks_badly(int b) const {
  return std::any_of(alike_[at(b)].begin(), alike_[at(b)].end(), [&](int c) {
    return offset_[at(c)] >= 0 && offset_[at(c)] + life_[at(c)].bytes == base_[at(b)] && rank_[at(c)] > rank_[at(b)];
  });
}

// A number for what the future of the items depends on. Two states with one number are as good as impossible (64 bits).
std::uint64_t PlaceSearch::state_of(const Items& items) const {
  std::uint64_t state = 0;
  for (int b : items) {
    const auto base = static_cast<std::uint64_t>(base_[at(b)]), least = static_cast<std::uint64_t>(least_[at(b)]);
    state += mixed(mixed(mixed(static_cast<std::uint64_t>(b) + 1) ^ base) ^ least);
  }
  return state;
}

}  // namespace fathom
