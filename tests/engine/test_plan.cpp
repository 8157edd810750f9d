// The memory plan: placement, storage, order. Random inputs, judged by check_plan and by brute force.
#include "engine/plan.hpp"

#include <algorithm>
#include <numeric>
#include <random>
#include <set>

#include "fathom/error.hpp"
#include "tests/catch.hpp"

using namespace fathom;

namespace {

std::int64_t aligned(std::int64_t bytes, std::int64_t alignment = 64) {
  return (bytes + alignment - 1) / alignment * alignment;
}

bool alive_together(const Lifetime& a, const Lifetime& b) { return a.first <= b.last && b.first <= a.last; }

// All that must hold of any placement.
void require_sound(const std::vector<Lifetime>& buffers, const Placement& p, std::int64_t alignment = 64) {
  REQUIRE(p.offset.size() == buffers.size());
  std::int64_t most = 0, bound = 0;
  for (std::size_t a = 0; a < buffers.size(); ++a) {
    REQUIRE(p.offset[a] >= 0);
    REQUIRE(p.offset[a] % alignment == 0);
    most = std::max(most, p.offset[a] + aligned(buffers[a].bytes, alignment));
    std::int64_t alive = 0;
    for (std::size_t b = 0; b < buffers.size(); ++b) {
      if (buffers[b].first <= buffers[a].first && buffers[a].first <= buffers[b].last)
        alive += aligned(buffers[b].bytes, alignment);
      if (a < b && alive_together(buffers[a], buffers[b]))
        REQUIRE((p.offset[a] + buffers[a].bytes <= p.offset[b] || p.offset[b] + buffers[b].bytes <= p.offset[a]));
    }
    bound = std::max(bound, alive);
  }
  REQUIRE(p.arena_bytes == most);
  REQUIRE(p.lower_bound_bytes == bound);
  REQUIRE(p.arena_bytes >= bound);
  if (p.arena_bytes == bound) REQUIRE(p.optimal);
}

// The arena when buffers are put down in this order, each just above those below it that are alive with it.
std::int64_t stacked(const std::vector<Lifetime>& buffers, const std::vector<std::size_t>& order) {
  std::vector<std::int64_t> top(buffers.size());
  std::int64_t most = 0;
  for (std::size_t n = 0; n < order.size(); ++n) {
    std::int64_t offset = 0;
    for (std::size_t m = 0; m < n; ++m)
      if (alive_together(buffers[order[m]], buffers[order[n]])) offset = std::max(offset, top[order[m]]);
    top[order[n]] = offset + aligned(buffers[order[n]].bytes);
    most = std::max(most, top[order[n]]);
  }
  return most;
}

// The smallest arena there is: some order of stacking reaches it.
[[maybe_unused]] std::int64_t smallest_arena(const std::vector<Lifetime>& buffers) {
  std::vector<std::size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), 0);
  std::int64_t least = INT64_MAX;
  do least = std::min(least, stacked(buffers, order));
  while (std::next_permutation(order.begin(), order.end()));
  return least;
}

// Greedy by size, first fit, as most engines place.
std::int64_t greedy_by_size(const std::vector<Lifetime>& buffers) {
  std::vector<std::size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return buffers[a].bytes > buffers[b].bytes; });
  std::vector<std::int64_t> offset(buffers.size(), -1);
  std::int64_t most = 0;
  for (std::size_t n = 0; n < order.size(); ++n) {
    const Lifetime& b = buffers[order[n]];
    if (b.bytes == 0) continue;
    std::set<std::pair<std::int64_t, std::int64_t>> taken;
    for (std::size_t m = 0; m < n; ++m)
      if (const std::size_t k = order[m]; alive_together(buffers[k], b))
        taken.insert({offset[k], offset[k] + aligned(buffers[k].bytes)});
    std::int64_t at = 0;
    for (const auto& [begin, end] : taken) {
      if (at + aligned(b.bytes) <= begin) break;
      at = std::max(at, end);
    }
    offset[order[n]] = at;
    most = std::max(most, at + aligned(b.bytes));
  }
  return most;
}

std::vector<Lifetime> random_buffers(std::mt19937& random, int count, int steps, int longest, std::int64_t most_bytes) {
  const auto below = [&](std::int64_t n) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n));
  };
  std::vector<Lifetime> buffers;
  for (int k = 0; k < count; ++k) {
    const int first = static_cast<int>(below(steps));
    buffers.push_back({first, std::min(steps - 1, first + static_cast<int>(below(longest))), below(most_bytes)});
  }
  return buffers;
}

