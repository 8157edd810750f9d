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

// The cheap ones, one a family, that the reference runs every time.
const std::set<std::string> quick = {
    "lite_hr_depth_96x128",         "pose_cnn_64x96",          "drnet_resnet50_fit_57x76", "rside_resnet50_33x41",
    "refinenet_mobilenetv2_96x128", "umich_squeezenet_96x128", "cnd_micro_plain_160x256",  "mobile_baseline_1_240x320"};

// Most of these are the weights' making: 50 to 160 million parameters each.
const std::set<std::string> heavy = {"rside_resnet50_96x128",   "rside_densenet161_96x128",
                                     "rside_densenet161_37x47", "rside_senet154_96x128",
                                     "rside_senet154_37x45",    "drnet_senet154_k3_fit_45x61",
                                     "drnet_resnet152_96x128",  "drnet_resnet152_no_diagonals_45x60",
                                     "cnd_mono_160x256",        "cnd_stereo_160x256"};

constexpr double tolerance = 1e-4;

}  // namespace

TEST_CASE("the reference meets a golden file of each family", "[models]") {
  ReferenceBackend backend;
  std::size_t met = 0;
  for (const std::string& path : golden_files())
    if (quick.contains(stem(path))) {
      CHECK(golden_error(path, backend, "reference") <= tolerance);
      ++met;
    }
  CHECK(met == quick.size());
}

TEST_CASE("the CPU backend meets the golden files", "[models]") {
  const std::vector<std::string> files = golden_files();
  for (const std::string& path : files) {
    if (heavy.contains(stem(path))) continue;
    CpuBackend backend(2);  // one a network: it keeps packed weights by name
    CHECK(golden_error(path, backend, "cpu") <= tolerance);
  }
  CHECK(files.size() >= 46);
}

TEST_CASE("the CPU backend meets the golden files of the heaviest networks", "[models][long]") {
  for (const std::string& path : golden_files()) {
    if (!heavy.contains(stem(path))) continue;
    CpuBackend backend(2);
    CHECK(golden_error(path, backend, "cpu") <= tolerance);
  }
}

TEST_CASE("the reference meets all other golden files", "[models][long]") {
  ReferenceBackend backend;
  for (const std::string& path : golden_files())
    if (!quick.contains(stem(path))) CHECK(golden_error(path, backend, "reference") <= tolerance);
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
