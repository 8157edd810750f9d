// Dynamic storage allocation: buffers with fixed lifetimes into the smallest arena. Simple orders first, which are
// enough for most networks; then a search, in rounds of growing effort, that closes in on the bound from above, and
// climbing by chance between the rounds.
#include <algorithm>
#include <map>
#include <numeric>
#include <string>

#include "engine/place_climb.hpp"
#include "engine/place_search.hpp"
#include "engine/plan.hpp"
#include "fathom/error.hpp"

namespace fathom {
namespace {

using Offsets = std::vector<std::int64_t>;

std::int64_t aligned(std::int64_t bytes, std::int64_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

std::int64_t arena_of(std::span<const Lifetime> buffers, const Offsets& offset) {
  std::int64_t arena = 0;
  for (std::size_t k = 0; k < buffers.size(); ++k) arena = std::max(arena, offset[k] + buffers[k].bytes);
  return arena;
}

// Puts the buffers down one by one in the given order, each into a gap between those that are alive with it: the lowest
// gap that is large enough, or the tightest one.
Offsets in_order(std::span<const Lifetime> buffers, std::span<const int> order, bool tightest) {
  Offsets offset(buffers.size());
  std::vector<std::pair<std::int64_t, std::int64_t>> taken;
  for (std::size_t n = 0; n < order.size(); ++n) {
    const Lifetime& b = buffers[static_cast<std::size_t>(order[n])];
    taken.clear();
    for (int o : order.first(n))
      if (const auto k = static_cast<std::size_t>(o); buffers[k].first <= b.last && b.first <= buffers[k].last)
        taken.emplace_back(offset[k], offset[k] + buffers[k].bytes);
    std::sort(taken.begin(), taken.end());
    std::int64_t top = 0, best = -1, best_gap = 0;
    for (const auto& [begin, end] : taken) {
      const std::int64_t gap = begin - top;
      if (gap >= b.bytes && (best < 0 || (tightest && gap < best_gap))) best = top, best_gap = gap;
      top = std::max(top, end);
    }
    offset[static_cast<std::size_t>(order[n])] = best < 0 ? top : best;
  }
  return offset;
}

// The best of the simple orders: by size (as given, before alignment), by lifetime, by area.
Offsets in_simple_orders(std::span<const Lifetime> buffers, std::span<const Lifetime> given) {
  std::vector<int> order(buffers.size());
  Offsets best;
  const auto attempt = [&](auto&& weight) {
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
      return weight(static_cast<std::size_t>(a)) > weight(static_cast<std::size_t>(b));
    });
    for (bool tightest : {false, true}) {
      Offsets offset = in_order(buffers, order, tightest);
      if (best.empty() || arena_of(buffers, offset) < arena_of(buffers, best)) best = std::move(offset);
    }
  };
  const auto length = [&](std::size_t k) { return static_cast<double>(buffers[k].last) - buffers[k].first + 1; };
  const auto size = [&](std::size_t k) { return static_cast<double>(buffers[k].bytes); };
  attempt([&](std::size_t k) { return given[k].bytes; });
  attempt([&](std::size_t k) { return std::pair(size(k), length(k)); });
  attempt([&](std::size_t k) { return std::pair(length(k), size(k)); });
  attempt([&](std::size_t k) { return std::pair(length(k) * size(k), size(k)); });
  return best;
}

// Lowers the arena from `best` towards `bound`; returns what is proved to be a lower bound. Each round first asks for
// the bound itself, then halves what lies between, with every strategy, and four times the effort of the round before;
// what a round leaves open, the climb tries by chance with six times as much again.
std::int64_t search(std::span<const Lifetime> buffers, std::int64_t bound, Effort effort, Offsets& best) {
  std::int64_t arena = arena_of(buffers, best);
  if (arena == bound) return bound;
  const Sections sections(buffers);
  PlaceSearch search(sections);
  PlaceClimb climb(search, buffers.size());
  // No search ends in fewer nodes than there are buffers.
  for (std::int64_t nodes = std::max<std::int64_t>(256, 2 * std::ssize(buffers)); bound < arena; nodes *= 4) {
    std::int64_t used = 0;
    for (std::int64_t capacity = bound, unknown = bound - 1; unknown + 1 < arena && bound < arena;
         capacity = unknown + (arena - unknown) / 2) {
      PlaceSearch::End end = PlaceSearch::End::gave_up;
      for (const Strategy& strategy : strategies) {
        if (end != PlaceSearch::End::gave_up) break;
        end = search.run(capacity, strategy, nodes, effort), used += search.nodes();
      }
      if (end == PlaceSearch::End::found) best = search.offset(), arena = arena_of(buffers, best);
      if (end == PlaceSearch::End::refuted) bound = capacity + 1;
      if (end != PlaceSearch::End::found) unknown = std::max(unknown, capacity);
      if (effort.spent()) return bound;
      if (arena - unknown < arena / 256) break;  // the next round, rather than ever smaller steps
    }
    for (used *= 6; used > 0 && bound < arena;) {
      switch (climb.step(bound, arena, effort)) {
        case PlaceSearch::End::found: best = search.offset(), arena = arena_of(buffers, best); break;
        case PlaceSearch::End::refuted: bound = climb.capacity() + 1; break;
        case PlaceSearch::End::gave_up: break;
      }
      if (effort.spent()) return bound;
      used -= search.nodes();
    }
  }
  return bound;
}

Effort effort_of(const PlaceOptions& options) {
  using Clock = Effort::Clock;
  const Clock::time_point now = Clock::now();
  const std::chrono::duration<double> most = Clock::time_point::max() - now, seconds(options.seconds);
  return {options.nodes,
          seconds < most ? now + std::chrono::duration_cast<Clock::duration>(seconds) : Clock::time_point::max()};
}

}  // namespace

