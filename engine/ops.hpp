// The operations, as plain structs. The comment above each is its meaning; `infer` is its shape rule and throws
// Error{shape} when inputs disagree. `fields` lists the members once, for printing, for graph JSON and for tests.
//
// Inputs come in one order everywhere: data first (as the comment lists them), then parameters (weight, bias, ...).
// Activations are (N, C, H, W) of rank 4. Parameters keep the layout of the official checkpoints.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/tensor.hpp"

namespace fathom {

using Descs = std::span<const Desc>;

struct Size2 {
  int h = 1, w = 1;
  constexpr Size2(int both = 1) : h(both), w(both) {}
  constexpr Size2(int height, int width) : h(height), w(width) {}
  bool operator==(const Size2&) const = default;
};

struct Padding {
  int top = 0, left = 0, bottom = 0, right = 0;
  constexpr Padding(int all = 0) : top(all), left(all), bottom(all), right(all) {}
  constexpr Padding(int t, int l, int b, int r) : top(t), left(l), bottom(b), right(r) {}
  bool any() const { return top || left || bottom || right; }
  bool operator==(const Padding&) const = default;
};

// The names of an enumeration's values, in their order: for printing and for JSON.
template <class Enum>
inline constexpr std::span<const char* const> enum_names;

enum class PadMode { zeros, reflect, replicate };  // reflect does not repeat the edge: x[-1] = x[1]
inline constexpr const char* pad_mode_names[] = {"zeros", "reflect", "replicate"};
template <>
inline constexpr std::span<const char* const> enum_names<PadMode> = pad_mode_names;

enum class ResizeMode { none, nearest, bilinear };
inline constexpr const char* resize_mode_names[] = {"none", "nearest", "bilinear"};
template <>
inline constexpr std::span<const char* const> enum_names<ResizeMode> = resize_mode_names;

enum class ActivationKind { none, relu, relu6, leaky_relu, elu, sigmoid, hard_sigmoid, hard_swish };
inline constexpr const char* activation_names[] = {"none", "relu",    "relu6",        "leaky_relu",
                                                   "elu",  "sigmoid", "hard_sigmoid", "hard_swish"};
template <>
inline constexpr std::span<const char* const> enum_names<ActivationKind> = activation_names;

enum class PoolKind { max, average };
inline constexpr const char* pool_kind_names[] = {"max", "average"};
template <>
inline constexpr std::span<const char* const> enum_names<PoolKind> = pool_kind_names;

// y = f(x), element by element: an op of its own, and the last step of many others.
//   relu max(x, 0) · relu6 min(max(x, 0), 6) · leaky_relu x < 0 ? alpha x : x · elu x < 0 ? alpha (e^x - 1) : x
//   sigmoid 1 / (1 + e^-x) · hard_sigmoid relu6(x + 3) / 6 · hard_swish x relu6(x + 3) / 6
struct Activation {
  ActivationKind kind = ActivationKind::none;
  float alpha = 1;  // of leaky_relu and elu

  static constexpr const char* name = "Activation";
  template <class Self, class F>
  static void fields(Self& self, F&& f) { f("kind", self.kind), f("alpha", self.alpha); }
  Desc infer(Descs in) const;
  // Whether f(a) <= f(b) for all a < b.
  bool never_falls() const { return kind != ActivationKind::hard_swish && alpha >= 0; }
  bool operator==(const Activation&) const = default;
};

// y(n, c, i, j) = x at the place that (i, j) falls on in the smaller or larger map. Exactly one of scale and size is set.
//   nearest: floor(i in/out), see nearest_index · bilinear, half-pixel: (i + 0.5) in/out - 0.5, clamped
//   bilinear with align_corners: i (in-1)/(out-1)
struct Resize {
  ResizeMode mode = ResizeMode::none;
  Size2 scale = 0;  // whole factors
  Size2 size = 0;   // of the output
  bool align_corners = false;

