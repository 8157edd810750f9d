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
  CHECK(lists == 37);
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
      {"drnet_resnet50", 23'795'346},
      {"drnet_resnet152", 58'431'122},
      {"drnet_densenet161", 26'805'969},
      {"drnet_senet154", 113'327'362},
      {"drnet_resnet50_k3", 23'832'306},
      {"drnet_resnet50_k5", 23'906'226},
      {"drnet_resnet152_k5", 58'542'002},
      {"drnet_resnet50_guided", 23'795'667},
      {"drnet_resnet152_no_diagonals", 58'430'413},
      {"drnet_resnet152_no_second_branch", 58'425'795},
      {"drnet_resnet50_merge", 27'234'374},
      {"rside_resnet50", 67'569'473},
      {"rside_densenet161", 77'101'151},
      {"rside_senet154", 157'101'425},
      {"refinenet_mobilenetv2", 3'070'057},
      {"umich_mobilenetv2", 20'526'873},
      {"umich_squeezenet", 4'596'201},
      {"cnd_micro", 5'794'953},
      {"cnd_mono", 6'699'913},
      {"cnd_stereo", 6'837'969},
      {"cnd_micro_plain", 4'683'625},
      {"cnd_mono_plain", 6'498'537},
      {"cnd_stereo_plain", 6'636'593},
      {"mobile_baseline_1", 423'321},
      {"mobile_baseline_2", 707'929},
      {"mobile_baseline_3", 1'398'865},
      {"mobile_baseline_4", 3'718'553},
      {"mobile_baseline_4alt", 3'216'177},
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
      {"drnet_resnet50", 640, 480, 25.472, 1e-3},
      {"drnet_resnet50", 304, 228, 6.060, 1e-3, Treatment::fit},
      {"drnet_resnet50", 304, 228, 6.793, 1e-3},
      {"drnet_resnet152", 640, 480, 70.928, 1e-3},
      {"drnet_resnet152", 304, 228, 16.814, 1e-3, Treatment::fit},
      {"drnet_resnet152", 304, 228, 18.914, 1e-3},
      {"drnet_densenet161", 640, 480, 47.831, 1e-3},
      {"drnet_densenet161", 304, 228, 10.636, 1e-3, Treatment::fit},
      {"drnet_densenet161", 304, 228, 12.755, 1e-3},
      {"drnet_senet154", 640, 480, 127.068, 1e-3},
      {"drnet_senet154", 304, 228, 30.136, 1e-3, Treatment::fit},
      {"drnet_senet154", 304, 228, 33.890, 1e-3},
      {"drnet_resnet50_k3", 640, 480, 25.586, 1e-3},
      {"drnet_resnet50_k3", 304, 228, 6.086, 1e-3, Treatment::fit},
      {"drnet_resnet50_k3", 304, 228, 6.823, 1e-3},
      {"drnet_resnet50_k5", 640, 480, 25.814, 1e-3},
      {"drnet_resnet50_k5", 304, 228, 6.139, 1e-3, Treatment::fit},
      {"drnet_resnet50_k5", 304, 228, 6.884, 1e-3},
      {"drnet_resnet152_k5", 640, 480, 71.270, 1e-3},
      {"drnet_resnet152_k5", 304, 228, 16.892, 1e-3, Treatment::fit},
      {"drnet_resnet152_k5", 304, 228, 19.005, 1e-3},
      {"drnet_resnet50_guided", 640, 480, 25.558, 1e-3},
      {"drnet_resnet50_guided", 304, 228, 6.079, 1e-3, Treatment::fit},
      {"drnet_resnet50_guided", 304, 228, 6.815, 1e-3},
      {"drnet_resnet152_no_diagonals", 640, 480, 70.925, 1e-3},
      {"drnet_resnet152_no_diagonals", 304, 228, 16.813, 1e-3, Treatment::fit},
      {"drnet_resnet152_no_diagonals", 304, 228, 18.913, 1e-3},
      {"drnet_resnet152_no_second_branch", 640, 480, 70.912, 1e-3},
      {"drnet_resnet152_no_second_branch", 304, 228, 16.810, 1e-3, Treatment::fit},
      {"drnet_resnet152_no_second_branch", 304, 228, 18.910, 1e-3},
      {"drnet_resnet50_merge", 640, 480, 42.123, 1e-3},
      {"drnet_resnet50_merge", 304, 228, 9.862, 1e-3, Treatment::fit},
      {"drnet_resnet50_merge", 304, 228, 11.233, 1e-3},
      {"rside_resnet50", 640, 480, 470.468, 1e-3},
      {"rside_resnet50", 304, 228, 107.027, 1e-3},
      {"rside_densenet161", 640, 480, 520.135, 1e-3},
      {"rside_densenet161", 304, 228, 116.875, 1e-3},
      {"rside_senet154", 640, 480, 572.062, 1e-3},
      {"rside_senet154", 304, 228, 131.102, 1e-3},
      {"refinenet_mobilenetv2", 640, 480, 5.940, 1e-3},
      {"refinenet_mobilenetv2", 304, 228, 1.380, 1e-3},
      {"umich_mobilenetv2", 640, 480, 58.119, 1e-3},
      {"umich_squeezenet", 640, 480, 35.434, 1e-3},
      {"cnd_micro", 256, 160, 6.132, 1e-3},
      {"cnd_mono", 256, 160, 15.380, 1e-3},
      {"cnd_stereo", 256, 160, 16.170, 1e-3},
      {"cnd_micro_plain", 256, 160, 1.626, 1e-3},
      {"cnd_mono_plain", 256, 160, 4.563, 1e-3},
      {"cnd_stereo_plain", 256, 160, 5.353, 1e-3},
      {"mobile_baseline_1", 640, 480, 0.02771, 1e-5},
      {"mobile_baseline_2", 640, 480, 0.04800, 1e-5},
      {"mobile_baseline_3", 640, 480, 0.08909, 1e-5},
      {"mobile_baseline_4", 640, 480, 0.18898, 1e-5},
      {"mobile_baseline_4alt", 640, 480, 0.18934, 1e-5},
  };
  for (const Work& w : works) {
    INFO(w.name << " at " << w.width << "x" << w.height);
    const double giga = multiply_adds(build(w.name, {1, w.height, w.width}, w.treatment).graph) * 1e-9;
    CAPTURE(giga, w.giga);
    CHECK(std::abs(giga - w.giga) <= 0.51 * w.digit);
  }
}

