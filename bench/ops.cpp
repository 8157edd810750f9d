#include "bench/ops.hpp"

#include <algorithm>
#include <cstring>
#include <map>

#include "bench/memory.hpp"
#include "engine/model.hpp"
#include "engine/synthetic.hpp"
#include "fathom/error.hpp"
#include "tests/kernels/cases.hpp"

namespace fathom {

namespace {

// A map as the backend stores it between two layers.
Desc stored(Backend& backend, const Desc& desc) {
  if (desc.dtype != DType::f32 || desc.rank != 4) return desc;
  Graph graph;
  const Value x = graph.add_input("x", desc);
  graph.add(Activation{}, {x}, "y");
  return backend.choose_types(std::move(graph)).values.back().desc;
}

std::string key_of(const OpProblem& p) {
  std::string key = to_text(p.op);
  for (const Desc& d : p.in) key += " " + shape_text(d) + std::to_string(static_cast<int>(d.dtype));
  return key;
}

}  // namespace

std::vector<OpProblem> table_problems(Backend& backend) {
  std::vector<OpProblem> problems;
  for (const test::Case& c : test::all_cases()) {
    OpProblem p{c.name, c.op, c.in, infer(c.op, c.in), 1, {}};
    const std::size_t data = test::data_inputs(c.op, c.in.size());
    for (std::size_t k = 0; k < data; ++k) p.in[k] = stored(backend, p.in[k]);
    p.out = stored(backend, p.out);
    try {
      OpRun probe(p, backend);
    } catch (const Error&) {  // of the other device, or a type that this one does not take
      continue;
    }
    problems.push_back(std::move(p));
  }
  return problems;
}

std::vector<OpProblem> convolution_problems(Backend& backend, const std::vector<std::string>& networks, int batch) {
  std::map<std::string, OpProblem> found;
  for (const std::string& network : networks) {
    const auto [width, height] = tabled_sizes(network).front();
    if (!width)
      throw Error(ErrorKind::usage, "ops: '" + network + "' is no architecture; `fathom_weights list` has them");
    Graph graph = select_outputs(build_graph(synthetic_model(network), {batch, height, width}), {});
    Fusions fusions = backend.fusions();
    fusions.split = false;  // a choice by the plan of the whole network
    graph = backend.choose_types(finish_outputs(fuse(std::move(graph), fusions)));
    for (const Node& node : graph.nodes) {
      if (!std::holds_alternative<Conv2d>(node.op) && !std::holds_alternative<ConvTranspose2d>(node.op)) continue;
      OpProblem p{network + "/" + node.name, node.op, {}, graph[node.out[0]].desc, 0, {}};
      for (Value v : node.in) p.in.push_back(graph[v].desc);
      OpProblem& entry = found.try_emplace(key_of(p), p).first->second;
      ++entry.count;
      if (entry.networks.empty() || entry.networks.back() != network) entry.networks.push_back(network);
    }
  }
  std::vector<OpProblem> problems;
  for (auto& [key, problem] : found) problems.push_back(std::move(problem));
  const auto work = [](const OpProblem& p) { return multiply_adds(p) * p.count; };
  std::stable_sort(problems.begin(), problems.end(),
                   [&](const OpProblem& a, const OpProblem& b) { return work(a) > work(b); });
  return problems;
}

double multiply_adds(const OpProblem& problem) { return multiply_adds(problem.op, problem.in, problem.out); }

std::string to_text(const OpProblem& problem) {
  std::string text;
  for (const Desc& d : problem.in) text += shape_text(d), text += " ";
  return text + to_text(problem.op);
}

std::shared_ptr<std::byte> OpRun::put(const Desc& desc, std::uint64_t seed) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(desc.storage_bytes()));
  const std::size_t size = static_cast<std::size_t>(size_of(desc.dtype));
  for (std::size_t k = 0; k + size <= bytes.size(); k += size) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    const float value = static_cast<float>(seed >> 40) / 8388608.f - 1;
    const std::uint16_t half = float_to_half(value);
    if (desc.dtype == DType::f32) std::memcpy(&bytes[k], &value, sizeof value);
    if (desc.dtype == DType::f16) std::memcpy(&bytes[k], &half, sizeof half);
    if (desc.dtype == DType::u8) bytes[k] = static_cast<std::byte>(seed >> 56);
  }
  std::shared_ptr<std::byte> memory = backend_.allocate(std::max<std::int64_t>(desc.storage_bytes(), 1));
  queue_->upload(memory.get(), bytes.data(), desc.storage_bytes());
  queue_->wait(queue_->stream());
  memory_.push_back(memory);
  return memory;
}