std::int64_t lower_bound(std::span<const Lifetime> buffers, std::int64_t alignment) {
  std::map<std::int64_t, std::int64_t> change;  // of the bytes alive, by step
  for (const Lifetime& b : buffers) {
    change[b.first] += aligned(b.bytes, alignment);
    change[std::int64_t{b.last} + 1] -= aligned(b.bytes, alignment);
  }
  std::int64_t alive = 0, most = 0;
  for (const auto& [step, bytes] : change) most = std::max(most, alive += bytes);
  return most;
}

Placement place(std::span<const Lifetime> buffers, const PlaceOptions& options) {
  if (options.alignment < 1) throw Error(ErrorKind::usage, "place: the alignment must be at least 1");
  std::vector<Lifetime> given, units;  // those with bytes; in units of what divides all their aligned sizes
  std::vector<std::size_t> index;
  std::int64_t sum = 0, unit = 0;
  for (std::size_t k = 0; k < buffers.size(); ++k) {
    const Lifetime& b = buffers[k];
    constexpr std::int64_t most = std::int64_t{1} << 62;
    if (b.bytes < 0 || b.last < b.first)
      throw Error(ErrorKind::usage, "place: buffer " + std::to_string(k) + " has a negative size or lifetime");
    if (b.bytes > most - options.alignment || (sum += aligned(b.bytes, options.alignment)) > most)
      throw Error(ErrorKind::memory,
                  "place: the buffers need more than 2^62 bytes together; use a smaller size or batch");
    if (!b.bytes) continue;
    given.push_back(b), index.push_back(k);
    units.push_back({b.first, b.last, aligned(b.bytes, options.alignment)});
    unit = std::gcd(unit, units.back().bytes);
  }
  Placement result{Offsets(buffers.size()), 0, lower_bound(buffers, options.alignment), true};
  if (units.empty()) return result;
  for (Lifetime& b : units) b.bytes /= unit;
  Offsets offset = in_simple_orders(units, given);
  const std::int64_t proved = search(units, result.lower_bound_bytes / unit, effort_of(options), offset);
  result.arena_bytes = arena_of(units, offset) * unit;
  result.optimal = result.arena_bytes == proved * unit;
  for (std::size_t k = 0; k < units.size(); ++k) result.offset[index[k]] = offset[k] * unit;
  return result;
}

}  // namespace fathom
