// Passes and kernels agree on what the ops that stand for several are: what the ones make, the others take, as one
// launch. Planned for an H200, so without a GPU.
#include "engine/cuda/cuda.hpp"
#include "engine/program.hpp"
#include "tests/models/cuda/networks.hpp"

using namespace fathom;
using namespace fathom::test;

namespace {

Program planned(const char* name, Precision precision) {
  const Architecture& a = find_architecture(name);
  Network network(nullptr);
  a.build(network, {1, a.config.input_height, a.config.input_width}, a.config);
  return compile(network.graph, *make_cuda({}, precision, true, ""), {});
}

// Steps whose kernel's name has this in it.
int steps_by(const Program& program, const std::string& kernel) {
  int count = 0;
  for (const Step& step : program.steps) count += step.kernel.find(kernel) != std::string::npos;
  return count;
}

}  // namespace

TEST_CASE("MobileNet's blocks are one launch each in halves", "[networks]") {
  for (const char* name : {"refinenet_mobilenetv2", "lite_hr_depth", "cnd_micro", "mobile_baseline_1"}) {
    INFO(name);
    const Program halves = planned(name, Precision::fp16);
    CHECK(steps_by(halves, "inverted residual") > 5);
    CHECK(steps_by(halves, "in parts: ") == 0);
    CHECK(steps_by(planned(name, Precision::fp32), "inverted residual") == 0);
  }
}

TEST_CASE("a first convolution and its pool are one launch in halves", "[networks]") {
  for (const char* name : {"drnet_resnet50", "rside_densenet161", "pose_resnet18"}) {
    INFO(name);
    const Program halves = planned(name, Precision::fp16);
    CHECK(halves.steps[0].kernel.starts_with("pooled, "));
    CHECK(steps_by(halves, "in parts: ") == 0);
    CHECK(steps_by(planned(name, Precision::fp32), "pooled, ") == 0);
  }
}

TEST_CASE("gates that convolutions are to make are made by their kernels", "[networks]") {
  for (const auto& [name, precision] : {std::pair{"hr_depth", Precision::fp16}, {"hr_depth", Precision::fp32},
                                        {"lite_hr_depth", Precision::fp16}, {"mobile_baseline_1", Precision::fp16},
                                        {"mobile_baseline_4", Precision::tf32}, {"drnet_senet154", Precision::fp16}}) {
    const Program program = planned(name, precision);
    int asked = 0;
    for (const Node& node : program.graph.nodes) {
      if (const auto* conv = std::get_if<Conv2d>(&node.op)) asked += conv->excitation.maps > 0;
      if (const auto* block = std::get_if<InvertedResidual>(&node.op)) asked += block->excitation.maps > 0;
    }
    INFO(name << ", " << asked << " gates");
    CHECK(asked > 2);
    CHECK(steps_by(program, ", means, gate") == asked);
  }
}

TEST_CASE("launches of one frame in halves", "[networks]") {
  const auto launches = [](const char* name) {
    int sum = 0;
    for (const Step& step : planned(name, Precision::fp16).steps) sum += step.launches;
    return sum;
  };
  CHECK(launches("hr_depth") <= 44);
  CHECK(launches("monodepth2_resnet18") <= 29);
  CHECK(launches("mobile_baseline_1") <= 32);
}
