// What a GPU does when things go wrong, played by the emulator: too little memory, and kernels that fault.
#include "tests/emulator/emu.hpp"
#include "tests/emulator/faults.hpp"
#include "tests/models/cuda/networks.hpp"

using namespace fathom;
using namespace fathom::test;

namespace {

struct SmallNetwork {
  TemporaryFolder folder;
  std::string path = folder / "network.safetensors";
  Frame frame{1, 32, 32};
  SmallNetwork() { write_narrowed(path, "umich_squeezenet", frame, 4); }
};

}  // namespace

TEST_CASE("out of memory is a typed error, and the engine goes on", "[sessions]") {
  const SmallNetwork network;
  const Engine engine = Engine::load(network.path, {.device = Device::cuda});
  const Pictures pictures = pictures_for(engine, network.frame);
  Session session = engine.session();
  emu::Config small = emu::config();
  for (const std::size_t kib : {1, 100, 1000}) {
    small.device_memory = kib << 10;
    const emu::ScopedConfig poor(small);
    INFO(kib << " KiB");
    if (kib < 1000)
      CHECK_THROWS_MATCHES(run_all(engine, session, network.frame, pictures), Error,
                           Fails(ErrorKind::memory, {"memory"}));
  }
  const Outputs outputs = run_all(engine, session, network.frame, pictures);
  Session other = engine.session();
  CHECK(error_of(run_all(engine, other, network.frame, pictures), outputs) == 0);

  // A session that has run and finds no room for a larger frame runs the smaller one as before.
  const Frame large{1000, 32, 32};
  {
    small.device_memory = 4 << 20;
    const emu::ScopedConfig poor(small);
    CHECK_THROWS_MATCHES(run_all(engine, session, large, pictures_for(engine, large)), Error,
                         Fails(ErrorKind::memory, {"memory"}));
    CHECK(error_of(run_all(engine, session, network.frame, pictures), outputs) == 0);
  }
}

TEST_CASE("a fault is noticed late, or by its layer's name where each layer is waited for", "[sessions]") {
  const SmallNetwork network;
  const std::vector<StepInfo> steps =
      Engine::load(network.path, {.device = Device::cuda, .plan_only = true}).session().steps(network.frame);
  for (const bool wait : {false, true})
    for (const int before : {0, 2}) {  // runs: the fault is in one that is enqueued, or repeated by a graph
      const Engine engine = Engine::load(network.path, {.device = Device::cuda, .wait_each_layer = wait});
      const Pictures pictures = pictures_for(engine, network.frame);
      Session session = engine.session();
      for (int k = 0; k < before; ++k) run_all(engine, session, network.frame, pictures);
      emu::fault_at_kernel(3);
      const std::vector<std::string> says =
          wait ? std::vector<std::string>{"layer '" + steps[2].name + "'", "illegal memory access"}
               : std::vector<std::string>{"illegal memory access"};
      INFO((wait ? "waits" : "does not wait") << ", after " << before << " runs");
      CHECK_THROWS_MATCHES(run_all(engine, session, network.frame, pictures), Error, Fails(ErrorKind::device, says));
      emu::fault_at_kernel(0);
    }
}