TEST_CASE("architectures have names of their own, and unknown ones are answered with the nearest", "[models]") {
  std::set<std::string> names;
  for (const Architecture& a : architectures()) {
    CHECK(names.insert(a.name).second);
    CHECK_FALSE(a.paper.empty());
    const Network g = build(a.name);
    CHECK_FALSE(g.graph.outputs.empty());
    CHECK(g.graph.outputs[0].kind == a.config.output);
  }
  const auto answer = [](const std::string& name) -> std::string {
    try {
      find_architecture(name);
    } catch (const Error& e) {
      CHECK(e.kind() == ErrorKind::usage);
      return e.what();
    }
    FAIL("no error");
    return "";
  };
  const auto nearest = [&](const std::string& name) {  // "... (did you mean A, B or C?): ..."
    const std::string text = answer(name), before = "did you mean ";
    const std::size_t begin = text.find(before) + before.size();
    return text.substr(begin, text.find_first_of(",?", begin) - begin);
  };
  CHECK(nearest("hr_deep") == "hr_depth");
  CHECK(nearest("HR-Depth") == "hr_depth");
  CHECK(nearest("drnet") == "drnet_resnet50");
  CHECK(nearest("monodepth") == "monodepth2_resnet18");
  CHECK(nearest("mobile_basline_4") == "mobile_baseline_4");
  CHECK(answer("drnet_resnet").find("drnet_resnet50, ") != std::string::npos);
  CHECK_FALSE(answer(std::string(100000, 'x')).empty());
  CHECK_FALSE(answer("").empty());
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

TEST_CASE("DRNet's widths are those of its weights", "[models]") {
  const Architecture& a = find_architecture("drnet_resnet50");
  const Frame frame = {1, 64, 64};
  // 1x1 convolutions narrower than the rule would make them: 256, 64, 20 and 32 instead of 512, 128, 32 and 32 channels
  Weights widths;
  const int out[] = {32, 20, 64, 256};
  for (int level = 0; level < 4; ++level)
    widths["up1." + std::to_string(level) + ".0.weight"] =
        std::make_shared<Constant>(Constant{Desc::dense({out[level], 1, 1, 1}), nullptr});
  Network list(&widths);
  a.build(list, frame, a.config);

  Weights weights;
  for (const Parameter& p : list.parameters()) weights[p.name] = std::make_shared<Constant>(Constant{p.desc, nullptr});
  Network g(&weights);
  a.build(g, frame, a.config);
  CHECK_NOTHROW(g.check_weights());
  CHECK(weights.at("up1.2.0.weight")->desc == Desc::dense({64, 256 / 4 + 1, 1, 1}));
  CHECK(weights.at("up2.1.weight")->desc == Desc::dense({1, 64 + 1 + 20 + 1, 1, 1}));
  CHECK(weights.at("up2.0.weight")->desc == Desc::dense({1, 1 + 32 / 16 + 1, 1, 1}));

  weights["up1.2.0.weight"] = std::make_shared<Constant>(Constant{Desc::dense({66, 65, 1, 1}), nullptr});
  Network odd(&weights);
  CHECK_THROWS_AS(a.build(odd, frame, a.config), Error);  // 4 does not divide 66 channels
}

TEST_CASE("a mobile baseline's last resize is a setting, and its first one never enlarges", "[models]") {
  const Architecture& a = find_architecture("mobile_baseline_1");
  const auto output = [&](ResizeMode mode, Frame frame = {1, 480, 640}) {
    ModelConfig config = a.config;
    config.output_resize = mode;
    Network g(nullptr);
    a.build(g, frame, config);
    validate(g.graph);
    const Desc& desc = g.graph[g.graph.outputs.at(0).value].desc;
    return std::array{desc.h(), desc.w()};
  };
  CHECK(output(ResizeMode::none) == std::array<std::int64_t, 2>{64, 80});
  CHECK(output(ResizeMode::none, {1, 64, 96}) == std::array<std::int64_t, 2>{32, 48});
  CHECK(output(ResizeMode::bilinear) == std::array<std::int64_t, 2>{480, 640});
  CHECK(output(a.config.output_resize) == std::array<std::int64_t, 2>{480, 640});
}
