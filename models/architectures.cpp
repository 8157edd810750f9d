#include "models/architectures.hpp"

#include <algorithm>
#include <vector>

#include "fathom/error.hpp"
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

Table make_table() {
  Table table;
  hr_depth_family(table);
  return table;
}

std::string size_text(int width, int height) { return std::to_string(width) + "x" + std::to_string(height); }

}  // namespace

std::span<const Architecture> architectures() {
  static const Table table = make_table();
  return table;
}

const Architecture& find_architecture(const std::string& name) {
  std::string known;
  for (const Architecture& a : architectures()) {
    if (a.name == name) return a;
    known += (known.empty() ? "" : ", ") + a.name;
  }
  throw Error(ErrorKind::model, "unknown architecture '" + name + "'; known are " + known);
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
