#include <cstring>
#include <list>
#include <map>
#include <mutex>

#include "engine/cuda_module.hpp"
#include "engine/depth_map.hpp"
#include "engine/model.hpp"
#include "engine/program.hpp"
#include "fathom/fathom.hpp"

namespace fathom {

namespace {

// What a program was made for.
using Key = std::tuple<int, int, int, std::vector<std::string>>;
Key key_of(const Frame& f, const std::vector<std::string>& outputs) { return {f.batch, f.height, f.width, outputs}; }

struct Opened {
  std::unique_ptr<Backend> backend;
  std::string why_not_gpu;
};

Opened open_backend(const EngineOptions& options) {
  constexpr int most_threads = 1024;
  if (options.threads < 0 || options.threads > most_threads)
    throw Error(ErrorKind::usage, "threads go from 0 (all cores) to " + std::to_string(most_threads) + ", got " + std::to_string(options.threads));
  if (options.input_width < 0 || options.input_height < 0)
    throw Error(ErrorKind::usage, "a network cannot run at " + std::to_string(options.input_width) + "x" + std::to_string(options.input_height) +
                                      ": give both sizes, or 0 for the model's own");
  if (options.device == Device::cuda) return {open_cuda_backend({options.precision, options.plan_only, options.tuning}), ""};
  std::string why_not_gpu;
  if (options.device == Device::automatic) {
    try {
      return {open_cuda_backend({options.precision, false, options.tuning}), ""};
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::device) throw;
      why_not_gpu = e.what();
    }
  }
  if (options.precision != Precision::fp32)
    throw Error(ErrorKind::unsupported, std::string(options.precision == Precision::fp16 ? "fp16" : "tf32") +
                                            " runs on a GPU only; on this device use the precision 'fp32'" +
                                            (why_not_gpu.empty() ? "" : " (" + why_not_gpu + ")"));
  return {options.device == Device::reference ? make_reference_backend() : make_cpu_backend(options.threads), why_not_gpu};
}

// A photograph can go in and a depth map come out, or an Error says why not.
void check_makes_depth_maps(const Model& model, const Program& program) {
  for (Value v : program.graph.inputs)
    if (const Desc& in = program.graph[v].desc; in.dtype != DType::u8 || in.c() != 3)
      throw Error(ErrorKind::model, model.name + ": the input '" + program.graph[v].name + "' is " + to_string(in.dtype) + " " + shape_text(in) +
                                        ", not a photograph (u8, 3 channels): give it tensors, by Session::run");
  check_gives_depth(model.config);
  if (const Desc& out = program.outputs[0]; out.c() != 1)
    throw Error(ErrorKind::model, model.name + ": the primary output '" + program.graph.outputs[0].name + "' is " + shape_text(out) +
                                      ", a depth map has one channel");
}

// What an engine or session works with, or an Error where it has nothing: made without arguments, or moved from.
template <class Pointer>
auto& made(const Pointer& impl, const char* what, const char* how) {
  if (!impl) throw Error(ErrorKind::usage, std::string("this ") + what + " is empty: make one by " + how);
  return *impl;
}
template <class Pointer>
auto& engine_of(const Pointer& impl) { return made(impl, "engine", "Engine::load or Engine::synthetic"); }
template <class Pointer>
auto& session_of(const Pointer& impl) { return made(impl, "session", "Engine::session"); }

TensorInfo info_of(const std::string& name, const std::string& kind, const Desc& d) {
  return {name, kind, {d.n(), d.c(), d.h(), d.w()}};
}

}  // namespace

struct Engine::Impl {
  Model model;
  EngineOptions options;
  std::unique_ptr<Backend> backend;
  std::string why_not_gpu;

