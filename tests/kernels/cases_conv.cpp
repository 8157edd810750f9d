// Cases of what multiplies by weights: Conv2d, ConvTranspose2d, Linear, and the blocks made of them.
#include "tests/kernels/cases.hpp"

namespace fathom::test {

namespace {

Desc map(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) { return Desc::nhwc(n, c, h, w); }

// A case with the inputs that the op's fields ask for: sources, gate, residual, weight, bias.
Case conv(const std::string& name, Conv2d op, std::vector<Desc> sources, int out_channels, Size2 kernel) {
  op.sources.resize(sources.size());
  std::int64_t channels = 0;
  for (const Desc& x : sources) channels += x.c();
  const Desc weight = Desc::dense({out_channels, channels / op.groups, kernel.h, kernel.w});
  const Desc bias = Desc::dense({out_channels});

  Conv2d plain = op;  // without what depends on the output's shape
  plain.gate = plain.residual = plain.bias = plain.affine = plain.output_gate = false, plain.addend = {}, plain.crop = 0;
  plain.excitation = {};
  std::vector<Desc> in = sources;
  in.push_back(weight);
  const Desc y = plain.infer(in);

  in = sources;
  if (op.gate) in.push_back(map(y.n(), channels, 1, 1));
  if (op.residual) in.push_back(y);
  if (op.addend.mode != ResizeMode::none)  // a map of which the output is so many times as large, or about twice
    in.push_back(op.addend.scale == Size2(0) ? map(y.n(), y.c(), (y.h() + 1) / 2, (y.w() + 1) / 2) : map(y.n(), y.c(), y.h() / op.addend.scale.h, y.w() / op.addend.scale.w));
  if (op.output_gate) in.push_back(map(y.n(), out_channels, 1, 1));
  in.push_back(weight);
  if (op.bias) in.push_back(bias);
  if (op.affine) in.insert(in.end(), 2, Desc::dense({channels}));
  return {"conv2d/" + name, op, in};
}

Case transpose(const std::string& name, const ConvTranspose2d& op, const Desc& x, int out_channels, Size2 kernel) {
  std::vector<Desc> in{x, Desc::dense({x.c(), out_channels / op.groups, kernel.h, kernel.w})};
  if (op.bias) in.push_back(Desc::dense({out_channels}));
  return {"conv_transpose2d/" + name, op, in};
}

Source source(Resize resize, PadMode mode = PadMode::zeros) { return {.resize = resize, .pad_mode = mode}; }
Source source(PadMode mode) { return {.pad_mode = mode}; }
Resize nearest(Size2 scale) { return {.mode = ResizeMode::nearest, .scale = scale}; }
Resize bilinear(Size2 scale) { return {.mode = ResizeMode::bilinear, .scale = scale}; }
Resize to_size(Size2 size, bool align_corners) {
  return {.mode = ResizeMode::bilinear, .size = size, .align_corners = align_corners};
}

void add_plain(std::vector<Case>& t) {
  t.push_back(conv("1x1_c1", {}, {map(1, 1, 5, 7)}, 1, 1));
  t.push_back(conv("1x1_c3_to_31", {.bias = true}, {map(1, 3, 5, 7)}, 31, 1));
  t.push_back(conv("1x1_c31_to_33", {}, {map(1, 31, 5, 3)}, 33, 1));
  t.push_back(conv("1x1_c33_to_1", {.bias = true}, {map(3, 33, 3, 7)}, 1, 1));
  t.push_back(conv("1x1_c64_to_64", {}, {map(1, 64, 4, 5)}, 64, 1));
  t.push_back(conv("1x1_c515_to_16", {.bias = true}, {map(1, 515, 3, 4)}, 16, 1));
  t.push_back(conv("1x1_c8_to_260", {}, {map(1, 8, 1, 3)}, 260, 1));
  t.push_back(conv("1x1_stride_2", {.stride = 2}, {map(1, 16, 7, 6)}, 24, 1));
  t.push_back(conv("3x3_c1", {.padding = 1}, {map(1, 1, 6, 5)}, 1, 3));
  t.push_back(conv("3x3_c3_to_33", {.padding = 1}, {map(1, 3, 5, 7)}, 33, 3));
  t.push_back(conv("3x3_c31_to_31", {.padding = 1, .bias = true}, {map(1, 31, 5, 6)}, 31, 3));
  t.push_back(conv("3x3_c33_to_3", {.padding = 1}, {map(1, 33, 9, 11)}, 3, 3));
  t.push_back(conv("3x3_c16_to_32", {.padding = 1}, {map(1, 16, 8, 16)}, 32, 3));
  t.push_back(conv("3x3_unpadded", {}, {map(1, 5, 6, 7)}, 6, 3));
  t.push_back(conv("3x3_unpadded_to_1x1", {.bias = true}, {map(1, 7, 3, 3)}, 9, 3));
  t.push_back(conv("3x3_batch_3", {.padding = 1, .bias = true}, {map(3, 8, 5, 6)}, 10, 3));
  t.push_back(conv("3x3_map_1x1", {.padding = 1}, {map(1, 9, 1, 1)}, 11, 3));
  t.push_back(conv("3x3_map_1x17", {.padding = 1}, {map(1, 4, 1, 17)}, 5, 3));
  t.push_back(conv("3x3_map_17x1", {.padding = 1}, {map(1, 4, 17, 1)}, 5, 3));
  t.push_back(conv("3x3_map_1x17_stride_2", {.stride = 2, .padding = 1}, {map(2, 4, 1, 17)}, 8, 3));
  t.push_back(conv("3x3_stride_2", {.stride = 2, .padding = 1}, {map(1, 16, 8, 10)}, 16, 3));
  t.push_back(conv("3x3_stride_2_odd", {.stride = 2, .padding = 1}, {map(1, 3, 9, 7)}, 33, 3));
  t.push_back(conv("3x3_stride_3", {.stride = 3, .padding = 1}, {map(1, 5, 10, 8)}, 7, 3));
  t.push_back(conv("3x3_stride_1x2", {.stride = {1, 2}, .padding = 1}, {map(1, 6, 4, 9)}, 6, 3));
  t.push_back(conv("3x3_padding_asymmetric", {.padding = {2, 0, 1, 3}}, {map(1, 5, 6, 5)}, 4, 3));
  t.push_back(conv("3x3_stride_2_padding_after", {.stride = 2, .padding = {0, 0, 1, 1}}, {map(1, 8, 8, 6)}, 8, 3));
  t.push_back(conv("3x3_padding_2", {.padding = 2, .bias = true}, {map(1, 3, 4, 3)}, 5, 3));
  t.push_back(conv("7x7_stem", {.stride = 2, .padding = 3}, {map(1, 3, 15, 22)}, 64, 7));
  t.push_back(conv("7x7_c1", {.padding = 3}, {map(2, 1, 5, 9)}, 2, 7));
  t.push_back(conv("5x5_c9_to_17", {.padding = 2}, {map(1, 9, 7, 6)}, 17, 5));
  t.push_back(conv("5x5_stride_2", {.stride = 2, .padding = 2, .bias = true}, {map(1, 6, 9, 9)}, 12, 5));
  t.push_back(conv("4x4_stride_2", {.stride = 2, .padding = 1}, {map(1, 8, 8, 6)}, 8, 4));
  t.push_back(conv("2x2_stride_2", {.stride = 2}, {map(1, 5, 7, 8)}, 6, 2));
  t.push_back(conv("1x3", {.padding = {0, 1, 0, 1}}, {map(1, 7, 5, 6)}, 8, {1, 3}));
  t.push_back(conv("3x1", {.padding = {1, 0, 1, 0}}, {map(1, 7, 5, 6)}, 8, {3, 1}));
  t.push_back(conv("1x7_stride_2x1", {.stride = {2, 1}, .padding = {0, 3, 0, 3}}, {map(1, 4, 7, 9)}, 4, {1, 7}));
}

void add_dilated_and_grouped(std::vector<Case>& t) {
  t.push_back(conv("dilation_2", {.padding = 2, .dilation = 2}, {map(1, 8, 7, 9)}, 8, 3));
  t.push_back(conv("dilation_2x3", {.padding = {2, 3, 2, 3}, .dilation = {2, 3}}, {map(1, 5, 8, 9)}, 6, 3));
  t.push_back(conv("dilation_6", {.padding = 6, .dilation = 6}, {map(1, 6, 9, 14)}, 5, 3));
  t.push_back(conv("dilation_12", {.padding = 12, .dilation = 12, .bias = true}, {map(1, 8, 13, 15)}, 4, 3));
  t.push_back(conv("dilation_18", {.padding = 18, .dilation = 18}, {map(1, 4, 20, 7)}, 3, 3));
  t.push_back(conv("dilation_18_small_map", {.padding = 18, .dilation = 18}, {map(1, 16, 3, 4)}, 9, 3));
  t.push_back(conv("dilation_2_stride_2", {.stride = 2, .padding = 2, .dilation = 2}, {map(1, 6, 9, 8)}, 7, 3));
  t.push_back(conv("dilation_2_unpadded", {.dilation = 2}, {map(1, 3, 7, 6)}, 4, 3));
  t.push_back(conv("groups_2", {.padding = 1, .groups = 2}, {map(1, 6, 5, 7)}, 4, 3));
  t.push_back(conv("groups_3_odd", {.padding = 1, .groups = 3, .bias = true}, {map(2, 9, 4, 5)}, 15, 3));
  t.push_back(conv("groups_2_1x1", {.groups = 2}, {map(1, 32, 5, 4)}, 62, 1));
  t.push_back(conv("groups_64", {.padding = 1, .groups = 64}, {map(1, 128, 3, 5)}, 256, 3));
  t.push_back(conv("groups_64_stride_2", {.stride = 2, .padding = 1, .groups = 64}, {map(1, 256, 5, 4)}, 512, 3));
  t.push_back(conv("depthwise_c1", {.padding = 1, .bias = true}, {map(1, 1, 4, 4)}, 1, 3));
  t.push_back(conv("depthwise_c33", {.padding = 1, .groups = 33}, {map(1, 33, 5, 7)}, 33, 3));
  t.push_back(
      conv("depthwise_stride_2", {.stride = 2, .padding = 1, .groups = 32, .bias = true}, {map(1, 32, 7, 8)}, 32, 3));
  t.push_back(conv("depthwise_5x5", {.padding = 2, .groups = 24}, {map(1, 24, 7, 5)}, 24, 5));
  t.push_back(conv("depthwise_5x5_stride_2_relu6",
                   {.stride = 2, .padding = 2, .groups = 12, .bias = true, .activation = {ActivationKind::relu6}},
                   {map(3, 12, 8, 7)}, 12, 5));
  t.push_back(conv("depthwise_dilation_3", {.padding = 3, .dilation = 3, .groups = 8}, {map(1, 8, 9, 8)}, 8, 3));
  t.push_back(conv("depthwise_1x1_c256", {.groups = 256}, {map(1, 256, 2, 3)}, 256, 1));
  t.push_back(conv("depthwise_times_2", {.padding = 1, .groups = 5}, {map(1, 5, 6, 5)}, 10, 3));
  t.push_back(conv("depthwise_map_1x19", {.padding = 1, .groups = 16}, {map(1, 16, 1, 19)}, 16, 3));
  t.push_back(conv("depthwise_map_19x1", {.padding = 1, .groups = 16}, {map(1, 16, 19, 1)}, 16, 3));
}

void add_epilogues(std::vector<Case>& t) {
  for (std::size_t k = 1; k < enum_names<ActivationKind>.size(); ++k) {
    const Activation f{static_cast<ActivationKind>(k), k == 3 ? 0.2f : k == 4 ? 0.7f : 1.f};
    t.push_back(conv("activation_" + std::string(activation_names[k]), {.padding = 1, .bias = true, .activation = f},
                     {map(1, 5, 5, 4)}, 7, 3));
    t.back().low = -8, t.back().high = 8;  // so that the flat parts of the functions are met
  }
  t.push_back(conv("1x1_relu_c33", {.bias = true, .activation = {ActivationKind::relu}}, {map(1, 33, 4, 5)}, 17, 1));
  t.push_back(conv("residual", {.padding = 1, .residual = true}, {map(1, 6, 5, 7)}, 9, 3));
  t.push_back(conv("residual_relu",
                   {.padding = 1, .bias = true, .residual = true, .activation = {ActivationKind::relu}},
                   {map(3, 16, 4, 5)}, 16, 3));
  t.push_back(
      conv("residual_1x1_c31", {.residual = true, .activation = {ActivationKind::relu}}, {map(1, 31, 3, 5)}, 33, 1));
  t.push_back(
      conv("residual_stride_2", {.stride = 2, .padding = 1, .bias = true, .residual = true}, {map(1, 8, 6, 8)}, 12, 3));
  t.push_back(conv("residual_depthwise", {.padding = 1, .groups = 8, .residual = true}, {map(1, 8, 5, 4)}, 8, 3));
  t.push_back(conv("gate", {.padding = 1, .gate = true}, {map(1, 12, 5, 6)}, 8, 3));
  t.push_back(
      conv("gate_1x1", {.bias = true, .gate = true, .activation = {ActivationKind::relu}}, {map(3, 33, 4, 3)}, 16, 1));
  t.push_back(conv("gate_residual",
                   {.bias = true, .gate = true, .residual = true, .activation = {ActivationKind::hard_swish}},
                   {map(2, 16, 3, 5)}, 24, 1));
  t.push_back(conv("gate_depthwise", {.padding = 1, .groups = 7, .gate = true}, {map(1, 7, 5, 4)}, 7, 3));
}

void add_padding_modes(std::vector<Case>& t) {
  const auto modes = {PadMode::reflect, PadMode::replicate};
  for (PadMode mode : modes) {
    const std::string name = pad_mode_names[static_cast<int>(mode)];
    t.push_back(conv(name + "_1", {.padding = 1, .bias = true, .sources = {source(mode)}}, {map(1, 8, 5, 6)}, 8, 3));
    t.push_back(conv(name + "_head",
                     {.padding = 1, .bias = true, .sources = {source(mode)}, .activation = {ActivationKind::sigmoid}},
                     {map(2, 16, 6, 5)}, 1, 3));
    t.push_back(conv(name + "_7x7", {.padding = 3, .sources = {source(mode)}}, {map(1, 3, 6, 7)}, 5, 7));
    t.push_back(
        conv(name + "_asymmetric", {.padding = {2, 0, 1, 3}, .sources = {source(mode)}}, {map(1, 5, 4, 6)}, 4, 3));
    t.push_back(
        conv(name + "_stride_2", {.stride = 2, .padding = 1, .sources = {source(mode)}}, {map(1, 8, 7, 8)}, 9, 3));
    t.push_back(
        conv(name + "_dilation_2", {.padding = 2, .dilation = 2, .sources = {source(mode)}}, {map(1, 4, 5, 6)}, 5, 3));
    t.push_back(
        conv(name + "_depthwise", {.padding = 1, .groups = 9, .sources = {source(mode)}}, {map(1, 9, 5, 4)}, 9, 3));
    t.push_back(conv(name + "_map_2x2", {.padding = 1, .sources = {source(mode)}}, {map(1, 6, 2, 2)}, 4, 3));
  }
  t.push_back(
      conv("replicate_map_1x9", {.padding = 1, .sources = {source(PadMode::replicate)}}, {map(1, 4, 1, 9)}, 4, 3));
  t.push_back(
      conv("replicate_padding_4", {.padding = 4, .sources = {source(PadMode::replicate)}}, {map(1, 3, 2, 3)}, 4, 3));
}

void add_sources(std::vector<Case>& t) {
  const Source plain, reflect = source(PadMode::reflect);
  t.push_back(
      conv("two_sources", {.padding = 1, .sources = {plain, plain}}, {map(1, 31, 5, 6), map(1, 3, 5, 6)}, 12, 3));
  t.push_back(
      conv("two_sources_1x1", {.bias = true, .sources = {plain, plain}}, {map(2, 33, 3, 5), map(2, 31, 3, 5)}, 16, 1));
  t.push_back(
      conv("four_sources",
           {.padding = 1, .bias = true, .sources = {plain, plain, plain, plain}, .activation = {ActivationKind::elu}},
           {map(1, 3, 4, 5), map(1, 1, 4, 5), map(1, 8, 4, 5), map(1, 5, 4, 5)}, 7, 3));
  t.push_back(conv("two_sources_gate", {.padding = 1, .sources = {plain, plain}, .gate = true},
                   {map(2, 9, 4, 5), map(2, 5, 4, 5)}, 6, 3));
  t.push_back(conv("two_sources_gate_1x1", {.bias = true, .sources = {plain, source(nearest(2))}, .gate = true},
                   {map(1, 32, 4, 6), map(1, 16, 2, 3)}, 24, 1));
  t.push_back(conv("sources_across_groups", {.padding = 1, .groups = 2, .sources = {plain, plain}},
                   {map(1, 3, 4, 5), map(1, 5, 4, 5)}, 6, 3));
  t.push_back(conv("nearest_x2", {.padding = 1, .sources = {source(nearest(2))}}, {map(1, 8, 4, 5)}, 6, 3));
  t.push_back(conv("nearest_x2_reflect_skip",
                   {.padding = 1,
                    .bias = true,
                    .sources = {source(nearest(2), PadMode::reflect), reflect},
                    .activation = {ActivationKind::elu}},
                   {map(1, 16, 3, 5), map(1, 8, 6, 10)}, 16, 3));
  t.push_back(conv("nearest_x2_replicate", {.padding = 1, .sources = {source(nearest(2), PadMode::replicate)}},
                   {map(2, 5, 3, 4)}, 4, 3));
  t.push_back(conv("nearest_2x3_5x5", {.padding = 2, .sources = {source(nearest({2, 3}))}}, {map(1, 4, 3, 3)}, 4, 5));
  t.push_back(conv("nearest_x2_1x1", {.sources = {source(nearest(2))}}, {map(1, 33, 3, 4)}, 9, 1));
  t.push_back(conv("nearest_x2_depthwise", {.padding = 1, .groups = 6, .sources = {source(nearest(2))}},
                   {map(1, 6, 3, 4)}, 6, 3));
  t.push_back(conv("nearest_to_size",
                   {.padding = 1, .sources = {source({.mode = ResizeMode::nearest, .size = {7, 10}})}},
                   {map(1, 4, 5, 6)}, 4, 3));
  t.push_back(conv("nearest_x2_stride_2", {.stride = 2, .padding = 1, .sources = {source(nearest(2))}},
                   {map(1, 6, 4, 5)}, 8, 3));
  t.push_back(conv("bilinear_x2", {.padding = 1, .sources = {source(bilinear(2))}}, {map(1, 8, 4, 5)}, 8, 3));
  t.push_back(conv("bilinear_x4_1x1", {.bias = true, .sources = {source(bilinear(4))}}, {map(1, 5, 2, 3)}, 1, 1));
  t.push_back(conv("bilinear_5x5_to_size", {.padding = 2, .sources = {source(to_size({7, 11}, false))}},
                   {map(1, 6, 4, 5)}, 5, 5));
  t.push_back(
      conv("bilinear_down", {.padding = 1, .sources = {source(to_size({4, 5}, false))}}, {map(2, 6, 9, 13)}, 5, 3));
  t.push_back(conv("align_corners_to_size", {.padding = 1, .sources = {source(to_size({9, 12}, true))}},
                   {map(1, 6, 5, 7)}, 6, 3));
  t.push_back(conv("align_corners_reflect_skip",
                   {.padding = 1, .sources = {source(to_size({8, 7}, true), PadMode::reflect), reflect}},
                   {map(1, 9, 4, 3), map(1, 3, 8, 7)}, 8, 3));
  t.push_back(conv(
      "three_sources_three_modes",
      {.padding = {1, 2, 2, 1},
       .bias = true,
       .sources = {source(nearest(2)), source(PadMode::reflect), source(to_size({6, 8}, true), PadMode::replicate)},
       .activation = {ActivationKind::leaky_relu, 0.1f}},
      {map(2, 5, 3, 4), map(2, 3, 6, 8), map(2, 1, 2, 3)}, 9, {3, 4}));
  t.push_back(conv("everything",
                   {.stride = 2,
                    .padding = {2, 1, 2, 1},
                    .dilation = {2, 1},
                    .groups = 2,
                    .bias = true,
                    .sources = {source(bilinear(2), PadMode::reflect), source(nearest(2), PadMode::zeros)},
                    .gate = true,
                    .residual = true,
                    .activation = {ActivationKind::relu}},
                   {map(3, 6, 4, 5), map(3, 4, 4, 5)}, 8, 3));
}

}  // namespace

Case conv_case(const std::string& name, Conv2d op, std::vector<Desc> sources, int out_channels, Size2 kernel) {
  return conv(name, std::move(op), std::move(sources), out_channels, kernel);
}

// Enlarged maps whose products are taken at their own size: the same sum, however it is made.
namespace {

void add_low_products(std::vector<Case>& t) {
  const auto up = [](int h, int w, bool align) {
    Source s;
    s.resize = {.mode = ResizeMode::bilinear, .size = {h, w}, .align_corners = align};
    return s;
  };
  const auto lowered = [&](const std::string& name, Conv2d op, const Desc& x, int out, int kernel) {
    op.low_products = true;
    t.push_back(conv("low_products_" + name, std::move(op), {x}, out, kernel));
  };
  for (const bool align : {false, true}) {
    const std::string name = align ? "_align" : "";
    lowered("5x5" + name, {.padding = 2, .sources = {up(10, 14, align)}}, map(2, 9, 5, 7), 4, 5);
    lowered("uneven" + name,
            {.padding = 2, .bias = true, .sources = {up(19, 23, align)}, .activation = {ActivationKind::relu}},
            map(1, 33, 7, 5), 16, 5);
    lowered("smaller" + name, {.padding = 1, .sources = {up(5, 6, align)}}, map(1, 8, 9, 11), 3, 3);
  }
  lowered("residual",
          {.padding = 2,
           .bias = true,
           .sources = {up(12, 16, true)},
           .residual = true,
           .activation = {ActivationKind::relu}},
          map(3, 16, 6, 8), 8, 5);
  lowered("chunks", {.padding = 1, .sources = {up(80, 60, true)}}, map(1, 3, 40, 30), 5, 3);
  lowered("large_factor", {.padding = 2, .sources = {up(33, 48, true)}}, map(1, 31, 2, 3), 16, 5);
  lowered("no_padding", {.sources = {up(9, 8, false)}}, map(1, 4, 4, 4), 6, 3);
  lowered("asymmetric", {.padding = {3, 0, 1, 2}, .sources = {up(8, 9, false)}}, map(1, 5, 4, 3), 7, 3);
  lowered("of_one_pixel", {.padding = 2, .sources = {up(4, 6, true)}}, map(1, 6, 1, 1), 3, 5);
}

void add_photographs(std::vector<Case>& t) {
  const Source photo{.mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f}};
  const Source reflected{.pad_mode = PadMode::reflect, .mean = {0.45f}, .std = {0.225f}};
  const auto add = [&](const std::string& name, Conv2d op, std::vector<Desc> maps, int out, Size2 kernel) {
    maps[0].dtype = DType::u8;
    Case c = conv("photograph_" + name, std::move(op), std::move(maps), out, kernel);
    c.low = 0, c.high = 256;
    t.push_back(std::move(c));
  };
  add("stem_7x7", {.stride = 2, .padding = 3, .bias = true, .sources = {photo}, .activation = {ActivationKind::relu}},
      {map(2, 3, 17, 23)}, 32, 7);
  add("stem_3x3", {.stride = 2, .padding = 1, .sources = {photo}, .activation = {ActivationKind::hard_swish}},
      {map(1, 3, 12, 9)}, 16, 3);
  add("reflect", {.padding = 1, .bias = true, .sources = {reflected}}, {map(1, 3, 6, 7)}, 5, 3);
  add("no_padding", {.sources = {photo}}, {map(1, 3, 5, 1)}, 3, 1);
  Source enlarged = photo, reduced = photo;
  enlarged.resize = bilinear(2), reduced.resize = to_size({5, 6}, true);
  add("enlarged", {.padding = 1, .sources = {enlarged}, .activation = {ActivationKind::relu}}, {map(1, 3, 5, 4)}, 16, 3);
  add("reduced_1x1", {.bias = true, .sources = {reduced}}, {map(2, 3, 10, 13)}, 64, 1);
  add("beside_a_map", {.padding = 2, .sources = {photo, {}}}, {map(1, 3, 6, 5), map(1, 9, 6, 5)}, 8, 5);
}

void add_prologues(std::vector<Case>& t) {
  const Activation relu{ActivationKind::relu};
  t.push_back(conv("affine_relu_1x1", {.affine = true, .input_activation = relu}, {map(2, 33, 5, 4)}, 16, 1));
  t.push_back(conv("affine_relu_two_sources", {.bias = true, .sources = {{}, {}}, .affine = true, .input_activation = relu, .activation = relu}, {map(1, 16, 3, 7), map(1, 24, 3, 7)}, 48, 1));
  t.push_back(conv("affine_stride_2", {.stride = 2, .affine = true}, {map(1, 8, 7, 6)}, 9, 1));
  t.push_back(conv("affine_relu_padded", {.padding = 1, .affine = true, .input_activation = relu}, {map(1, 12, 5, 6)}, 8, 3));
  t.push_back(conv("gate_hard_swish", {.bias = true, .gate = true, .input_activation = {ActivationKind::hard_swish}}, {map(2, 40, 4, 3)}, 24, 1));
}

// What is done where results are stored.
void add_stores(std::vector<Case>& t) {
  const Activation relu{ActivationKind::relu};
  t.push_back(conv("output_gate", {.bias = true, .output_gate = true}, {map(2, 17, 4, 5)}, 33, 1));
  t.push_back(conv("output_gate_residual", {.padding = 1, .residual = true, .output_gate = true, .activation = relu}, {map(2, 16, 5, 6)}, 32, 3));
  t.push_back(conv("addend_x2_c1", {.padding = 1, .bias = true, .addend = bilinear(2)}, {map(2, 24, 6, 10)}, 1, 3));
  t.push_back(conv("addend_to_size_align", {.bias = true, .addend = to_size({7, 9}, true), .activation = relu}, {map(1, 16, 7, 9)}, 33, 1));
  t.push_back(conv("addend_and_residual", {.padding = 1, .residual = true, .addend = to_size({5, 8}, false), .activation = relu}, {map(2, 8, 5, 8)}, 40, 3));
  t.push_back(conv("addend_nearest", {.addend = nearest(2)}, {map(1, 8, 6, 4)}, 16, 1));
  t.push_back(conv("shuffle_2", {.bias = true, .shuffle = 2, .activation = relu}, {map(2, 16, 3, 5)}, 32, 1));
  t.push_back(conv("shuffle_2_c3", {.padding = 1, .shuffle = 2}, {map(1, 9, 4, 3)}, 12, 3));
  t.push_back(conv("shuffle_4", {.bias = true, .shuffle = 4, .activation = relu}, {map(1, 24, 3, 4)}, 128, 1));
  t.push_back(conv("shuffle_4_c1", {.shuffle = 4}, {map(2, 8, 2, 3)}, 16, 1));
  t.push_back(conv("shuffle_residual", {.residual = true, .shuffle = 2, .activation = relu}, {map(1, 16, 3, 4)}, 64, 1));
  const Activation sigmoid{ActivationKind::sigmoid};
  t.push_back(conv("residual_last", {.padding = 1, .bias = true, .residual = true, .activation = relu, .residual_last = true}, {map(2, 16, 5, 6)}, 24, 3));
  t.push_back(conv("residual_last_1x1_c33", {.residual = true, .activation = relu, .residual_last = true}, {map(1, 33, 4, 5)}, 17, 1));
  t.push_back(conv("residual_last_and_addend", {.padding = 1, .bias = true, .residual = true, .addend = nearest(1), .activation = relu, .residual_last = true}, {map(1, 24, 7, 5)}, 40, 3));
  t.push_back(conv("residual_last_depthwise", {.padding = 1, .groups = 16, .residual = true, .activation = relu, .residual_last = true}, {map(1, 16, 5, 6)}, 16, 3));
  t.push_back(conv("result_of_sigmoid", {.padding = 1, .bias = true, .activation = sigmoid, .result = {40, 0.5f}}, {map(2, 24, 5, 6)}, 1, 3));
  t.push_back(conv("result_c33", {.bias = true, .activation = relu, .result = {-2, 0.25f}}, {map(1, 16, 4, 7)}, 33, 1));
  t.push_back(conv("reciprocal", {.padding = 1, .bias = true, .activation = sigmoid, .result = {9.99f, 0.01f}, .reciprocal = true}, {map(1, 16, 6, 5)}, 1, 3));
  t.push_back(conv("reciprocal_c8", {.padding = 1, .bias = true, .activation = sigmoid, .result = {0.5f, 1}, .reciprocal = true}, {map(1, 9, 6, 5)}, 8, 3));
  t.push_back(conv("crop_head", {.padding = 2, .bias = true, .sources = {{.resize = bilinear(2)}, {}}, .addend = bilinear(2), .crop = {3, 2}}, {map(2, 1, 5, 8), map(2, 24, 10, 16)}, 1, 5));
  t.push_back(conv("crop_head_residual", {.residual = true, .crop = {1, 3}}, {map(1, 24, 6, 9)}, 2, 1));
  t.push_back(conv("crop_few", {.padding = 1, .bias = true, .residual = true, .activation = relu, .crop = {2, 1}}, {map(2, 4, 7, 9)}, 12, 3));
  t.push_back(conv("crop_3x3", {.padding = 1, .bias = true, .residual = true, .activation = relu, .crop = {1, 2}}, {map(2, 16, 9, 11)}, 24, 3));
  t.push_back(conv("crop_1x1", {.bias = true, .residual = true, .crop = {3, 1}}, {map(2, 24, 9, 11)}, 16, 1));
  t.push_back(conv("crop_addend_align", {.bias = true, .addend = to_size({9, 11}, true), .activation = relu, .crop = {2, 4}}, {map(1, 16, 9, 11)}, 33, 1));
  t.push_back(conv("crop_stride_2", {.stride = 2, .padding = 1, .crop = {2, 1}}, {map(1, 17, 9, 14)}, 8, 3));
  t.push_back(conv("crop_depthwise", {.padding = 1, .groups = 16, .bias = true, .residual = true, .crop = {1, 3}}, {map(2, 16, 6, 9)}, 16, 3));
  t.push_back(conv("crop_grouped", {.padding = 1, .groups = 4, .crop = {2, 2}}, {map(1, 32, 6, 7)}, 32, 3));
  t.push_back(conv("crop_products", {.padding = 1, .sources = {{.resize = bilinear(2)}}, .crop = {3, 1}, .low_products = true}, {map(1, 16, 5, 6)}, 8, 3));
}

// The sum of two convolutions as one: ResNet's downsample branch, RefineNet's sums.
void add_branches(std::vector<Case>& t) {
  const Source centre{.centre = true}, half{.stride = 2, .centre = true}, every_second{.stride = 2};
  t.push_back(conv("branch_1x1_stride_2", {.bias = true, .sources = {{}, every_second}, .activation = {ActivationKind::relu}}, {map(2, 16, 5, 4), map(2, 24, 9, 8)}, 32, 1));
  t.push_back(conv("branch_3x3_and_centre", {.padding = 1, .bias = true, .sources = {{}, half}, .activation = {ActivationKind::relu}}, {map(2, 16, 7, 6), map(2, 8, 14, 11)}, 24, 3));
  t.push_back(conv("branch_centre_5x5", {.padding = 2, .sources = {{}, centre}}, {map(1, 3, 6, 7), map(1, 33, 6, 7)}, 9, 5));
  t.push_back(conv("branch_all_centres", {.padding = 1, .sources = {centre, centre}}, {map(1, 8, 4, 5), map(1, 5, 4, 5)}, 6, 3));
}

const Pool resnet_pool{.kernel = 3, .stride = 2, .padding = 1};
const Pool squeezenet_pool{.kernel = 3, .stride = 2, .ceil_mode = true};

Case stem(const std::string& name, ConvPool op, std::vector<Desc> in, std::int64_t out, Size2 kernel) {
  std::int64_t channels = 0;
  for (const Desc& x : in) channels += x.c();
  op.sources.resize(in.size());
  Case c{"conv_pool/" + name, op, in};
  c.in.insert(c.in.end(), {Desc::dense({out, channels, kernel.h, kernel.w}), Desc::dense({out})});
  if (in[0].dtype == DType::u8) c.low = 0, c.high = 256;
  return c;
}

void add_photographs_that_are_pooled(std::vector<Case>& t) {
  const Activation relu{ActivationKind::relu};
  const auto photo = [](std::int64_t n, std::int64_t h, std::int64_t w) { return Desc::nhwc(n, 3, h, w, DType::u8); };
  const Source normalised{.mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f}};
  t.push_back(stem("resnet", {.stride = 2, .padding = 3, .sources = {normalised}, .activation = relu, .pool = resnet_pool}, {photo(1, 75, 67)}, 64, 7));
  t.push_back(stem("resnet_batch_3", {.stride = 2, .padding = 3, .sources = {normalised}, .activation = relu, .pool = resnet_pool}, {photo(3, 38, 94)}, 40, 7));
  t.push_back(stem("two_photographs", {.stride = 2, .padding = 3, .sources = {normalised, normalised}, .activation = relu, .pool = resnet_pool}, {photo(1, 32, 40), photo(1, 32, 40)}, 64, 7));
}

}  // namespace

