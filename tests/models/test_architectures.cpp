// The table of networks against the papers: names and shapes of all parameters, how many there are, how many
// multiply-adds.
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "fathom/error.hpp"
#include "models/architectures.hpp"
#include "tests/catch.hpp"

using namespace fathom;

namespace {

Network build(const std::string& name, Frame frame, Treatment treatment = Treatment::pad) {
  const Architecture& a = find_architecture(name);
  ModelConfig config = a.config;
  config.treatment = treatment;
  check_size(a, frame);
  Network g(nullptr);
  a.build(g, frame, config);
  validate(g.graph);
  return g;
}

Network build(const std::string& name) {
  const ModelConfig& c = find_architecture(name).config;
  return build(name, {1, c.crop_height ? c.crop_height : c.input_height, c.crop_width ? c.crop_width : c.input_width});
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// Weights, biases and the scale and shift of batch norms, those that nothing reads included, as papers count.
std::int64_t learnable(const Network& g) {
  std::int64_t sum = 0;
  for (const Parameter& p : g.parameters())
    if (!ends_with(p.name, ".running_mean") && !ends_with(p.name, ".running_var") &&
        !ends_with(p.name, ".num_batches_tracked"))
      sum += p.desc.elements();
  return sum;
}

// "encoder.conv1.weight 64x3x7x7", "scalar" for rank 0: as the lists in tests/golden/keys have it
std::string line_of(const Parameter& p) {
  std::string shape;
  for (int r = 0; r < p.desc.rank; ++r) {
    if (r) shape += 'x';
    shape += std::to_string(p.desc.extent[r]);
  }
  return p.name + " " + (shape.empty() ? "scalar" : shape);
}

}  // namespace

TEST_CASE("parameters have the names and shapes of the official checkpoints", "[models]") {
  int lists = 0;
  for (const auto& entry : std::filesystem::directory_iterator(FATHOM_SOURCE_DIR "/tests/golden/keys")) {
    const std::string name = entry.path().stem().string();
    std::set<std::string> expected, declared;
    std::ifstream file(entry.path());
    for (std::string line; std::getline(file, line);) expected.insert(line);
    const Network g = build(name);
    for (const Parameter& p : g.parameters()) declared.insert(line_of(p));
    for (const std::string& line : expected)
      if (!declared.contains(line)) FAIL_CHECK(name << " lacks " << line);
    for (const std::string& line : declared)
      if (!expected.contains(line)) FAIL_CHECK(name << " has surplus " << line);
    CHECK(declared.size() == expected.size());
    ++lists;
  }
  CHECK(lists == 9);
}

TEST_CASE("parameter counts are the papers'", "[models]") {
  struct Count {
    const char* name;
    std::int64_t parameters;
  };
  const Count counts[] = {
      {"monodepth2_resnet18", 14'842'236},
      {"monodepth2_resnet50", 34'571'132},
      {"hr_depth", 14'613'644},
      {"hr_depth_ablation_dense", 16'056'972},
      {"hr_depth_ablation_fse", 13'485'564},
      {"hr_depth_ablation_dense_se", 16'231'052},
      {"lite_hr_depth", 3'112'000},
      {"pose_resnet18", 13'013'492},
      {"pose_cnn", 1'586'774},
  };
  for (const Count& c : counts) {
    INFO(c.name);
    CHECK(learnable(build(c.name)) == c.parameters);
  }
}

TEST_CASE("multiply-adds are those measured on the official modules", "[models]") {
  struct Work {
    const char* name;
    int width, height;
    double giga;
    double digit = 1e-4;  // of the number's last place
    Treatment treatment = Treatment::pad;
  };
  const Work works[] = {
      {"monodepth2_resnet18", 640, 192, 8.0135},
      {"monodepth2_resnet18", 1024, 320, 21.3693},
      {"monodepth2_resnet18", 1280, 384, 32.0540},
      {"monodepth2_resnet50", 640, 192, 16.5541},
      {"monodepth2_resnet50", 1280, 384, 66.2166},
      {"hr_depth", 640, 192, 11.2222},
      {"hr_depth", 1024, 320, 29.9258},
      {"hr_depth", 1280, 384, 44.8886},
      {"lite_hr_depth", 640, 192, 1.2268},
      {"lite_hr_depth", 1280, 384, 4.9028},
      {"hr_depth_ablation_fse", 640, 192, 5.7486},
      {"hr_depth_ablation_dense", 640, 192, 13.8331},
      {"hr_depth_ablation_dense_se", 640, 192, 13.8333},
      {"pose_resnet18", 640, 192, 4.8880},
      {"pose_cnn", 640, 192, 0.3726},
      {"pose_cnn", 1280, 384, 1.4844},
  };
  for (const Work& w : works) {
    INFO(w.name << " at " << w.width << "x" << w.height);
    const double giga = multiply_adds(build(w.name, {1, w.height, w.width}, w.treatment).graph) * 1e-9;
    CHECK(std::abs(giga - w.giga) <= 0.51 * w.digit);
  }
}

TEST_CASE("architectures have names of their own, and unknown ones are answered with the list", "[models]") {
  std::set<std::string> names;
  for (const Architecture& a : architectures()) {
    CHECK(names.insert(a.name).second);
    CHECK_FALSE(a.paper.empty());
    const Network g = build(a.name);
    CHECK_FALSE(g.graph.outputs.empty());
    CHECK(g.graph.outputs[0].kind == a.config.output);
  }
  try {
    find_architecture("hr_deep");
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(e.kind() == ErrorKind::model);
    CHECK(std::string(e.what()).find("lite_hr_depth") != std::string::npos);
  }
}

TEST_CASE("an illegal size is answered with the nearest legal ones", "[models]") {
  const Architecture& a = find_architecture("hr_depth");
  check_size(a, {3, 64, 96});
  const auto complaint = [&](int width, int height) -> std::string {
    try {
      check_size(a, {1, height, width});
    } catch (const Error& e) {
      CHECK(e.kind() == ErrorKind::shape);
      return e.what();
    }
    return "";
  };
  CHECK(
      complaint(100, 96) ==
      "hr_depth cannot run at 100x96: width and height must be multiples of 32 from 64 on; the nearest legal sizes are "
      "96x96 and 128x96");
  CHECK(complaint(1242, 375).find("1216x352 and 1248x384") != std::string::npos);
  CHECK(complaint(32, 0).find("legal size is 64x64") != std::string::npos);
  CHECK(complaint(640, 192).empty());
  CHECK_THROWS_AS(check_size(a, Frame{0, 64, 64}), Error);
}

TEST_CASE("a network runs at every legal size, and batches only multiply the work", "[models]") {
  for (const char* name : {"hr_depth", "lite_hr_depth", "pose_cnn"}) {
    const double one = multiply_adds(build(name, {1, 64, 96}).graph);
    CHECK(multiply_adds(build(name, {3, 64, 96}).graph) == 3 * one);
  }
}
