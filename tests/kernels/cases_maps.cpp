// Cases of what moves or gathers elements: pools, means, resizes, padding, reordering, filters.
#include "tests/kernels/cases.hpp"

namespace fathom::test {

namespace {

Desc map(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) { return Desc::nhwc(n, c, h, w); }

}  // namespace

template <>
std::vector<Case> cases_for<Pool>() {
  const auto pool = [](const std::string& name, const Pool& op, const Desc& x) {
    return Case{"pool/" + name, op, {x}};
  };
  const auto scaled = [](const std::string& name, Pool op, const Desc& x) {
    op.affine = true;
    return Case{"pool/" + name, op, {x, Desc::dense({x.c()}), Desc::dense({x.c()})}};
  };
  const PoolKind mean = PoolKind::average;
  const Activation relu{ActivationKind::relu}, sigmoid{ActivationKind::sigmoid};
  return {
      pool("max_3_stride_2", {.kernel = 3, .stride = 2, .padding = 1}, map(1, 33, 7, 10)),
      pool("max_3_stride_2_even", {.kernel = 3, .stride = 2, .padding = 1}, map(3, 16, 8, 6)),
      pool("max_3_stride_2_ceil", {.kernel = 3, .stride = 2, .ceil_mode = true}, map(1, 31, 8, 10)),
      pool("max_3_stride_2_ceil_odd", {.kernel = 3, .stride = 2, .ceil_mode = true}, map(1, 8, 7, 9)),
      pool("max_3_stride_2_ceil_padded", {.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true}, map(2, 5, 8, 9)),
      pool("max_2_stride_2", {.kernel = 2, .stride = 2}, map(1, 3, 7, 8)),
      pool("max_2_stride_3_ceil", {.kernel = 2, .stride = 3, .ceil_mode = true}, map(1, 3, 7, 9)),
      pool("max_5_padding_2", {.kernel = 5, .stride = 1, .padding = 2}, map(1, 24, 6, 7)),
      pool("max_5_map_2x3", {.kernel = 5, .stride = 1, .padding = 2}, map(1, 17, 2, 3)),
      pool("max_2x3_stride_1x2", {.kernel = {2, 3}, .stride = {1, 2}, .padding = {0, 1, 0, 1}}, map(1, 4, 5, 8)),
      pool("max_asymmetric", {.kernel = 3, .stride = 2, .padding = {0, 0, 1, 1}}, map(1, 8, 8, 6)),
      pool("max_c1_map_1x19", {.kernel = 3, .stride = 2, .padding = 1}, map(1, 1, 1, 19)),
      pool("max_map_19x1", {.kernel = 3, .stride = 2, .padding = 1}, map(2, 3, 19, 1)),
      pool("mean_2_stride_2", {.kind = mean, .kernel = 2, .stride = 2}, map(1, 33, 6, 7)),
      pool("mean_3_padded", {.kind = mean, .kernel = 3, .stride = 1, .padding = 1}, map(1, 9, 5, 6)),
      pool("mean_3_padded_inside_only",
           {.kind = mean, .kernel = 3, .stride = 1, .padding = 1, .count_include_pad = false}, map(3, 9, 5, 6)),
      pool("mean_3_stride_2_ceil", {.kind = mean, .kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true},
           map(1, 8, 8, 9)),
      pool("mean_3_stride_2_ceil_inside_only",
           {.kind = mean, .kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true, .count_include_pad = false},
           map(1, 8, 8, 9)),
      pool("mean_4_stride_3_ceil", {.kind = mean, .kernel = 4, .stride = 3, .ceil_mode = true}, map(1, 5, 8, 12)),
      pool("mean_5x3", {.kind = mean, .kernel = {5, 3}, .stride = {2, 1}, .padding = {2, 1, 2, 1}}, map(1, 6, 9, 5)),
      pool("mean_c1_map_1x9", {.kind = mean, .kernel = 3, .stride = 2, .padding = 1}, map(1, 1, 1, 9)),
      scaled("max_3_norm_relu", {.kernel = 3, .stride = 1, .padding = 1, .activation = relu}, map(2, 33, 5, 6)),
      scaled("max_5_scaled", {.kernel = 5, .stride = 1, .padding = 2}, map(1, 24, 9, 7)),
      scaled("max_3_stride_2_norm", {.kernel = 3, .stride = 2, .padding = 1, .activation = relu}, map(1, 16, 8, 9)),
      scaled("mean_2_norm_sigmoid", {.kind = mean, .kernel = 2, .stride = 2, .activation = sigmoid}, map(3, 5, 4, 7)),
      pool("max_2_sigmoid", {.kernel = 2, .stride = 2, .activation = sigmoid}, map(1, 9, 4, 5)),
  };
}

template <>
std::vector<Case> cases_for<PoolChain>() {
  const auto chain = [](const std::string& name, const PoolChain& op, const Desc& x) {
    return Case{"pool_chain/" + name, op, {x, Desc::dense({op.stages + 1, x.c()})}};
  };
  return {chain("four_of_5", {}, map(1, 24, 9, 11)),
          chain("tiles", {.activation = {ActivationKind::relu6}}, map(1, 16, 27, 35)),
          chain("one_of_3_batch_3", {.kernel = 3, .stages = 1}, map(3, 8, 4, 5)),
          chain("three_of_3_c33", {.kernel = 3, .stages = 3, .activation = {ActivationKind::sigmoid}}, map(1, 33, 5, 7)),
          chain("two_of_5_c3", {.stages = 2}, map(2, 3, 6, 4)),
          chain("map_1x19", {.stages = 4}, map(1, 12, 1, 19))};
}

template <>
std::vector<Case> cases_for<GlobalMean>() {
  const auto mean = [](const std::string& name, const Desc& x) {
    return Case{"global_mean/" + name, GlobalMean{}, {x}};
  };
  return {mean("c1", map(1, 1, 5, 7)),
          mean("c33", map(1, 33, 6, 9)),
          mean("c31_batch_3", map(3, 31, 4, 3)),
          mean("map_1x1", map(2, 64, 1, 1)),
          mean("map_1x17", map(1, 3, 1, 17)),
          mean("map_17x1", map(1, 3, 17, 1)),
          mean("c130_map_2x3", map(1, 130, 2, 3)),
          mean("map_33x40", map(1, 4, 33, 40))};
}

template <>
std::vector<Case> cases_for<Resize>() {
  const auto resize = [](const std::string& name, const Resize& op, const Desc& x) {
    return Case{"resize/" + name, op, {x}};
  };
  const auto sized = [](ResizeMode mode, Size2 size, bool align = false) {
    return Resize{.mode = mode, .size = size, .align_corners = align};
  };
  const auto scaled = [](ResizeMode mode, Size2 scale, bool align = false) {
    return Resize{.mode = mode, .scale = scale, .align_corners = align};
  };
  const ResizeMode nearest = ResizeMode::nearest, bilinear = ResizeMode::bilinear;
  return {
      resize("nearest_x2", scaled(nearest, 2), map(1, 33, 3, 4)),
      resize("nearest_x2_batch_3", scaled(nearest, 2), map(3, 3, 5, 3)),
      resize("nearest_x3", scaled(nearest, 3), map(1, 3, 4, 5)),
      resize("nearest_2x1", scaled(nearest, {2, 1}), map(1, 8, 4, 5)),
      resize("nearest_x7", scaled(nearest, 7), map(1, 1, 5, 7)),
      resize("nearest_up", sized(nearest, {7, 13}), map(1, 5, 4, 6)),
      resize("nearest_down", sized(nearest, {4, 5}), map(1, 9, 9, 11)),
      resize("nearest_down_and_up", sized(nearest, {3, 50}), map(1, 2, 10, 41)),
      // The ratio is rounded to float first: 41 (2 / 82) and 23 (14 / 46) lie just below a whole number then.
      resize("nearest_2_to_82", sized(nearest, {1, 82}), map(1, 1, 3, 2)),
      resize("nearest_14_to_46", sized(nearest, {46, 1}), map(1, 2, 14, 1)),
      resize("nearest_same", sized(nearest, {4, 5}), map(1, 3, 4, 5)),
      resize("nearest_map_1x1", sized(nearest, {3, 4}), map(2, 31, 1, 1)),
      resize("bilinear_x2", scaled(bilinear, 2), map(1, 33, 3, 4)),
      resize("bilinear_x2_batch_3", scaled(bilinear, 2), map(3, 3, 5, 3)),
      resize("bilinear_x4", scaled(bilinear, 4), map(1, 1, 4, 5)),
      resize("bilinear_3x1", scaled(bilinear, {3, 1}), map(1, 8, 4, 5)),
      resize("bilinear_up", sized(bilinear, {7, 13}), map(1, 31, 4, 6)),
      resize("bilinear_up_odd", sized(bilinear, {29, 38}), map(1, 1, 15, 19)),
      resize("bilinear_down", sized(bilinear, {4, 5}), map(1, 9, 9, 11)),
      resize("bilinear_down_2", sized(bilinear, {4, 6}), map(1, 3, 8, 12)),
      resize("bilinear_same", sized(bilinear, {4, 5}), map(1, 3, 4, 5)),
      resize("bilinear_map_1x9", sized(bilinear, {3, 20}), map(1, 4, 1, 9)),
      resize("bilinear_map_9x1", sized(bilinear, {20, 3}), map(1, 4, 9, 1)),
      resize("bilinear_to_1x1", sized(bilinear, {1, 1}), map(1, 4, 5, 6)),
      resize("align_corners_x2", scaled(bilinear, 2, true), map(1, 33, 3, 4)),
      resize("align_corners_up", sized(bilinear, {7, 13}, true), map(3, 5, 4, 6)),
      resize("align_corners_down", sized(bilinear, {4, 5}, true), map(1, 9, 9, 11)),
      resize("align_corners_map_1x9", sized(bilinear, {3, 20}, true), map(1, 4, 1, 9)),
      resize("align_corners_map_1x1", sized(bilinear, {3, 4}, true), map(1, 31, 1, 1)),
      resize("align_corners_to_1x1", sized(bilinear, {1, 1}, true), map(1, 4, 5, 6)),
      resize("align_corners_to_1x5", sized(bilinear, {1, 5}, true), map(2, 3, 6, 3)),
  };
}

template <>
std::vector<Case> cases_for<Concat>() {
  const auto concat = [](const std::string& name, std::vector<Desc> in) {
    return Case{"concat/" + name, Concat{}, std::move(in)};
  };
  return {
      concat("one", {map(1, 5, 3, 4)}),
      concat("c1_and_3", {map(1, 1, 3, 4), map(1, 3, 3, 4)}),
      concat("c33_and_31", {map(1, 33, 4, 5), map(1, 31, 4, 5)}),
      concat("three_batch_3", {map(3, 8, 2, 5), map(3, 1, 2, 5), map(3, 16, 2, 5)}),
      concat("five", {map(1, 3, 1, 7), map(1, 2, 1, 7), map(1, 1, 1, 7), map(1, 64, 1, 7), map(1, 5, 1, 7)}),
  };
}

template <>
std::vector<Case> cases_for<PixelShuffle>() {
  const auto shuffle = [](const std::string& name, int factor, const Desc& x) {
    return Case{"pixel_shuffle/" + name, PixelShuffle{factor}, {x}};
  };
  return {shuffle("x1", 1, map(1, 3, 4, 5)),          shuffle("x2_c1", 2, map(1, 4, 3, 5)),
          shuffle("x2_c31", 2, map(1, 124, 2, 3)),    shuffle("x2_batch_3", 2, map(3, 12, 4, 3)),
          shuffle("x3_map_1x7", 3, map(1, 18, 1, 7)), shuffle("x4_c33", 4, map(1, 528, 1, 2))};
}

template <>
std::vector<Case> cases_for<Pad>() {
  const auto pad = [](const std::string& name, Padding padding, PadMode mode, const Desc& x) {
    return Case{"pad/" + name, Pad{padding, mode}, {x}};
  };
  return {
      pad("zeros_1", 1, PadMode::zeros, map(1, 33, 3, 4)),
      pad("zeros_asymmetric", {2, 0, 1, 3}, PadMode::zeros, map(3, 3, 4, 5)),
      pad("zeros_right_bottom", {0, 0, 7, 2}, PadMode::zeros, map(1, 1, 5, 6)),
      pad("reflect_1", 1, PadMode::reflect, map(1, 31, 4, 5)),
      pad("reflect_3", 3, PadMode::reflect, map(2, 3, 4, 5)),
      pad("reflect_asymmetric", {2, 0, 1, 3}, PadMode::reflect, map(1, 5, 3, 4)),
      pad("reflect_map_1x9", {0, 2, 0, 2}, PadMode::reflect, map(1, 4, 1, 9)),
      pad("replicate_1", 1, PadMode::replicate, map(1, 31, 4, 5)),
      pad("replicate_asymmetric", {2, 0, 1, 5}, PadMode::replicate, map(3, 5, 3, 4)),
      pad("replicate_map_1x1", 2, PadMode::replicate, map(1, 9, 1, 1)),
      pad("none", 0, PadMode::zeros, map(1, 4, 3, 5)),
  };
}

template <>
std::vector<Case> cases_for<Slice>() {
  const auto slice = [](const std::string& name, int axis, int begin, int count, const Desc& x) {
    return Case{"slice/" + name, Slice{axis, begin, count}, {x}};
  };
  return {slice("channels", 1, 3, 33, map(1, 40, 3, 4)), slice("one_channel", 1, 2, 1, map(3, 4, 3, 5)),
          slice("rows", 2, 1, 3, map(1, 31, 5, 4)),      slice("columns", 3, 2, 4, map(2, 3, 3, 9)),
          slice("images", 0, 1, 2, map(3, 5, 3, 4)),     slice("all", 1, 0, 7, map(1, 7, 2, 3))};
}

template <>
std::vector<Case> cases_for<Reshape>() {
  const auto reshape = [](const std::string& name, Reshape op, const Desc& x) {
    return Case{"reshape/" + name, op, {x}};
  };
  return {reshape("flatten", {60, 1, 1}, map(1, 3, 4, 5)), reshape("unflatten", {3, 4, 5}, map(3, 60, 1, 1)),
          reshape("same", {6, 2, 7}, map(1, 6, 2, 7)), reshape("recut", {4, 9, 5}, map(2, 6, 5, 6)),
          reshape("to_one_channel", {1, 31, 6}, map(1, 31, 2, 3))};
}

template <>
std::vector<Case> cases_for<BoxFilter>() {
  const auto box = [](const std::string& name, int radius, const Desc& x) {
    return Case{"box_filter/" + name, BoxFilter{radius}, {x}};
  };
  return {box("r0", 0, map(1, 3, 4, 5)),         box("r1", 1, map(1, 33, 5, 6)),
          box("r2_batch_3", 2, map(3, 3, 6, 7)), box("r4", 4, map(1, 1, 12, 15)),
          box("r4_map_2x3", 4, map(1, 5, 2, 3)), box("r8", 8, map(1, 2, 11, 20)),
          box("r2_map_1x9", 2, map(1, 4, 1, 9)), box("r2_map_9x1", 2, map(2, 4, 9, 1))};
}

template <>
std::vector<Case> cases_for<GuidedFilter>() {
  const auto filter = [](const std::string& name, const GuidedFilter& op, const Desc& signal, Size2 full) {
    return Case{"guided_filter/" + name,
                op,
                {signal, map(signal.n(), 1, signal.h(), signal.w()), map(signal.n(), 1, full.h, full.w)}};
  };
  return {
      filter("r4", {}, map(1, 1, 12, 16), {24, 32}),
      filter("r1", {.radius = 1}, map(1, 1, 5, 7), {9, 15}),
      filter("r1_small_eps", {.radius = 1, .eps = 1e-4f}, map(1, 1, 6, 8), {12, 16}),
      filter("r2_c3_batch_3", {.radius = 2}, map(3, 3, 5, 6), {10, 12}),
      filter("r4_smaller_than_window", {}, map(1, 1, 3, 4), {6, 8}),
      filter("r8_eps_1", {.radius = 8, .eps = 1}, map(1, 1, 10, 13), {40, 50}),
      filter("same_size", {.radius = 2}, map(1, 1, 6, 9), {6, 9}),
      filter("map_1x9", {.radius = 2}, map(2, 1, 1, 9), {2, 18}),
      filter("r0", {.radius = 0}, map(1, 2, 4, 5), {8, 10}),
      filter("to_smaller", {.radius = 1}, map(1, 1, 9, 10), {5, 4}),
  };
}

template <>
std::vector<Case> cases_for<Preprocess>() {
  const auto preprocess = [](const std::string& name, const Preprocess& op, std::int64_t n, std::int64_t c,
                             std::int64_t h, std::int64_t w) {
    return Case{"preprocess/" + name, op, {Desc::nhwc(n, c, h, w, DType::u8)}, 0, 256};
  };
  return {
      preprocess("plain", {}, 1, 3, 5, 7),
      preprocess("imagenet", {{0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}}, 1, 3, 6, 9),
      preprocess("one_mean", {{0.45f}, {0.225f}}, 3, 3, 4, 5),
      preprocess("c1", {{0.5f}, {0.5f}}, 1, 1, 3, 11),
      preprocess("means_and_one_std", {{0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f}, {0.25f}}, 2, 6, 3, 4),
  };
}

}  // namespace fathom::test
