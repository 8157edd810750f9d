// Which values share storage. One walk over the nodes from the last to the first: each node hands the place of its
// output on to an input, a Concat hands each source its slice, a node that works in place hands over all of it. So
// whole chains end up where their last reader wants them.
#include <algorithm>
#include <set>
#include <utility>

#include "engine/plan.hpp"

namespace fathom {
namespace {

using Pairs = std::set<std::pair<int, int>>;  // (node, position of an input)

// Channels [lo, hi) of a root, holding a value's numbers from step `from` to step `to`.
struct Piece {
  int value;
  std::int64_t lo, hi;
  int from, to;
};

class Layouter {
 public:
  Layouter(const Graph& graph, const StorageRules& rules, const Pairs& copied)
      : graph_(graph),
        rules_(rules),
        copied_(copied),
        readers_(readers(graph)),
        count_(graph.values.size()),
        producer_(count_, -1),
        end_(count_, -1),
        root_(count_, -1),
        lo_(count_, 0),
        pieces_(count_) {
    result_.values.resize(count_);
    result_.in_place.assign(graph.nodes.size(), -1);
    result_.skipped.assign(graph.nodes.size(), false);
  }

  Layout run() {
    const int nodes = static_cast<int>(graph_.nodes.size());
    for (int t = 0; t < nodes; ++t)
      for (Value v : graph_.nodes[at(t)].out) producer_[at(v)] = t;
    for (std::size_t v = 0; v < count_; ++v) {
      end_[v] = producer_[v];
      for (int t : readers_[v]) end_[v] = std::max(end_[v], t);
    }
    mark_external();
    for (int t = nodes - 1; t >= 0; --t) {
      const Node& node = graph_.nodes[at(t)];
      for (std::size_t k = 1; k < node.out.size(); ++k)
        if (open(node.out[k])) settle(node.out[k], node.out[k].id, 0);
      const Value y = node.out[0];
      if (result_.values[at(y)].external) continue;
      const bool concat = std::holds_alternative<Concat>(node.op);
      if (root_[at(y)] < 0) is_view(t) ? make_view(t) : settle(y, y.id, 0);
      concat ? hand_slices(t) : hand_over(t);
    }
    for (std::size_t v = 0; v < count_; ++v) store(static_cast<int>(v));
    return std::move(result_);
  }

 private:
  static std::size_t at(int k) { return static_cast<std::size_t>(k); }
  static std::size_t at(Value v) { return static_cast<std::size_t>(v.id); }
  const Desc& desc(Value v) const { return graph_[v].desc; }
  // Whether a value's place is still to be chosen.
  bool open(Value v) const { return producer_[at(v)] >= 0 && !result_.values[at(v)].external && root_[at(v)] < 0; }

  // The caller's memory holds rows of (N, C, H, W): an output can be written there where that is channels-last as well.
  void mark_external() {
    for (Value v : graph_.inputs) result_.values[at(v)].external = true, root_[at(v)] = v.id;
    for (const Output& output : graph_.outputs) {
      const Value v = output.value;
      const auto same = [&](const Output& o) { return o.value == v; };
      const bool once = std::count_if(graph_.outputs.begin(), graph_.outputs.end(), same) == 1;
      if (producer_[at(v)] >= 0 && once && desc(v).dtype == DType::f32 && desc(v).is_dense_nhwc() && desc(v).is_dense())
        result_.values[at(v)].external = true, root_[at(v)] = v.id;
    }
  }

  void settle(Value v, int root, std::int64_t lo) {
    root_[at(v)] = root, lo_[at(v)] = lo;
    pieces_[at(root)].push_back({v.id, lo, lo + desc(v).c(), producer_[at(v)], end_[at(v)]});
  }

  bool is_slice(Value v, int root) const { return desc(v).c() != desc({root}).c(); }

  // Whether all that touch a value can do so where it is a slice. `via` is the Concat that would no longer read it.
  bool touched_as_slice(Value v, int via) const {
    if (!rules_.writes_slice || !rules_.reads_slice || !desc(v).is_dense_nhwc()) return false;
    if (!rules_.writes_slice(graph_, graph_.nodes[at(producer_[at(v)])])) return false;
    for (int t : readers_[at(v)]) {
      if (t == static_cast<int>(graph_.nodes.size())) return false;  // an output is converted from a dense tensor
      const Node& node = graph_.nodes[at(t)];
      const bool once = std::count(node.in.begin(), node.in.end(), v) == 1;
      for (std::size_t k = 0; k < node.in.size(); ++k)
        if (node.in[k] == v && !(t == via && once) && !rules_.reads_slice(graph_, node, static_cast<int>(k)))
          return false;
    }
    return true;
  }

  bool slice_fits(Value v, std::int64_t lo) const {
    return lo % rules_.slice_channels == 0 && desc(v).c() % rules_.slice_channels == 0;
  }

  // Whether channels from lo on are free for v as long as it is read, apart from what `partner` holds there.
  bool is_free(Value v, int root, std::int64_t lo, int partner) const {
    return std::all_of(pieces_[at(root)].begin(), pieces_[at(root)].end(), [&](const Piece& z) {
      return z.value == partner || z.hi <= lo || lo + desc(v).c() <= z.lo || end_[at(v)] < z.from ||
             z.to < producer_[at(v)];
    });
  }

