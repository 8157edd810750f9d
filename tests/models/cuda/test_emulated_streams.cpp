// What is ordered on a GPU by waits and not by chance: asked of the emulator, where a missing wait changes no value.
#include <cuda_runtime_api.h>

#include <fstream>
#include <iterator>
#include <thread>

#include "engine/cuda_module.hpp"
#include "engine/model.hpp"
#include "engine/program.hpp"
#include "tests/emulator/emu.hpp"
#include "tests/emulator/faults.hpp"
#include "tests/emulator/stream_order.hpp"
#include "tests/models/cuda/networks.hpp"

using namespace fathom;
using namespace fathom::test;

namespace {

struct Stream {
  cudaStream_t handle = nullptr;
  Stream() { REQUIRE(cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking) == cudaSuccess); }
  ~Stream() { (void)cudaStreamDestroy(handle); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
};

// A network with its input and its outputs on the device, as often as buffers are wanted.
struct OnDevice {
  TemporaryFolder folder;
  Frame frame{1, 32, 32};
  std::string path = folder / "network.safetensors";
  Engine engine;
  std::vector<TensorInfo> outputs;
  std::vector<void*> memory;

  explicit OnDevice(const char* network = "umich_squeezenet", Frame f = {1, 32, 32}, EngineOptions options = {})
      : frame(f) {
    write_narrowed(path, network, frame, 4);
    options.device = Device::cuda;
    engine = Engine::load(path, options);
    outputs = engine.outputs(frame);
  }
  ~OnDevice() {
    for (void* p : memory) (void)cudaFree(p);
  }
  void* allocate(std::size_t bytes) {
    memory.push_back(nullptr);
    REQUIRE(cudaMalloc(&memory.back(), bytes) == cudaSuccess);
    return memory.back();
  }
  void* input() {
    const Pictures pictures = pictures_for(engine, frame);
    void* const p = allocate(pictures[0].size());
    REQUIRE(cudaMemcpy(p, pictures[0].data(), pictures[0].size(), cudaMemcpyHostToDevice) == cudaSuccess);
    return p;
  }
  std::vector<NamedOutput> named(std::size_t count) {
    std::vector<NamedOutput> list;
    for (std::size_t k = 0; k < count; ++k)
      list.push_back({outputs[k].name, static_cast<float*>(allocate(values_of(k) * 4))});
    return list;
  }
  std::size_t values_of(std::size_t k) const {
    const auto& s = outputs[k].shape;
    return static_cast<std::size_t>(s[0] * s[1] * s[2] * s[3]);
  }
};

}  // namespace

TEST_CASE("a session's run waits for its last, on whichever stream that was", "[sessions]") {
  OnDevice on;
  Session session = on.engine.session(), other = on.engine.session();
  const void* const in[] = {on.input()};
  const auto out = on.named(1);
  session.prepare(on.frame, {out[0].name});
  Stream a, b, c;
  CHECK(emu::waits_for(a.handle, b.handle));  // nothing was enqueued there
  for (int k = 0; k < 3; ++k) {               // enqueued, recorded, repeated
    INFO("run " << k);
    session.run(on.frame, in, out, a.handle);
    CHECK_FALSE(emu::waits_for(b.handle, a.handle));
    session.run(on.frame, in, out, b.handle);
    CHECK(emu::waits_for(b.handle, a.handle));
    CHECK_FALSE(emu::waits_for(a.handle, b.handle));
    session.run(on.frame, in, out, a.handle);
    CHECK(emu::waits_for(a.handle, b.handle));
  }
  // From the host: the copies into the session's own memory too.
  Pictures pictures = pictures_for(on.engine, on.frame);
  run_all(on.engine, session, on.frame, pictures);
  session.run(on.frame, in, out, a.handle);
  run_all(on.engine, session, on.frame, pictures);
  CHECK(emu::waits_for(c.handle, a.handle));  // for the host has waited for it, by the session's stream
  // Sessions are independent of one another.
  session.run(on.frame, in, out, a.handle);
  other.run(on.frame, in, out, b.handle);
  CHECK_FALSE(emu::waits_for(b.handle, a.handle));
}

