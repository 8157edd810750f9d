// Sessions on a GPU: the same bits however a run comes about, the caller's streams and memory, and what goes wrong.
#include <cuda_runtime_api.h>

#include <cstring>
#include <thread>

#include "engine/cuda_module.hpp"
#include "engine/program.hpp"
#include "tests/models/cuda/networks.hpp"

using namespace fathom;
using namespace fathom::test;

namespace {

// A small network as a file, for engines of all devices.
struct SmallNetwork {
  TemporaryFolder folder;
  std::string path = folder / "network.safetensors";
  Frame frame;

  explicit SmallNetwork(const char* name = "umich_squeezenet", Frame f = {1, 32, 64}, int divisor = 4) : frame(f) {
    write_narrowed(path, name, frame, divisor);
  }
  Engine load(EngineOptions options = {}) const {
    if (options.device == Device::automatic) options.device = Device::cuda;
    return Engine::load(path, options);
  }
};

void require(cudaError_t error) { REQUIRE(error == cudaSuccess); }

// Bytes of the device's memory.
struct DeviceBytes {
  void* data = nullptr;
  std::size_t bytes;

  explicit DeviceBytes(std::size_t n) : bytes(n) {
    require(cudaMalloc(&data, n));
    require(cudaMemset(data, 0xFF, n));
  }
  explicit DeviceBytes(const std::vector<std::uint8_t>& values) : DeviceBytes(values.size()) {
    require(cudaMemcpy(data, values.data(), bytes, cudaMemcpyHostToDevice));
  }
  DeviceBytes(DeviceBytes&& other) noexcept : data(other.data), bytes(other.bytes) { other.data = nullptr; }
  ~DeviceBytes() { (void)cudaFree(data); }

  std::vector<float> floats() const {
    std::vector<float> values(bytes / sizeof(float));
    require(cudaMemcpy(values.data(), data, bytes, cudaMemcpyDeviceToHost));
    return values;
  }
  NamedOutput as(const std::string& name) const { return {name, static_cast<float*>(data)}; }
};

// What a network needs on the device.
struct DeviceSide {
  std::vector<DeviceBytes> inputs;
  std::vector<const void*> in;
  DeviceBytes output;
  NamedOutput out;

  DeviceSide(const Engine& engine, const Frame& frame, const Pictures& pictures)
      : output(static_cast<std::size_t>(bytes_of(engine, frame))), out(output.as(engine.outputs(frame)[0].name)) {
    for (const auto& p : pictures) inputs.emplace_back(p);
    for (const DeviceBytes& i : inputs) in.push_back(i.data);
  }
  static std::int64_t bytes_of(const Engine& engine, const Frame& frame) {
    const TensorInfo o = engine.outputs(frame)[0];
    return o.shape[0] * o.shape[1] * o.shape[2] * o.shape[3] * 4;
  }
  void run(Session& session, const Frame& frame, cudaStream_t stream = nullptr) {
    session.run(frame, in, {&out, 1}, stream);
  }
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}
bool same_bits(const Outputs& a, const Outputs& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](const auto& x, const auto& y) { return same_bits(x.second, y.second); });
}

}  // namespace

TEST_CASE("runs, recorded graphs, sessions and threads give the same bits", "[sessions]") {
  const SmallNetwork network("cnd_stereo", {1, 16, 16}, 8);
  for (const Precision precision : {Precision::fp32, Precision::fp16}) {
    const Engine engine = network.load({.precision = precision});
    const Pictures pictures = pictures_for(engine, network.frame);
    Session session = engine.session();
    const Outputs first = run_all(engine, session, network.frame, pictures);
    for (int k = 0; k < 4; ++k) CHECK(same_bits(run_all(engine, session, network.frame, pictures), first));
    int equal[2] = {};
    std::vector<std::thread> threads;
    for (int& count : equal)
      threads.emplace_back([&] {
        Session mine = engine.session();
        for (int k = 0; k < 3; ++k) count += same_bits(run_all(engine, mine, network.frame, pictures), first);
      });
    for (std::thread& t : threads) t.join();
    CHECK(equal[0] == 3);
    CHECK(equal[1] == 3);
    const Engine checked = network.load({.precision = precision, .wait_each_layer = true});
    Session waits = checked.session();
    CHECK(same_bits(run_all(checked, waits, network.frame, pictures), first));
  }
}