  // A node that works in place: its input takes its output's place.
  void hand_over(int t) {
    const Node& node = graph_.nodes[at(t)];
    const Value y = node.out[0];
    if (!rules_.in_place) return;
    for (int k : rules_.in_place(graph_, node)) {
      const Value x = node.in[at(k)];
      const int root = root_[at(y)];
      const bool alike = desc(x) == desc(y) || (desc(x).same_extents(desc(y)) && desc(x).dtype == desc(y).dtype &&
                                                desc(x).is_dense_nhwc() && desc(y).is_dense_nhwc());
      if (!open(x) || !alike || end_[at(x)] != t || std::count(node.in.begin(), node.in.end(), x) != 1) continue;
      if (is_view(producer_[at(x)])) continue;  // costs nothing where it is
      if (is_slice(x, root) && !(touched_as_slice(x, -1) && slice_fits(x, lo_[at(y)]))) continue;
      if (!is_free(x, root, lo_[at(y)], y.id)) continue;
      settle(x, root, lo_[at(y)]);
      result_.in_place[at(t)] = k;
      return;
    }
  }

  // A Concat: each source that can takes its slice of the output's place; the others are copied there.
  void hand_slices(int t) {
    const Node& node = graph_.nodes[at(t)];
    const Value y = node.out[0];
    const int root = root_[at(y)];
    std::int64_t lo = lo_[at(y)];
    bool all = true;
    for (std::size_t k = 0; k < node.in.size(); lo += desc(node.in[k]).c(), ++k) {
      const Value x = node.in[k];
      const bool there =
          producer_[at(x)] >= 0 && root_[at(x)] == root && lo_[at(x)] == lo && !result_.values[at(x)].external;
      if (there) continue;
      const bool takes = !copied_.contains({t, static_cast<int>(k)}) && open(x) && desc(x).dtype == desc(y).dtype &&
                         desc(y).is_dense_nhwc() && touched_as_slice(x, t) && slice_fits(x, lo) && is_free(x, root, lo, y.id);
      takes ? carve(x, root, lo, y) : void(all = false);
    }
    result_.skipped[at(t)] = all;
  }

  // Takes x's slice out of the piece that the concat y holds, and gives it to x for as long as either is read.
  void carve(Value x, int root, std::int64_t lo, Value y) {
    std::vector<Piece> kept;
    const std::int64_t hi = lo + desc(x).c();
    int until = end_[at(x)];
    for (const Piece& z : pieces_[at(root)]) {
      if (z.value != y.id || z.hi <= lo || hi <= z.lo) {
        kept.push_back(z);
        continue;
      }
      if (z.lo < lo) kept.push_back({z.value, z.lo, lo, z.from, z.to});
      if (hi < z.hi) kept.push_back({z.value, hi, z.hi, z.from, z.to});
      until = std::max(until, z.to);
    }
    kept.push_back({x.id, lo, hi, producer_[at(x)], until});
    pieces_[at(root)] = std::move(kept);
    root_[at(x)] = root, lo_[at(x)] = lo;
  }

  // A Concat whose sources lie side by side already, as slices of a later one (dense blocks), is a slice there itself.
  bool is_view(int t) const {
    const Node& node = graph_.nodes[at(t)];
    const Value y = node.out[0];
    const int root = root_[at(node.in[0])];
    if (!std::holds_alternative<Concat>(node.op) || root < 0 || result_.values[at(root)].external) return false;
    std::int64_t lo = lo_[at(node.in[0])];
    for (std::size_t k = 0; k < node.in.size(); lo += desc(node.in[k]).c(), ++k)
      if (root_[at(node.in[k])] != root || lo_[at(node.in[k])] != lo || copied_.contains({t, static_cast<int>(k)}))
        return false;
    const std::int64_t begin = lo - desc(y).c();
    return (!is_slice(y, root) || (touched_as_slice(y, -1) && slice_fits(y, begin))) &&
           std::none_of(pieces_[at(root)].begin(), pieces_[at(root)].end(), [&](const Piece& z) {
             return z.lo < lo && begin < z.hi && z.from >= t && z.from <= end_[at(y)];
           });
  }

  void make_view(int t) {
    const Node& node = graph_.nodes[at(t)];
    const Value y = node.out[0];
    const int root = root_[at(y)] = root_[at(node.in[0])];
    const std::int64_t lo = lo_[at(y)] = lo_[at(node.in[0])];
    for (Piece& z : pieces_[at(root)])
      if (z.lo < lo + desc(y).c() && lo < z.hi && z.from < t && t <= z.to) z.to = std::max(z.to, end_[at(y)]);
  }

  void store(int id) {
    Storage& storage = result_.values[at(id)];
    storage.desc = graph_.values[at(id)].desc;
    storage.root = root_[at(id)];
    if (storage.root < 0) return;
    const Desc& whole = graph_.values[at(storage.root)].desc;
    storage.offset = lo_[at(id)] * size_of(whole.dtype);
    if (whole.c() != storage.desc.c())
      storage.desc.stride = whole.stride;
  }