std::vector<Case> fused_cases() {
  std::vector<Case> t;
  add_low_products(t), add_photographs(t), add_prologues(t), add_stores(t), add_branches(t), add_photographs_that_are_pooled(t);
  return t;
}

template <>
std::vector<Case> cases_for<Conv2d>() {
  std::vector<Case> t;
  add_plain(t), add_dilated_and_grouped(t), add_epilogues(t), add_padding_modes(t), add_sources(t);
  return t;
}

template <>
std::vector<Case> cases_for<ConvTranspose2d>() {
  return {
      transpose("c1_2x2_stride_2", {.stride = 2}, map(1, 1, 3, 4), 1, 2),
      transpose("3x3_stride_2_output_1", {.stride = 2, .padding = 1, .output_padding = 1, .bias = true},
                map(1, 9, 4, 5), 7, 3),
      transpose("3x3_stride_2_output_0x1", {.stride = 2, .padding = 1, .output_padding = {0, 1}}, map(1, 3, 4, 5), 33,
                3),
      transpose("3x3_stride_1", {.padding = 1, .bias = true}, map(1, 5, 5, 6), 6, 3),
      transpose("3x3_unpadded", {}, map(2, 4, 3, 4), 5, 3),
      transpose("4x4_stride_2", {.stride = 2, .padding = 1}, map(1, 16, 5, 4), 8, 4),
      transpose("5x5_stride_2_output_1", {.stride = 2, .padding = 2, .output_padding = 1}, map(1, 8, 4, 3), 6, 5),
      transpose("5x5_c33_to_31", {.padding = 2}, map(1, 33, 3, 4), 31, 5),
      transpose("9x9_stride_3", {.stride = 3, .padding = 4, .output_padding = 2}, map(1, 3, 4, 4), 4, 9),
      transpose("2x2_stride_3_gaps", {.stride = 3, .bias = true}, map(1, 4, 3, 4), 5, 2),
      transpose("1x1_stride_2_gaps", {.stride = 2, .output_padding = 1}, map(1, 4, 3, 3), 4, 1),
      transpose("stride_2x1", {.stride = {2, 1}, .padding = {1, 1, 1, 1}, .output_padding = {1, 0}}, map(1, 6, 4, 7), 5,
                3),
      transpose("kernel_3x4", {.stride = {1, 2}, .padding = {1, 1, 1, 1}}, map(1, 6, 5, 4), 5, {3, 4}),
      transpose("padding_asymmetric", {.stride = 2, .padding = {0, 1, 2, 1}, .bias = true}, map(1, 4, 4, 3), 4, 4),
      transpose("dilation_2", {.stride = 2, .padding = 2, .output_padding = 1, .dilation = 2}, map(1, 5, 4, 4), 4, 3),
      transpose("dilation_3_output_2", {.padding = 3, .output_padding = 2, .dilation = 3}, map(1, 4, 5, 4), 3, 3),
      transpose("groups_2", {.stride = 2, .padding = 1, .output_padding = 1, .groups = 2, .bias = true},
                map(1, 6, 3, 5), 8, 3),
      transpose("groups_2_1x1", {.groups = 2}, map(1, 8, 3, 5), 6, 1),
      transpose("depthwise", {.stride = 2, .padding = 1, .groups = 33}, map(1, 33, 3, 4), 33, 4),
      transpose("depthwise_bilinear_x2", {.stride = 2, .padding = 1, .groups = 8}, map(3, 8, 3, 2), 8, 4),
      transpose("map_1x1", {.stride = 2, .padding = 1, .output_padding = 1}, map(1, 16, 1, 1), 9, 3),
      transpose("map_1x13", {.stride = 2, .padding = 1, .output_padding = 1}, map(1, 5, 1, 13), 4, 3),
      transpose("map_13x1", {.stride = 2, .padding = 1, .output_padding = 1}, map(1, 5, 13, 1), 4, 3),
      transpose("batch_3_relu",
                {.stride = 2, .padding = 1, .output_padding = 1, .bias = true, .activation = {ActivationKind::relu}},
                map(3, 8, 3, 4), 6, 3),
      transpose("leaky_relu",
                {.stride = 2, .padding = 1, .bias = true, .activation = {ActivationKind::leaky_relu, 0.2f}},
                map(1, 8, 4, 4), 6, 4),
      transpose("sigmoid", {.stride = 2, .padding = 1, .bias = true, .activation = {ActivationKind::sigmoid}},
                map(1, 8, 4, 4), 1, 4),
  };
}

