// What recorded graphs cost a caller with many buffers, counted by the emulator.
#include <cuda_runtime_api.h>

#include "tests/emulator/emu.hpp"
#include "tests/models/cuda/networks.hpp"

using namespace fathom;
using namespace fathom::test;

TEST_CASE("new addresses enqueue only the kernels that take them, known ones nothing", "[sessions]") {
  const TemporaryFolder folder;
  const std::string path = folder / "network.safetensors";
  const Frame frame{1, 32, 32};
  write_narrowed(path, "umich_squeezenet", frame, 4);
  const Engine engine = Engine::load(path, {.device = Device::cuda});
  Session session = engine.session();
  const TensorInfo output = engine.outputs(frame)[0];
  const Pictures pictures = pictures_for(engine, frame);
  const auto launches = [&] {
    int sum = 0;
    for (const StepInfo& s : session.steps(frame, {output.name})) sum += s.launches;
    return static_cast<std::uint64_t>(sum);
  }();

  constexpr int buffers = 6;  // two more than a session keeps graphs for
  const std::size_t bytes = pictures[0].size(), out_bytes = std::size_t{32} * 32 * 4;
  unsigned char *in = nullptr, *out = nullptr;
  REQUIRE(cudaMalloc(reinterpret_cast<void**>(&in), buffers * bytes) == cudaSuccess);
  REQUIRE(cudaMalloc(reinterpret_cast<void**>(&out), out_bytes) == cudaSuccess);
  for (int k = 0; k < buffers; ++k)
    REQUIRE(cudaMemcpy(in + static_cast<std::size_t>(k) * bytes, pictures[0].data(), bytes, cudaMemcpyHostToDevice) ==
            cudaSuccess);
  const auto captured_by = [&](int buffer) {
    const std::uint64_t before = emu::statistics().captured;
    const void* const inputs[] = {in + static_cast<std::size_t>(buffer) * bytes};
    const NamedOutput named{output.name, reinterpret_cast<float*>(out)};
    session.run(frame, inputs, {&named, 1});
    return emu::statistics().captured - before;
  };
  CHECK(captured_by(0) == 0);  // the first run is enqueued as it is
  for (int k = 0; k < 4; ++k) CHECK(captured_by(k) == launches);
  for (int k = 0; k < 4; ++k) CHECK(captured_by(k) == 0);
  for (int turn = 0; turn < 2 * buffers; ++turn) {
    const std::uint64_t again = captured_by((4 + turn) % buffers);
    CHECK(again >= 1);
    CHECK(again <= 3);  // the first convolution, the last, and one on the way at most
  }
  REQUIRE(cudaFree(in) == cudaSuccess);
  REQUIRE(cudaFree(out) == cudaSuccess);
}