  Impl(Model m, const EngineOptions& o) : model(std::move(m)), options(o) {
    Opened opened = open_backend(o);
    backend = std::move(opened.backend), why_not_gpu = std::move(opened.why_not_gpu);
    if (options.input_width) model.config.input_width = options.input_width, model.config.crop_width = 0;
    if (options.input_height) model.config.input_height = options.input_height, model.config.crop_height = 0;
    build_graph(model, frame());  // an illegal size is refused here
  }

  Frame frame() const {
    const ModelConfig& c = model.config;
    return {1, c.crop_height ? c.crop_height : c.input_height, c.crop_width ? c.crop_width : c.input_width};
  }

  std::shared_ptr<const Program> program(const Frame& frame, const std::vector<std::string>& outputs) {
    constexpr std::size_t kept = 8;  // programs of the sizes used last; sessions keep their own alive
    const std::lock_guard lock(mutex_);
    const Key key = key_of(frame, outputs);
    for (auto it = programs_.begin(); it != programs_.end(); ++it) {
      if (it->first != key) continue;
      programs_.splice(programs_.begin(), programs_, it);
      return it->second;
    }
    const CompileOptions how{outputs, options.fuse, options.low_products, options.budget_bytes};
    auto made = std::make_shared<const Program>(compile(build_graph(model, frame), *backend, how));
    programs_.emplace_front(key, made);
    if (programs_.size() > kept) programs_.pop_back();
    return made;
  }

 private:
  std::mutex mutex_;
  std::list<std::pair<Key, std::shared_ptr<const Program>>> programs_;
};

struct Session::Impl {
  std::shared_ptr<Engine::Impl> engine;
  std::unique_ptr<Queue> queue;  // from the first binding on
  // Memory as large as the largest program needs.
  struct Block {
    std::shared_ptr<std::byte> data;
    std::int64_t bytes = -1;
  };
  Block arena, counters;
  Block device_copies, staging;  // of inputs and outputs, where the device has memory of its own
  Block more_inputs;             // for runs that take turns between buffers
  struct Bound {
    std::shared_ptr<const Program> program;
    std::unique_ptr<Binding> binding;  // null until it is to run
  };
  std::map<Key, Bound> bound;
  std::vector<std::shared_ptr<const void>> kept;  // what graphs of the caller's own run in, for as long as the session
  std::vector<float> raw;  // the primary output, before it goes back to the photograph's size

  Backend& backend() const { return *engine->backend; }

  // What would run.
  Bound& plan(const Frame& frame, const std::vector<std::string>& outputs) {
    const Key key = key_of(frame, outputs);
    if (const auto found = bound.find(key); found != bound.end()) return found->second;
    Bound fresh{engine->program(frame, outputs), nullptr};
    if (bound.size() >= 8) keep_for_callers_graphs(), bound.clear();
    return bound[key] = std::move(fresh);
  }
  void keep_for_callers_graphs() {
    for (const auto& [key, b] : bound)
      if (b.binding && b.binding->in_callers_graph()) kept.insert(kept.end(), {b.program, arena.data, counters.data});
  }

  // The same with memory to run in.
  Bound& bind(const Frame& frame, const std::vector<std::string>& outputs) {
    Bound& b = plan(frame, outputs);
    if (b.binding) return b;
    if (backend().plans_only())
      throw Error(ErrorKind::device, "this engine only plans, nothing can run on it: load one without the option plan_only");
    if (!queue) queue = backend().queue();
    const std::int64_t counter_bytes = b.program->counters() * static_cast<std::int64_t>(sizeof(unsigned));
    if (b.program->memory.arena_bytes > arena.bytes || counter_bytes > counters.bytes) {
      keep_for_callers_graphs();
      for (auto& [key, other] : bound) other.binding.reset();  // their addresses are in the old memory
      const auto grow = [](Block& block, std::int64_t bytes, auto&& allocate) {
        if (bytes <= block.bytes) return;
        block = {};
        block.data = allocate(std::max<std::int64_t>(bytes, 64)), block.bytes = bytes;
      };
      grow(arena, b.program->memory.arena_bytes, [&](std::int64_t bytes) { return backend().allocate(bytes); });
      grow(counters, counter_bytes, [&](std::int64_t bytes) { return backend().allocate_zeroed(bytes); });
    }
    b.binding = std::make_unique<Binding>(
        b.program, arena.data, BindOptions{counters.data, queue.get(), engine->options.wait_each_layer, backend().alignment()});
    return b;
  }