template <>
std::vector<Case> cases_for<InvertedResidual>() {
  const auto block = [](const std::string& name, const InvertedResidual& op, const Desc& x, std::int64_t wide, std::int64_t out, std::int64_t kernel) {
    std::vector<Desc> in{x};
    if (op.expand) in.insert(in.end(), {Desc::dense({wide, x.c(), 1, 1}), Desc::dense({wide})});
    in.insert(in.end(), {Desc::dense({wide, 1, kernel, kernel}), Desc::dense({wide})});
    if (op.project) in.insert(in.end(), {Desc::dense({out, wide, 1, 1}), Desc::dense({out})});
    return Case{"inverted_residual/" + name, op, in};
  };
  const Activation relu{ActivationKind::relu}, relu6{ActivationKind::relu6}, swish{ActivationKind::hard_swish}, hard{ActivationKind::hard_sigmoid};
  return {
      block("mobilenet_v2", {.padding = 1, .residual = true, .expand_activation = relu6, .depth_activation = relu6}, map(2, 24, 9, 10), 48, 24, 3),
      block("stride_2", {.stride = 2, .padding = 1, .expand_activation = relu6, .depth_activation = relu6}, map(1, 16, 19, 17), 40, 24, 3),
      block("kernel_5_hard", {.padding = 2, .residual = true, .expand_activation = swish, .depth_activation = hard}, map(1, 31, 5, 11), 33, 31, 5),
      block("kernel_5_stride_2", {.stride = 2, .padding = 2, .expand_activation = swish, .depth_activation = swish}, map(1, 8, 18, 9), 72, 72, 5),
      block("no_projection", {.padding = 1, .project = false, .expand_activation = relu, .depth_activation = hard}, map(2, 40, 8, 8), 70, 0, 3),
      block("no_projection_stride_2_kernel_5", {.stride = 2, .padding = 2, .project = false, .expand_activation = hard}, map(1, 12, 12, 21), 64, 0, 5),
      block("no_expansion", {.padding = 1, .expand = false, .depth_activation = relu, .activation = relu}, map(1, 33, 9, 9), 33, 100, 3),
      block("no_expansion_residual", {.padding = 1, .expand = false, .residual = true, .depth_activation = relu6}, map(1, 16, 7, 16), 16, 16, 3),
      block("wide_output", {.padding = 1, .expand_activation = relu}, map(1, 17, 4, 4), 20, 130, 3),
      block("few_channels", {.padding = 1, .residual = true, .expand_activation = relu}, map(1, 3, 6, 5), 7, 3, 3),
      block("uneven_padding", {.padding = {0, 1, 2, 0}, .expand_activation = relu}, map(1, 9, 8, 9), 24, 8, 3),
      block("map_1x1", {.stride = 2, .padding = 1, .residual = true, .expand_activation = relu}, map(2, 8, 1, 1), 16, 8, 3),
  };
}

