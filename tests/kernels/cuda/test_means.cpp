// The means of a map as the second output of the convolution that makes it: by every kernel that takes them as it
// stores the map, and by a launch of their own behind those that do not.
#include "tests/kernels/cuda/check_cuda.hpp"

using namespace fathom;
using namespace fathom::test;

namespace {

Desc map(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) { return Desc::nhwc(n, c, h, w); }

// A case and, for each precision, how the name of its kernel begins.
struct Row {
  const char *fp32, *fp16;
  Case c;
};

std::vector<Row> table() {
  const Activation relu{ActivationKind::relu}, sigmoid{ActivationKind::sigmoid};
  const Source twice{.resize = {.mode = ResizeMode::nearest, .scale = 2}, .pad_mode = PadMode::reflect};
  std::vector<Row> t;
  const auto add = [&](const char* fp32, const char* fp16, const std::string& name, Conv2d op,
                       std::vector<Desc> sources, int out, Size2 kernel) {
    op.mean = true;
    t.push_back({fp32, fp16, conv_case("means_" + name, std::move(op), std::move(sources), out, kernel)});
  };
  const auto one = [&](const char* kernel, const std::string& name, Conv2d op, std::vector<Desc> sources, int out,
                       Size2 size) { add(kernel, kernel, name, std::move(op), std::move(sources), out, size); };

  one("depthwise", "depthwise", {.padding = 1, .groups = 72, .bias = true, .activation = sigmoid}, {map(2, 72, 23, 41)},
      72, 3);
  one("depthwise", "depthwise_5x5_stride_2", {.stride = 2, .padding = 2, .groups = 40, .activation = relu},
      {map(1, 40, 39, 37)}, 40, 5);
  one("depthwise", "depthwise_dilated_c24", {.padding = 4, .dilation = 2, .groups = 24}, {map(2, 24, 7, 43)}, 24, 5);
  one("depthwise", "depthwise_c17", {.padding = 1, .groups = 17, .bias = true, .residual = true}, {map(1, 17, 4, 6)},
      17, 3);
  one("depthwise", "depthwise_c240", {.padding = 1, .groups = 240, .bias = true}, {map(1, 240, 5, 6)}, 240, 3);
  add("grouped direct", "grouped mma", "grouped_2_to_4", {.padding = 1, .groups = 64, .bias = true, .activation = relu},
      {map(2, 128, 9, 18)}, 256, 3);
  add("grouped direct", "grouped mma", "grouped_4_to_8", {.stride = 2, .padding = 1, .groups = 16},
      {map(1, 64, 19, 21)}, 128, 3);
  one("grouped direct", "grouped_3_to_5", {.padding = 1, .groups = 4, .bias = true, .activation = sigmoid},
      {map(2, 12, 5, 12)}, 20, 3);
  add("few channels direct", "few channels mma", "few_7x7_stride_2",
      {.stride = 2, .padding = 3, .bias = true, .activation = relu}, {map(2, 3, 21, 71)}, 64, 7);
  add("few channels direct", "few channels mma", "few_to_16", {.padding = 1, .bias = true}, {map(1, 4, 9, 70)}, 16, 3);
  one("gemm", "gemm", {.padding = 1, .bias = true, .sources = {twice, {}}, .activation = relu},
      {map(2, 24, 9, 8), map(2, 16, 18, 16)}, 40, 3);
  one("gemm", "gemm_split", {.padding = 1, .bias = true, .residual = true}, {map(1, 256, 5, 7)}, 48, 3);
  one("gemm", "gemm_one_row", {.bias = true}, {map(3, 40, 7, 9)}, 24, 1);
  one("gemm", "gemm_crop", {.padding = 1, .crop = {3, 1}}, {map(1, 16, 20, 19)}, 32, 3);
  // By a launch of their own.
  one("gemm", "gemm_narrow", {.padding = 1}, {map(1, 16, 5, 6)}, 9, 3);
  one("gemm", "shuffle", {.shuffle = 2}, {map(2, 16, 5, 6)}, 64, 1);
  one("head", "head", {.padding = 1, .bias = true, .activation = sigmoid}, {map(2, 16, 7, 13)}, 1, 3);
  one("phases", "phases", {.padding = 1, .bias = true, .sources = {twice}, .activation = relu}, {map(1, 64, 24, 48)},
      16, 3);
  return t;
}

}  // namespace

TEST_CASE("cuda: means as a convolution's second output", "[cuda]") {
  for (const Row& row : table())
    for (Precision precision : precisions)
      for (const RunOptions& options : {RunOptions{}, RunOptions{.lead = 8, .tail = 16, .slice_channels = 8}}) {
        const Step step = expect_reference(row.c, precision, options);
        if (step.kernel.empty()) continue;
        INFO(row.c.name << " is taken by " << step.kernel);
        CHECK(step.kernel.starts_with(precision == Precision::fp32 ? row.fp32 : row.fp16));
        const bool apart = row.c.name.ends_with("narrow") || row.c.name.ends_with("shuffle") ||
                           row.c.name.ends_with("head") || row.c.name.ends_with("phases");
        CHECK(step.kernel.find(", means") != std::string::npos);
        CHECK(step.launches == (apart && !(row.c.name.ends_with("narrow") && precision == Precision::fp16) ? 2 : 1));
      }
}

TEST_CASE("cuda: gates of means that are known before", "[cuda][mixed]") {
  const Activation relu{ActivationKind::relu}, sigmoid{ActivationKind::sigmoid}, hard{ActivationKind::hard_sigmoid};
  const auto gate = [](const std::string& name, const ChannelGate& op, std::vector<Desc> in, int hidden, int out) {
    std::int64_t channels = 0;
    for (const Desc& x : in) channels += x.c();
    for (const auto& [to, from] : {std::pair<std::int64_t, std::int64_t>(hidden, channels), {out, hidden}}) {
      in.push_back(Desc::dense({to, from}));
      if (op.bias) in.push_back(Desc::dense({to}));
    }
    return Case{"channel_gate/of_means_" + name, op, in};
  };
  const std::pair<const char*, Case> rows[] = {
      {"in 1 part", gate("c16", {.squeeze_activation = relu, .activation = sigmoid}, {map(3, 16, 1, 1)}, 4, 16)},
      {"in 1 part", gate("three_maps", {.bias = true, .squeeze_activation = relu, .activation = hard},
                         {map(2, 8, 1, 1), map(2, 31, 1, 1), map(2, 1, 1, 1)}, 10, 300)},
      {"in 6 parts",
       gate("wide", {.bias = true, .squeeze_activation = relu, .activation = hard}, {map(2, 240, 1, 1)}, 45, 272)},
      {"in 15 parts", gate("deep", {.activation = sigmoid}, {map(1, 96, 1, 1), map(1, 33, 1, 1)}, 150, 40)},
  };
  for (const auto& [parts, c] : rows)
    for (Precision precision : precisions)
      for (const RunOptions& options : {RunOptions{}, RunOptions{.lead = 8, .tail = 16, .slice_channels = 8}}) {
        const Step step = expect_reference(c, precision, options);
        INFO(c.name << " by " << step.kernel);
        CHECK((step.kernel.empty() || step.kernel == std::string("of means, ") + parts));
      }
}