  static constexpr const char* name = "Resize";
  template <class Self, class F>
  static void fields(Self& self, F&& f) {
    f("mode", self.mode), f("scale", self.scale), f("size", self.size), f("align_corners", self.align_corners);
  }
  Desc infer(Descs in) const;
  bool operator==(const Resize&) const = default;
};

// floor(i in/out) with the ratio and the product rounded to float, as PyTorch has it: 41 (2/82) is 0.99999994 and reads 0.
std::int64_t nearest_index(std::int64_t i, std::int64_t in, std::int64_t out);

// How a convolution reads one of its data inputs: resized first, then every stride-th pixel of it, then padded, then
// concatenated along channels. A source with a mean and std is a photograph (u8), read as a Preprocess would: the
// padding's zeros are not normalised.
struct Source {
  Resize resize;
  Size2 stride;
  PadMode pad_mode = PadMode::zeros;
  bool centre = false;           // only the middle of the (odd) kernel reads it: the other weights of its channels do not count
  std::vector<float> mean, std;  // both empty, or as in Preprocess

  template <class Self, class F>
  static void fields(Self& self, F&& f) {
    f("resize", self.resize), f("stride", self.stride), f("pad_mode", self.pad_mode), f("centre", self.centre);
    f("mean", self.mean), f("std", self.std);
  }
  Desc infer(Descs in) const;  // before padding
  bool operator==(const Source&) const = default;
};

// y = scale x + shift
struct Affine {
  float scale = 1;
  float shift = 0;

  static constexpr const char* name = "Affine";
  template <class Self, class F>
  static void fields(Self& self, F&& f) { f("scale", self.scale), f("shift", self.shift); }
  Desc infer(Descs in) const;
  bool operator==(const Affine&) const = default;
};

// The gate of squeeze and excitation, by the convolution whose map's means are the last that it waits for; see ChannelGate:
//   gate = activation(excite squeeze_activation(squeeze mean + b1) + b2), mean = concat(.., this map's means, ..)
struct Excitation {
  int maps = 0;   // whose means it is made of; 0: there is no gate
  int place = 0;  // of this map among them
  bool bias = false;
  Activation squeeze_activation;
  Activation activation;

  template <class Self, class F>
  static void fields(Self& self, F&& f) {
    f("maps", self.maps), f("place", self.place), f("bias", self.bias);
    f("squeeze_activation", self.squeeze_activation), f("activation", self.activation);
  }
  std::size_t others() const { return maps > 0 ? static_cast<std::size_t>(maps - 1) : 0; }
  std::size_t parameters() const { return maps == 0 ? 0 : bias ? 4 : 2; }
  bool operator==(const Excitation&) const = default;
};

// y = result(act(shuffle((conv(pad(x'), w) + b) * output_gate) + residual + resize(addend)))
//   x' = input_activation(gate * (scale x + shift)), x = concat(source_k...); shuffle as in PixelShuffle
//   residual_last: act comes before what is added · crop: of all this only the rows and columns before the last ones
//   reciprocal: 1 / result(...) in place of result(...)
//   mean: a second output, the mean over h, w of y (N, C, 1, 1). Whoever makes y has its numbers at hand: a gate or a
//     GlobalMean behind it need not read the map again. How the sum is taken is the kernel's own business.
//   excitation: the second output is the gate that is made of these means and those of other maps
//   data: one x per source, gate (N, C, 1, 1) if set, residual (shape of y before the crop) if set, addend (N, channels
//     of y, any size) if its resize is set, output_gate (N, O, 1, 1) if set, the other maps' means (N, C_k, 1, 1)
//   parameters: weight (O, C / groups, kh, kw), bias (O) if set, input_scale and input_shift (C) if affine, those of the
//     excitation as ChannelGate has them
// As a network's builder writes it, it has one plain source and nothing else; the rest is filled in by passes.
struct Conv2d {
  Size2 stride;
  Padding padding;
  Size2 dilation;
  int groups = 1;
  bool bias = false;
  std::vector<Source> sources = {Source{}};
  bool gate = false;
  bool affine = false;
  Activation input_activation;
  bool residual = false;
  Resize addend;  // mode none: there is none
  bool output_gate = false;
  int shuffle = 1;
  Activation activation;
  bool residual_last = false;
  Affine result;
  bool reciprocal = false;
  Size2 crop = 0;             // rows and columns that are left out at the end
  bool low_products = false;  // conv(up(x)) by products at x's own size: passes/lower_products.cpp; the same sum
  bool mean = false;
  Excitation excitation;

