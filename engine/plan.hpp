// Where every activation and workspace of a run lies: one arena, offsets, one total. Knows graphs, not devices.
#pragma once

#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "engine/graph.hpp"

namespace fathom {

// ---- placing buffers with known lifetimes (dynamic storage allocation) ----

// A buffer that is alive from step `first` to step `last`, both included.
struct Lifetime {
  int first = 0, last = 0;
  std::int64_t bytes = 0;
};

struct PlaceOptions {
  std::int64_t alignment = 64;
  // Of search at most, once the simple orders miss the lower bound: buffers put down, and seconds. By the first alone
  // the result does not depend on how fast the machine is.
  std::int64_t nodes = 1 << 15;
  double seconds = std::numeric_limits<double>::infinity();
};

struct Placement {
  std::vector<std::int64_t> offset;  // one per buffer, aligned
  std::int64_t arena_bytes = 0;
  std::int64_t lower_bound_bytes = 0;  // the largest sum of aligned bytes alive at one step
  bool optimal = false;                // arena == bound, or a search has proved that nothing smaller exists
};

// The same buffers give the same placement, unless options.seconds end the search.
Placement place(std::span<const Lifetime> buffers, const PlaceOptions& options = {});
// The largest sum of aligned bytes alive at one step.
std::int64_t lower_bound(std::span<const Lifetime> buffers, std::int64_t alignment = 64);

// ---- storage of a graph's values ----

// What a backend can do with memory. A rule that is not set says no.
struct StorageRules {
  // The inputs (by position) whose memory a node may overwrite with its output, best first.
  std::function<std::vector<int>(const Graph&, const Node&)> in_place;
  // Whether a node can write its output into a channel slice of a wider tensor: strides other than dense, and an
  // address aligned to no more than an element.
  std::function<bool(const Graph&, const Node&)> writes_slice;
  // Whether a node can read that input (by position) where it is such a slice.
  std::function<bool(const Graph&, const Node&, int)> reads_slice;
  // A slice begins at a multiple of so many channels, and has that many or a multiple: for kernels with wide accesses.
  std::int64_t slice_channels = 1;
};

// The storage of one value: bytes [offset, offset + span) of its root's storage. A root is its own root.
struct Storage {
  int root = -1;            // value id; -1: constants, which have storage of their own
  std::int64_t offset = 0;  // in bytes
  Desc desc;                // the value's, with the strides it has there
  bool external = false;  // graph inputs, and outputs written straight into the caller's memory; they share with nobody
};

struct Layout {
  std::vector<Storage> values;  // by value id
  std::vector<int> in_place;    // per node: the input whose storage its output reuses, or -1
  std::vector<bool> skipped;    // per node: nothing to run (a Concat whose sources all write their slices)
};

// Decides aliases: element-wise ops in place, residuals in place, concat sources as slices of the concat's storage. A
// Concat that runs although some of its sources are slices already copies the others; its kernel may leave alone a
// source whose address is where it belongs. A slice that would raise the lower bound (a skip connection that keeps a
// whole concat's storage alive from the encoder on) is not made.
Layout layout(const Graph& graph, const StorageRules& rules);

// How long each root's storage in the arena is in use, by value id; no bytes where a value is no root, or external.
std::vector<Lifetime> lifetimes(const Graph& graph, const Layout& layout);

struct MemoryPlan {
  std::vector<std::int64_t> value_offset;      // by value id, in the arena; -1 for constants and external values
  std::vector<std::int64_t> workspace_offset;  // by node
  std::int64_t arena_bytes = 0;
  std::int64_t lower_bound_bytes = 0;
  std::int64_t sum_bytes = 0;        // of all activations without any reuse
  std::int64_t workspace_bytes = 0;  // the largest
  bool optimal = false;
};

MemoryPlan plan(const Graph& graph, const Layout& layout, std::span<const std::int64_t> workspace_bytes,
                const PlaceOptions& options = {});

// The same graph with its nodes in an order that lowers the lower bound; never raises it.
struct Ordered {
  Graph graph;
  std::int64_t gain_bytes = 0;  // by how much it lowers the bound, workspaces left out
};
Ordered order_for_memory(const Graph& graph, const StorageRules& rules);

// Checks a plan by other code than made it: no two values or workspaces alive at once overlap, all lie in the arena.
// Throws Error{memory} that names the two.
void check_plan(const Graph& graph, const Layout& layout, std::span<const std::int64_t> workspace_bytes,
                const MemoryPlan& plan);

}  // namespace fathom
