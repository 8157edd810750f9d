// Every network against its golden file: largest error within 1e-4 of the output's range, on the backends of the CPU.
#include <set>

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

TEST_CASE("a batch of three is three times a batch of one", "[models]") {
  ReferenceBackend backend;
  Golden golden = read_golden(FATHOM_SOURCE_DIR "/tests/golden/lite_hr_depth_96x128.safetensors");
  golden.frame.height = 64, golden.frame.width = 96;
  std::vector<std::uint8_t> all;
  std::map<std::string, std::vector<float>> apart;
  for (const char* name : {"first", "second", "third"}) {
    const std::vector<std::uint8_t> image = synthetic_image(64, 96, name);
    all.insert(all.end(), image.begin(), image.end());
    for (const auto& [output, numbers] : run_graph(build(golden), {{"image", image}}, backend))
      apart[output].insert(apart[output].end(), numbers.values.begin(), numbers.values.end());
  }
  for (const auto& [output, numbers] : run_graph(build(golden, 3), {{"image", all}}, backend)) {
    INFO(output);
    CHECK((numbers.values == apart[output]));
  }
}

TEST_CASE("the reference meets all other golden files", "[models][long]") {
  ReferenceBackend backend;
  for (const std::string& path : golden_files())
    if (!quick.contains(stem(path))) CHECK(golden_error(path, backend, "reference") <= tolerance);
}
