#include "engine/program.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "fathom/error.hpp"

namespace fathom {

namespace {

Operand operand(const Graph& graph, const Layout& layout, Value v) {
  const ValueInfo& info = graph[v];
  return {v.id, info.constant ? info.desc : layout.values[static_cast<std::size_t>(v.id)].desc, info.name,
          info.constant};
}

void check_budget(const Graph& graph, std::int64_t needed_bytes, std::int64_t budget_bytes) {
  if (needed_bytes <= budget_bytes) return;
  const Desc& in = graph[graph.inputs.at(0)].desc;
  throw Error(ErrorKind::memory, "running at " + std::to_string(in.w()) + "x" + std::to_string(in.h()) + ", batch " +
                                     std::to_string(in.n()) + ", needs at least " + std::to_string(needed_bytes) +
                                     " bytes of memory, over the budget of " + std::to_string(budget_bytes) +
                                     ": choose a smaller size or batch, or raise the budget");
}

// A fused graph made ready for the device, all but its place in memory.
struct Prepared {
  Graph graph;
  Layout layout;
  std::vector<Step> steps;
  std::vector<int> node;                // of each step
  std::vector<std::int64_t> workspace;  // by node
  std::int64_t bound_bytes = 0;         // of the arena
  std::int64_t order_gain_bytes = 0;    // see Program

  Prepared(Graph fused, Backend& backend, bool early_gates, std::int64_t budget_bytes) {
    const StorageRules rules = backend.rules();
    Ordered ordered = order_for_memory(backend.choose_types(finish_outputs(std::move(fused))), rules);
    graph = early_gates ? make_gates_early(std::move(ordered.graph)) : std::move(ordered.graph);
    order_gain_bytes = ordered.gain_bytes;
    layout = fathom::layout(graph, rules);
    std::vector<Lifetime> buffers = lifetimes(graph, layout);
    check_budget(graph, lower_bound(buffers), budget_bytes);
    workspace.resize(graph.nodes.size());
    for (std::size_t k = 0; k < graph.nodes.size(); ++k) {
      if (layout.skipped[k]) continue;
      const Node& n = graph.nodes[k];
      NodeIo io{.name = n.name, .out = operand(graph, layout, n.out[0]), .in_place = layout.in_place[k]};
      if (n.out.size() > 1) io.mean = operand(graph, layout, n.out[1]);
      for (Value v : n.in) io.in.push_back(operand(graph, layout, v));
      steps.push_back(backend.prepare(n.op, io));
      node.push_back(static_cast<int>(k));
      workspace[k] = steps.back().workspace_bytes;
      buffers.push_back({static_cast<int>(k), static_cast<int>(k), workspace[k]});
    }
    bound_bytes = lower_bound(buffers);
  }
};

// Sums are begun early where that needs less memory. What is packed for the others is a few channels of weights.
Prepared split_and_prepare(const Graph& fused, Backend& backend, bool early_gates, std::int64_t budget_bytes) {
  const Graph split = split_sources(fused);
  Prepared best(split, backend, early_gates, budget_bytes);
  std::vector<std::string> parted, whole;
  for (const Node& node : fused.nodes)
    for (const Node& n : split.nodes)
      if (n.name == node.name + ".early") parted.push_back(node.name);
  for (const bool must_lower : {true, false})  // first whatever costs memory, then whatever gains none
    for (const std::string& name : parted) {
      if (std::find(whole.begin(), whole.end(), name) != whole.end()) continue;
      whole.push_back(name);
      Prepared fewer(split_sources(fused, whole), backend, early_gates, std::numeric_limits<std::int64_t>::max());
      if (fewer.bound_bytes < best.bound_bytes + !must_lower)
        best = std::move(fewer);
      else
        whole.pop_back();
    }
  return best;
}

bool takes_callers_memory(const Graph& graph, const Node& node) {
  const auto callers = [&](Value v) {
    return std::find(graph.inputs.begin(), graph.inputs.end(), v) != graph.inputs.end() ||
           std::any_of(graph.outputs.begin(), graph.outputs.end(), [&](const Output& o) { return o.value == v; });
  };
  return std::any_of(node.in.begin(), node.in.end(), callers) || std::any_of(node.out.begin(), node.out.end(), callers);
}

}  // namespace

int Program::counters() const {
  int most = 0;
  for (const Step& s : steps) most = std::max(most, s.counters);
  return most;
}

double Program::flops() const {
  double sum = 0;
  for (const Step& s : steps) sum += s.flops;
  return sum;
}

double Program::bytes() const {
  double sum = 0;
  for (const Step& s : steps) sum += s.bytes;
  return sum;
}

Program compile(Graph graph, Backend& backend, const CompileOptions& options) {
  Program program;
  graph = select_outputs(std::move(graph), options.outputs);
  for (const Output& o : graph.outputs) program.outputs.push_back(graph[o.value].desc);
  Fusions fusions = backend.fusions();
  fusions.products = fusions.products && options.low_products;
  const bool split = options.fuse && std::exchange(fusions.split, false);
  if (options.fuse) graph = fuse(std::move(graph), fusions);
  const bool early_gates = options.fuse && fusions.early_gates;
  Prepared ready = split ? split_and_prepare(graph, backend, early_gates, options.budget_bytes)
                         : Prepared(std::move(graph), backend, early_gates, options.budget_bytes);
  program.layout = std::move(ready.layout), program.steps = std::move(ready.steps),
  program.node = std::move(ready.node), program.order_gain_bytes = ready.order_gain_bytes;
  graph = std::move(ready.graph);
  program.memory = plan(graph, program.layout, ready.workspace);
  check_budget(graph, program.memory.arena_bytes, options.budget_bytes);
  for (ValueInfo& info : graph.values)  // what backends packed is all that stays
    if (info.constant) info.constant = std::make_shared<Constant>(Constant{info.desc, nullptr});
  program.graph = std::move(graph);
  return program;
}

Binding::Binding(std::shared_ptr<const Program> program, std::shared_ptr<std::byte> arena, BindOptions options)
    : program_(std::move(program)),
      arena_(std::move(arena)),
      options_(std::move(options)),
      data_(program_->graph.values.size()) {
  for (std::size_t v = 0; v < data_.size(); ++v)
    if (const std::int64_t offset = program_->memory.value_offset[v]; offset >= 0) data_[v] = arena_.get() + offset;
  if (options_.queue && !options_.wait_each) recorder_ = options_.queue->recorder();
  for (const int node : program_->node)
    work_.addressed.push_back(
        takes_callers_memory(program_->graph, program_->graph.nodes[static_cast<std::size_t>(node)]));
  work_.enqueue = [this](int step, void* stream) { enqueue(step, stream); };
}

void Binding::check(std::span<const void* const> inputs, std::span<float* const> outputs) const {
  const Graph& graph = program_->graph;
  if (inputs.size() != graph.inputs.size() || outputs.size() != graph.outputs.size())
    throw Error(ErrorKind::usage, "the network takes " + std::to_string(graph.inputs.size()) + " inputs and gives " +
                                      std::to_string(graph.outputs.size()) + " outputs, got " +
                                      std::to_string(inputs.size()) + " and " + std::to_string(outputs.size()));
  const auto check_pointer = [&](const void* p, const std::string& what, bool photograph) {
    if (!p) throw Error(ErrorKind::usage, "the pointer to the " + what + " is null");
    if (!photograph && reinterpret_cast<std::uintptr_t>(p) % static_cast<std::uintptr_t>(options_.alignment))
      throw Error(ErrorKind::usage, "the pointer to the " + what + " must be a multiple of " +
                                        std::to_string(options_.alignment) +
                                        " on this device, as those of cudaMalloc are");
  };
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const ValueInfo& in = graph[graph.inputs[k]];
    check_pointer(inputs[k], "input '" + in.name + "'", in.desc.dtype == DType::u8);
  }
  for (std::size_t k = 0; k < outputs.size(); ++k)
    check_pointer(outputs[k], "output '" + graph.outputs[k].name + "'", false);
}