  static constexpr const char* name = "Conv2d";
  template <class Self, class F>
  static void fields(Self& self, F&& f) {
    f("stride", self.stride), f("padding", self.padding), f("dilation", self.dilation), f("groups", self.groups);
    f("sources", self.sources), f("gate", self.gate), f("affine", self.affine), f("input_activation", self.input_activation);
    f("residual", self.residual), f("addend", self.addend), f("output_gate", self.output_gate), f("shuffle", self.shuffle);
    f("activation", self.activation), f("residual_last", self.residual_last), f("result", self.result);
    f("reciprocal", self.reciprocal), f("crop", self.crop), f("low_products", self.low_products), f("mean", self.mean);
    f("excitation", self.excitation);
  }
  Desc infer(Descs in) const;
  bool operator==(const Conv2d&) const = default;

  // The inputs of a Conv2d by role, whatever they are: Values, Descs or Operands.
  template <class T>
  struct Inputs {
    std::span<const T> sources;
    const T* gate;      // null: none, as for the others
    const T* residual;
    const T* addend;
    const T* output_gate;
    const T& weight;
    const T* bias;
    const T *scale, *shift;
  };
  template <class T>
  Inputs<T> inputs(std::span<const T> in) const {
    std::size_t k = sources.size();
    const auto next = [&](bool given) { return given ? &in[k++] : nullptr; };
    const T *gate_in = next(gate), *residual_in = next(residual);
    const T *addend_in = next(addend.mode != ResizeMode::none), *output_gate_in = next(output_gate);
    k += excitation.others();
    const T *weight_in = next(true), *bias_in = next(bias), *scale_in = next(affine), *shift_in = next(affine);
    return {in.first(sources.size()), gate_in, residual_in, addend_in, output_gate_in, *weight_in, bias_in, scale_in, shift_in};
  }
};

// An inverted residual block (MobileNetV2 and V3), or what there is of one:
//   y = act(project(depth_activation(depthwise(pad(expand_activation(expand x + b1)), w) + b2)) + b3) (+ x if residual,
//   before act); without expand the depthwise convolution reads x itself, without project y is what it gives
//   mean, excitation: of y, as in Conv2d
//   data: x, the other maps' means; parameters: expand_weight (M, C, 1, 1) and expand_bias (M) if expand, weight (M, 1,
//   kh, kw), bias (M), project_weight (O, M, 1, 1) and project_bias (O) if project, those of the excitation
// The wide maps between need not be stored. Networks' builders write convolutions; a pass makes them this.
struct InvertedResidual {
  Size2 stride;  // of the depthwise convolution, as the padding, with zeros
  Padding padding;
  bool expand = true;
  bool project = true;
  bool residual = false;
  Activation expand_activation;
  Activation depth_activation;
  Activation activation;  // of what is projected
  bool mean = false;
  Excitation excitation;

  static constexpr const char* name = "InvertedResidual";
  template <class Self, class F>
  static void fields(Self& self, F&& f) {
    f("stride", self.stride), f("padding", self.padding), f("expand", self.expand), f("project", self.project);
    f("residual", self.residual), f("expand_activation", self.expand_activation);
    f("depth_activation", self.depth_activation), f("activation", self.activation), f("mean", self.mean);
    f("excitation", self.excitation);
  }
  Desc infer(Descs in) const;
  bool operator==(const InvertedResidual&) const = default;