  // Where the device keeps copies of a program's inputs and outputs, one after another.
  struct Copies {
    std::vector<const void*> inputs;
    std::vector<float*> outputs;
    std::vector<std::int64_t> offset, bytes;  // of the inputs, then of the outputs
  };

  Copies copies_of(const Bound& b) {
    Copies copies;
    std::int64_t end = 0;
    const auto add = [&](const Desc& d) {
      copies.offset.push_back(end), copies.bytes.push_back(d.span_bytes());
      end += (d.span_bytes() + 255) / 256 * 256;
    };
    for (Value v : b.program->graph.inputs) add(b.program->graph[v].desc);
    for (const Desc& d : b.program->outputs) add(d);
    if (end > device_copies.bytes) {
      device_copies = {}, staging = {};
      device_copies.data = backend().allocate(end), staging.data = backend().allocate_staging(end);
      device_copies.bytes = staging.bytes = end;
    }
    const std::size_t inputs = b.program->graph.inputs.size();
    for (std::size_t k = 0; k < copies.offset.size(); ++k) {
      std::byte* const at = device_copies.data.get() + copies.offset[k];
      k < inputs ? copies.inputs.push_back(at) : copies.outputs.push_back(reinterpret_cast<float*>(at));
    }
    return copies;
  }

  void upload(const Copies& copies, std::span<const void* const> inputs) {
    if (inputs.size() != copies.inputs.size())
      throw Error(ErrorKind::usage, "the network takes " + std::to_string(copies.inputs.size()) + " inputs, got " + std::to_string(inputs.size()));
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      if (!inputs[k]) throw Error(ErrorKind::usage, "the pointer to input " + std::to_string(k) + " is null");
      std::byte* const staged = staging.data.get() + copies.offset[k];
      std::memcpy(staged, inputs[k], static_cast<std::size_t>(copies.bytes[k]));
      queue->upload(const_cast<void*>(copies.inputs[k]), staged, copies.bytes[k]);
    }
  }

  // Pointers of the host.
  void run_from_host(Bound& b, std::span<const void* const> inputs, std::span<float* const> outputs) {
    if (backend().on_host()) return b.binding->run(inputs, outputs, nullptr);
    for (float* out : outputs)
      if (!out) throw Error(ErrorKind::usage, "the pointer to an output is null");
    const Copies copies = copies_of(b);
    upload(copies, inputs);
    b.binding->run(copies.inputs, copies.outputs, queue->stream());
    for (std::size_t k = inputs.size(); k < copies.offset.size(); ++k)
      queue->download(staging.data.get() + copies.offset[k], device_copies.data.get() + copies.offset[k], copies.bytes[k]);
    queue->wait(queue->stream());
    for (std::size_t k = 0; k < outputs.size(); ++k)
      std::memcpy(outputs[k], staging.data.get() + copies.offset[inputs.size() + k], static_cast<std::size_t>(copies.bytes[inputs.size() + k]));
  }

  // The addresses of the inputs in each of so many buffers: the first is the copies' own.
  std::vector<std::vector<const void*>> input_buffers(const Copies& copies, std::size_t count) {
    const std::size_t inputs = copies.inputs.size();
    const std::int64_t each = copies.offset[inputs];  // where the outputs begin
    const std::int64_t more = each * static_cast<std::int64_t>(count - 1);
    if (more > std::max<std::int64_t>(more_inputs.bytes, 0)) {
      more_inputs = {};
      more_inputs.data = backend().allocate(more), more_inputs.bytes = more;
    }
    std::vector<std::vector<const void*>> buffers{copies.inputs};
    for (std::size_t k = 1; k < count; ++k) {
      std::byte* const at = more_inputs.data.get() + each * static_cast<std::int64_t>(k - 1);
      buffers.emplace_back();
      for (std::size_t i = 0; i < inputs; ++i) {
        buffers.back().push_back(at + copies.offset[i]);
        queue->upload(at + copies.offset[i], staging.data.get() + copies.offset[i], copies.bytes[i]);
      }
    }
    return buffers;
  }

  std::vector<double> time_ms(Bound& b, std::span<const void* const> inputs, int runs, int count) {
    if (count < 1) throw Error(ErrorKind::usage, "runs take turns between one buffer or more, not " + std::to_string(count));
    const Copies copies = copies_of(b);
    upload(copies, inputs);
    const auto buffers = input_buffers(copies, static_cast<std::size_t>(count));
    std::size_t next = 0;
    const auto run = [&] { b.binding->run(buffers[next++ % buffers.size()], copies.outputs, queue->stream()); };
    for (int k = 0; k < 3; ++k) run();
    queue->wait(queue->stream());
    return queue->time_ms(runs, run);
  }

  DepthMap depth(std::span<const ImageView> photos) {
    const Model& model = engine->model;
    for (const ImageView& photo : photos) check(photo);
    const PixelSize size = network_size(model.config, {photos[0].width, photos[0].height});
    const Frame frame{1, size.height, size.width};
    Bound& b = bind(frame, {});
    const std::size_t wanted = b.program->graph.inputs.size();
    if (photos.size() != wanted)
      throw Error(ErrorKind::usage, model.name + " takes " + std::to_string(wanted) + " photograph" + (wanted > 1 ? "s" : "") +
                                        ", got " + std::to_string(photos.size()));
    check_makes_depth_maps(model, *b.program);
    std::vector<Image> images;
    std::vector<const void*> inputs;
    for (const ImageView& photo : photos) images.push_back(preprocess(photo, model.config, engine->options.threads));
    for (const Image& image : images) {
      if (image.width != size.width || image.height != size.height)  // where photographs are not resized
        throw Error(ErrorKind::image, model.name + " takes photographs of one size, got " + std::to_string(size.width) + "x" +
                                          std::to_string(size.height) + " and " + std::to_string(image.width) + "x" + std::to_string(image.height));
      inputs.push_back(image.rgb.data());
    }
    const Desc& out = b.program->outputs[0];
    raw.resize(static_cast<std::size_t>(out.elements()));
    float* const outputs[] = {raw.data()};
    run_from_host(b, inputs, outputs);
    const MapView map(raw.data(), static_cast<int>(out.w()), static_cast<int>(out.h()));
    return postprocess(map, model.config, {photos[0].width, photos[0].height}, engine->options.threads);
  }
};

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