std::vector<std::string> libraries_for(const OpProblem& problem) {
  const auto* const conv = std::get_if<Conv2d>(&problem.op);
  if (!conv) return {};
  const std::size_t data = problem.in.size() - parameter_names(problem.op).size();
  const Desc& weight = problem.in[data];
  if (weight.extent[2] != 1 || weight.extent[3] != 1 || conv->groups != 1) return {"cudnn"};
  return {"cudnn", "cublaslt"};
}

OpRun::OpRun(const OpProblem& problem, Backend& backend, const std::string& library)
    : backend_(backend), queue_(backend.queue()), out_(problem.out) {
  const std::vector<const char*> parameters = parameter_names(problem.op);
  const std::size_t data = problem.in.size() - parameters.size();
  NodeIo io{.name = problem.name};
  for (std::size_t k = 0; k < problem.in.size(); ++k) {
    const Desc& desc = problem.in[k];
    Operand operand{static_cast<int>(k), desc, problem.name + "/" + std::to_string(k), nullptr};
    if (k >= data)
      operand.constant = Constant::of(desc, synthetic_parameter(problem.name + "." + parameters[k - data], desc));
    io.in.push_back(std::move(operand));
  }
  const std::vector<Desc> outs = infer_outputs(problem.op, problem.in);
  int id = static_cast<int>(problem.in.size());
  if (outs.size() > 1) io.mean = {id++, outs[1], problem.name + "/mean", nullptr};
  io.out = {id, out_, problem.name + "/out", nullptr};  // the last
  if (!library.empty()) {
    const std::vector<Step> steps = backend.library_steps(problem.op, io);
    const auto first = std::find_if(steps.begin(), steps.end(),
                                    [&](const Step& step) { return step.kernel.starts_with(library + ":"); });
    if (first == steps.end()) throw Error(ErrorKind::unsupported, library + " is not there, or has no such operation");
    step_ = *first;
  } else {
    step_ = backend.prepare(problem.op, io);
  }
  for (std::size_t k = 0; k < data; ++k) addresses_.push_back(put(problem.in[k], k + 1).get());
  addresses_.resize(problem.in.size(), nullptr);  // constants are packed already
  if (outs.size() > 1) addresses_.push_back(put(outs[1], 0).get());
  addresses_.push_back(put(out_, 0).get());
  memory_.push_back(backend.allocate(std::max<std::int64_t>(step_.workspace_bytes, 1)));
  std::byte* const workspace = memory_.back().get();
  memory_.push_back(backend.allocate_zeroed(std::max<std::int64_t>(step_.counters, 1) * sizeof(unsigned)));
  args_ = {addresses_.data(), workspace, queue_->stream(), reinterpret_cast<unsigned*>(memory_.back().get())};
}

double OpRun::milliseconds() {
  return queue_->time_ms(1, [this] { step_.run(args_); }).front();
}

std::vector<std::byte> OpRun::output() {
  std::vector<std::byte> bytes(static_cast<std::size_t>(out_.storage_bytes()));
  queue_->download(bytes.data(), addresses_.back(), out_.storage_bytes());
  queue_->wait(queue_->stream());
  return bytes;
}

}  // namespace fathom