  // The inputs by role, whatever they are: Values, Descs or Operands.
  template <class T>
  struct Inputs {
    const T& x;
    const T *expand_weight, *expand_bias;  // null: none, as below
    const T &weight, &bias;
    const T *project_weight, *project_bias;
  };
  template <class T>
  Inputs<T> inputs(std::span<const T> in) const {
    const std::size_t first = 1 + excitation.others(), k = expand ? first + 2 : first;
    const auto given = [&](bool there, std::size_t at) { return there ? &in[at] : nullptr; };
    return {in[0],     given(expand, first),   given(expand, first + 1), in[k],
            in[k + 1], given(project, k + 2), given(project, k + 3)};
  }
};

// The adjoint of Conv2d: y(n, o, i stride - padding + a dilation, ...) += x(n, c, i, ...) w(c, o, a, ...), then bias, act.
//   data: x; parameters: weight (C, O / groups, kh, kw), bias (O) if set
//   H_out = (H - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1
struct ConvTranspose2d {
  Size2 stride;
  Padding padding;
  Size2 output_padding = 0;
  Size2 dilation;
  int groups = 1;
  bool bias = false;
  Activation activation;

  static constexpr const char* name = "ConvTranspose2d";
  template <class Self, class F>
  static void fields(Self& self, F&& f) {
    f("stride", self.stride), f("padding", self.padding), f("output_padding", self.output_padding);
    f("dilation", self.dilation), f("groups", self.groups), f("activation", self.activation);
  }
  Desc infer(Descs in) const;
  bool operator==(const ConvTranspose2d&) const = default;
};

// y = act(x W^T + b) on (N, C, 1, 1). Parameters: weight (O, C) or (O, C, 1, 1), bias (O) if set.
struct Linear {
  bool bias = false;
  Activation activation;

  static constexpr const char* name = "Linear";
  template <class Self, class F>
  static void fields(Self& self, F&& f) { f("activation", self.activation); }
  Desc infer(Descs in) const;
  bool operator==(const Linear&) const = default;
};

// y = act((x - mean[c]) / sqrt(var[c] + eps) * weight[c] + bias[c])
//   parameters: weight, bias, running_mean, running_var (C)
struct BatchNorm {
  float eps = 1e-5f;
  Activation activation;

  static constexpr const char* name = "BatchNorm";
  template <class Self, class F>
  static void fields(Self& self, F&& f) { f("eps", self.eps), f("activation", self.activation); }
  Desc infer(Descs in) const;
  bool operator==(const BatchNorm&) const = default;
};

// The largest or the mean of each window. Max pads with -inf. ceil_mode rounds the output's size up, but the last
// window must start inside the input or its left padding (as PyTorch does). A mean divides by the window's cells that
// lie inside the input, or with count_include_pad by those inside the padded input. Then y = act(weight[c] x + bias[c]).
//   parameters: weight, bias (C), if affine
struct Pool {
  PoolKind kind = PoolKind::max;
  Size2 kernel;
  Size2 stride;
  Padding padding;
  bool ceil_mode = false;
  bool count_include_pad = true;
  bool affine = false;
  Activation activation;

  static constexpr const char* name = "Pool";
  template <class Self, class F>
  static void fields(Self& self, F&& f) {
    f("kind", self.kind), f("kernel", self.kernel), f("stride", self.stride), f("padding", self.padding);
    f("ceil_mode", self.ceil_mode), f("count_include_pad", self.count_include_pad), f("affine", self.affine);
    f("activation", self.activation);
  }
  Desc infer(Descs in) const;
  bool operator==(const Pool&) const = default;
};

// A network's first convolution and the pooling behind it (ResNet, DenseNet, SqueezeNet):
//   y = pool(act(conv(pad(x), w) + b)), x = concat(source_k...)
//   data: one x per source; parameters: weight (O, C, kh, kw), bias (O)
// The map between, the largest of such a network, need not be stored.
struct ConvPool {
  Size2 stride;  // of the convolution, as the padding
  Padding padding;
  std::vector<Source> sources = {Source{}};
  Activation activation;
  Pool pool;  // of maxima, without a norm or an activation

