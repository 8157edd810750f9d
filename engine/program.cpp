#include "engine/program.hpp"

#include <algorithm>

#include "fathom/error.hpp"

namespace fathom {

namespace {

Operand operand(const Graph& graph, const Layout& layout, Value v) {
  const ValueInfo& info = graph[v];
  return {v.id, info.constant ? info.desc : layout.values[static_cast<std::size_t>(v.id)].desc, info.name, info.constant};
}

void check_budget(const Graph& graph, std::int64_t needed_bytes, std::int64_t budget_bytes) {
  if (needed_bytes <= budget_bytes) return;
  const Desc& in = graph[graph.inputs.at(0)].desc;
  throw Error(ErrorKind::memory, "running at " + std::to_string(in.w()) + "x" + std::to_string(in.h()) + ", batch " + std::to_string(in.n()) +
                                     ", needs at least " + std::to_string(needed_bytes) + " bytes of memory, over the budget of " +
                                     std::to_string(budget_bytes) + ": choose a smaller size or batch, or raise the budget");
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
  if (options.fuse) graph = fuse(std::move(graph), fusions);
  graph = backend.choose_types(finish_outputs(std::move(graph)));
  const StorageRules rules = backend.rules();
  graph = order_for_memory(graph, rules);
  program.layout = layout(graph, rules);
  check_budget(graph, lower_bound(lifetimes(graph, program.layout)), options.budget_bytes);

  std::vector<std::int64_t> workspace(graph.nodes.size());
  for (std::size_t k = 0; k < graph.nodes.size(); ++k) {
    if (program.layout.skipped[k]) continue;
    const Node& node = graph.nodes[k];
    NodeIo io{.name = node.name, .out = operand(graph, program.layout, node.out[0]), .in_place = program.layout.in_place[k]};
    for (Value v : node.in) io.in.push_back(operand(graph, program.layout, v));
    program.steps.push_back(backend.prepare(node.op, io));
    program.node.push_back(static_cast<int>(k));
    workspace[k] = program.steps.back().workspace_bytes;
  }
  program.memory = plan(graph, program.layout, workspace);
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
}

void Binding::check(std::span<const void* const> inputs, std::span<float* const> outputs) const {
  const Graph& graph = program_->graph;
  if (inputs.size() != graph.inputs.size() || outputs.size() != graph.outputs.size())
    throw Error(ErrorKind::usage, "the network takes " + std::to_string(graph.inputs.size()) + " inputs and gives " +
                                      std::to_string(graph.outputs.size()) + " outputs, got " + std::to_string(inputs.size()) +
                                      " and " + std::to_string(outputs.size()));
  const auto check_pointer = [&](const void* p, const std::string& what, bool photograph) {
    if (!p) throw Error(ErrorKind::usage, "the pointer to the " + what + " is null");
    if (!photograph && reinterpret_cast<std::uintptr_t>(p) % static_cast<std::uintptr_t>(options_.alignment))
      throw Error(ErrorKind::usage, "the pointer to the " + what + " must be a multiple of " + std::to_string(options_.alignment) +
                                        " on this device, as those of cudaMalloc are");
  };
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    const ValueInfo& in = graph[graph.inputs[k]];
    check_pointer(inputs[k], "input '" + in.name + "'", in.desc.dtype == DType::u8);
  }
  for (std::size_t k = 0; k < outputs.size(); ++k) check_pointer(outputs[k], "output '" + graph.outputs[k].name + "'", false);
}

void Binding::enqueue(void* stream) const {
  auto* const counters = reinterpret_cast<unsigned*>(options_.counters.get());
  for (std::size_t k = 0; k < program_->steps.size(); ++k) {
    const Step& step = program_->steps[k];
    const std::int64_t workspace = program_->memory.workspace_offset[static_cast<std::size_t>(program_->node[k])];
    try {
      step.run({data_.data(), arena_.get() + (workspace > 0 ? workspace : 0), stream, counters});
      if (options_.wait_each && options_.queue) options_.queue->wait(stream);
    } catch (const Error& e) {
      throw Error(e.kind(), "layer '" + step.name + "' (" + step.op + ", by " + step.kernel + "): " + e.what());
    }
  }
}

void Binding::run(std::span<const void* const> inputs, std::span<float* const> outputs, void* stream) {
  check(inputs, outputs);
  const Graph& graph = program_->graph;
  std::vector<const void*> addresses(inputs.begin(), inputs.end());
  addresses.insert(addresses.end(), outputs.begin(), outputs.end());
  for (std::size_t k = 0; k < inputs.size(); ++k) data_[static_cast<std::size_t>(graph.inputs[k].id)] = const_cast<void*>(inputs[k]);
  for (std::size_t k = 0; k < outputs.size(); ++k) data_[static_cast<std::size_t>(graph.outputs[k].value.id)] = outputs[k];
  if (recorder_)
    recorder_->run([this](void* s) { enqueue(s); }, addresses, stream);
  else
    enqueue(stream);
}

}  // namespace fathom