TEST_CASE("the caller's memory and streams: every address is honoured", "[sessions]") {
  const SmallNetwork network;
  const Engine engine = network.load();
  Pictures pictures = pictures_for(engine, network.frame);
  Session session = engine.session();
  std::vector<Outputs> wanted;
  std::vector<DeviceSide> sides;
  for (std::uint8_t k = 0; k < 6; ++k) {  // more than a session keeps graphs for
    for (std::uint8_t& v : pictures[0]) v = static_cast<std::uint8_t>(v + 31);
    Session fresh = engine.session();
    wanted.push_back(run_all(engine, fresh, network.frame, pictures));
    sides.emplace_back(engine, network.frame, pictures);
  }
  cudaStream_t stream = nullptr;
  require(cudaStreamCreate(&stream));
  for (int round = 0; round < 3; ++round)
    for (std::size_t k = 0; k < sides.size(); ++k) {
      require(cudaMemset(sides[k].output.data, 0xFF, sides[k].output.bytes));
      sides[k].run(session, network.frame, round == 1 ? stream : nullptr);
      require(cudaDeviceSynchronize());
      INFO("round " << round << ", buffer " << k);
      CHECK(same_bits(sides[k].output.floats(), wanted[k].begin()->second));
    }
  require(cudaStreamDestroy(stream));
}

TEST_CASE("buffers in turns, more than graphs are kept for: each run reads and writes its own", "[sessions]") {
  struct Case {
    const char* network;
    Frame frame;
    int divisor;
    Precision precision;
  };
  for (const Case& c : {Case{"cnd_stereo", {1, 16, 16}, 8, Precision::fp16},  // two inputs
                        Case{"lite_hr_depth", {1, 64, 64}, 2, Precision::fp32},
                        Case{"drnet_resnet50_guided", {1, 32, 32}, 8, Precision::fp16}}) {
    INFO(c.network);
    const SmallNetwork network(c.network, c.frame, c.divisor);
    const Engine engine = network.load({.precision = c.precision});
    Pictures pictures = pictures_for(engine, c.frame);
    Session session = engine.session(), fresh = engine.session();
    std::vector<std::vector<float>> wanted;
    std::vector<DeviceSide> sides;
    for (std::uint8_t k = 0; k < 7; ++k) {
      for (auto& picture : pictures)
        for (std::uint8_t& v : picture) v = static_cast<std::uint8_t>(v * 3 + 31 + k);
      sides.emplace_back(engine, c.frame, pictures);
      wanted.push_back(run_all(engine, fresh, c.frame, pictures).at(sides.back().out.name));
    }
    CHECK(!same_bits(wanted[0], wanted[1]));
    for (const std::size_t k : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 0u, 6u, 5u, 1u, 2u, 3u, 4u, 0u}) {
      require(cudaMemset(sides[k].output.data, 0xFF, sides[k].output.bytes));
      require(cudaDeviceSynchronize());
      sides[k].run(session, c.frame);
      require(cudaDeviceSynchronize());
      INFO("buffer " << k);
      CHECK(same_bits(sides[k].output.floats(), wanted[k]));
    }
  }
}