// ---- graphs ----

Value conv(Graph& g, Value x, int out, std::string name, Value* residual = nullptr) {
  Conv2d op{.padding = 1, .residual = residual != nullptr};
  const Desc weight = Desc::dense({out, g[x].desc.c(), 3, 3});
  std::vector<Value> in = {x};
  if (residual) in.push_back(*residual);
  in.push_back(g.add_constant(name + ".weight", std::make_shared<Constant>(Constant{weight, nullptr})));
  return g.add(op, in, name);
}

Value relu(Graph& g, Value x, std::string name) { return g.add(Activation{ActivationKind::relu}, {x}, name); }

// Rules of a backend that can do all there is.
StorageRules able() {
  StorageRules rules;
  rules.in_place = [](const Graph&, const Node& node) -> std::vector<int> {
    if (std::holds_alternative<Activation>(node.op)) return {0};
    if (std::holds_alternative<Add>(node.op)) return {0, 1};
    if (const auto* c = std::get_if<Conv2d>(&node.op); c && c->residual) return {static_cast<int>(c->sources.size())};
    return {};
  };
  rules.writes_slice = [](const Graph&, const Node&) { return true; };
  rules.reads_slice = [](const Graph&, const Node&, int) { return true; };
  return rules;
}

// Rules that say no here and there, always the same.
StorageRules moody(unsigned seed) {
  StorageRules rules = able();
  const auto yes = [seed](const Node& node, int k) {
    return (std::hash<std::string>()(node.name) + seed * 7919u + unsigned(k) * 31u) % 4 != 0;
  };
  rules.in_place = [yes, can = able().in_place](const Graph& g, const Node& node) {
    return yes(node, 9) ? can(g, node) : std::vector<int>();
  };
  rules.writes_slice = [yes](const Graph&, const Node& node) { return yes(node, 10); };
  rules.reads_slice = [yes](const Graph&, const Node& node, int k) { return yes(node, k); };
  return rules;
}

Graph random_graph(unsigned seed, int nodes) {
  std::mt19937 random(seed);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  Graph g;
  std::vector<Value> values = {g.add_input("image", Desc::nhwc(1 + seed % 2, 3, 6, 5))};
  const auto pick = [&] { return values[values.size() - 1 - std::min(values.size() - 1, below(1 + below(8)))]; };
  for (int k = 0; k < nodes; ++k) {
    const std::string name = "n" + std::to_string(k);
    const Value x = pick();
    Value y;
    switch (below(6)) {
      case 0: y = relu(g, x, name); break;
      case 1: {
        std::vector<Value> alike;
        for (Value v : values)
          if (g[v].desc == g[x].desc) alike.push_back(v);
        y = g.add(Add{}, {x, alike[below(alike.size())]}, name);
        break;
      }
      case 2:
      case 3: {
        std::vector<Value> parts;
        for (std::size_t n = 2 + below(2); parts.size() < n;) {
          const Value v = pick();
          if (g[v].desc.c() < 40)
            parts.push_back(v);
          else
            parts.push_back(values[0]);
        }
        y = g.add(Concat{}, parts, name);
        break;
      }
      default: {
        std::vector<Value> alike;
        const int out = static_cast<int>(1 + below(9));
        for (Value v : values)
          if (g[v].desc.c() == out) alike.push_back(v);
        y = below(2) && !alike.empty() ? conv(g, x, out, name, &alike[below(alike.size())]) : conv(g, x, out, name);
      }
    }
    values.push_back(y);
  }
  g.outputs.push_back({"out", values.back()});
  for (std::size_t k = below(3); k > 0; --k) g.outputs.push_back({"more" + std::to_string(k), pick()});
  validate(g);
  return g;
}

std::vector<std::int64_t> random_workspaces(const Graph& g, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::int64_t> bytes;
  for (std::size_t k = 0; k < g.nodes.size(); ++k) bytes.push_back(random() % 3 ? 0 : random() % 2000);
  return bytes;
}

// Lays out, plans and checks with the rules; the plan comes back.
MemoryPlan planned(const Graph& g, const StorageRules& rules) {
  const Layout l = layout(g, rules);
  const std::vector<std::int64_t> workspace(g.nodes.size());
  const MemoryPlan p = plan(g, l, workspace);
  check_plan(g, l, workspace, p);
  return p;
}

