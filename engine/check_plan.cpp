// Walks through a run as the kernels would, and notes at every write whose numbers it destroys. Whatever is read later
// must be intact then. Knows nothing of lifetimes, nor of how the layout was found.
#include <algorithm>
#include <string>

#include "engine/plan.hpp"
#include "fathom/error.hpp"

namespace fathom {
namespace {

// The bytes of a tensor: `count` runs of `length` bytes, each `pitch` after the one before.
struct Runs {
  std::int64_t begin = 0, count = 0, length = 0, pitch = 0;
  std::int64_t end() const { return begin + (count - 1) * pitch + length; }
};

Runs whole(const Desc& desc, std::int64_t offset) {
  return {offset, desc.elements() ? 1 : 0, desc.storage_bytes(), desc.storage_bytes()};
}

// A slice of the channels of a channels-last tensor: one run per pixel.
Runs slice(const Desc& desc, std::int64_t offset) {
  const std::int64_t size = size_of(desc.dtype);
  const std::int64_t pitch = desc.w() > 1 ? desc.stride[3] : desc.h() > 1 ? desc.stride[2] : desc.stride[0];
  const std::int64_t strides[] = {desc.h() * desc.w() * pitch, 1, desc.w() * pitch, pitch};
  for (std::size_t r = 0; r < 4; ++r)
    if (desc.extent[r] > 1 && desc.stride[r] != strides[r]) return whole(desc, offset);  // at most
  return desc.elements() ? Runs{offset, desc.n() * desc.h() * desc.w(), desc.c() * size, pitch * size} : Runs{};
}

bool meets(const Runs& a, const Runs& b) {
  if (a.count > b.count) return meets(b, a);
  if (a.count == 0 || a.end() <= b.begin || b.end() <= a.begin) return false;
  if (b.count == 1) return true;
  if (a.count > 1 && a.pitch == b.pitch && a.begin % a.pitch + a.length <= a.pitch &&
      b.begin % b.pitch + b.length <= b.pitch)
    return a.begin % a.pitch < b.begin % b.pitch + b.length && b.begin % b.pitch < a.begin % a.pitch + a.length;
  for (std::int64_t k = 0; k < a.count; ++k) {
    const std::int64_t begin = a.begin + k * a.pitch;  // the first run of b that ends after it, if any
    const std::int64_t first = std::max<std::int64_t>(0, (begin - b.begin - b.length) / b.pitch);
    for (std::int64_t j = first; j < b.count && b.begin + j * b.pitch < begin + a.length; ++j)
      if (b.begin + j * b.pitch + b.length > begin) return true;
  }
  return false;
}

class Checker {
 public:
  Checker(const Graph& graph, const Layout& layout, std::span<const std::int64_t> workspace, const MemoryPlan& plan)
      : graph_(graph),
        layout_(layout),
        workspace_(workspace),
        plan_(plan),
        spoiler_(graph.values.size()),
        made_(graph.values.size(), false) {}

  void run() {
    check_sizes();
    for (std::size_t v = 0; v < graph_.values.size(); ++v) check_place(static_cast<int>(v));
    for (Value v : graph_.inputs) made_[at(v)] = true;
    for (std::size_t t = 0; t < graph_.nodes.size(); ++t) layout_.skipped[t] ? skip(t) : step(t);
    for (const Output& output : graph_.outputs) read(output.value, "output '" + output.name + "'");
  }

 private:
  static std::size_t at(Value v) { return static_cast<std::size_t>(v.id); }
  const Storage& storage(Value v) const { return layout_.values[at(v)]; }
  bool in_arena(Value v) const { return storage(v).root >= 0 && !storage(v).external; }
  Runs runs(Value v) const {
    const Desc& desc = storage(v).desc;
    return desc == graph_[v].desc ? whole(desc, plan_.value_offset[at(v)]) : slice(desc, plan_.value_offset[at(v)]);
  }
  std::string quoted(Value v) const { return "'" + graph_[v].name + "'"; }
  [[noreturn]] static void fail(const std::string& what) { throw Error(ErrorKind::memory, "memory plan: " + what); }

  void check_sizes() const {
    if (layout_.values.size() != graph_.values.size() || plan_.value_offset.size() != graph_.values.size() ||
        layout_.skipped.size() != graph_.nodes.size() || layout_.in_place.size() != graph_.nodes.size() ||
        plan_.workspace_offset.size() != graph_.nodes.size() || workspace_.size() != graph_.nodes.size())
      fail("it was made for another graph");
    if (plan_.arena_bytes < plan_.lower_bound_bytes) fail("the arena is smaller than its lower bound");
  }

  void check_inside(std::int64_t begin, std::int64_t end, const std::string& what) const {
    if (begin < 0 || end > plan_.arena_bytes)
      fail(what + " occupies bytes " + std::to_string(begin) + " to " + std::to_string(end) +
           ", outside the arena of " + std::to_string(plan_.arena_bytes));
  }

  void check_place(int id) const {
    const Value v{id};
    const Storage& s = storage(v);
    if (graph_[v].constant) {
      if (s.root != -1) fail("constant " + quoted(v) + " shares the storage of a value");
      return;
    }
    if (!s.desc.same_extents(graph_[v].desc) || s.desc.dtype != graph_[v].desc.dtype)
      fail("value " + quoted(v) + " is stored with another shape or type than it has");
    if (s.external ? s.root != id : s.root >= 0 && layout_.values[static_cast<std::size_t>(s.root)].external)
      fail("value " + quoted(v) + " shares the caller's memory with " + quoted({s.root}));
    if (!in_arena(v)) return;
    check_inside(plan_.value_offset[at(v)], plan_.value_offset[at(v)] + (s.root == id ? s.desc.storage_bytes() : s.desc.span_bytes()), "value " + quoted(v));
    if (plan_.value_offset[at(v)] != plan_.value_offset[static_cast<std::size_t>(s.root)] + s.offset)
      fail("value " + quoted(v) + " does not lie where its storage " + quoted({s.root}) + " has it");
    if (s.root == id && plan_.value_offset[at(v)] % 64) fail("value " + quoted(v) + " is not aligned to 64 bytes");
  }

