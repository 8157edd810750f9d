// Dynamic storage allocation: buffers with fixed lifetimes into the smallest arena.
#include <algorithm>
#include <map>
#include <numeric>
#include <string>

#include "engine/plan.hpp"
#include "fathom/error.hpp"

namespace fathom {
namespace {

struct Offsets {
  std::vector<std::int64_t> offset;
  std::int64_t arena = 0;
};

bool overlap(const Lifetime& a, const Lifetime& b) { return a.first <= b.last && b.first <= a.last; }

// Puts the buffers down one by one in the given order, each into a gap between those that are alive with it: the lowest
// gap that is large enough, or the tightest one.
Offsets put_down(std::span<const Lifetime> buffers, std::span<const int> order, bool tightest) {
  Offsets result{std::vector<std::int64_t>(buffers.size(), -1)};
  std::vector<std::pair<std::int64_t, std::int64_t>> taken;
  for (std::size_t n = 0; n < order.size(); ++n) {
    const Lifetime& b = buffers[static_cast<std::size_t>(order[n])];
    taken.clear();
    for (int o : order.first(n))
      if (const auto k = static_cast<std::size_t>(o); overlap(buffers[k], b))
        taken.emplace_back(result.offset[k], result.offset[k] + buffers[k].bytes);
    std::sort(taken.begin(), taken.end());
    std::int64_t top = 0, best = -1, best_gap = 0;
    for (const auto& [begin, end] : taken) {
      const std::int64_t gap = begin - top;
      if (gap >= b.bytes && (best < 0 || (tightest && gap < best_gap))) best = top, best_gap = gap;
      top = std::max(top, end);
    }
    if (best < 0) best = top;
    result.offset[static_cast<std::size_t>(order[n])] = best;
    result.arena = std::max(result.arena, best + b.bytes);
  }
  return result;
}

// Moves of one buffer at a time to an earlier place in the order, until the arena is the bound or the moves run out.
// What lies at the top of the arena is what must move; moves that do not raise the arena are kept. Always the same
// moves. Buffers smaller than `smallest` follow in their order at the end, where they find a gap. `order` becomes the
// best one.
void climb(std::span<const Lifetime> buffers, std::vector<int>& order, bool tightest, std::int64_t bound,
           std::int64_t smallest, double work, Offsets& best) {
  std::uint64_t state = 1;
  const auto below = [&](std::size_t n) {  // a whole number in [0, n)
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::size_t>(state >> 33) % n;
  };
  const auto small = std::stable_partition(
      order.begin(), order.end(), [&](int k) { return buffers[static_cast<std::size_t>(k)].bytes >= smallest; });
  const std::vector<int> rest(small, order.end());
  order.erase(small, order.end());
  const int moves = order.size() < 2 ? 0 : static_cast<int>(work / static_cast<double>(order.size() * order.size()));
  Offsets current = put_down(buffers, order, tightest);
  for (int move = 0; move < moves && current.arena > bound; ++move) {
    std::vector<std::size_t> top;
    for (std::size_t n = 1; n < order.size(); ++n)
      if (const auto k = static_cast<std::size_t>(order[n]); current.offset[k] + buffers[k].bytes == current.arena)
        top.push_back(n);
    std::vector<int> next = order;
    std::size_t from = top.empty() ? 1 + below(order.size() - 1) : top[below(top.size())];
    if (below(4) == 0) from = 1 + below(order.size() - 1);
    const auto at = next.begin() + static_cast<std::ptrdiff_t>(from);
    std::rotate(next.begin() + static_cast<std::ptrdiff_t>(below(from)), at, at + 1);
    Offsets o = put_down(buffers, next, tightest);
    if (o.arena > current.arena) continue;
    current = std::move(o), order = std::move(next);
  }
  order.insert(order.end(), rest.begin(), rest.end());
  if (Offsets o = put_down(buffers, order, tightest); o.arena < best.arena) best = std::move(o);
}

}  // namespace

std::int64_t lower_bound(std::span<const Lifetime> buffers, std::int64_t alignment) {
  std::map<std::int64_t, std::int64_t> change;  // of the bytes alive, by step
  for (const Lifetime& b : buffers) {
    const std::int64_t bytes = (b.bytes + alignment - 1) / alignment * alignment;
    change[b.first] += bytes, change[std::int64_t{b.last} + 1] -= bytes;
  }
  std::int64_t alive = 0, most = 0;
  for (const auto& [step, bytes] : change) most = std::max(most, alive += bytes);
  return most;
}

Placement place(std::span<const Lifetime> buffers, const PlaceOptions& options) {
  if (options.alignment < 1) throw Error(ErrorKind::usage, "place: the alignment must be at least 1");
  std::vector<Lifetime> aligned(buffers.begin(), buffers.end());
  std::int64_t sum = 0;
  for (std::size_t k = 0; k < aligned.size(); ++k) {
    Lifetime& b = aligned[k];
    constexpr std::int64_t most = std::int64_t{1} << 62;
    if (b.bytes < 0 || b.last < b.first)
      throw Error(ErrorKind::usage, "place: buffer " + std::to_string(k) + " has a negative size or lifetime");
    if (b.bytes > most - options.alignment || (sum += b.bytes + options.alignment) > most)
      throw Error(ErrorKind::memory,
                  "place: the buffers need more than 2^62 bytes together; use a smaller size or batch");
    b.bytes = (b.bytes + options.alignment - 1) / options.alignment * options.alignment;
  }
  const std::int64_t bound = lower_bound(aligned, options.alignment);

  std::vector<int> order;
  for (std::size_t k = 0; k < aligned.size(); ++k)
    if (aligned[k].bytes) order.push_back(static_cast<int>(k));
  const auto span = [&](int k) {
    return double(aligned[static_cast<std::size_t>(k)].last) - aligned[static_cast<std::size_t>(k)].first + 1;
  };
  const auto size = [&](int k) { return double(aligned[static_cast<std::size_t>(k)].bytes); };
  Offsets best;
  std::vector<int> best_order;
  std::vector<std::vector<int>> starts;
  best.arena = sum + 1;
  const auto attempt = [&](auto&& weight) {
    std::sort(order.begin(), order.end());
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return weight(a) > weight(b); });
    starts.push_back(order);
    for (bool tightest : {false, true})
      if (Offsets o = put_down(aligned, order, tightest); o.arena < best.arena) best = std::move(o), best_order = order;
  };
  attempt([&](int k) { return std::pair(span(k), size(k)); });
  attempt([&](int k) { return std::pair(span(k) * size(k), size(k)); });
  attempt([&](int k) { return std::pair(size(k), span(k)); });
  attempt([&](int k) { return buffers[static_cast<std::size_t>(k)].bytes; });
  // Work is counted, not timed, so that the result is always the same: about options.seconds in all.
  const double work = 4e7 * options.seconds;
  starts.insert(starts.begin(), best_order);
  for (std::vector<int>& start : starts)
    for (bool tightest : {false, true})
      for (const std::int64_t smallest : {bound / 128, std::int64_t{0}})  // the large ones first
        if (best.arena > bound) climb(aligned, start, tightest, bound, smallest, work, best);
  for (std::int64_t& o : best.offset) o = std::max<std::int64_t>(o, 0);
  return {std::move(best.offset), best.arena, bound, best.arena == bound};
}

}  // namespace fathom