template <>
std::vector<Case> cases_for<ConvPool>() {
  const Activation relu{ActivationKind::relu};
  return {
      stem("densenet", {.stride = 2, .padding = 3, .activation = relu, .pool = resnet_pool}, {map(1, 3, 41, 30)}, 96, 7),
      stem("squeezenet", {.stride = 2, .activation = relu, .pool = squeezenet_pool}, {map(2, 3, 44, 37)}, 96, 7),
      stem("enlarged_source", {.padding = 1, .sources = {source(bilinear(2), PadMode::reflect)}, .activation = relu, .pool = resnet_pool}, {map(1, 5, 9, 11)}, 24, 3),
      stem("three_by_three_to_128", {.stride = 2, .padding = 1, .activation = relu, .pool = squeezenet_pool}, {map(1, 3, 33, 23)}, 128, 3),
      stem("to_33", {.padding = 1, .pool = resnet_pool}, {map(1, 8, 17, 9)}, 33, 3),
      stem("to_5", {.padding = 1, .activation = relu, .pool = resnet_pool}, {map(1, 3, 9, 8)}, 5, 3),
      stem("elu_stride_1x2", {.stride = {1, 2}, .padding = {1, 2, 1, 2}, .activation = {ActivationKind::elu, 0.5f}, .pool = resnet_pool}, {map(1, 4, 21, 18)}, 16, {3, 5}),
      stem("hard_swish", {.padding = 1, .activation = {ActivationKind::hard_swish}, .pool = resnet_pool}, {map(1, 3, 9, 9)}, 16, 3),
      stem("pool_of_2", {.padding = 1, .activation = relu, .pool = {.kernel = 2, .stride = 2}}, {map(1, 3, 9, 8)}, 16, 3),
      stem("map_1x1", {.stride = 2, .padding = 3, .activation = relu, .pool = resnet_pool}, {map(2, 3, 1, 1)}, 64, 7),
      stem("reflect_map_4x40", {.stride = 2, .padding = 3, .sources = {source(PadMode::reflect)}, .activation = relu, .pool = resnet_pool}, {map(1, 3, 4, 40)}, 32, 7),
      stem("reflect_map_8x40", {.stride = 2, .padding = 3, .sources = {source(PadMode::reflect)}, .activation = relu, .pool = resnet_pool}, {map(1, 3, 8, 40)}, 32, 7),
      stem("map_1x70", {.stride = 2, .padding = 3, .activation = relu, .pool = resnet_pool}, {map(1, 3, 1, 70)}, 64, 7),
  };
}

