// What each network's photographs and numbers mean, written down a second time from the papers and the official code: a
// wrong field is a wrong depth map that looks right.
#include <set>

#include "fathom/fathom.hpp"
#include "models/architectures.hpp"
#include "tests/catch.hpp"

using namespace fathom;

namespace {

struct Family {
  std::vector<std::string> names;
  ModelConfig config;
  int multiple, smallest;
  std::string inputs;
};

const std::vector<float> imagenet_mean{0.485f, 0.456f, 0.406f}, imagenet_std{0.229f, 0.224f, 0.225f};

std::vector<std::string> drnets_and_rsides() {
  std::vector<std::string> names{"rside_resnet50", "rside_densenet161", "rside_senet154"};
  for (const char* backbone : {"resnet50", "resnet152", "densenet161", "senet154"})
    for (const char* variant : {"", "_guided", "_k3", "_k5", "_no_diagonals", "_no_second_branch", "_image0", "_merge"})
      names.push_back(std::string("drnet_") + backbone + variant);
  return names;
}

std::vector<Family> families() {
  const std::string one = "photograph";
  return {
      // Monodepth2 and HR-Depth: PIL's Lanczos to the feed size, (x - 0.45) / 0.225, depth of 0.1 to 100 from a sigmoid
      {{"hr_depth", "hr_depth_ablation_fse", "hr_depth_ablation_dense", "hr_depth_ablation_dense_se",
        "monodepth2_resnet18", "monodepth2_resnet50"},
       {640,
        192,
        PhotoResize::lanczos,
        0,
        0,
        {0.45f},
        {0.225f},
        OutputKind::disparity,
        "relative",
        1,
        false,
        0.1f,
        100,
        Treatment::pad,
        ResizeMode::nearest},
       32,
       64,
       one},
      {{"lite_hr_depth"},
       {1280,
        384,
        PhotoResize::lanczos,
        0,
        0,
        {0.45f},
        {0.225f},
        OutputKind::disparity,
        "relative",
        1,
        false,
        0.1f,
        100,
        Treatment::pad,
        ResizeMode::nearest},
       32,
       64,
       one},
      {{"pose_resnet18"},
       {640,
        192,
        PhotoResize::lanczos,
        0,
        0,
        {0.45f},
        {0.225f},
        OutputKind::tensor,
        "relative",
        1,
        false,
        0.1f,
        100,
        Treatment::pad,
        ResizeMode::nearest},
       1,
       1,
       "earlier frame, later frame"},
      {{"pose_cnn"},  // takes x / 255 as it is
       {640,
        192,
        PhotoResize::lanczos,
        0,
        0,
        {0},
        {1},
        OutputKind::tensor,
        "relative",
        1,
        false,
        0.1f,
        100,
        Treatment::pad,
        ResizeMode::nearest},
       1,
       1,
       "earlier frame, later frame"},
      // DRNet and RSIDE on NYU: 640x480 halved by PIL's bilinear, its centre of 304x228, ImageNet's mean and std,
      // metres
      {drnets_and_rsides(),
       {320, 240, PhotoResize::bilinear, 304, 228, imagenet_mean, imagenet_std, OutputKind::depth, "m", 1, false, 0.1f,
        100, Treatment::pad, ResizeMode::nearest},
       1,
       32,
       one},
      // Light-Weight RefineNet: the photograph as it is, |depth| in metres
      {{"refinenet_mobilenetv2"},
       {640, 480, PhotoResize::none, 0, 0, imagenet_mean, imagenet_std, OutputKind::depth, "m", 1, true, 0.1f, 100,
        Treatment::pad, ResizeMode::nearest},
       1,
       32,
       one},
      // UMich: x / 255, depth in centimetres
      {{"umich_mobilenetv2", "umich_squeezenet"},
       {640,
        480,
        PhotoResize::bilinear,
        0,
        0,
        {0},
        {1},
        OutputKind::depth,
        "m",
        0.01f,
        false,
        0.1f,
        100,
        Treatment::pad,
        ResizeMode::nearest},
       32,
       32,
       one},
      // CND: 256x160, x / 255, depth normalised
      {{"cnd_micro", "cnd_mono", "cnd_micro_plain", "cnd_mono_plain"},
       {256,
        160,
        PhotoResize::bilinear,
        0,
        0,
        {0},
        {1},
        OutputKind::depth,
        "relative",
        1,
        false,
        0.1f,
        100,
        Treatment::pad,
        ResizeMode::nearest},
       16,
       16,
       one},
      {{"cnd_stereo", "cnd_stereo_plain"},
       {256,
        160,
        PhotoResize::bilinear,
        0,
        0,
        {0},
        {1},
        OutputKind::depth,
        "relative",
        1,
        false,
        0.1f,
        100,
        Treatment::pad,
        ResizeMode::nearest},
       16,
       16,
       "photograph, right photograph"},
      // Mobile AI: 640x480, x / 255, a sigmoid times 40 metres, enlarged by repetition
      {{"mobile_baseline_1", "mobile_baseline_2", "mobile_baseline_3", "mobile_baseline_4", "mobile_baseline_4alt"},
       {640,
        480,
        PhotoResize::bilinear,
        0,
        0,
        {0},
        {1},
        OutputKind::depth,
        "m",
        1,
        false,
        0.1f,
        40,
        Treatment::pad,
        ResizeMode::nearest},
       1,
       1,
       one},
  };
}

}  // namespace