  void read(Value v, const std::string& reader) const {
    if (graph_[v].constant) return;
    if (!made_[at(v)]) fail(reader + " reads " + quoted(v) + " before it is made");
    if (!spoiler_[at(v)].empty())
      fail(spoiler_[at(v)] + " overwrites value " + quoted(v) + " before " + reader + " reads it");
  }

  // Bytes written: every value that lies there is spoiled.
  void write(const Runs& bytes, const std::string& writer) {
    for (std::size_t k = 0; k < graph_.values.size(); ++k)
      if (const Value u{static_cast<int>(k)}; made_[k] && spoiler_[k].empty() && in_arena(u) && meets(bytes, runs(u)))
        spoiler_[k] = writer;
  }

  // Where the channels of input k of a Concat start in its output.
  bool is_in_its_slice(const Node& node, std::size_t k) const {
    const Value x = node.in[k], y = node.out[0];
    if (!in_arena(x) || !in_arena(y) || storage(x).desc.dtype != storage(y).desc.dtype) return false;
    std::int64_t channel = 0;
    for (std::size_t j = 0; j < k; ++j) channel += graph_[node.in[j]].desc.c();
    for (std::size_t r = 0; r < 4; ++r)
      if (graph_[x].desc.extent[r] > 1 && storage(x).desc.stride[r] != storage(y).desc.stride[r]) return false;
    return plan_.value_offset[at(x)] == plan_.value_offset[at(y)] + channel * size_of(storage(y).desc.dtype);
  }

  void skip(std::size_t t) {
    const Node& node = graph_.nodes[t];
    for (std::size_t k = 0; k < node.in.size(); ++k) {
      if (!std::holds_alternative<Concat>(node.op) || !is_in_its_slice(node, k))
        fail("node '" + node.name + "' is skipped, but " + quoted(node.in[k]) + " is not a slice of its output");
      if (!made_[at(node.in[k])]) fail("node '" + node.name + "' comes before " + quoted(node.in[k]));
      if (spoiler_[at(node.out[0])].empty()) spoiler_[at(node.out[0])] = spoiler_[at(node.in[k])];
    }
    made_[at(node.out[0])] = true;
  }

  void step(std::size_t t) {
    const Node& node = graph_.nodes[t];
    const Value y = node.out[0];
    const std::string name = "node '" + node.name + "'";
    for (Value x : node.in) read(x, name);
    for (const Runs& bytes : written(node)) {
      for (std::size_t k = 0; k < node.in.size(); ++k) {
        const Value x = node.in[k];
        if (!in_arena(x) || !meets(runs(x), bytes)) continue;
        if (layout_.in_place[t] != static_cast<int>(k) || plan_.value_offset[at(x)] != plan_.value_offset[at(y)] ||
            !same_strides(storage(x).desc, storage(y).desc))
          fail(name + " writes " + quoted(y) + " over its input " + quoted(x));
      }
      write(bytes, name);
    }
    for (Value v : node.out) made_[at(v)] = true;
    if (!workspace_[t]) return;
    const Runs scratch{plan_.workspace_offset[t], 1, workspace_[t], workspace_[t]};
    check_inside(scratch.begin, scratch.end(), "the workspace of " + name);
    if (scratch.begin % 64) fail("the workspace of " + name + " is not aligned to 64 bytes");
    for (Value v : node.in)
      if (in_arena(v) && meets(scratch, runs(v))) fail("the workspace of " + name + " overlaps its input " + quoted(v));
    write(scratch, "the workspace of " + name);
    for (Value v : node.out)
      if (!spoiler_[at(v)].empty()) fail("the workspace of " + name + " overlaps its output " + quoted(v));
  }

  static bool same_strides(const Desc& a, const Desc& b) {
    for (std::size_t r = 0; r < 4; ++r)
      if (a.extent[r] != b.extent[r] || (a.extent[r] > 1 && a.stride[r] != b.stride[r])) return false;
    return a.dtype == b.dtype;
  }

  // What a node writes: all of its output, but a Concat only the slices of the sources that do not lie there already.
  std::vector<Runs> written(const Node& node) const {
    std::vector<Runs> result;
    if (!std::holds_alternative<Concat>(node.op)) {
      for (Value v : node.out)
        if (in_arena(v)) result.push_back(runs(v));
      return result;
    }
    const Value y = node.out[0];
    if (!in_arena(y)) return {};
    std::int64_t offset = plan_.value_offset[at(y)];
    for (std::size_t k = 0; k < node.in.size(); ++k) {
      Desc part = storage(y).desc;
      part.extent[1] = graph_[node.in[k]].desc.c();
      if (!is_in_its_slice(node, k)) result.push_back(slice(part, offset));
      offset += part.c() * size_of(part.dtype);
    }
    return result;
  }

  const Graph& graph_;
  const Layout& layout_;
  std::span<const std::int64_t> workspace_;
  const MemoryPlan& plan_;
  std::vector<std::string> spoiler_;  // by value: what destroyed it; empty: intact
  std::vector<bool> made_;
};

}  // namespace

void check_plan(const Graph& graph, const Layout& layout, std::span<const std::int64_t> workspace_bytes,
                const MemoryPlan& plan) {
  Checker(graph, layout, workspace_bytes, plan).run();
}

}  // namespace fathom
