// Whole networks as users run them: passes, plan and steps of the CPU backend behind Engine and Session.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <thread>

#include "engine/backend.hpp"
#include "engine/model_file.hpp"
#include "engine/program.hpp"
#include "fathom/fathom.hpp"
#include "tests/catch.hpp"
#include "tests/engine/temporary.hpp"
#include "tests/models/golden.hpp"

using namespace fathom;
using namespace fathom::test;

namespace {

using Outputs = std::map<std::string, std::vector<float>>;

// All outputs of a session for pictures of `frame`, one pointer an input.
Outputs run_all(const Engine& engine, Session& session, const Frame& frame, const std::vector<const void*>& inputs) {
  Outputs outputs;
  std::vector<NamedOutput> named;
  for (const TensorInfo& o : engine.outputs(frame)) {
    auto& values = outputs[o.name];
    values.assign(static_cast<std::size_t>(o.shape[0] * o.shape[1] * o.shape[2] * o.shape[3]), std::nanf(""));
    named.push_back({o.name, values.data()});
  }
  session.run(frame, inputs, named);
  return outputs;
}

std::vector<const void*> pointers(const Engine& engine, const Golden& golden) {
  std::vector<const void*> list;
  for (const TensorInfo& i : engine.inputs(golden.frame)) list.push_back(golden.inputs.at(i.name).data());
  return list;
}

std::vector<std::string> golden_paths() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(FATHOM_SOURCE_DIR "/tests/golden"))
    if (entry.path().extension() == ".safetensors" &&
        SafetensorsFile::open(entry.path().string())->metadata().contains("network"))
      paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::string golden_path(const std::string& stem) {
  return std::string(FATHOM_SOURCE_DIR "/tests/golden/") + stem + ".safetensors";
}

// Fused, planned and run by a backend; the plan is checked by code of its own.
double planned_error(const Golden& golden, Backend& backend, MemoryPlan* plan) {
  auto program = std::make_shared<const Program>(compile(build(golden), backend, [&] {
    CompileOptions options;
    for (const auto& [name, values] : golden.outputs) options.outputs.push_back(name);
    return options;
  }()));
  std::vector<std::int64_t> workspace(program->graph.nodes.size());
  for (std::size_t k = 0; k < program->steps.size(); ++k)
    workspace[static_cast<std::size_t>(program->node[k])] = program->steps[k].workspace_bytes;
  check_plan(program->graph, program->layout, workspace, program->memory);
  *plan = program->memory;
  Binding binding(program, backend.allocate(program->memory.arena_bytes + 64));
  std::vector<const void*> inputs;
  for (Value v : program->graph.inputs) inputs.push_back(golden.inputs.at(program->graph[v].name).data());
  std::vector<std::vector<float>> outputs;
  std::vector<float*> out;
  for (const Desc& d : program->outputs) outputs.emplace_back(static_cast<std::size_t>(d.elements()), std::nanf(""));
  for (auto& o : outputs) out.push_back(o.data());
  binding.run(inputs, out, nullptr);
  double worst = 0;
  for (std::size_t k = 0; k < outputs.size(); ++k)
    worst = std::max(worst, error_of(outputs[k], golden.outputs.at(program->graph.outputs[k].name)));
  return worst;
}

}  // namespace

TEST_CASE("fused and planned, every network meets its golden file on the CPU", "[models]") {
  for (const std::string& path : golden_paths()) {
    const std::unique_ptr<Backend> fresh = make_cpu_backend(0);  // synthetic weights of one network at a time
    MemoryPlan plan;
    const double error = planned_error(read_golden(path), *fresh, &plan);
    std::printf("session   %-44s error %.1e, arena / bound %.4f%s\n", std::filesystem::path(path).stem().c_str(), error,
                static_cast<double>(plan.arena_bytes) / static_cast<double>(plan.lower_bound_bytes),
                plan.optimal ? "" : " (not proved)");
    INFO(path);
    CHECK(error <= 1e-4);
    CHECK(plan.arena_bytes <= plan.lower_bound_bytes * 1.02);
  }
}

TEST_CASE("fused and planned, the reference meets a golden file of each kind", "[models]") {
  for (const char* stem : {"lite_hr_depth_96x128", "mobile_baseline_1_240x320", "drnet_resnet50_guided_96x128"}) {
    const std::unique_ptr<Backend> backend = make_reference_backend();
    MemoryPlan plan;
    INFO(stem);
    CHECK(planned_error(read_golden(golden_path(stem)), *backend, &plan) <= 1e-4);
  }
}