  static constexpr const char* name = "ConvPool";
  template <class Self, class F>
  static void fields(Self& self, F&& f) {
    f("stride", self.stride), f("padding", self.padding), f("sources", self.sources), f("activation", self.activation);
    f("pool", self.pool);
  }
  Conv2d conv() const {
    return {.stride = stride, .padding = padding, .bias = true, .sources = sources, .activation = activation};
  }
  Desc infer(Descs in) const;
  bool operator==(const ConvPool&) const = default;
};

// Chained residual pooling (RefineNet), each stage's product being one factor a channel:
//   y = act(w[0] (t_0 + t_1 + ... )), t_0 = x, t_k = w[k] times the largest of t_(k-1) in the window round each pixel
//   parameters: weight (stages + 1, C)
struct PoolChain {
  int kernel = 5;  // 3 or 5
  int stages = 4;  // at most 4
  Activation activation;

  static constexpr const char* name = "PoolChain";
  template <class Self, class F>
  static void fields(Self& self, F&& f) {
    f("kernel", self.kernel), f("stages", self.stages), f("activation", self.activation);
  }
  Desc infer(Descs in) const;
  bool operator==(const PoolChain&) const = default;
};

// The gate of squeeze and excitation, one product for all of it:
//   y = activation(excite squeeze_activation(squeeze mean + b1) + b2) (N, O, 1, 1), mean = concat(mean over h, w of x_k)
//   data: one or several maps (N, C_k, H_k, W_k); parameters: weight (M, C) of squeeze, bias (M) if set, excite_weight (O, M),
//   excite_bias (O) if set; weights may be (.., .., 1, 1)
struct ChannelGate {
  bool bias = false;  // both, or none
  Activation squeeze_activation;
  Activation activation;

  static constexpr const char* name = "ChannelGate";
  template <class Self, class F>
  static void fields(Self& self, F&& f) { f("squeeze_activation", self.squeeze_activation), f("activation", self.activation); }
  Desc infer(Descs in) const;
  bool operator==(const ChannelGate&) const = default;

  std::size_t maps(std::size_t inputs) const { return inputs - (bias ? 4 : 2); }
};

// y(n, c, 0, 0) = mean over h, w of x
struct GlobalMean {
  static constexpr const char* name = "GlobalMean";
  template <class Self, class F>
  static void fields(Self&, F&&) {}
  Desc infer(Descs in) const;
  bool operator==(const GlobalMean&) const = default;
};

// y = act(a + b + ...), two to eight of one shape
struct Add {
  Activation activation;

  static constexpr const char* name = "Add";
  template <class Self, class F>
  static void fields(Self& self, F&& f) { f("activation", self.activation); }
  Desc infer(Descs in) const;
  bool operator==(const Add&) const = default;
};

// y = act(a * b); b has a's shape, or extent 1 where it is repeated: a gate (N, C, 1, 1), a mask (N, 1, H, W)
struct Multiply {
  Activation activation;

  static constexpr const char* name = "Multiply";
  template <class Self, class F>
  static void fields(Self& self, F&& f) { f("activation", self.activation); }
  Desc infer(Descs in) const;
  bool operator==(const Multiply&) const = default;
};

// Along channels, in the order of the inputs.
struct Concat {
  static constexpr const char* name = "Concat";
  template <class Self, class F>
  static void fields(Self&, F&&) {}
  Desc infer(Descs in) const;
  bool operator==(const Concat&) const = default;
};

// y(n, c, h f + i, w f + j) = x(n, c f^2 + i f + j, h, w)
struct PixelShuffle {
  int factor = 2;

  static constexpr const char* name = "PixelShuffle";
  template <class Self, class F>
  static void fields(Self& self, F&& f) { f("factor", self.factor); }
  Desc infer(Descs in) const;
  bool operator==(const PixelShuffle&) const = default;
};

struct Pad {
  Padding padding;
  PadMode mode = PadMode::zeros;

  static constexpr const char* name = "Pad";
  template <class Self, class F>
  static void fields(Self& self, F&& f) { f("padding", self.padding), f("mode", self.mode); }
  Desc infer(Descs in) const;
  bool operator==(const Pad&) const = default;
};

// y = x[begin, begin + count) along one axis (0 to 3: n, c, h, w)
struct Slice {
  int axis = 1;
  int begin = 0;
  int count = 1;