std::size_t at(Value v) { return static_cast<std::size_t>(v.id); }

}  // namespace

TEST_CASE("place: the odd cases", "[engine]") {
  CHECK(place({}).arena_bytes == 0);
  CHECK(place({}).optimal);
  const std::vector<Lifetime> nothing = {{0, 3, 0}, {1, 1, 0}};
  CHECK(place(nothing).arena_bytes == 0);
  require_sound(nothing, place(nothing));
  const std::vector<Lifetime> same(20, {0, 5, 100});
  CHECK(place(same).arena_bytes == 20 * 128);
  require_sound(same, place(same));
  const std::int64_t huge = std::int64_t{1} << 40;
  const std::vector<Lifetime> large = {{0, 2, huge}, {1, 3, huge - 1}, {3, 4, huge}, {4, 9, 2 * huge}};
  CHECK(place(large).arena_bytes == 3 * huge);
  require_sound(large, place(large));
  const std::vector<Lifetime> far = {{-5, INT32_MAX, 7}, {INT32_MIN, -5, 1}};
  CHECK(place(far).arena_bytes == 128);
  CHECK_THROWS_AS(place(std::vector<Lifetime>{{0, 0, -1}}), Error);
  CHECK_THROWS_AS(place(std::vector<Lifetime>{{2, 1, 1}}), Error);
  CHECK_THROWS_AS(place(std::vector<Lifetime>(3, {0, 0, std::int64_t{1} << 61})), Error);
}

TEST_CASE("place: random buffers lie soundly, deterministically, and never worse than greedy by size", "[engine]") {
  std::mt19937 random(1);
  for (int round = 0; round < 60; ++round) {
    const std::vector<Lifetime> buffers =
        random_buffers(random, 5 + round, 10 + round / 2, 2 + round / 3, round % 3 ? 5000 : 400);
    const std::int64_t alignment = round % 5 ? 64 : 1;
    const Placement p = place(buffers, {.alignment = alignment});
    require_sound(buffers, p, alignment);
    if (alignment == 64) CHECK(p.arena_bytes <= greedy_by_size(buffers));
    CHECK(place(buffers, {.alignment = alignment}).offset == p.offset);
  }
}

TEST_CASE("place: small sets equal the best of all orders, and are proved", "[engine]") {
  std::mt19937 random(2);
  for (int round = 0; round < 300; ++round) {
    const std::vector<Lifetime> buffers = random_buffers(random, 1 + round % 7, 8, 6, round % 2 ? 64 * 8 : 3000);
    const Placement p = place(buffers, {.nodes = 1 << 22});
    require_sound(buffers, p);
    REQUIRE(p.arena_bytes == smallest_arena(buffers));
    REQUIRE(p.optimal);
  }
}

TEST_CASE("place: reaches the bound where simple orders do not", "[engine]") {
  // Two long buffers whose lifetimes cross, and short ones that fit only beside both.
  const std::vector<Lifetime> crossing = {{0, 2, 256}, {1, 4, 64}, {3, 6, 256}, {5, 8, 64}, {0, 0, 64}, {7, 8, 256}};
  // A skip connection below a chain: 64 and 62 wide, joined at the end.
  const std::vector<Lifetime> skip = {
      {0, 4, 2 * 64}, {1, 2, 64 * 64}, {2, 3, 64 * 64}, {3, 4, 62 * 64}, {4, 5, 64 * 64}};
  for (const auto& buffers : {crossing, skip}) {
    const Placement p = place(buffers);
    require_sound(buffers, p);
    CHECK(p.arena_bytes == p.lower_bound_bytes);
  }
  CHECK(greedy_by_size(skip) > lower_bound(skip));
}