  const Graph& graph_;
  const StorageRules& rules_;
  const Pairs& copied_;
  std::vector<std::vector<int>> readers_;
  std::size_t count_;
  std::vector<int> producer_;  // by value: the node that makes it; -1: inputs and constants
  std::vector<int> end_;       // by value: the last step that reads it
  std::vector<int> root_;      // by value; -1: not chosen yet
  std::vector<std::int64_t> lo_;
  std::vector<std::vector<Piece>> pieces_;  // by root
  Layout result_;
};

// The lower bound, and at how many steps it is reached.
struct Peak {
  std::int64_t bytes = 0;
  int step = 0, steps = 0;
  bool operator<(const Peak& other) const { return std::pair(bytes, steps) < std::pair(other.bytes, other.steps); }
};

Peak peak_of(const Graph& graph, const std::vector<Lifetime>& lives) {
  std::vector<std::int64_t> alive(graph.nodes.size() + 2);
  for (const Lifetime& l : lives) {
    const std::int64_t bytes = (l.bytes + 63) / 64 * 64;
    if (bytes) alive[static_cast<std::size_t>(l.first)] += bytes, alive[static_cast<std::size_t>(l.last) + 1] -= bytes;
  }
  Peak peak;
  std::int64_t now = 0;
  for (std::size_t t = 0; t <= graph.nodes.size(); ++t) {
    now += alive[t];
    if (now > peak.bytes) peak = {now, static_cast<int>(t), 0};
    peak.steps += now == peak.bytes;
  }
  return peak;
}

// The sources that keep a Concat's storage in use at a step before it is made or after it is last read, by Concat.
std::vector<Pairs> idle_slices(const Graph& graph, const Layout& made, int step) {
  const auto at = [](int k) { return static_cast<std::size_t>(k); };
  std::vector<int> first(graph.values.size(), -1), last(graph.values.size(), -1);
  const int nodes = static_cast<int>(graph.nodes.size());
  for (int t = 0; t < nodes; ++t) {
    for (Value v : graph.nodes[at(t)].out) first[at(v.id)] = t;
    for (Value v : graph.nodes[at(t)].in) last[at(v.id)] = t;
  }
  for (const Output& output : graph.outputs) last[at(output.value.id)] = nodes;
  std::vector<Pairs> result;
  for (int t = 0; t < nodes; ++t) {
    const Node& node = graph.nodes[at(t)];
    const int y = node.out[0].id;
    if (!std::holds_alternative<Concat>(node.op) || (first[at(y)] <= step && step <= last[at(y)])) continue;
    Pairs idle;
    for (int k = 0; k < static_cast<int>(node.in.size()); ++k)
      if (const int x = node.in[at(k)].id;
          made.values[at(x)].root == made.values[at(y)].root && first[at(x)] <= step && step <= last[at(x)])
        idle.insert({t, k});
    if (!idle.empty()) result.push_back(std::move(idle));
  }
  return result;
}

Pairs all_sources(const Graph& graph, int t) {
  const Node& node = graph.nodes[static_cast<std::size_t>(t)];
  Pairs pairs;
  for (int k = 0; std::holds_alternative<Concat>(node.op) && k < static_cast<int>(node.in.size()); ++k)
    pairs.insert({t, k});
  return pairs;
}

}  // namespace

Layout layout(const Graph& graph, const StorageRules& rules) {
  struct Choice {
    Pairs copied;
    Layout made;
    Peak peak;
  };
  const auto choose = [&](Pairs copied) {
    Layout made = Layouter(graph, rules, copied).run();
    const Peak peak = peak_of(graph, lifetimes(graph, made));
    return Choice{std::move(copied), std::move(made), peak};
  };
  // All slices; then, while some hold their Concat's storage at the peak although it is not in use, copy those instead.
  Choice best = choose({});
  for (bool better = true; better;) {
    better = false;
    for (Pairs idle : idle_slices(graph, best.made, best.peak.step)) {
      idle.insert(best.copied.begin(), best.copied.end());
      Choice other = choose(std::move(idle));
      if (!(other.peak < best.peak)) continue;
      best = std::move(other), better = true;
      break;
    }
  }
  // No slices, where that is lower still; then those of each Concat that raise nothing.
  Pairs all;
  const int nodes = static_cast<int>(graph.nodes.size());
  for (int t = 0; t < nodes; ++t) all.merge(all_sources(graph, t));
  if (Choice none = choose(all); none.peak.bytes < best.peak.bytes) {
    best = std::move(none);
    for (int t = nodes - 1; t >= 0; --t) {
      Pairs fewer = best.copied;
      for (const auto& pair : all_sources(graph, t)) fewer.erase(pair);
      if (fewer.size() == best.copied.size()) continue;
      if (Choice other = choose(std::move(fewer)); other.peak.bytes <= best.peak.bytes) best = std::move(other);
    }
  }
  return std::move(best.made);
}

}  // namespace fathom
