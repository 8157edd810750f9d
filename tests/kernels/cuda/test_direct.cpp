// The direct convolution kernels where the shared tables do not reach: sizes and forms at the edges of each.
#include <set>

#include "tests/kernels/cuda/check_cuda.hpp"

using namespace fathom;
using namespace fathom::test;

namespace {

Desc map(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) { return Desc::nhwc(n, c, h, w); }

Source enlarged(ResizeMode mode, Size2 size, PadMode pad = PadMode::zeros, bool align_corners = false) {
  return {.resize = {.mode = mode, .size = size, .align_corners = align_corners}, .pad_mode = pad};
}

struct Direct {
  std::string fp32, fp16;  // the choices that take it
  Case c;
};

std::vector<Direct> table() {
  std::vector<Direct> t;
  const auto add = [&](const std::string& choice, const std::string& name, Conv2d op, std::vector<Desc> sources,
                       int out, Size2 kernel) {
    t.push_back({choice, choice, conv_case("direct_" + name, std::move(op), std::move(sources), out, kernel)});
  };
  const Activation relu{ActivationKind::relu}, hard_swish{ActivationKind::hard_swish}, sigmoid{ActivationKind::sigmoid};
  const Source reflect{.pad_mode = PadMode::reflect}, replicate{.pad_mode = PadMode::replicate};

  add("depthwise", "depthwise_wide", {.padding = 1, .groups = 72, .bias = true, .activation = hard_swish},
      {map(2, 72, 6, 9)}, 72, 3);
  add("depthwise", "depthwise_5x5_wide_stride_2", {.stride = 2, .padding = 2, .groups = 40, .activation = relu},
      {map(1, 40, 9, 17)}, 40, 5);
  add("depthwise", "depthwise_dilation_2_wide", {.padding = 4, .dilation = 2, .groups = 16}, {map(1, 16, 7, 13)}, 16,
      5);
  add("depthwise", "depthwise_reflect_5x5", {.padding = 2, .groups = 8, .sources = {reflect}}, {map(1, 8, 3, 11)}, 8,
      5);
  add("depthwise", "depthwise_nearest_replicate",
      {.padding = 1, .groups = 8, .sources = {enlarged(ResizeMode::nearest, {7, 9}, PadMode::replicate)}},
      {map(1, 8, 3, 4)}, 8, 3);
  add("depthwise", "depthwise_residual_sigmoid",
      {.padding = 1, .groups = 17, .bias = true, .residual = true, .activation = {ActivationKind::sigmoid}},
      {map(1, 17, 4, 6)}, 17, 3);
  add("depthwise", "depthwise_1x1", {.groups = 24, .bias = true, .residual = true}, {map(2, 24, 3, 7)}, 24, 1);
  add("depthwise", "depthwise_sources",
      {.padding = 1, .groups = 40, .sources = {{}, enlarged(ResizeMode::nearest, {5, 6}), replicate}},
      {map(2, 8, 5, 6), map(2, 24, 2, 3), map(2, 8, 5, 6)}, 40, 3);
  add("depthwise", "depthwise_sources_narrow", {.padding = 1, .groups = 16, .sources = {{}, {}}},
      {map(1, 11, 4, 5), map(1, 5, 4, 5)}, 16, 3);
  add("depthwise", "depthwise_3x5", {.padding = {1, 2, 1, 2}, .groups = 8}, {map(1, 8, 4, 6)}, 8, {3, 5});

  const auto add_two = [&](const std::string& fp32, const std::string& fp16, const std::string& name, Conv2d op,
                           std::vector<Desc> sources, int out, Size2 kernel) {
    add("", name, std::move(op), std::move(sources), out, kernel);
    t.back().fp32 = fp32, t.back().fp16 = fp16;
  };
  add_two("grouped direct", "grouped mma", "grouped_2_to_4",
          {.padding = 1, .groups = 64, .bias = true, .activation = relu}, {map(2, 128, 9, 10)}, 256, 3);
  add_two("grouped direct", "grouped mma", "grouped_4_to_8_stride_2", {.stride = 2, .padding = 1, .groups = 64},
          {map(1, 256, 5, 7)}, 512, 3);
  add_two("grouped direct", "grouped mma", "grouped_8_to_16", {.padding = 1, .groups = 8, .bias = true},
          {map(1, 64, 4, 9)}, 128, 3);
  add_two("grouped direct", "grouped mma", "grouped_16_to_32",
          {.padding = 1, .groups = 5, .bias = true, .residual = true}, {map(1, 80, 4, 5)}, 160, 3);
  add_two("grouped direct", "grouped mma", "grouped_4_to_4", {.padding = 1, .groups = 10, .sources = {reflect}},
          {map(1, 40, 5, 6)}, 40, 3);
  add_two("general", "grouped mma", "grouped_8_to_8_5x5",
          {.padding = 2, .groups = 9, .activation = {ActivationKind::sigmoid}}, {map(1, 72, 6, 3)}, 72, 5);
  add_two("general", "grouped mma", "grouped_16_to_16", {.padding = 2, .dilation = 2, .groups = 3}, {map(1, 48, 5, 6)},
          48, 3);
  add_two("grouped direct", "grouped mma", "grouped_32_to_32", {.padding = 1, .groups = 2}, {map(1, 64, 3, 4)}, 64, 3);
  add_two("general", "grouped mma", "grouped_16_to_8", {.groups = 3}, {map(1, 48, 3, 4)}, 24, 1);
  add_two("grouped direct", "grouped mma", "grouped_nearest",
          {.padding = 1, .groups = 4, .sources = {enlarged(ResizeMode::nearest, {7, 10}, PadMode::replicate)}},
          {map(1, 32, 3, 5)}, 32, 3);

  add("grouped direct", "grouped_3_to_5_stride_2",
      {.stride = 2, .padding = 1, .groups = 4, .bias = true, .residual = true, .activation = sigmoid},
      {map(2, 12, 5, 12)}, 20, 3);
  add("grouped direct", "grouped_6_to_12", {.padding = {0, 2, 1, 0}, .groups = 3, .sources = {replicate}},
      {map(1, 18, 4, 7)}, 36, 3);

  add_two("few channels direct", "few channels mma", "few_7x7_stride_2",
          {.stride = 2, .padding = 3, .bias = true, .activation = relu}, {map(2, 3, 21, 37)}, 64, 7);
  add_two("few channels direct", "few channels mma", "few_3x3_to_16",
          {.padding = 1, .bias = true, .activation = hard_swish}, {map(1, 4, 9, 35)}, 16, 3);
  add_two("few channels direct", "few channels mma", "few_8_to_130", {.padding = 1, .residual = true},
          {map(1, 8, 5, 6)}, 130, 3);
  add_two("few channels direct", "few channels mma", "few_sources",
          {.padding = 1,
           .bias = true,
           .sources = {enlarged(ResizeMode::bilinear, {8, 11}), reflect, enlarged(ResizeMode::nearest, {8, 11})},
           .gate = true},
          {map(1, 3, 3, 4), map(1, 1, 8, 11), map(1, 2, 4, 5)}, 12, 3);

  add("products", "products_in_strips",
      {.padding = 2,
       .bias = true,
       .sources = {enlarged(ResizeMode::bilinear, {48, 120}, PadMode::zeros, true)},
       .residual = true,
       .activation = relu,
       .low_products = true},
      {map(1, 8, 24, 60)}, 64, 5);

  add("phases", "phases",
      {.padding = 1,
       .bias = true,
       .sources = {enlarged(ResizeMode::nearest, {48, 96}, PadMode::reflect)},
       .activation = relu},
      {map(1, 64, 24, 48)}, 16, 3);

  add("head", "head_3x3", {.padding = 1, .bias = true, .sources = {reflect}, .activation = sigmoid},
      {map(2, 16, 7, 13)}, 1, 3);
  add("head", "head_1x1_c300", {.bias = true}, {map(1, 300, 5, 6)}, 1, 1);
  add("head", "head_5x5_c64", {.padding = 2}, {map(1, 64, 3, 9)}, 1, 5);
  add("head", "head_3_outputs", {.padding = 1, .bias = true, .residual = true, .activation = relu}, {map(1, 40, 6, 5)},
      3, 3);
  add("head", "head_1x1_2_outputs", {}, {map(1, 24, 3, 5)}, 2, 1);
  add("head", "head_5x5_4_outputs", {.padding = {1, 0, 3, 2}, .sources = {replicate}}, {map(1, 17, 4, 7)}, 4, 5);
  add("head", "head_sources",
      {.padding = 1,
       .bias = true,
       .sources = {enlarged(ResizeMode::nearest, {6, 10}, PadMode::reflect),
                   {},
                   enlarged(ResizeMode::bilinear, {6, 10}, PadMode::replicate, true)},
       .activation = sigmoid},
      {map(2, 32, 3, 5), map(2, 1, 6, 10), map(2, 11, 4, 3)}, 1, 3);
  add("head", "head_addend",
      {.padding = 1, .bias = true, .addend = {.mode = ResizeMode::bilinear, .scale = 2}, .activation = relu},
      {map(2, 24, 6, 10)}, 1, 3);
  add("head", "head_residual_addend",  // a sum begun early, and what else is added
      {.padding = 1, .bias = true, .sources = {{}, {}}, .residual = true, .addend = {.mode = ResizeMode::bilinear, .size = {6, 9}}},
      {map(2, 24, 6, 9), map(2, 1, 6, 9)}, 1, 3);
  add("head", "head_shuffle_output_gate", {.bias = true, .output_gate = true, .shuffle = 2}, {map(1, 24, 3, 5)}, 4, 1);
  add("head", "head_source_stride", {.sources = {{}, {.stride = 2}}}, {map(1, 16, 3, 5), map(1, 8, 6, 9)}, 2, 1);
  add("head", "head_few_channels_addend",
      {.padding = 1,
       .sources = {enlarged(ResizeMode::bilinear, {9, 11}), {}, enlarged(ResizeMode::bilinear, {9, 11})},
       .addend = {.mode = ResizeMode::bilinear, .size = {9, 11}}},
      {map(2, 3, 5, 6), map(2, 3, 9, 11), map(2, 1, 5, 6)}, 1, 3);
  add("head", "head_photograph",
      {.padding = 1,
       .bias = true,
       .sources = {{.mean = {0.4f, 0.5f, 0.6f}, .std = {0.2f}}, {}},
       .addend = {.mode = ResizeMode::bilinear, .scale = 2}},
      {Desc::nhwc(1, 3, 6, 8, DType::u8), map(1, 16, 6, 8)}, 1, 3);
  t.back().c.low = 0, t.back().c.high = 256;
  Source small_photo = enlarged(ResizeMode::bilinear, {6, 8});
  small_photo.mean = {0.4f, 0.5f, 0.6f}, small_photo.std = {0.2f};
  add("head", "head_enlarged_photograph", {.padding = 1, .sources = {small_photo, {}}},
      {Desc::nhwc(1, 3, 4, 5, DType::u8), map(1, 16, 6, 8)}, 1, 3);
  t.back().c.low = 0, t.back().c.high = 256;
  add("head", "head_5x5_c530", {.padding = 2}, {map(1, 530, 2, 3)}, 1, 5);
  add("head", "head_bilinear_1x1", {.sources = {enlarged(ResizeMode::bilinear, {7, 9})}}, {map(1, 16, 4, 4)}, 1, 1);
  return t;
}

bool takes(const Step& step, const std::string& choice) { return step.kernel.starts_with(choice); }

}  // namespace

