#include "bench/papers.hpp"

#include <algorithm>

#include "fathom/error.hpp"

namespace fathom {

namespace {

const Figure parameters{"parameters", "parameters, millions", 3, ""};
const Figure speed{"images_per_s", "images/s at batch 1", 2, ""};
const Figure latency{"ms", "milliseconds at batch 1", 2, ""};

// Durasov et al., table III; photographs of 640x480, at which the largest batches agree with 24 GB of activations.
PaperTable drnet() {
  constexpr double gpu = 24e9;
  PaperTable t{.name = "drnet",
               .title = "Double Refinement Network, table III",
               .machine = "Tesla P40, 24 GB, PyTorch",
               .memory_bytes = gpu,
               .figures = {{speed.key, speed.title, speed.digits, "the paper's GPU is another machine"},
                           {"largest_batch", "largest batch in 24 GB", 0, "here: planned for this device, not run"},
                           {"images_per_s_largest", "images/s at the largest batch", 2,
                            "--largest measures it, as far as memory here and --limit allow"},
                           {"weight_mb", "net RAM, MB", 0, "the paper counts its CUDA context in; here weights alone"},
                           {"kept_mb", "RAM per image, MB, all activations kept", 0,
                            "paper: 24 GB over its largest batch; here: the sum over PyTorch's operations"},
                           {"arena_mb", "RAM per image, MB, as planned", 1, "the same images, in one arena"}},
               .ratios = {{"drnet_resnet50", "rside_resnet50"},
                          {"drnet_densenet161", "rside_densenet161"},
                          {"drnet_senet154", "rside_senet154"}},
               .ratio_one = 18,
               .ratio_largest = 35};
  struct Row {
    const char* network;
    double net_mb, batch;
  };
  for (const Row& r : {Row{"drnet_resnet50", 757, 36}, Row{"drnet_resnet152", 1067, 19},
                       Row{"drnet_densenet161", 839, 14}, Row{"drnet_senet154", 1421, 9}})
    t.rows.push_back({r.network,
                      640,
                      480,
                      {{"weight_mb", r.net_mb}, {"largest_batch", r.batch}, {"kept_mb", gpu / 1e6 / r.batch}},
                      ""});
  // The paper's own RSIDE works at twice the official one's width and height.
  const char* rside =
      "the paper's, about 2 images/s, is interpolated to the input's size: four times this decoder's work";
  t.rows.push_back({"rside_resnet50", 640, 480, {{"weight_mb", 793}}, rside});
  t.rows.push_back({"rside_densenet161", 640, 480, {{"weight_mb", 853}}, rside});
  t.rows.push_back({"rside_senet154", 640, 480, {{"weight_mb", 1700}}, rside});
  t.rows.push_back(
      {"refinenet_mobilenetv2", 640, 480, {{speed.key, 78}}, "depth alone here, depth and segmentation there"});
  return t;
}

// CND, table 2.
PaperTable cnd() {
  PaperTable t{.name = "cnd", .title = "CND, table 2", .machine = "GTX 1080", .figures = {parameters, latency}};
  for (const std::string reading : {"", "_plain"}) {
    const char* note = reading.empty() ? "channels by the published counts" : "channels halved literally";
    t.rows.push_back({"cnd_micro" + reading, 256, 160, {{"parameters", 5.8}}, note});
    t.rows.push_back({"cnd_mono" + reading, 256, 160, {{"parameters", 6.7}}, note});
    t.rows.push_back({"cnd_stereo" + reading,
                      256,
                      160,
                      {{"parameters", 11.1}},
                      std::string(note) + "; the paper's count fits only with the shared encoder counted twice"});
  }
  return t;
}

// Lyu et al., tables 3 and 4: sizes of the networks, at the sizes of the pictures that the tables name.
PaperTable hr_depth() {
  const Figure counted{parameters.key, parameters.title, parameters.digits,
                       "both count ResNet's classifier, which no depth network reads"};
  PaperTable t{.name = "hr_depth",
               .title = "HR-Depth, tables 3 and 4",
               .figures = {counted, {"giga_multiply_adds", "multiply-adds, G", 3, "all four heads"}, latency, speed}};
  struct Row {
    const char* network;
    int width, height;
    double parameters;
    const char* note;
  };
  for (const Row& r : {Row{"monodepth2_resnet18", 640, 192, 14.84, ""},
                       Row{"hr_depth_ablation_dense", 640, 192, 16.06, "reconstructed from its count"},
                       Row{"hr_depth_ablation_fse", 640, 192, 13.48, "reconstructed from its count"},
                       Row{"hr_depth_ablation_dense_se", 640, 192, 16.23, "reconstructed from its count"},
                       Row{"hr_depth", 640, 192, 14.62, ""}, Row{"hr_depth", 1024, 320, 14.62, ""},
                       Row{"hr_depth", 1280, 384, 14.62, ""}, Row{"lite_hr_depth", 1280, 384, 3.1, ""}})
    t.rows.push_back({r.network, r.width, r.height, {{"parameters", r.parameters}}, r.note});
  return t;
}

// Wang et al., table 2: the baselines by their multiply-adds.
PaperTable mobile_baseline() {
  PaperTable t{.name = "mobile_baseline",
               .title = "Knowledge distillation for mobile depth, table 2",
               .figures = {{"mega_multiply_adds", "multiply-adds, M", 2, "widths were chosen to meet these"},
                           parameters,
                           latency,
                           speed}};
  struct Row {
    const char* id;
    double mega;
    const char* note;
  };
  for (const Row& r : {Row{"1", 27.7, ""}, Row{"2", 48.8, ""}, Row{"3", 90.0, ""}, Row{"4", 189.0, ""},
                       Row{"4alt", 189.0, "row 4 read another way: original widths, wider fusion"}})
    t.rows.push_back({std::string("mobile_baseline_") + r.id, 640, 480, {{"mega_multiply_adds", r.mega}}, r.note});
  return t;
}

}  // namespace

bool has_row(const PaperTable& table, const std::string& network) {
  return std::any_of(table.rows.begin(), table.rows.end(), [&](const PaperRow& r) { return r.network == network; });
}

std::span<const PaperTable> paper_tables() {
  static const PaperTable tables[] = {drnet(), cnd(), hr_depth(), mobile_baseline()};
  return tables;
}

const PaperTable& find_paper_table(const std::string& name) {
  std::string known;
  for (const PaperTable& table : paper_tables()) {
    if (table.name == name) return table;
    known += (known.empty() ? "" : ", ") + table.name;
  }
  throw Error(ErrorKind::usage, "there is no table '" + name + "'; there are " + known);
}

}  // namespace fathom