void Binding::enqueue(int k, void* stream) const {
  auto* const counters = reinterpret_cast<unsigned*>(options_.counters.get());
  const auto at = static_cast<std::size_t>(k);
  const Step& step = program_->steps[at];
  const std::int64_t workspace = program_->memory.workspace_offset[static_cast<std::size_t>(program_->node[at])];
  try {
    step.run({data_.data(), arena_.get() + (workspace > 0 ? workspace : 0), stream, counters});
    if (options_.wait_each && options_.queue) options_.queue->wait(stream);
  } catch (const Error& e) {
    throw Error(e.kind(), "layer '" + step.name + "' (" + step.op + ", by " + step.kernel + "): " + e.what());
  }
}

void Binding::run(std::span<const void* const> inputs, std::span<float* const> outputs, void* stream) {
  check(inputs, outputs);
  const Graph& graph = program_->graph;
  std::vector<const void*> addresses(inputs.begin(), inputs.end());
  addresses.insert(addresses.end(), outputs.begin(), outputs.end());
  for (std::size_t k = 0; k < inputs.size(); ++k)
    data_[static_cast<std::size_t>(graph.inputs[k].id)] = const_cast<void*>(inputs[k]);
  for (std::size_t k = 0; k < outputs.size(); ++k)
    data_[static_cast<std::size_t>(graph.outputs[k].value.id)] = outputs[k];
  if (recorder_)
    recorder_->run(work_, addresses, stream);
  else
    enqueue_all(work_, stream);
}

}  // namespace fathom