TEST_CASE("cuda: each direct convolution kernel takes its cases and is right", "[cuda]") {
  for (const Direct& d : table())
    for (Precision precision : precisions)
      for (const RunOptions& options : {RunOptions{}, RunOptions{.lead = 8, .tail = 16, .slice_channels = 8}}) {
        const Step step = expect_reference(d.c, precision, options);
        INFO(d.c.name << " is taken by " << step.kernel);
        CHECK((step.kernel.empty() || takes(step, precision == Precision::fp32 ? d.fp32 : d.fp16)));
      }
}

TEST_CASE("cuda: every choice of Conv2d is taken by some case", "[cuda]") {
  std::set<std::string> taken;
  const auto prepare_case = [&](Case c, bool halves) {
    CudaBackend cuda(GpuInfo{}, halves ? Precision::fp16 : Precision::fp32, Constants::left_out);
    Desc out = infer(c.op, c.in);
    if (halves) c = in_halves(std::move(c), out);
    NodeIo io{.name = c.name, .out = {static_cast<int>(c.in.size()), out, c.name, nullptr}};
    for (std::size_t k = 0; k < c.in.size(); ++k) {
      const bool data = k < data_inputs(c.op, c.in.size());
      io.in.push_back({static_cast<int>(k), c.in[k], c.name + std::to_string(k),
                       data ? nullptr : std::make_shared<Constant>(Constant{.desc = c.in[k]})});
    }
    const Step step = prepare(std::get<Conv2d>(c.op), io, cuda);
    for (const std::string& choice : conv_choices())
      if (takes(step, choice)) taken.insert(choice);
    return step;
  };
  std::vector<Case> all = cases_for<Conv2d>();
  for (Case& c : fused_cases())
    if (std::holds_alternative<Conv2d>(c.op)) all.push_back(std::move(c));
  for (const Direct& d : table())
    for (const bool halves : {false, true}) {  // on the GPU that GpuInfo assumes as on the one at hand
      const Step step = prepare_case(d.c, halves);
      INFO(d.c.name << " is taken by " << step.kernel);
      CHECK(takes(step, halves ? d.fp16 : d.fp32));
    }
  for (const Case& c : all) prepare_case(c, false), prepare_case(c, true);
  for (const std::string& choice : conv_choices()) {
    INFO(choice);
    CHECK(taken.contains(choice));
  }
}