  static constexpr const char* name = "Slice";
  template <class Self, class F>
  static void fields(Self& self, F&& f) { f("axis", self.axis), f("begin", self.begin), f("count", self.count); }
  Desc infer(Descs in) const;
  bool operator==(const Slice&) const = default;
};

// The same elements in N, C, H, W order, cut anew per image: c h w stays the same.
struct Reshape {
  int c = 1, h = 1, w = 1;

  static constexpr const char* name = "Reshape";
  template <class Self, class F>
  static void fields(Self& self, F&& f) { f("c", self.c), f("h", self.h), f("w", self.w); }
  Desc infer(Descs in) const;
  bool operator==(const Reshape&) const = default;
};

// y = mean of x over the (2 radius + 1)^2 window, clipped at the borders and divided by the cells that remain
struct BoxFilter {
  int radius = 1;

  static constexpr const char* name = "BoxFilter";
  template <class Self, class F>
  static void fields(Self& self, F&& f) { f("radius", self.radius); }
  Desc infer(Descs in) const;
  bool operator==(const BoxFilter&) const = default;
};

// Fast guided filter (Wu et al. 2018). data: signal y (N, C, h, w), guide x (N, 1, h, w), full guide X (N, 1, H, W)
//   mean = box filter;  A = (mean(x y) - mean(x) mean(y)) / (mean(x^2) - mean(x)^2 + eps);  b = mean(y) - A mean(x)
//   out = up(A) X + up(b) (N, C, H, W), up = bilinear with align_corners
struct GuidedFilter {
  int radius = 4;
  float eps = 1e-2f;

  static constexpr const char* name = "GuidedFilter";
  template <class Self, class F>
  static void fields(Self& self, F&& f) { f("radius", self.radius), f("eps", self.eps); }
  Desc infer(Descs in) const;
  bool operator==(const GuidedFilter&) const = default;
};

// y = (x / 255 - mean[c]) / std[c], from u8 to f32. One mean and std for all channels, or one each.
struct Preprocess {
  std::vector<float> mean = {0};
  std::vector<float> std = {1};

  static constexpr const char* name = "Preprocess";
  template <class Self, class F>
  static void fields(Self& self, F&& f) { f("mean", self.mean), f("std", self.std); }
  Desc infer(Descs in) const;
  bool operator==(const Preprocess&) const = default;
};

// y = 1 / (1/max_depth + (1/min_depth - 1/max_depth) x), Monodepth2's reading of a sigmoid disparity
struct DisparityToDepth {
  float min_depth = 0.1f;
  float max_depth = 100;

  static constexpr const char* name = "DisparityToDepth";
  template <class Self, class F>
  static void fields(Self& self, F&& f) { f("min_depth", self.min_depth), f("max_depth", self.max_depth); }
  Desc infer(Descs in) const;
  bool operator==(const DisparityToDepth&) const = default;
};

using Op = std::variant<Conv2d, InvertedResidual, ConvTranspose2d, Linear, ChannelGate, BatchNorm, Activation, Pool, ConvPool, PoolChain, GlobalMean,
                        Add, Multiply, Affine, Concat, Resize, PixelShuffle, Pad, Slice, Reshape, BoxFilter, GuidedFilter, Preprocess,
                        DisparityToDepth>;

const char* name_of(const Op& op);
Desc infer(const Op& op, Descs in);  // of the first output
std::vector<Desc> infer_outputs(const Op& op, Descs in);
// What would make the second output of an op with so many inputs by itself: GlobalMean or ChannelGate, and which of the
// inputs it reads, -1 being the first output.
struct SecondOutput;
std::optional<SecondOutput> second_output(const Op& op, std::size_t inputs);
struct SecondOutput {
  Op op;
  std::vector<int> in;
};
// The parameters an op reads, by their names in a checkpoint ("weight", "bias", ...): the last of its inputs, in this order.
std::vector<const char*> parameter_names(const Op& op);
// Multiply-adds of convolutions and linear layers, as papers count them; 0 for the rest.
double multiply_adds(const Op& op, Descs in, const Desc& out);
// "Conv2d stride 2 padding 3 activation relu": the fields that are not at their defaults.
std::string to_text(const Op& op);

}  // namespace fathom