template <>
std::vector<Case> cases_for<ChannelGate>() {
  const auto gate = [](const std::string& name, const ChannelGate& op, std::vector<Desc> maps, std::int64_t hidden, std::int64_t out, bool as_conv = false) {
    std::int64_t channels = 0;
    for (const Desc& x : maps) channels += x.c();
    const auto weight = [&](std::int64_t o, std::int64_t c) { return as_conv ? Desc::dense({o, c, 1, 1}) : Desc::dense({o, c}); };
    const auto layer = [&](std::int64_t o, std::int64_t c) {
      maps.push_back(weight(o, c));
      if (op.bias) maps.push_back(Desc::dense({o}));
    };
    layer(hidden, channels), layer(out, hidden);
    return Case{"channel_gate/" + name, op, maps};
  };
  const Activation relu{ActivationKind::relu}, sigmoid{ActivationKind::sigmoid}, hard{ActivationKind::hard_sigmoid};
  return {
      gate("c16", {.squeeze_activation = relu, .activation = sigmoid}, {map(1, 16, 5, 7)}, 4, 16),
      gate("bias_batch_3", {.bias = true, .squeeze_activation = relu, .activation = sigmoid}, {map(3, 33, 4, 3)}, 5, 33),
      gate("as_conv_hard", {.bias = true, .squeeze_activation = relu, .activation = hard}, {map(2, 72, 9, 8)}, 24, 72, true),
      gate("three_maps", {.squeeze_activation = relu, .activation = sigmoid}, {map(2, 8, 3, 4), map(2, 31, 6, 8), map(2, 1, 12, 16)}, 10, 40),
      gate("composed", {.bias = true, .squeeze_activation = relu, .activation = sigmoid}, {map(1, 64, 17, 23)}, 16, 256),
      gate("map_1x1", {.activation = hard}, {map(1, 3, 1, 1)}, 1, 3),
  };
}