TEST_CASE("no graph is destroyed while it may still run", "[sessions]") {
  OnDevice on("drnet_resnet50_guided");  // two parts of a launch more than one: such graphs are recorded anew
  const auto out = on.named(1);
  std::vector<const void*> buffers;
  for (int k = 0; k < 6; ++k) buffers.push_back(on.input());
  Stream stream;
  const std::uint64_t before = emu::graphs_destroyed_in_flight();
  {
    Session session = on.engine.session();
    for (int k = 0; k < 20; ++k)
      session.run(on.frame, {&buffers[static_cast<std::size_t>(k) % 6], 1}, out, stream.handle);
    CHECK(emu::graphs_destroyed_in_flight() == before);
    session.prepare({3, on.frame.height, on.frame.width});  // only plans
    run_all(on.engine, session, {3, on.frame.height, on.frame.width},
            pictures_for(on.engine, {3, on.frame.height, on.frame.width}));
    CHECK(emu::graphs_destroyed_in_flight() == before);
    for (int k = 0; k < 3; ++k) session.run(on.frame, {buffers.data(), 1}, out, stream.handle);
  }
  CHECK(emu::graphs_destroyed_in_flight() == before);
}

TEST_CASE("while a session records, other threads may allocate", "[sessions]") {
  OnDevice on;
  Session session = on.engine.session();
  const void* const in[] = {on.input()};
  const auto out = on.named(1);
  session.run(on.frame, in, out);
  cudaError_t answer = cudaErrorUnknown;
  emu::at_captured_kernel([&] {
    std::thread([&] {
      void* p = nullptr;
      answer = cudaMalloc(&p, 1000);
      (void)cudaFree(p);
    }).join();
  });
  session.run(on.frame, in, out);
  CHECK(answer == cudaSuccess);
}

