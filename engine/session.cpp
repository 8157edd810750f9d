#include <list>
#include <map>
#include <mutex>

#include "engine/depth_map.hpp"
#include "engine/model.hpp"
#include "engine/program.hpp"
#include "fathom/fathom.hpp"

namespace fathom {

namespace {

// What a program was made for.
using Key = std::tuple<int, int, int, std::vector<std::string>>;
Key key_of(const Frame& f, const std::vector<std::string>& outputs) { return {f.batch, f.height, f.width, outputs}; }

std::unique_ptr<Backend> open_backend(const EngineOptions& options) {
  constexpr int most_threads = 1024;
  if (options.threads < 0 || options.threads > most_threads)
    throw Error(ErrorKind::usage, "threads go from 0 (all cores) to " + std::to_string(most_threads) + ", got " + std::to_string(options.threads));
  if (options.input_width < 0 || options.input_height < 0)
    throw Error(ErrorKind::usage, "a network cannot run at " + std::to_string(options.input_width) + "x" + std::to_string(options.input_height) +
                                      ": give both sizes, or 0 for the model's own");
  const bool cpu = options.device == Device::cpu || options.device == Device::automatic;
  if (options.device == Device::cuda)
    throw Error(ErrorKind::device, "no GPU: this build has no CUDA backend; use the device 'auto' or 'cpu'");
  if (options.precision != Precision::fp32)
    throw Error(ErrorKind::unsupported, std::string(options.precision == Precision::fp16 ? "fp16" : "tf32") +
                                            " runs on a GPU only; on this device use the precision 'fp32'");
  return cpu ? make_cpu_backend(options.threads) : make_reference_backend();
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

  Impl(Model m, const EngineOptions& o) : model(std::move(m)), options(o), backend(open_backend(o)) {
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
  std::shared_ptr<std::byte> arena;  // as large as the largest program needs
  std::int64_t arena_bytes = -1;
  struct Bound {
    std::shared_ptr<const Program> program;
    std::unique_ptr<Binding> binding;
  };
  std::map<Key, Bound> bound;
  std::vector<float> raw;  // the primary output, before it goes back to the photograph's size

  Bound& bind(const Frame& frame, const std::vector<std::string>& outputs) {
    const Key key = key_of(frame, outputs);
    if (const auto found = bound.find(key); found != bound.end()) return found->second;
    Bound fresh{engine->program(frame, outputs), nullptr};
    if (bound.size() >= 8) bound.clear();
    if (fresh.program->memory.arena_bytes > arena_bytes) {
      bound.clear();  // their addresses were in the old arena
      arena.reset(), arena_bytes = -1;
      arena = engine->backend->allocate(std::max<std::int64_t>(fresh.program->memory.arena_bytes, 64));
      arena_bytes = fresh.program->memory.arena_bytes;
    }
    fresh.binding = std::make_unique<Binding>(fresh.program, arena);
    return bound[key] = std::move(fresh);
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
    b.binding->run(inputs, outputs, nullptr);
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

void Session::run(const Frame& frame, std::span<const void* const> inputs, std::span<const NamedOutput> outputs, void* stream) {
  if (outputs.empty()) throw Error(ErrorKind::usage, "no output is asked for: name at least one");
  std::vector<std::string> names;
  std::vector<float*> data;
  for (const NamedOutput& o : outputs) names.push_back(o.name), data.push_back(o.data);
  session_of(impl_).bind(frame, names).binding->run(inputs, data, stream);
}

void Session::prepare(const Frame& frame, const std::vector<std::string>& output_names) { session_of(impl_).bind(frame, output_names); }

MemoryReport Session::memory(const Frame& frame, const std::vector<std::string>& output_names) {
  auto& session = session_of(impl_);
  const MemoryPlan& m = session.bind(frame, output_names).program->memory;
  return {session.engine->backend->weight_bytes(), m.arena_bytes, m.lower_bound_bytes, m.sum_bytes, m.workspace_bytes};
}

std::vector<StepInfo> Session::steps(const Frame& frame, const std::vector<std::string>& output_names) {
  const Program& program = *session_of(impl_).bind(frame, output_names).program;
  std::vector<StepInfo> list;
  for (std::size_t k = 0; k < program.steps.size(); ++k) {
    const Step& s = program.steps[k];
    const Node& node = program.graph.nodes[static_cast<std::size_t>(program.node[k])];
    list.push_back({s.name, s.op, s.kernel, s.refused, shape_text(program.graph[node.out[0]].desc), s.flops, s.bytes});
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