DepthMap Session::depth(const ImageView& photo) { return session_of(impl_).depth({&photo, 1}); }

DepthMap Session::depth(const ImageView& photo, const ImageView& right) {
  const ImageView both[] = {photo, right};
  return session_of(impl_).depth(both);
}

namespace {

struct SplitOutputs {
  std::vector<std::string> names;
  std::vector<float*> data;
  explicit SplitOutputs(std::span<const NamedOutput> outputs) {
    if (outputs.empty()) throw Error(ErrorKind::usage, "no output is asked for: name at least one");
    for (const NamedOutput& o : outputs) names.push_back(o.name), data.push_back(o.data);
  }
};

}  // namespace

void Session::run(const Frame& frame, std::span<const void* const> inputs, std::span<const NamedOutput> outputs, void* stream) {
  const SplitOutputs split(outputs);
  session_of(impl_).bind(frame, split.names).binding->run(inputs, split.data, stream);
}

void Session::run_from_host(const Frame& frame, std::span<const void* const> inputs, std::span<const NamedOutput> outputs) {
  const SplitOutputs split(outputs);
  auto& session = session_of(impl_);
  session.run_from_host(session.bind(frame, split.names), inputs, split.data);
}

std::vector<double> Session::time_ms(const Frame& frame, std::span<const void* const> inputs, const std::vector<std::string>& output_names,
                                     int runs, int buffers) {
  auto& session = session_of(impl_);
  return session.time_ms(session.bind(frame, output_names), inputs, runs, buffers);
}