template <>
std::vector<Case> cases_for<Linear>() {
  const auto linear = [](const std::string& name, const Linear& op, std::int64_t n, std::int64_t in, std::int64_t out,
                         bool as_conv = false) {
    std::vector<Desc> descs{map(n, in, 1, 1), as_conv ? Desc::dense({out, in, 1, 1}) : Desc::dense({out, in})};
    if (op.bias) descs.push_back(Desc::dense({out}));
    return Case{"linear/" + name, op, descs};
  };
  return {
      linear("c1", {}, 1, 1, 1),
      linear("c3_to_33", {.bias = true}, 1, 3, 33),
      linear("c33_to_31_batch_3", {.bias = true}, 3, 33, 31),
      linear("c512_to_16_relu", {.bias = true, .activation = {ActivationKind::relu}}, 1, 512, 16),
      linear("c16_to_260_sigmoid", {.bias = true, .activation = {ActivationKind::sigmoid}}, 2, 16, 260, true),
      linear("c72_to_24_weight_of_rank_4", {.bias = true}, 1, 72, 24, true),
      linear("c24_to_72_hard_sigmoid", {.bias = true, .activation = {ActivationKind::hard_sigmoid}}, 3, 24, 72),
      linear("no_bias_relu", {.activation = {ActivationKind::relu}}, 1, 64, 4),
  };
}

}  // namespace fathom::test