// A rectangle of steps and bytes, cut into buffers: the whole of it is the bound, and can be reached.
TEST_CASE("place: puzzles without a gap", "[engine]") {
  std::mt19937 random(3);
  int reached = 0, greedy = 0;
  for (int round = 0; round < 30; ++round) {
    std::vector<Lifetime> pieces = {{0, 63, 64 * 64}};
    while (pieces.size() < 24) {
      const std::size_t k = random() % pieces.size();
      Lifetime& p = pieces[k];
      if (random() % 2 && p.last > p.first) {
        const int cut = p.first + static_cast<int>(random() % static_cast<unsigned>(p.last - p.first));
        const Lifetime rest{cut + 1, p.last, p.bytes};
        p.last = cut;
        pieces.push_back(rest);
      } else if (p.bytes > 64) {
        const std::int64_t cut =
            64 * (1 + static_cast<std::int64_t>(random() % static_cast<unsigned>(p.bytes / 64 - 1)));
        const Lifetime rest{p.first, p.last, p.bytes - cut};
        p.bytes = cut;
        pieces.push_back(rest);
      }
    }
    std::shuffle(pieces.begin(), pieces.end(), random);
    const Placement p = place(pieces, {.nodes = 1 << 22});
    require_sound(pieces, p);
    REQUIRE(p.lower_bound_bytes == 64 * 64);
    reached += p.arena_bytes == 64 * 64;
    greedy += greedy_by_size(pieces) == 64 * 64;
  }
  CHECK(reached == 30);
  CHECK(greedy < 20);
}

TEST_CASE("in place: a chain of activations needs one buffer", "[engine]") {
  Graph g;
  Value x = conv(g, g.add_input("image", Desc::nhwc(1, 3, 8, 8)), 16, "conv");
  const Value first = x;
  for (int k = 0; k < 5; ++k) x = relu(g, x, "relu" + std::to_string(k));
  g.outputs.push_back({"out", x});
  const Layout l = layout(g, able());
  for (const Node& node : g.nodes) CHECK(l.values[at(node.out[0])].root == x.id);
  CHECK(l.in_place == std::vector<int>{-1, 0, 0, 0, 0, 0});
  CHECK(planned(g, able()).arena_bytes == 16 * 64 * 4);
  CHECK(planned(g, {}).arena_bytes == 2 * 16 * 64 * 4);
  CHECK(planned(g, able()).value_offset[at(first)] == 0);
  CHECK(planned(g, able()).sum_bytes == 6 * 16 * 64 * 4);
}

TEST_CASE("in place: never over what is read later, a constant, an input, or the caller's memory", "[engine]") {
  Graph g;
  const Value image = g.add_input("image", Desc::nhwc(1, 4, 8, 8));
  const Value a = relu(g, image, "over the input");
  const Value b = conv(g, a, 4, "b");
  const Value c = g.add(Add{}, {b, a}, "residual");   // over b, not over a
  const Value d = g.add(Add{}, {a, c}, "residual2");  // over a
  const Value e = g.add(Add{}, {d, d}, "twice");      // neither
  const Value plane = conv(g, e, 1, "plane");
  const Value out = relu(g, plane, "plane relu");  // an output of one channel is the caller's
  g.outputs = {{"out", out}, {"e", e}};
  const Layout l = layout(g, able());
  CHECK(l.in_place == std::vector<int>{-1, -1, 0, 0, -1, -1, -1});
  CHECK(l.values[at(c)].root == l.values[at(b)].root);
  CHECK(l.values[at(d)].root == l.values[at(a)].root);
  CHECK(l.values[at(out)].external);
  CHECK_FALSE(l.values[at(e)].external);
  planned(g, able());
}

TEST_CASE("a tree of concats is written in place", "[engine]") {
  Graph g;
  const Value image = g.add_input("image", Desc::nhwc(2, 3, 4, 4));
  const Value a = conv(g, image, 5, "a"), b = conv(g, image, 6, "b"), ab = g.add(Concat{}, {a, b}, "ab");
  const Value c = conv(g, ab, 7, "c"), d = relu(g, c, "d"), all = g.add(Concat{}, {ab, d}, "all");
  const Value y = conv(g, all, 2, "y");
  g.outputs.push_back({"out", y});
  const Layout l = layout(g, able());
  CHECK(l.skipped == std::vector<bool>{false, false, true, false, false, true, false});
  for (Value v : {a, b, ab, c, d, all}) CHECK(l.values[at(v)].root == all.id);
  CHECK(l.values[at(a)].offset == 0);
  CHECK(l.values[at(b)].offset == 5 * 4);
  CHECK(l.values[at(d)].offset == 11 * 4);
  CHECK(l.values[at(c)].offset == 11 * 4);  // made where d overwrites it
  CHECK(l.values[at(b)].desc.stride == Desc::nhwc(2, 18, 4, 4).stride);
  CHECK(l.values[at(b)].desc.extent == g[b].desc.extent);
  const MemoryPlan p = planned(g, able());
  CHECK(p.arena_bytes == 2 * 16 * (18 + 2) * 4);
  CHECK(p.arena_bytes == p.lower_bound_bytes);
}

