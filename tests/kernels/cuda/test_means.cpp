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

namespace {

// The case with a gate as its second output, made of this map's means and of others, of so many channels each.
Case excited(Case c, Excitation e, const std::vector<int>& others, int hidden, int outputs) {
  Excitation& own = std::visit(
      [](auto& op) -> Excitation& {
        if constexpr (requires { op.excitation; })
          return op.mean = true, op.excitation;
        else
          throw std::logic_error("no op with an excitation");
      },
      c.op);
  const Desc y = infer(c.op, c.in);
  const std::size_t data = data_inputs(c.op, c.in.size());
  e.maps = static_cast<int>(others.size()) + 1;
  own = e;
  std::int64_t channels = y.c();
  std::vector<Desc> means;
  for (int n : others) means.push_back(map(y.n(), n, 1, 1)), channels += n;
  c.in.insert(c.in.begin() + static_cast<std::ptrdiff_t>(data), means.begin(), means.end());
  for (const auto& [to, from] : {std::pair<std::int64_t, std::int64_t>(hidden, channels), {outputs, hidden}}) {
    c.in.push_back(Desc::dense({to, from}));
    if (e.bias) c.in.push_back(Desc::dense({to}));
  }
  c.name += "_gate";
  return c;
}

Case block(const std::string& name, const InvertedResidual& op, const Desc& x, std::int64_t wide, std::int64_t out,
           std::int64_t kernel) {
  std::vector<Desc> in{x};
  if (op.expand) in.insert(in.end(), {Desc::dense({wide, x.c(), 1, 1}), Desc::dense({wide})});
  in.insert(in.end(), {Desc::dense({wide, 1, kernel, kernel}), Desc::dense({wide})});
  if (op.project) in.insert(in.end(), {Desc::dense({out, wide, 1, 1}), Desc::dense({out})});
  return Case{"means_" + name, op, in};
}

// Blocks whose maps' means are their second output, and whether a kernel of their own takes them in halves.
std::vector<Case> blocks() {
  const Activation relu6{ActivationKind::relu6}, swish{ActivationKind::hard_swish};
  InvertedResidual whole{.padding = 1, .residual = true, .expand_activation = relu6, .depth_activation = relu6};
  InvertedResidual narrow{.stride = 2, .padding = 2, .project = false, .expand_activation = swish, .depth_activation = swish};
  InvertedResidual plain{.padding = 1, .expand = false, .depth_activation = relu6, .activation = relu6};
  whole.mean = narrow.mean = plain.mean = true;
  return {block("block", whole, map(2, 24, 19, 17), 72, 24, 3), block("block_to_96", whole, map(1, 96, 9, 8), 100, 96, 3),
          block("block_tile", whole, map(3, 16, 8, 7), 64, 16, 3), block("block_narrow", narrow, map(2, 16, 18, 37), 72, 0, 5),
          block("block_narrow_tile", narrow, map(1, 40, 12, 11), 232, 0, 5), block("block_projects", plain, map(1, 40, 10, 9), 40, 72, 3)};
}

// The tiles of these need more shared memory than the 64 KiB of a Turing GPU: there they are done in parts.
bool fits_in_one(const Case& c) {
  return GpuInfo::current().shared_bytes > 64 * 1024 ||
         (c.name.find("block_to_96") == std::string::npos && c.name.find("narrow_tile") == std::string::npos);
}

}  // namespace

TEST_CASE("cuda: means as the second output of an inverted residual block", "[cuda]") {
  for (const Case& c : blocks())
    for (Precision precision : precisions)
      for (const RunOptions& options : {RunOptions{}, RunOptions{.lead = 8, .tail = 16, .slice_channels = 8}}) {
        const Step step = expect_reference(c, precision, options);
        if (step.kernel.empty()) continue;
        INFO(c.name << " is taken by " << step.kernel);
        CHECK(step.kernel.find(", means") != std::string::npos);
        if (precision == Precision::fp16 && fits_in_one(c)) CHECK(step.launches == 1);
      }
}

TEST_CASE("cuda: gates as the second output of the convolution that makes the last of their means", "[cuda]") {
  const Activation relu{ActivationKind::relu}, sigmoid{ActivationKind::sigmoid}, hard{ActivationKind::hard_sigmoid};
  const Excitation one{.bias = true, .squeeze_activation = relu, .activation = hard};
  const Excitation second{.place = 1, .squeeze_activation = relu, .activation = sigmoid};
  std::vector<Case> cases;
  for (const Row& row : table()) cases.push_back(row.c);
  for (const Case& c : blocks()) cases.push_back(c);
  for (std::size_t k = 0; k < cases.size(); ++k) {
    const Case c = k % 2 ? excited(cases[k], one, {}, 10, 33) : excited(cases[k], second, {24, 9}, 7, 48);
    for (Precision precision : precisions)
      for (const RunOptions& options : {RunOptions{}, RunOptions{.lead = 8, .tail = 16, .slice_channels = 8}}) {
        const Step step = expect_reference(c, precision, options);
        if (step.kernel.empty()) continue;
        INFO(c.name << " is taken by " << step.kernel);
        const bool itself = step.kernel.find(", means, gate") != std::string::npos;
        if (itself) CHECK(step.launches == 1);
        const bool apart = c.name.find("gemm_narrow") != std::string::npos || c.name.find("shuffle") != std::string::npos ||
                           c.name.find("head") != std::string::npos || c.name.find("phases") != std::string::npos ||
                           c.name.find("c17") != std::string::npos;
        if (precision == Precision::fp16 && !apart && fits_in_one(c)) CHECK(itself);
      }
  }
  // More than a block has room for: by launches of their own.
  const Row wide = table().front();
  const Step step = expect_reference(excited(wide.c, one, {}, 2000, 8), Precision::fp16);
  CHECK((step.kernel.empty() || (step.kernel.find("gate") == std::string::npos && step.launches == 2)));
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