TEST_CASE("a run becomes part of the graph that the caller's stream is recording", "[sessions]") {
  const SmallNetwork network;
  const Engine engine = network.load();
  const Pictures pictures = pictures_for(engine, network.frame);
  Session session = engine.session();
  DeviceSide side(engine, network.frame, pictures);
  session.prepare(network.frame, {side.out.name});
  cudaStream_t stream = nullptr;
  require(cudaStreamCreate(&stream));
  require(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  side.run(session, network.frame, stream);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  require(cudaStreamEndCapture(stream, &graph));
  require(cudaGraphInstantiate(&executable, graph, 0));
  CHECK(std::isnan(side.output.floats()[0]));  // nothing has run yet
  require(cudaGraphLaunch(executable, stream));
  require(cudaStreamSynchronize(stream));
  const std::vector<float> wanted = [&] {
    Session other = engine.session();
    return run_all(engine, other, network.frame, pictures).begin()->second;
  }();
  CHECK(same_bits(side.output.floats(), wanted));

  // It stays so when the session and the engine have long gone on to other frames, and to more memory.
  for (int n = 2; n < 12; ++n) {
    const Frame frame{n, network.frame.height, network.frame.width};
    run_all(engine, session, frame, pictures_for(engine, frame));
  }
  require(cudaMemset(side.output.data, 0xFF, wanted.size() * sizeof(float)));
  require(cudaGraphLaunch(executable, stream));
  require(cudaStreamSynchronize(stream));
  CHECK(same_bits(side.output.floats(), wanted));
  require(cudaGraphExecDestroy(executable));
  require(cudaGraphDestroy(graph));
  require(cudaStreamDestroy(stream));
}

TEST_CASE("a batch on the GPU is its pictures one by one", "[sessions]") {
  const SmallNetwork network("lite_hr_depth", {1, 64, 64}, 2);
  const Engine engine = network.load();
  Session session = engine.session();
  const Frame one = network.frame, three{3, one.height, one.width};
  const Pictures pictures = pictures_for(engine, three);
  const Outputs all = run_all(engine, session, three, pictures);
  const std::size_t bytes = static_cast<std::size_t>(one.height * one.width) * 3;
  for (std::size_t n = 0; n < 3; ++n) {
    const auto begin = pictures[0].begin() + static_cast<std::ptrdiff_t>(n * bytes);
    for (const auto& [name, values] :
         run_all(engine, session, one, {{begin, begin + static_cast<std::ptrdiff_t>(bytes)}})) {
      const float* part = all.at(name).data() + n * values.size();
      CHECK(error_of(std::vector<float>(part, part + values.size()), values) <= 1e-5);
    }
  }
}

TEST_CASE("a photograph becomes the depth map that it is on the CPU", "[sessions]") {
  const SmallNetwork network;
  const Engine gpu = network.load({.device = Device::automatic}), cpu = network.load({.device = Device::cpu});
  CHECK(gpu.why_not_gpu().empty());
  CHECK(gpu.device() != cpu.device());
  Image photo(90, 50);
  photo.rgb = synthetic_image(50, 90);
  Session on_gpu = gpu.session(), on_cpu = cpu.session();
  const DepthMap wanted = on_cpu.depth(photo);
  for (int k = 0; k < 3; ++k) CHECK(error_of(on_gpu.depth(photo).depth, wanted.depth) <= 1e-4);
}

TEST_CASE("the device's own time of a run", "[sessions]") {
  const SmallNetwork network;
  const Engine engine = network.load();
  const Pictures pictures = pictures_for(engine, network.frame);
  Session session = engine.session();
  const std::vector<double> times = session.time_ms(network.frame, pointers_to(pictures), {}, 5);
  REQUIRE(times.size() == 5);
  for (const double ms : times) CHECK(ms > 0);
  CHECK(session.memory(network.frame).device_cache_bytes > 0);
  CHECK(session.time_ms(network.frame, pointers_to(pictures), {}, 9, 6).size() == 9);
  CHECK(session.time_ms(network.frame, pointers_to(pictures), {}, 2, 3).size() == 2);
  CHECK_THROWS_MATCHES(session.time_ms(network.frame, pointers_to(pictures), {}, 2, 0), Error,
                       Fails(ErrorKind::usage, {"one buffer"}));
}

TEST_CASE("what cannot be done on a GPU is said in one typed sentence", "[sessions]") {
  const SmallNetwork network;
  const Engine engine = network.load();
  const Pictures pictures = pictures_for(engine, network.frame);
  Session session = engine.session();
  DeviceSide side(engine, network.frame, pictures);
  NamedOutput askew = side.out;
  ++askew.data;
  CHECK_THROWS_MATCHES(session.run(network.frame, side.in, {&askew, 1}), Error,
                       Fails(ErrorKind::usage, {"depth", "multiple of 16"}));

  const Engine planner = network.load({.device = Device::cuda, .precision = Precision::fp16, .plan_only = true});
  Session plan = planner.session();
  CHECK(plan.memory(network.frame).arena_bytes > 0);
  CHECK(plan.memory(network.frame).weight_bytes > 0);
  CHECK(plan.memory(network.frame).arena_bytes < session.memory(network.frame).arena_bytes);  // halves
  CHECK(plan.steps(network.frame).size() == session.steps(network.frame).size());
  CHECK_THROWS_MATCHES(run_all(planner, plan, network.frame, pictures), Error, Fails(ErrorKind::device, {"plan_only"}));
}