TEST_CASE("a batch of three is three times a batch of one, fused", "[models]") {
  for (const char* name : {"lite_hr_depth", "hr_depth", "mobile_baseline_1", "cnd_stereo_plain",
                           "refinenet_mobilenetv2", "pose_resnet18"}) {
    const Engine engine = Engine::synthetic(name);
    Session session = engine.session();
    const Frame one{1, 64, 96}, three{3, 64, 96};
    std::vector<std::vector<std::uint8_t>> pictures;
    std::vector<const void*> together;
    for (const TensorInfo& i : engine.inputs(one)) pictures.push_back(synthetic_image(3 * 64, 96, i.name));
    for (const auto& p : pictures) together.push_back(p.data());
    const Outputs all = run_all(engine, session, three, together);
    for (int n = 0; n < 3; ++n) {
      std::vector<const void*> single;
      for (const auto& p : pictures) single.push_back(p.data() + static_cast<std::size_t>(n) * 64 * 96 * 3);
      for (const auto& [output, values] : run_all(engine, session, one, single)) {
        const auto* part = all.at(output).data() + static_cast<std::size_t>(n) * values.size();
        INFO(name << ", " << output << ", picture " << n);
        CHECK(error_of(std::vector<float>(part, part + values.size()), values) <= 1e-5);
      }
    }
  }
}

TEST_CASE("sessions in several threads give the same bits", "[models]") {
  const Golden golden = read_golden(golden_path("lite_hr_depth_96x128"));
  const Engine engine = Engine::synthetic("lite_hr_depth", {.threads = 2});
  Session alone = engine.session();
  const Outputs expected = run_all(engine, alone, golden.frame, pointers(engine, golden));
  std::vector<int> equal(4);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < equal.size(); ++t)
    threads.emplace_back([&, t] {
      Session session = engine.session();
      for (int k = 0; k < 3; ++k) {
        const Outputs outputs = run_all(engine, session, golden.frame, pointers(engine, golden));
        for (const auto& [name, values] : expected)
          equal[t] += std::memcmp(values.data(), outputs.at(name).data(), values.size() * sizeof(float)) == 0;
      }
    });
  for (std::thread& t : threads) t.join();
  for (int count : equal) CHECK(count == 3 * static_cast<int>(expected.size()));
}

TEST_CASE("a photograph of any size comes back at its own size", "[models]") {
  const Engine engine = Engine::synthetic("lite_hr_depth", {.input_width = 96, .input_height = 64});
  Session session = engine.session();
  for (const auto& [w, h] : {std::pair{1, 1}, {3, 5}, {1, 4096}, {333, 77}, {640, 480}}) {
    Image photo(w, h);
    photo.rgb = synthetic_image(h, w);
    const DepthMap map = session.depth(photo);
    CHECK(map.width == w);
    CHECK(map.height == h);
    REQUIRE(map.depth.size() == static_cast<std::size_t>(w) * static_cast<std::size_t>(h));
    for (float d : map.depth) REQUIRE((d >= 0.0999f && d <= 100.1f));
  }
}

TEST_CASE("a session switches between sizes and outputs, and its memory is reported", "[models]") {
  const Engine engine = Engine::synthetic("monodepth2_resnet18");
  Session session = engine.session();
  const std::vector<std::uint8_t> picture = synthetic_image(192, 320);
  std::vector<float> first, again;
  for (int round = 0; round < 2; ++round)
    for (const Frame& frame : {Frame{1, 64, 96}, Frame{1, 192, 320}, Frame{2, 96, 64}, Frame{1, 64, 64}}) {
      std::vector<float> out(static_cast<std::size_t>(frame.batch * frame.height * frame.width),
                             std::numeric_limits<float>::quiet_NaN());
      const NamedOutput outputs[] = {{"disp0", out.data()}};
      const void* inputs[] = {picture.data()};
      session.run(frame, inputs, outputs);
      (round ? again : first).insert((round ? again : first).end(), out.begin(), out.end());
      CHECK(std::ranges::all_of(out, [](float v) { return std::isfinite(v); }));  // all of it is written
    }
  CHECK(first == again);
  const MemoryReport one = session.memory({1, 192, 320}),
                     all = session.memory({1, 192, 320}, {"disp0", "disp1", "disp2", "disp3"});
  CHECK(one.arena_bytes == one.lower_bound_bytes);
  CHECK(one.arena_bytes <= all.arena_bytes);
  CHECK(one.arena_bytes < one.sum_bytes);
  CHECK(one.weight_bytes > 14'000'000 * 4);
}