TEST_CASE("every network's configuration is its paper's", "[models]") {
  std::set<std::string> checked;
  for (const Family& family : families())
    for (const std::string& name : family.names) {
      INFO(name);
      const Architecture& a = find_architecture(name);
      CHECK(a.config.input_width == family.config.input_width);
      CHECK(a.config.input_height == family.config.input_height);
      CHECK(a.config.resize == family.config.resize);
      CHECK(a.config.crop_width == family.config.crop_width);
      CHECK(a.config.crop_height == family.config.crop_height);
      CHECK(a.config.mean == family.config.mean);
      CHECK(a.config.std == family.config.std);
      CHECK(a.config.output == family.config.output);
      CHECK(a.config.unit == family.config.unit);
      CHECK(a.config.scale == family.config.scale);
      CHECK(a.config.absolute == family.config.absolute);
      CHECK(a.config.min_depth == family.config.min_depth);
      CHECK(a.config.max_depth == family.config.max_depth);
      CHECK(a.config == family.config);
      CHECK(a.multiple == family.multiple);
      CHECK(a.smallest == family.smallest);
      CHECK(a.inputs == family.inputs);
      CHECK(checked.insert(name).second);
    }
  for (const Architecture& a : architectures()) {
    INFO(a.name << " has no row in this table");
    CHECK(checked.contains(a.name));
  }
}

TEST_CASE("another input size is the size that the network sees: nothing is cut from it", "[models]") {
  const auto frame_of = [](EngineOptions options) {
    options.device = Device::cpu;
    const Frame f = Engine::synthetic("drnet_resnet50", options).frame();
    return std::vector<int>{f.batch, f.width, f.height};
  };
  CHECK(frame_of({}) == std::vector<int>{1, 304, 228});
  CHECK(frame_of({.input_width = 64, .input_height = 96}) == std::vector<int>{1, 64, 96});
  CHECK(frame_of({.input_width = 64}) == std::vector<int>{1, 64, 228});
  CHECK(frame_of({.input_height = 96}) == std::vector<int>{1, 304, 96});
}

TEST_CASE("of a stereo pair the left photograph is the first input", "[models]") {
  const Engine engine =
      Engine::synthetic("cnd_stereo", {.device = Device::cpu, .threads = 1, .input_width = 32, .input_height = 16});
  Session session = engine.session();
  Image left(32, 16), right(32, 16);
  for (std::size_t k = 0; k < left.rgb.size(); ++k)
    left.rgb[k] = static_cast<std::uint8_t>(k * 7), right.rgb[k] = static_cast<std::uint8_t>(255 - k * k % 251);
  const auto bare = [&](const Image& first, const Image& second) {
    std::vector<float> depth(32 * 16);
    const void* const inputs[] = {first.rgb.data(), second.rgb.data()};
    const NamedOutput output{engine.outputs(engine.frame())[0].name, depth.data()};
    session.run_from_host(engine.frame(), inputs, {&output, 1});
    return depth;
  };
  REQUIRE(engine.inputs(engine.frame())[0].name == "image");
  REQUIRE(bare(left, right) != bare(right, left));
  CHECK(session.depth(left, right).depth == bare(left, right));
  CHECK(session.depth(right, left).depth == bare(right, left));
}

TEST_CASE("the budget holds for the arena, workspaces and all, to the byte", "[models]") {
  int with_workspace = 0;
  for (const char* name : {"umich_squeezenet", "cnd_micro", "drnet_resnet50_k3"}) {
    const EngineOptions small{.device = Device::cpu, .threads = 1, .input_width = 64, .input_height = 64};
    const MemoryReport memory = Engine::synthetic(name, small).session().memory({1, 64, 64});
    with_workspace += memory.workspace_bytes > 0;
    EngineOptions exact = small, less = small;
    exact.budget_bytes = memory.arena_bytes, less.budget_bytes = memory.arena_bytes - 1;
    CHECK(Engine::synthetic(name, exact).session().memory({1, 64, 64}).arena_bytes == memory.arena_bytes);
    try {
      Engine::synthetic(name, less).session().prepare({1, 64, 64});
      FAIL_CHECK(name << " is planned over the budget");
    } catch (const Error& e) {
      CHECK(e.kind() == ErrorKind::memory);
      CHECK(std::string(e.what()).find("over the budget of " + std::to_string(less.budget_bytes)) != std::string::npos);
    }
  }
  CHECK(with_workspace > 0);
}
