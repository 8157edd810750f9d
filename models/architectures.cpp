#include "models/architectures.hpp"

#include <algorithm>
#include <cctype>
#include <numeric>
#include <vector>

#include "fathom/error.hpp"
#include "models/cnd.hpp"
#include "models/drnet.hpp"
#include "models/networks.hpp"

namespace fathom {

namespace {

using Table = std::vector<Architecture>;

// ---- HR-Depth and what it builds on ----

void hr_depth_family(Table& table) {
  // Lanczos to the feed size, one mean and std for all channels (ResnetEncoder), disparity up to scale
  const ModelConfig feed = {.input_width = 640,
                            .input_height = 192,
                            .resize = PhotoResize::lanczos,
                            .mean = {0.45f},
                            .std = {0.225f},
                            .output = OutputKind::disparity,
                            .min_depth = 0.1f,
                            .max_depth = 100};
  ModelConfig lite = feed, pose = feed, pose_cnn_config = feed;
  lite.input_width = 1280, lite.input_height = 384;
  pose.output = OutputKind::tensor;
  pose_cnn_config = pose;
  pose_cnn_config.mean = {0}, pose_cnn_config.std = {1};  // PoseCNN takes x / 255 as it is

  const std::string lyu = "Lyu et al., HR-Depth, AAAI 2021", godard = "Godard et al., Monodepth2, ICCV 2019";
  const std::string one = "photograph", two = "earlier frame, later frame";
  // The reflection padding of the coarsest map needs two rows and columns there: 64 pixels.
  table.push_back({"hr_depth", lyu + ": HR-Depth", one, feed, 32, 64, hr_depth});
  table.push_back({"lite_hr_depth", lyu + ": Lite-HR-Depth", one, lite, 32, 64, lite_hr_depth});
  table.push_back({"hr_depth_ablation_fse", lyu + ": table 4, + fSE", one, feed, 32, 64, hr_depth_ablation_fse});
  for (const bool squeeze : {false, true})
    table.push_back({squeeze ? "hr_depth_ablation_dense_se" : "hr_depth_ablation_dense",
                     lyu + (squeeze ? ": table 4, + dense SC and SE" : ": table 4, + dense SC"), one, feed, 32, 64,
                     [=](auto& g, auto& f, auto& c) { hr_depth_ablation_dense(g, f, c, squeeze); }});
  table.push_back({"monodepth2_resnet18", godard + ": ResNet-18", one, feed, 32, 64,
                   [](auto& g, auto& f, auto& c) { monodepth2(g, f, c, resnet18); }});
  table.push_back({"monodepth2_resnet50", godard + ": ResNet-50", one, feed, 32, 64,
                   [](auto& g, auto& f, auto& c) { monodepth2(g, f, c, resnet50); }});
  table.push_back({"pose_resnet18", godard + ": pose network on ResNet-18", two, pose, 1, 1, pose_resnet18});
  table.push_back({"pose_cnn", godard + ": PoseCNN", two, pose_cnn_config, 1, 1, pose_cnn});
}

// ---- DRNet and what it is compared with ----

const std::vector<float> imagenet_mean = {0.485f, 0.456f, 0.406f}, imagenet_std = {0.229f, 0.224f, 0.225f};

void drnet_family(Table& table) {
  // NYU as RSIDE's evaluation reads it: 640x480 halved by Pillow's bilinear, its centre, metres
  const ModelConfig nyu = {.input_width = 320,
                           .input_height = 240,
                           .resize = PhotoResize::bilinear,
                           .crop_width = 304,
                           .crop_height = 228,
                           .mean = imagenet_mean,
                           .std = imagenet_std,
                           .output = OutputKind::depth,
                           .unit = "m"};
  struct Backbone {
    const char* name;
    DrnetBackbone kind;
  };
  struct Variant {
    const char *suffix, *text;
    Drnet kind;
  };
  const Backbone backbones[] = {{"resnet50", DrnetBackbone::resnet50},
                                {"resnet152", DrnetBackbone::resnet152},
                                {"densenet161", DrnetBackbone::densenet161},
                                {"senet154", DrnetBackbone::senet154}};
  const Variant variants[] = {{"", "", {}},
                              {"_guided", ", guided filter", {.guided = true}},
                              {"_k3", ", 3x3 corrections", {.kernel = 3}},
                              {"_k5", ", 5x5 corrections", {.kernel = 5}},
                              {"_no_diagonals", ", no diagonals", {.diagonals = false}},
                              {"_no_second_branch", ", no second branch", {.diagonals = false, .second_branch = false}},
                              {"_image0", ", image as level 0", {.image0 = true}},
                              {"_merge", ", merge reading", {.merge = true}}};
  for (const Backbone& b : backbones)
    for (const Variant& v : variants) {
      Drnet kind = v.kind;
      kind.backbone = b.kind;
      table.push_back({std::string("drnet_") + b.name + v.suffix,
                       std::string("Durasov et al., Double Refinement Network, 2018: ") + b.name + v.text, "photograph",
                       nyu, 1, 32, [=](auto& g, auto& f, auto& c) { drnet(g, f, c, kind); }});
    }

  struct Rside {
    const char* name;
    RsideBackbone kind;
  };
  for (const Rside& b : {Rside{"resnet50", RsideBackbone::resnet50}, Rside{"densenet161", RsideBackbone::densenet161},
                         Rside{"senet154", RsideBackbone::senet154}})
    table.push_back({std::string("rside_") + b.name,
                     std::string("Hu et al., Revisiting Single Image Depth Estimation, WACV 2019: ") + b.name,
                     "photograph", nyu, 1, 32, [kind = b.kind](auto& g, auto& f, auto& c) { rside(g, f, c, kind); }});

  ModelConfig full = nyu;  // 640x480 as it is; the official evaluation takes |depth|, after resizing
  full.input_width = 640, full.input_height = 480, full.resize = PhotoResize::none,
  full.crop_width = full.crop_height = 0, full.absolute = true;
  table.push_back({"refinenet_mobilenetv2",
                   "Nekrasov et al., multi-task Light-Weight RefineNet, ICRA 2019: MobileNetV2", "photograph", full, 1,
                   32, refinenet_mobilenetv2});
}

// ---- the small networks ----

void umich_family(Table& table) {
  const ModelConfig centimetres = {.input_width = 640,
                                   .input_height = 480,
                                   .resize = PhotoResize::bilinear,
                                   .output = OutputKind::depth,
                                   .unit = "m",
                                   .scale = 0.01f};
  table.push_back({"umich_mobilenetv2", "University of Michigan, EECS 442: Mob_v2", "photograph", centimetres, 32, 32,
                   umich_mobilenetv2});
  table.push_back({"umich_squeezenet", "University of Michigan, EECS 442: Squeeze", "photograph", centimetres, 32, 32,
                   umich_squeezenet});
}

void cnd_family(Table& table) {
  // depth normalised to about [0, 1]
  const ModelConfig small = {
      .input_width = 256, .input_height = 160, .resize = PhotoResize::bilinear, .output = OutputKind::depth};
  for (const bool plain : {false, true}) {
    Cnd micro = {.channels = plain ? cnd_plain_channels : cnd_counts_channels, .skip_before = !plain, .residual = {}};
    Cnd mono = micro;
    mono.residual = plain ? std::array{2, 2, 2, 0} : std::array{0, 0, 2, 0};
    Cnd stereo = mono;
    stereo.stereo = true;
    struct Row {
      const char *name, *inputs;
      Cnd kind;
    };
    for (const Row& r : {Row{"micro", "photograph", micro}, Row{"mono", "photograph", mono},
                         Row{"stereo", "photograph, right photograph", stereo}})
      table.push_back({std::string("cnd_") + r.name + (plain ? "_plain" : ""),
                       std::string("CND: ") + r.name +
                           (plain ? ", channels halved literally" : ", channels by the published counts"),
                       r.inputs, small, 16, 16, [kind = r.kind](auto& g, auto& f, auto& c) { cnd(g, f, c, kind); }});
  }
}

void mobile_baseline_family(Table& table) {
  const ModelConfig challenge = {.input_width = 640,
                                 .input_height = 480,
                                 .resize = PhotoResize::bilinear,
                                 .output = OutputKind::depth,
                                 .unit = "m",
                                 .max_depth = 40};
  struct Row {
    const char* id;
    MobileBaseline kind;
  };
  for (const Row& r : {Row{"1", {.width = 0.35}}, Row{"2", {.width = 0.46}}, Row{"3", {.width = 0.66}},
                       Row{"4", {.width = 1.08}}, Row{"4alt", {.width = 1, .fused = {16, 32, 40, 128}}}})
    table.push_back(
        {std::string("mobile_baseline_") + r.id,
         std::string("Wang et al., knowledge distillation for mobile depth, Mobile AI 2021: baseline ") + r.id,
         "photograph", challenge, 1, 1,
         [kind = r.kind](auto& g, auto& f, auto& c) { mobile_baseline(g, f, c, kind); }});
}

Table make_table() {
  Table table;
  hr_depth_family(table);
  drnet_family(table);
  umich_family(table);
  cnd_family(table);
  mobile_baseline_family(table);
  return table;
}

std::string size_text(int width, int height) { return std::to_string(width) + "x" + std::to_string(height); }

// How far a name is from what was typed: a letter that was left out costs 1, one that is not in the name 3.
int distance(const std::string& typed, const std::string& name) {
  std::vector<int> row(name.size() + 1);  // row[j]: from the letters of `typed` so far to the first j of the name
  std::iota(row.begin(), row.end(), 0);
  for (const char letter : typed) {
    int before = row[0];
    row[0] += 3;
    for (std::size_t j = 1; j <= name.size(); ++j) {
      const int replaced = before + (letter == name[j - 1] ? 0 : 3);
      before = row[j];
      row[j] = std::min({replaced, row[j] + 3, row[j - 1] + 1});
    }
  }
  return row.back();
}

// The three names nearest to what was typed: "HR-Depth" -> hr_depth, ...
std::string nearest_names(std::string typed) {
  for (char& c : typed) c = c == '-' || c == ' ' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  typed.resize(std::min<std::size_t>(typed.size(), 64));
  std::vector<std::pair<int, std::string>> near;
  for (const Architecture& a : architectures()) near.emplace_back(distance(typed, a.name), a.name);
  std::sort(near.begin(), near.end());
  return near[0].second + ", " + near[1].second + " or " + near[2].second;
}

}  // namespace

std::span<const Architecture> architectures() {
  static const Table table = make_table();
  return table;
}

const Architecture& find_architecture(const std::string& name) {
  for (const Architecture& a : architectures())
    if (a.name == name) return a;
  throw Error(ErrorKind::usage, "unknown architecture '" + name.substr(0, 120) + "' (did you mean " +
                                    nearest_names(name) + "?): `fathom_weights list` prints the names");
}

void check_size(const Architecture& a, const Frame& frame) {
  if (frame.batch < 1)
    throw Error(ErrorKind::shape, "a batch of " + std::to_string(frame.batch) + " images; at least 1 is needed");
  const int smallest = std::max(a.smallest, a.multiple);
  const auto below = [&](int size) { return std::max(smallest, size - size % a.multiple); };
  const auto above = [&](int size) {
    return size <= smallest ? smallest : below(size) + (size % a.multiple ? a.multiple : 0);
  };
  const auto legal = [&](int size) { return size >= smallest && size % a.multiple == 0; };
  if (legal(frame.height) && legal(frame.width)) return;
  const std::string low = size_text(below(frame.width), below(frame.height)),
                    high = size_text(above(frame.width), above(frame.height));
  std::string rule = a.multiple > 1 ? "multiples of " + std::to_string(a.multiple) + " from " : "from ";
  throw Error(ErrorKind::shape, a.name + " cannot run at " + size_text(frame.width, frame.height) +
                                    ": width and height must be " + rule + std::to_string(smallest) +
                                    " on; the nearest " +
                                    (low == high ? "legal size is " + low : "legal sizes are " + low + " and " + high));
}

}  // namespace fathom