TEST_CASE("a dense block is one storage", "[engine]") {
  Graph g;
  std::vector<Value> parts = {conv(g, g.add_input("image", Desc::nhwc(1, 3, 4, 4)), 8, "stem")};
  std::vector<Value> concats;
  for (int k = 0; k < 4; ++k) {
    const Value x = parts.size() == 1
                        ? parts[0]
                        : (concats.push_back(g.add(Concat{}, parts, "cat" + std::to_string(k))), concats.back());
    parts.push_back(conv(g, relu(g, x, "relu" + std::to_string(k)), 4, "conv" + std::to_string(k)));
  }
  concats.push_back(g.add(Concat{}, parts, "block"));
  g.outputs.push_back({"out", concats.back()});
  const Layout l = layout(g, able());
  for (Value v : concats) CHECK(l.values[at(v)].root == concats.back().id);
  CHECK(std::count(l.skipped.begin(), l.skipped.end(), true) == 4);
  const MemoryPlan p = planned(g, able());
  CHECK(p.arena_bytes == 16 * 4 * (24 + 20));  // the block, and its last relu
}

TEST_CASE("a skip connection does not hold a wide concat early", "[engine]") {
  Graph g;
  const Value image = g.add_input("image", Desc::nhwc(1, 3, 8, 8));
  const Value skip = conv(g, image, 2, "skip");
  const Value wide = conv(g, conv(g, skip, 64, "wide"), 64, "wide2");
  const Value up = conv(g, wide, 62, "up");
  const Value y = conv(g, g.add(Concat{}, {up, skip}, "join"), 1, "y");
  g.outputs.push_back({"out", y});
  const Layout l = layout(g, able());
  CHECK(l.values[at(up)].root != up.id);  // written where it is needed
  CHECK(l.values[at(skip)].root ==
        skip.id);  // copied: as a slice it would keep 64 channels alive beside wide and wide2
  CHECK_FALSE(l.skipped[4]);
  CHECK(planned(g, able()).arena_bytes == 64 * 4 * (64 + 64 + 2));
}

TEST_CASE("outputs: the caller's memory only where channels-last equals rows", "[engine]") {
  Graph g;
  const Value image = g.add_input("image", Desc::nhwc(1, 3, 8, 8));
  const Value wide = conv(g, image, 4, "wide"), plane = conv(g, wide, 1, "plane"), next = conv(g, plane, 1, "next");
  const Value mean = g.add(GlobalMean{}, {wide}, "mean"), both = relu(g, next, "both");
  g.outputs = {{"plane", plane}, {"wide", wide}, {"mean", mean}, {"image", image}, {"both", both}, {"again", both}};
  const Layout l = layout(g, able());
  CHECK(l.values[at(image)].external);
  CHECK(l.values[at(plane)].external);  // though read inside
  CHECK(l.values[at(mean)].external);
  CHECK_FALSE(l.values[at(wide)].external);
  CHECK_FALSE(l.values[at(both)].external);  // twice among the outputs
  const MemoryPlan p = planned(g, able());
  CHECK(p.value_offset[at(plane)] == -1);
  CHECK(p.value_offset[at(wide)] >= 0);
}

TEST_CASE("plans of random graphs hold", "[engine]") {
  for (unsigned seed = 0; seed < 400; ++seed) {
    const Graph g = random_graph(seed, 5 + static_cast<int>(seed % 40));
    const std::vector<std::int64_t> workspace = random_workspaces(g, seed);
    for (const StorageRules& rules : {able(), moody(seed), StorageRules{}}) {
      const Layout l = layout(g, rules);
      const MemoryPlan p = plan(g, l, workspace, {.nodes = 1 << 14});
      INFO("seed " << seed << "\n" << to_text(g));
      REQUIRE_NOTHROW(check_plan(g, l, workspace, p));
      CHECK(p.arena_bytes >= p.lower_bound_bytes);
      CHECK(p.arena_bytes <=
            p.sum_bytes + std::accumulate(workspace.begin(), workspace.end(), std::int64_t{0}) + 64 * 64);
    }
    CHECK(lower_bound(lifetimes(g, layout(g, able()))) <= lower_bound(lifetimes(g, layout(g, {}))));
  }
}