void Session::prepare(const Frame& frame, const std::vector<std::string>& output_names) {
  auto& session = session_of(impl_);
  session.backend().plans_only() ? session.plan(frame, output_names) : session.bind(frame, output_names);
}

MemoryReport Session::memory(const Frame& frame, const std::vector<std::string>& output_names) {
  auto& session = session_of(impl_);
  const Program& program = *session.plan(frame, output_names).program;
  const MemoryPlan& m = program.memory;
  const Backend& backend = session.backend();
  return {backend.weight_bytes(), m.arena_bytes, m.lower_bound_bytes,      m.sum_bytes,
          m.workspace_bytes,      m.optimal,     program.order_gain_bytes, backend.free_bytes(), backend.cache_bytes()};
}

std::vector<StepInfo> Session::steps(const Frame& frame, const std::vector<std::string>& output_names) {
  const Program& program = *session_of(impl_).plan(frame, output_names).program;
  std::vector<StepInfo> list;
  for (std::size_t k = 0; k < program.steps.size(); ++k) {
    const Step& s = program.steps[k];
    const Node& node = program.graph.nodes[static_cast<std::size_t>(program.node[k])];
    list.push_back({s.name, s.op, s.kernel, s.refused, shape_text(program.graph[node.out[0]].desc), s.flops, s.bytes, s.launches,
                    why_alone(program.graph, node)});
  }
  return list;
}

Engine Engine::load(const std::string& path, const EngineOptions& options) {
  Engine engine;
  engine.impl_ = std::make_shared<Impl>(open_model(path, options.budget_bytes), options);
  return engine;
}

Engine Engine::synthetic(const std::string& architecture, const EngineOptions& options) {
  Engine engine;
  engine.impl_ = std::make_shared<Impl>(synthetic_model(architecture), options);
  return engine;
}

Session Engine::session() const {
  engine_of(impl_);  // not an empty one
  auto impl = std::make_unique<Session::Impl>();
  impl->engine = impl_;
  return Session(std::move(impl));
}

std::string Engine::network() const { return engine_of(impl_).model.name; }
std::string Engine::device() const { return engine_of(impl_).backend->name(); }
std::string Engine::why_not_gpu() const { return engine_of(impl_).why_not_gpu; }
std::string Engine::warning() const { return engine_of(impl_).backend->warning(); }
bool Engine::has_synthetic_weights() const { return engine_of(impl_).model.synthetic; }
double Engine::multiply_adds(const Frame& frame) const { return fathom::multiply_adds(build_graph(engine_of(impl_).model, frame)); }
Frame Engine::frame() const { return engine_of(impl_).frame(); }

std::vector<TensorInfo> Engine::inputs(const Frame& frame) const {
  const Graph graph = build_graph(engine_of(impl_).model, frame);
  std::vector<TensorInfo> list;
  for (Value v : graph.inputs) list.push_back(info_of(graph[v].name, to_string(graph[v].desc.dtype), graph[v].desc));
  return list;
}

std::vector<TensorInfo> Engine::outputs(const Frame& frame) const {
  const Graph graph = build_graph(engine_of(impl_).model, frame);
  std::vector<TensorInfo> list;
  for (const Output& o : graph.outputs) list.push_back(info_of(o.name, enum_names<OutputKind>[static_cast<std::size_t>(o.kind)], graph[o.value].desc));
  return list;
}

}  // namespace fathom