TEST_CASE("a caller's graph outlives the frames that came after it, and what only it used", "[sessions]") {
  OnDevice on("monodepth2_resnet18", {1, 64, 64});
  REQUIRE(on.outputs.size() >
          1);  // disparities at several scales: the smaller ones' weights are of the caller's graph alone
  Session session = on.engine.session();
  const void* const in[] = {on.input()};
  const auto out = on.named(on.outputs.size());
  const Frame large{2, 128, 128};  // the most memory first: later frames grow nothing
  run_all(on.engine, session, large, pictures_for(on.engine, large));
  const Outputs wanted = run_all(on.engine, session, on.frame, pictures_for(on.engine, on.frame));

  Stream stream;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  REQUIRE(cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
  session.run(on.frame, in, out, stream.handle);
  REQUIRE(cudaStreamEndCapture(stream.handle, &graph) == cudaSuccess);
  REQUIRE(cudaGraphInstantiate(&executable, graph, 0) == cudaSuccess);
  for (const int height : {64, 96, 128})  // more frames than are kept, of the primary output alone
    for (const int width : {64, 96, 128}) session.prepare({1, height, width});
  for (std::size_t k = 0; k < out.size(); ++k)
    REQUIRE(cudaMemset(out[k].data, 0xFF, on.values_of(k) * 4) == cudaSuccess);
  REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
  REQUIRE(cudaGraphLaunch(executable, stream.handle) == cudaSuccess);
  REQUIRE(cudaStreamSynchronize(stream.handle) == cudaSuccess);
  for (std::size_t k = 0; k < out.size(); ++k) {
    std::vector<float> values(on.values_of(k));
    REQUIRE(cudaMemcpy(values.data(), out[k].data, values.size() * 4, cudaMemcpyDeviceToHost) == cudaSuccess);
    INFO(out[k].name);
    CHECK(error_of(values, wanted.at(out[k].name)) == 0);
  }
  REQUIRE(cudaGraphExecDestroy(executable) == cudaSuccess);
  REQUIRE(cudaGraphDestroy(graph) == cudaSuccess);
}

TEST_CASE("a large frame and then a small one whose split sums need more counters", "[sessions]") {
  emu::Config many = emu::config();
  many.multiprocessors = 132;
  const emu::ScopedConfig large_gpu(many);
  OnDevice on("monodepth2_resnet18", {1, 96, 96});
  const Model model = open_model(on.path, std::int64_t(8) << 30);
  const auto backend = open_cuda_backend({});
  const auto counters = [&](const Frame& frame) { return compile(build_graph(model, frame), *backend, {}).counters(); };
  Session session = on.engine.session(), fresh = on.engine.session();
  const Frame large{4, 128, 128};
  REQUIRE(counters(on.frame) > counters(large));
  REQUIRE(counters(large) > 0);
  REQUIRE(session.memory(large).arena_bytes > session.memory(on.frame).arena_bytes);
  run_all(on.engine, session, large, pictures_for(on.engine, large));
  const Pictures pictures = pictures_for(on.engine, on.frame);
  CHECK(error_of(run_all(on.engine, session, on.frame, pictures), run_all(on.engine, fresh, on.frame, pictures)) == 0);
}

TEST_CASE("memory that grew takes the place of the old", "[sessions]") {
  OnDevice on;
  const auto free_bytes = [] {
    std::size_t free = 0, total = 0;
    REQUIRE(cudaMemGetInfo(&free, &total) == cudaSuccess);
    return static_cast<std::int64_t>(free);
  };
  const Frame large{4, 32, 32};
  const Pictures small_pictures = pictures_for(on.engine, on.frame), large_pictures = pictures_for(on.engine, large);
  Session session = on.engine.session();
  run_all(on.engine, session, on.frame, small_pictures);
  run_all(on.engine, session, large, large_pictures);
  const std::int64_t before = free_bytes();
  Session only_large = on.engine.session();
  run_all(on.engine, only_large, large, large_pictures);
  const std::int64_t one_session = before - free_bytes();
  CHECK(one_session > 0);
  Session grown = on.engine.session();
  run_all(on.engine, grown, on.frame, small_pictures);
  run_all(on.engine, grown, large, large_pictures);
  CHECK(before - free_bytes() == 2 * one_session);
}

TEST_CASE("frames of odd sizes, in batches, equal the CPU's", "[sessions]") {
  for (const char* network : {"rside_resnet50", "drnet_resnet50"}) {
    const Frame frame{3, 37, 45};
    const TemporaryFolder folder;
    const std::string path = folder / "network.safetensors";
    write_narrowed(path, network, frame, 8);
    const Engine cpu = Engine::load(path, {.device = Device::cpu, .threads = 1});
    const Pictures pictures = pictures_for(cpu, frame);
    Session on_cpu = cpu.session();
    const Outputs wanted = run_all(cpu, on_cpu, frame, pictures);
    for (const Precision precision : {Precision::fp32, Precision::fp16}) {
      const Engine gpu = Engine::load(path, {.device = Device::cuda, .precision = precision});
      Session on_gpu = gpu.session();
      for (int k = 0; k < 2; ++k) {
        INFO(network << " in " << name_of(precision) << ", run " << k);
        CHECK(error_of(run_all(gpu, on_gpu, frame, pictures), wanted) <= tolerance_of(precision));
      }
    }
  }
}

TEST_CASE("what was timed is kept by the GPU's name", "[sessions]") {
  const TemporaryFolder folder;
  const std::string choices = folder / "choices.txt";
  OnDevice on("umich_squeezenet", {1, 32, 32}, {.tuning = choices});
  on.engine.session().prepare(on.frame);
  std::ifstream file(choices);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t first = text.find('\n') + 1;
  REQUIRE(first < text.size());
  for (std::size_t line = first; line < text.size(); line = text.find('\n', line) + 1) {
    const std::string where = text.substr(line, text.find('\t', line) - line);
    CHECK(where.find("CUDA emulator on the CPU") != std::string::npos);
  }
}
