// Every network against its golden file: largest error within 1e-4 of the output's range, on the backends of the CPU.
#include <set>

#include "kernels/cpu/kernels.hpp"
#include "kernels/reference/kernels.hpp"
#include "tests/catch.hpp"
#include "tests/models/golden.hpp"

using namespace fathom;
using namespace fathom::test;

namespace {

// Files of tests/golden that hold a network's outputs.
std::vector<std::string> golden_files() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(FATHOM_SOURCE_DIR "/tests/golden"))
    if (entry.path().extension() == ".safetensors" &&
        SafetensorsFile::open(entry.path().string())->metadata().contains("network"))
      paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::string stem(const std::string& path) { return std::filesystem::path(path).stem().string(); }

// The cheap ones, one a family, that run every time.
const std::set<std::string> quick = {
    "lite_hr_depth_96x128",         "pose_cnn_64x96",          "drnet_resnet50_fit_57x76", "rside_resnet50_33x41",
    "refinenet_mobilenetv2_96x128", "umich_squeezenet_96x128", "cnd_micro_plain_160x256",  "mobile_baseline_1_240x320"};

constexpr double tolerance = 1e-4;

// Meets the quick files, or all others; how many there were. A backend of its own each, for it keeps weights by name.
template <class Make>
std::size_t meet(bool quick_ones, const char* name, Make make_backend) {
  std::size_t met = 0;
  for (const std::string& path : golden_files()) {
    if (quick.contains(stem(path)) != quick_ones) continue;
    auto backend = make_backend();
    CHECK(golden_error(path, backend, name) <= tolerance);
    ++met;
  }
  return met;
}

}  // namespace

TEST_CASE("node by node, the reference meets a golden file of each family", "[models]") {
  CHECK(meet(true, "reference", [] { return ReferenceBackend(); }) == quick.size());
}

TEST_CASE("node by node, the reference meets all other golden files", "[models][long]") {
  CHECK(meet(false, "reference", [] { return ReferenceBackend(); }) >= 38);
}

TEST_CASE("node by node, the CPU backend meets a golden file of each family", "[models]") {
  CHECK(meet(true, "cpu", [] { return CpuBackend(2); }) == quick.size());
}

TEST_CASE("node by node, the CPU backend meets all other golden files", "[models][long]") {
  CHECK(meet(false, "cpu", [] { return CpuBackend(2); }) >= 38);
}

namespace {

// A batch of different images against the same images one by one; the largest error of any output, batch and image.
double batch_error(const std::string& architecture, Frame frame) {
  CpuBackend backend(2);
  Golden golden;
  golden.architecture = architecture, golden.frame = frame;
  std::map<std::string, std::vector<std::uint8_t>> all;
  std::map<std::string, std::vector<float>> apart;
  const Graph one = build(golden), many = build(golden, frame.batch);
  for (int n = 0; n < frame.batch; ++n) {
    std::map<std::string, std::vector<std::uint8_t>> inputs;
    for (Value v : one.inputs) {
      const std::string& name = one[v].name;
      inputs[name] = synthetic_image(frame.height, frame.width, name + std::to_string(n));
      all[name].insert(all[name].end(), inputs[name].begin(), inputs[name].end());
    }
    for (const auto& [output, numbers] : run_graph(one, inputs, backend))
      apart[output].insert(apart[output].end(), numbers.values.begin(), numbers.values.end());
  }
  double worst = 0;
  for (const auto& [output, numbers] : run_graph(many, all, backend))
    worst = std::max(worst, error_of(numbers.values, apart[output]));
  return worst;
}

}  // namespace

TEST_CASE("a batch of three is three times a batch of one", "[models]") {
  CHECK(batch_error("lite_hr_depth", {3, 64, 96}) <= 1e-5);
  CHECK(batch_error("pose_cnn", {3, 50, 70}) <= 1e-5);
}

TEST_CASE("every architecture runs at another size, and two images at once are as one after the other",
          "[models][long]") {
  for (const Architecture& a : architectures()) {
    const double error = batch_error(a.name, {2, 64, 96});
    std::printf("%-44s batch of 2 at 96x64: %.1e\n", a.name.c_str(), error);
    std::fflush(stdout);
    INFO(a.name);
    CHECK(error <= 1e-5);
  }
}
