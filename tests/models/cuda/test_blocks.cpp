// Pass and kernel agree on what an inverted residual block is: what the one makes, the other takes, as one launch.
#include "engine/cuda/cuda.hpp"
#include "engine/program.hpp"
#include "tests/models/cuda/networks.hpp"

using namespace fathom;
using namespace fathom::test;

TEST_CASE("MobileNet's blocks are one launch each in halves", "[networks]") {
  const auto blocks_of = [](const char* name, Precision precision) {
    const Architecture& a = find_architecture(name);
    Network network(nullptr);
    a.build(network, {1, a.config.input_height, a.config.input_width}, a.config);
    const std::unique_ptr<Backend> backend = make_cuda({}, precision, true, "");  // planned for an H200
    int blocks = 0;
    for (const Step& step : compile(network.graph, *backend, {}).steps) {
      INFO(name << ", " << step.name << ": " << step.kernel);
      CHECK_FALSE(step.kernel.starts_with("in parts"));
      blocks += step.kernel.starts_with("inverted residual");
    }
    return blocks;
  };
  for (const char* name : {"refinenet_mobilenetv2", "lite_hr_depth", "cnd_micro", "mobile_baseline_1"}) {
    CHECK(blocks_of(name, Precision::fp16) > 5);
    CHECK(blocks_of(name, Precision::fp32) == 0);
  }
}