namespace {

// Expects an Error of this kind whose text holds all the parts.
template <class Work>
void check_error(ErrorKind kind, const std::vector<std::string>& parts, Work&& work) {
  try {
    work();
    FAIL("no error");
  } catch (const Error& e) {
    INFO(e.what());
    CHECK(e.kind() == kind);
    for (const std::string& part : parts) CHECK(std::string(e.what()).find(part) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("what cannot be done is said in one typed sentence", "[models]") {
  const Engine engine = Engine::synthetic("lite_hr_depth", {.input_width = 96, .input_height = 64});
  Session session = engine.session();
  const std::vector<std::uint8_t> picture = synthetic_image(64, 96);
  std::vector<float> out(64 * 96);
  const void* inputs[] = {picture.data()};

  check_error(ErrorKind::shape, {"lite_hr_depth", "640x200", "640x192", "640x224"},
              [&] { Engine::synthetic("lite_hr_depth", {.input_width = 640, .input_height = 200}); });
  check_error(ErrorKind::usage, {"hr_dept", "hr_depth"}, [&] { Engine::synthetic("hr_dept"); });
  check_error(ErrorKind::device, {"GPU"}, [&] { Engine::synthetic("lite_hr_depth", {.device = Device::cuda}); });
  check_error(ErrorKind::unsupported, {"fp16"},
              [&] { Engine::synthetic("lite_hr_depth", {.device = Device::cpu, .precision = Precision::fp16}); });
  check_error(ErrorKind::usage, {"disp7", "disp0"}, [&] {
    const NamedOutput outputs[] = {{"disp7", out.data()}};
    session.run({1, 64, 96}, inputs, outputs);
  });
  check_error(ErrorKind::usage, {"1 inputs", "got 0"}, [&] {
    const NamedOutput outputs[] = {{"disp0", out.data()}};
    session.run({1, 64, 96}, {}, outputs);
  });
  check_error(ErrorKind::shape, {"batch"}, [&] { session.prepare({0, 64, 96}); });
  check_error(ErrorKind::usage, {"2 photographs", "got 1"}, [&] {
    const Engine stereo = Engine::synthetic("cnd_stereo_plain");
    stereo.session().depth(Image(64, 48));
  });
  check_error(ErrorKind::image, {}, [&] { session.depth(ImageView(nullptr, 8, 8)); });
  check_error(ErrorKind::memory, {"budget"}, [&] {
    const Engine small = Engine::synthetic("lite_hr_depth", {.budget_bytes = 1 << 20});
    small.session().prepare({64, 384, 1280});
  });

  // And the engine goes on.
  const NamedOutput outputs[] = {{"disp0", out.data()}};
  CHECK_NOTHROW(session.run({1, 64, 96}, inputs, outputs));
}

namespace {

// An engine for a graph whose one 1x1 convolution sums the input's channels.
struct GraphFile {
  std::string input = R"({"name": "image", "dtype": "u8"})", kind = "depth", config = "{}", nodes;
  std::int64_t channels = 3, outputs = 1;

  Engine load() const {
    const TemporaryFolder folder;
    const Desc w = Desc::dense({outputs, channels, 1, 1});
    ModelFile file;
    file.config_json = config;
    file.graph_json = R"({"version": 1, "inputs": [)" + input +
                      R"(], "nodes": [{"op": "Conv2d", "name": "sum", "in": ["image"], "out": ["y"],
      "weight": "w"})" +
                      nodes + R"(], "outputs": [{"name": "y", "value": "y", "kind": ")" + kind + R"(", "scale": 2}]})";
    file.weights["w"] = Constant::of(w, std::vector<float>(static_cast<std::size_t>(w.elements()), 1.f));
    write_model_file(folder / "m.safetensors", file);
    return Engine::load(folder / "m.safetensors");
  }
};

}  // namespace

TEST_CASE("depth() refuses graphs that take no photographs or give no depth", "[models]") {
  const Image photo(64, 48);
  const auto depth = [&](const GraphFile& file) { file.load().session().depth(photo); };
  check_error(ErrorKind::model, {"image", "f32", "Session::run"},
              [&] { depth({.input = R"({"name": "image", "dtype": "f32"})"}); });
  check_error(ErrorKind::model, {"image", "10"},
              [&] { depth({.input = R"({"name": "image", "dtype": "u8", "channels": 10})", .channels = 10}); });
  check_error(ErrorKind::model, {"'y'", "(1, 2, 192, 640)"}, [&] { depth({.outputs = 2}); });
  check_error(ErrorKind::model, {"neither depth nor disparity"}, [&] { depth({.kind = "segmentation"}); });
  check_error(ErrorKind::model, {"neither depth nor disparity"}, [&] { depth({.config = R"({"output": "tensor"})"}); });
}

TEST_CASE("a graph's own word on its output holds where the configuration is silent", "[models]") {
  Image white(8, 8);
  std::fill(white.rgb.begin(), white.rgb.end(), std::uint8_t{255});
  const auto depth = [&](const std::string& config) {
    return GraphFile{.config = config}.load().session().depth(white).at(3, 3);
  };
  CHECK(depth(R"({"input_width": 8, "input_height": 8})") == 6);  // (1 + 1 + 1) * 2
  CHECK(depth(R"({"input_width": 8, "input_height": 8, "scale": 10})") == 30);
}

TEST_CASE("photographs that are not resized must be of one size", "[models]") {
  const GraphFile two = {.input = R"({"name": "image", "dtype": "u8"}, {"name": "right", "dtype": "u8"})",
                         .config = R"({"resize": "none"})",
                         .nodes = R"(, {"op": "Add", "name": "both", "in": ["image", "right"], "out": ["s"]})"};
  Session session = two.load().session();
  const Image left(64, 48), small(2, 2);
  CHECK(session.depth(left, left).depth.size() == 64 * 48);
  check_error(ErrorKind::image, {"64x48", "2x2"}, [&] { session.depth(left, small); });
  check_error(ErrorKind::image, {"64x48", "2x2"}, [&] { session.depth(small, left); });
}

TEST_CASE("wrong options and pointers are refused", "[models]") {
  check_error(ErrorKind::usage, {"threads", "-1"}, [] { Engine::synthetic("mobile_baseline_1", {.threads = -1}); });
  check_error(ErrorKind::usage, {"threads", "100000"},
              [] { Engine::synthetic("mobile_baseline_1", {.threads = 100000}); });
  check_error(ErrorKind::usage, {"-64"},
              [] { Engine::synthetic("mobile_baseline_1", {.input_width = -64, .input_height = 64}); });
  const Engine engine = Engine::synthetic("mobile_baseline_1", {.input_width = 64, .input_height = 64});
  Session session = engine.session();
  std::vector<float> out(64 * 64);
  const std::vector<std::uint8_t> picture = synthetic_image(64, 64);
  const void *good[] = {picture.data()}, *null[] = {nullptr};
  check_error(ErrorKind::usage, {"image", "null"}, [&] {
    session.run(engine.frame(), null, std::vector<NamedOutput>{{"depth", out.data()}});
  });
  check_error(ErrorKind::usage, {"depth", "null"}, [&] {
    session.run(engine.frame(), good, std::vector<NamedOutput>{{"depth", nullptr}});
  });
  check_error(ErrorKind::usage, {"output"}, [&] { session.run(engine.frame(), good, {}); });
}

TEST_CASE("an empty engine or session says so", "[models]") {
  const Engine empty;
  const Frame frame{1, 64, 64};
  for (const std::function<void()>& use : std::vector<std::function<void()>>{
           [&] { empty.session(); }, [&] { empty.network(); }, [&] { empty.device(); }, [&] { empty.frame(); },
           [&] { empty.has_synthetic_weights(); }, [&] { empty.multiply_adds(frame); }, [&] { empty.inputs(frame); },
           [&] { empty.outputs(frame); }})
    check_error(ErrorKind::usage, {"engine is empty", "Engine::load"}, use);
  Session full = Engine::synthetic("mobile_baseline_1").session(), other = std::move(full);
  check_error(ErrorKind::usage, {"session is empty", "Engine::session"}, [&] { full.prepare(frame); });
  check_error(ErrorKind::usage, {"session is empty"}, [&] { full.depth(Image(8, 8)); });
}

TEST_CASE("an absurd size is over the budget before anything is packed", "[models]") {
  const Engine engine = Engine::synthetic("umich_squeezenet", {.input_width = 65536, .input_height = 65536});
  check_error(ErrorKind::memory, {"65536x65536", "budget"}, [&] { engine.session().prepare(engine.frame()); });
}

TEST_CASE("a plan says of every op that moves or scales elements why it stands alone", "[models]") {
  for (const std::string name : {"umich_squeezenet", "drnet_densenet161", "mobile_baseline_1"}) {
    const Engine engine = Engine::synthetic(name, {.device = Device::reference, .plan_only = true});
    std::map<std::string, std::string> why;  // by op
    for (const StepInfo& step : engine.session().steps(engine.frame())) {
      const std::string op = step.op.substr(0, step.op.find(' '));
      if (!step.alone.empty()) why[op] = step.alone;
      const bool moves = op != "Conv2d" && op != "ConvPool" && op != "InvertedResidual" && op != "ChannelGate" && op != "Linear" && op != "GlobalMean";
      INFO(name << ": " << step.name << ", " << step.op << ": " << step.alone);
      CHECK(step.alone.empty() != moves);
    }
    CAPTURE(name, why);
    if (name == "umich_squeezenet" || name == "mobile_baseline_1") CHECK(why.at("Resize") == "the output's own enlargement");
    if (name == "umich_squeezenet") CHECK(why.at("Pool") == "what it reads has 2 readers");
    if (name == "drnet_densenet161") CHECK(why.at("BatchNorm") == "not all that read it are 1x1 convolutions");
    CHECK(why.contains("Affine") == false);
    CHECK(why.contains("Slice") == false);
  }
}
