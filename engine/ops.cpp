#include "engine/ops.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <type_traits>

#include "fathom/error.hpp"

namespace fathom {

namespace {

[[noreturn]] void disagree(const std::string& what) { throw Error(ErrorKind::shape, what); }

void expect_inputs(Descs in, std::size_t count) {
  if (in.size() != count)
    disagree("expected " + std::to_string(count) + " inputs and parameters, got " + std::to_string(in.size()));
}

void expect_map(const Desc& x) {
  if (x.rank != 4) disagree("expected a map (N, C, H, W), got " + shape_text(x));
}

void expect_shape(const char* what, const Desc& got, const Desc& wanted) {
  if (!got.same_extents(wanted))
    disagree(std::string(what) + " has shape " + shape_text(got) + ", expected " + shape_text(wanted));
}

void expect_positive(const char* what, Size2 s) {
  if (s.h < 1 || s.w < 1) disagree(std::string(what) + " must be at least 1, got " + std::to_string(s.h) + "x" + std::to_string(s.w));
}

void expect_padding(const Padding& p) {
  if (p.top < 0 || p.left < 0 || p.bottom < 0 || p.right < 0) disagree("padding must not be negative");
}

// Bounds far above any network's, so that sizes computed from a graph of unknown origin cannot overflow.
Desc map_like(const Desc& x, std::int64_t c, std::int64_t h, std::int64_t w) {
  constexpr std::int64_t largest_extent = std::int64_t{1} << 30, most_elements = std::int64_t{1} << 40;
  const bool empty = c < 1 || h < 1 || w < 1;
  const bool absurd = c > largest_extent || h > largest_extent || w > largest_extent;
  if (empty || absurd || x.n() > most_elements / c / h / w)
    disagree(std::string("the output would be ") + (empty ? "empty: (" : "absurdly large: (") + std::to_string(x.n()) + ", " +
             std::to_string(c) + ", " + std::to_string(h) + ", " + std::to_string(w) + ") from " + shape_text(x));
  return Desc::nhwc(x.n(), c, h, w);
}
Desc map_like(const Desc& x) { return map_like(x, x.c(), x.h(), x.w()); }

// Reflection needs more rows than it adds: x[-p] = x[p].
void expect_room(const Desc& x, const Padding& p, PadMode mode) {
  if (mode != PadMode::reflect) return;
  if (std::max(p.top, p.bottom) >= x.h() || std::max(p.left, p.right) >= x.w())
    disagree("reflection padding needs a map larger than the padding, got " + shape_text(x));
}

// How many windows of `kernel` (spread by `dilation`) fit into `size` plus its padding at this stride.
std::int64_t windows(std::int64_t size, std::int64_t kernel, int before, int after, int stride, int dilation, bool ceil_mode = false) {
  const std::int64_t room = size + before + after - (dilation * (kernel - 1) + 1);
  if (room < 0) return 0;
  std::int64_t count = (ceil_mode ? room + stride - 1 : room) / stride + 1;
  if (ceil_mode && (count - 1) * stride >= size + before) --count;
  return count;
}

}  // namespace

Desc Activation::infer(Descs in) const {
  expect_inputs(in, 1), expect_map(in[0]);
  return map_like(in[0]);
}

Desc Resize::infer(Descs in) const {
  expect_inputs(in, 1), expect_map(in[0]);
  if (mode == ResizeMode::none) return map_like(in[0]);
  const bool by_scale = scale != Size2(0), by_size = size != Size2(0);
  if (by_scale == by_size) disagree("exactly one of scale and size must be set");
  expect_positive(by_scale ? "scale" : "size", by_scale ? scale : size);
  if (by_size) return map_like(in[0], in[0].c(), size.h, size.w);
  return map_like(in[0], in[0].c(), in[0].h() * scale.h, in[0].w() * scale.w);
}

Desc Source::infer(Descs in) const {
  expect_positive("a source's stride", stride);
  const Desc x = resize.infer(in);
  return map_like(x, x.c(), (x.h() + stride.h - 1) / stride.h, (x.w() + stride.w - 1) / stride.w);
}

std::int64_t nearest_index(std::int64_t i, std::int64_t in, std::int64_t out) {
  if (out == in) return i;
  if (out == 2 * in) return i / 2;
  const float ratio = static_cast<float>(in) / static_cast<float>(out);
  return std::min(static_cast<std::int64_t>(static_cast<float>(i) * ratio), in - 1);
}

namespace {
// A photograph is normalised as it is read, and nothing else is.
void expect_normalised(const Source& source, const Desc& x, bool gated) {
  const auto fits = [&](const std::vector<float>& list) { return list.size() == 1 || list.size() == static_cast<std::size_t>(x.c()); };
  const bool given = !source.mean.empty() || !source.std.empty();
  if ((x.dtype == DType::u8) != given) disagree(given ? "a mean and std are for a photograph (u8)" : "a photograph (u8) as source needs a mean and std");
  if (given && (gated || !fits(source.mean) || !fits(source.std)))
    disagree("a photograph as source takes one mean and std, or one for each channel, and no gate");
}

// `others`: the means of the other maps.
void expect_gate(const Excitation& e, bool mean, std::int64_t images, Descs others) {
  if (e.maps == 0) return;
  if (!mean || e.maps < 0 || e.place < 0 || e.place >= e.maps)
    disagree("an excitation is made of means, this map's at a place among those of " + std::to_string(e.maps) + " maps");
  for (const Desc& d : others) {
    expect_map(d);
    expect_shape("the means of another map", d, Desc::nhwc(images, d.c(), 1, 1));
  }
}
}  // namespace

Desc Conv2d::infer(Descs in) const {
  if (sources.empty()) disagree("a convolution needs a source");
  const bool added = addend.mode != ResizeMode::none;
  expect_inputs(in, sources.size() + gate + residual + added + output_gate + excitation.others() + 1 + bias + 2 * affine +
                        excitation.parameters());
  const std::size_t others = sources.size() + gate + residual + added + output_gate;
  expect_gate(excitation, mean, in[0].n(), in.subspan(others, excitation.others()));
  expect_positive("stride", stride), expect_positive("dilation", dilation), expect_padding(padding);
  const Inputs<Desc> role = inputs(in);
  Desc x;
  for (std::size_t k = 0; k < sources.size(); ++k) {
    const Desc source = sources[k].infer(role.sources.subspan(k, 1));
    expect_normalised(sources[k], role.sources[k], gate);
    expect_room(source, padding, sources[k].pad_mode);
    if (k == 0) {
      x = source;
    } else {
      if (source.n() != x.n() || source.h() != x.h() || source.w() != x.w())
        disagree("source " + std::to_string(k) + " is " + shape_text(source) + " after its resize, the one before " + shape_text(x));
      x = map_like(x, x.c() + source.c(), x.h(), x.w());
    }
  }
  const Desc& w = role.weight;
  if (w.rank != 4) disagree("the weight must be (O, C / groups, kh, kw), got " + shape_text(w));
  if (groups < 1 || x.c() % groups || w.extent[0] % groups)
    disagree(std::to_string(groups) + " groups do not divide " + std::to_string(x.c()) + " input and " +
             std::to_string(w.extent[0]) + " output channels");
  if (w.extent[1] != x.c() / groups)
    disagree("the weight " + shape_text(w) + " takes " + std::to_string(w.extent[1] * groups) + " channels, the input has " +
             std::to_string(x.c()));
  if (role.bias) expect_shape("the bias", *role.bias, Desc::dense({w.extent[0]}));
  if (role.gate) expect_shape("the gate", *role.gate, Desc::nhwc(x.n(), x.c(), 1, 1));
  if (affine) expect_shape("the scale", *role.scale, Desc::dense({x.c()})), expect_shape("the shift", *role.shift, Desc::dense({x.c()}));
  if (role.output_gate) expect_shape("the output's gate", *role.output_gate, Desc::nhwc(x.n(), w.extent[0], 1, 1));
  for (const Source& s : sources)
    if (s.centre && (w.extent[2] % 2 == 0 || w.extent[3] % 2 == 0)) disagree("a kernel without a middle cannot read a source in its middle");
  Desc y = map_like(x, w.extent[0], windows(x.h(), w.extent[2], padding.top, padding.bottom, stride.h, dilation.h),
                          windows(x.w(), w.extent[3], padding.left, padding.right, stride.w, dilation.w));
  if (shuffle != 1) y = PixelShuffle{shuffle}.infer({&y, 1});
  if (crop.h < 0 || crop.w < 0 || crop.h >= y.h() || crop.w >= y.w() || (crop != Size2(0) && shuffle != 1))
    disagree("a crop leaves rows and columns of " + shape_text(y) + ", and nothing is cropped as it is shuffled");
  if (reciprocal && result.scale == 0 && result.shift == 0) disagree("the reciprocal of a result that is 0");
  if (role.residual) expect_shape("the residual", *role.residual, y);
  if (role.addend) expect_shape("the resized addend", addend.infer({role.addend, 1}), y);
  if (crop != Size2(0)) y = map_like(y, y.c(), y.h() - crop.h, y.w() - crop.w);
  if (low_products && (sources.size() != 1 || sources[0].stride != Size2(1) || sources[0].resize.mode != ResizeMode::bilinear || sources[0].pad_mode != PadMode::zeros ||
                       groups != 1 || gate || affine || !(input_activation == Activation{}) || stride != Size2(1) || dilation != Size2(1)))
    disagree("products at the source's size need one bilinear source, zero padding, no gate, one group, stride and dilation 1");
  return y;
}

Desc InvertedResidual::infer(Descs in) const {
  expect_inputs(in, 3 + excitation.others() + 2 * expand + 2 * project + excitation.parameters()), expect_map(in[0]);
  expect_gate(excitation, mean, in[0].n(), in.subspan(1, excitation.others()));
  expect_positive("stride", stride), expect_padding(padding);
  const Inputs<Desc> role = inputs(in);
  const Desc &x = role.x, &w = role.weight;
  if (w.rank != 4 || w.extent[1] != 1) disagree("the depthwise weight must be (M, 1, kh, kw), got " + shape_text(w));
  const std::int64_t wide = w.extent[0];
  if (expand)
    expect_shape("the weight that expands", *role.expand_weight, Desc::dense({wide, x.c(), 1, 1})),
        expect_shape("its bias", *role.expand_bias, Desc::dense({wide}));
  else if (wide != x.c())
    disagree("a depthwise weight of " + std::to_string(wide) + " channels does not fit the input " + shape_text(x));
  expect_shape("the depthwise bias", role.bias, Desc::dense({wide}));
  Desc y = map_like(x, wide, windows(x.h(), w.extent[2], padding.top, padding.bottom, stride.h, 1),
                    windows(x.w(), w.extent[3], padding.left, padding.right, stride.w, 1));
  if (project) {
    const Desc& p = *role.project_weight;
    expect_shape("the weight that projects", p, Desc::dense({p.extent[0], wide, 1, 1}));
    expect_shape("its bias", *role.project_bias, Desc::dense({p.extent[0]}));
    y = map_like(y, p.extent[0], y.h(), y.w());
  } else if (residual || !(activation == Activation{})) {
    disagree("a residual or an activation of what is projected, and nothing is");
  }
  if (residual) expect_shape("the input, as a residual,", x, y);
  return y;
}

Desc ConvTranspose2d::infer(Descs in) const {
  expect_inputs(in, 2 + bias);
  const Desc &x = in[0], &w = in[1];
  expect_map(x), expect_positive("stride", stride), expect_positive("dilation", dilation), expect_padding(padding);
  if (output_padding.h < 0 || output_padding.w < 0 || output_padding.h >= std::max(stride.h, dilation.h) ||
      output_padding.w >= std::max(stride.w, dilation.w))
    disagree("output padding must be smaller than the stride or the dilation");
  if (w.rank != 4) disagree("the weight must be (C, O / groups, kh, kw), got " + shape_text(w));
  if (groups < 1 || x.c() % groups || w.extent[0] != x.c())
    disagree("the weight " + shape_text(w) + " in " + std::to_string(groups) + " groups does not fit the input " + shape_text(x));
  if (bias) expect_shape("the bias", in[2], Desc::dense({w.extent[1] * groups}));
  return map_like(x, w.extent[1] * groups,
                  (x.h() - 1) * stride.h - padding.top - padding.bottom + dilation.h * (w.extent[2] - 1) + output_padding.h + 1,
                  (x.w() - 1) * stride.w - padding.left - padding.right + dilation.w * (w.extent[3] - 1) + output_padding.w + 1);
}

Desc ChannelGate::infer(Descs in) const {
  if (in.size() < (bias ? 5u : 3u)) disagree("expected a map and " + std::to_string(bias ? 4 : 2) + " parameters, got " + std::to_string(in.size()));
  const std::size_t count = maps(in.size());
  std::int64_t channels = 0;
  for (std::size_t k = 0; k < count; ++k) {
    expect_map(in[k]), channels += in[k].c();
    if (in[k].n() != in[0].n()) disagree("maps of one gate have one batch, got " + shape_text(in[0]) + " and " + shape_text(in[k]));
  }
  const Desc &squeeze = in[count], &excite = in[count + 1 + bias];
  const std::int64_t hidden = squeeze.extent[0];
  if (squeeze.elements() != hidden * channels || squeeze.extent[1] != channels)
    disagree("the weight " + shape_text(squeeze) + " does not fit means of " + std::to_string(channels) + " channels");
  if (excite.elements() != excite.extent[0] * hidden || excite.extent[1] != hidden)
    disagree("the second weight " + shape_text(excite) + " does not fit the first, " + shape_text(squeeze));
  if (bias) expect_shape("the bias", in[count + 1], Desc::dense({hidden})), expect_shape("the second bias", in[count + 3], Desc::dense({excite.extent[0]}));
  return map_like(in[0], excite.extent[0], 1, 1);
}

Desc Linear::infer(Descs in) const {
  expect_inputs(in, 2 + bias);
  const Desc &x = in[0], &w = in[1];
  expect_map(x);
  if (x.h() != 1 || x.w() != 1) disagree("expected (N, C, 1, 1), got " + shape_text(x));
  if (w.elements() != w.extent[0] * x.c() || w.extent[1] != x.c())
    disagree("the weight " + shape_text(w) + " does not fit the input " + shape_text(x));
  if (bias) expect_shape("the bias", in[2], Desc::dense({w.extent[0]}));
  return map_like(x, w.extent[0], 1, 1);
}

Desc BatchNorm::infer(Descs in) const {
  expect_inputs(in, 5), expect_map(in[0]);
  for (std::size_t k = 1; k < 5; ++k) expect_shape("a parameter", in[k], Desc::dense({in[0].c()}));
  return map_like(in[0]);
}

Desc Pool::infer(Descs in) const {
  expect_inputs(in, affine ? 3 : 1), expect_map(in[0]), expect_positive("kernel", kernel), expect_positive("stride", stride), expect_padding(padding);
  for (const Desc& d : in.subspan(1)) expect_shape("a parameter", d, Desc::dense({in[0].c()}));
  if (2 * std::max(padding.top, padding.bottom) > kernel.h || 2 * std::max(padding.left, padding.right) > kernel.w)
    disagree("padding must be at most half of the kernel");
  const Desc& x = in[0];
  return map_like(x, x.c(), windows(x.h(), kernel.h, padding.top, padding.bottom, stride.h, 1, ceil_mode),
                  windows(x.w(), kernel.w, padding.left, padding.right, stride.w, 1, ceil_mode));
}

Desc ConvPool::infer(Descs in) const {
  if (pool.kind != PoolKind::max || pool.affine || pool.activation.kind != ActivationKind::none)
    disagree("the pool of a ConvPool takes the largest of each window, and nothing follows it");
  const Desc map = conv().infer(in);
  return pool.infer({&map, 1});
}

Desc PoolChain::infer(Descs in) const {
  expect_inputs(in, 2), expect_map(in[0]);
  if ((kernel != 3 && kernel != 5) || stages < 1 || stages > 4) disagree("a chain has windows of 3 or 5 and one to four stages");
  expect_shape("the weight", in[1], Desc::dense({stages + 1, in[0].c()}));
  return map_like(in[0]);
}

Desc GlobalMean::infer(Descs in) const {
  expect_inputs(in, 1), expect_map(in[0]);
  return map_like(in[0], in[0].c(), 1, 1);
}

Desc Add::infer(Descs in) const {
  if (in.size() < 2 || in.size() > 8) disagree("a sum has two to eight inputs, got " + std::to_string(in.size()));
  expect_map(in[0]);
  for (std::size_t k = 1; k < in.size(); ++k) expect_shape("another input", in[k], in[0]);
  return map_like(in[0]);
}

Desc Multiply::infer(Descs in) const {
  expect_inputs(in, 2), expect_map(in[0]), expect_map(in[1]);
  for (int r = 0; r < 4; ++r)
    if (in[1].extent[r] != in[0].extent[r] && in[1].extent[r] != 1)
      disagree("the second input " + shape_text(in[1]) + " cannot be repeated to " + shape_text(in[0]));
  return map_like(in[0]);
}

Desc Affine::infer(Descs in) const {
  expect_inputs(in, 1), expect_map(in[0]);
  return map_like(in[0]);
}

Desc Concat::infer(Descs in) const {
  if (in.empty()) disagree("nothing to concatenate");
  std::int64_t channels = 0;
  for (const Desc& x : in) {
    expect_map(x);
    if (x.n() != in[0].n() || x.h() != in[0].h() || x.w() != in[0].w())
      disagree("cannot concatenate " + shape_text(in[0]) + " and " + shape_text(x) + " along channels");
    channels += x.c();
  }
  return map_like(in[0], channels, in[0].h(), in[0].w());
}

Desc PixelShuffle::infer(Descs in) const {
  expect_inputs(in, 1), expect_map(in[0]);
  const std::int64_t square = std::int64_t{factor} * factor;
  if (factor < 1 || in[0].c() % square)
    disagree("factor " + std::to_string(factor) + " squared does not divide the channels of " + shape_text(in[0]));
  return map_like(in[0], in[0].c() / square, in[0].h() * factor, in[0].w() * factor);
}

Desc Pad::infer(Descs in) const {
  expect_inputs(in, 1), expect_map(in[0]), expect_padding(padding), expect_room(in[0], padding, mode);
  return map_like(in[0], in[0].c(), in[0].h() + padding.top + padding.bottom, in[0].w() + padding.left + padding.right);
}

Desc Slice::infer(Descs in) const {
  expect_inputs(in, 1), expect_map(in[0]);
  if (axis < 0 || axis > 3 || begin < 0 || count < 1 || begin > in[0].extent[axis] - count)
    disagree("the slice [" + std::to_string(begin) + ", " + std::to_string(begin) + " + " + std::to_string(count) + ") of axis " +
             std::to_string(axis) + " lies outside " + shape_text(in[0]));
  std::array<std::int64_t, 4> e = in[0].extent;
  e[axis] = count;
  return Desc::nhwc(e[0], e[1], e[2], e[3]);
}

Desc Reshape::infer(Descs in) const {
  expect_inputs(in, 1), expect_map(in[0]);
  const Desc y = map_like(in[0], c, h, w);
  if (y.elements() != in[0].elements()) disagree("cannot cut " + shape_text(in[0]) + " into " + shape_text(y));
  return y;
}

Desc BoxFilter::infer(Descs in) const {
  expect_inputs(in, 1), expect_map(in[0]);
  if (radius < 0) disagree("radius must not be negative");
  return map_like(in[0]);
}

Desc GuidedFilter::infer(Descs in) const {
  expect_inputs(in, 3), expect_map(in[0]);
  if (radius < 0) disagree("radius must not be negative");
  if (!(eps > 0)) disagree("eps must be positive");
  expect_shape("the guide", in[1], Desc::nhwc(in[0].n(), 1, in[0].h(), in[0].w()));
  expect_shape("the full guide", in[2], Desc::nhwc(in[0].n(), 1, in[2].h(), in[2].w()));
  return map_like(in[0], in[0].c(), in[2].h(), in[2].w());
}

Desc Preprocess::infer(Descs in) const {
  expect_inputs(in, 1), expect_map(in[0]);
  for (const auto* list : {&mean, &std})
    if (list->size() != 1 && list->size() != static_cast<std::size_t>(in[0].c()))
      disagree(std::to_string(list->size()) + " means or stds for the channels of " + shape_text(in[0]));
  return map_like(in[0]);
}

Desc DisparityToDepth::infer(Descs in) const {
  expect_inputs(in, 1), expect_map(in[0]);
  if (!(min_depth > 0) || !(max_depth > min_depth)) disagree("depths must satisfy 0 < min_depth < max_depth");
  return map_like(in[0]);
}

const char* name_of(const Op& op) {
  return std::visit([](const auto& o) { return o.name; }, op);
}

Desc infer(const Op& op, Descs in) {
  return std::visit([&](const auto& o) { return o.infer(in); }, op);
}

std::vector<Desc> infer_outputs(const Op& op, Descs in) {
  std::vector<Desc> out{infer(op, in)};
  if (const std::optional<SecondOutput> second = second_output(op, in.size())) {
    std::vector<Desc> descs;
    for (int k : second->in) descs.push_back(k < 0 ? out[0] : in[static_cast<std::size_t>(k)]);
    out.push_back(infer(second->op, descs));
  }
  return out;
}

std::optional<SecondOutput> second_output(const Op& op, std::size_t inputs) {
  const auto* conv = std::get_if<Conv2d>(&op);
  const auto* block = std::get_if<InvertedResidual>(&op);
  if (!(conv && conv->mean) && !(block && block->mean)) return {};
  const Excitation& e = conv ? conv->excitation : block->excitation;
  if (e.maps == 0) return SecondOutput{GlobalMean{}, {-1}};
  SecondOutput second{ChannelGate{e.bias, e.squeeze_activation, e.activation}, {}};
  const int end = static_cast<int>(inputs), data = end - static_cast<int>(parameter_names(op).size());
  for (int k = data - static_cast<int>(e.others()); k < data; ++k) second.in.push_back(k);
  second.in.insert(second.in.begin() + e.place, -1);
  for (int k = end - static_cast<int>(e.parameters()); k < end; ++k) second.in.push_back(k);
  return second;
}

std::vector<const char*> parameter_names(const Op& op) {
  const auto weight_and = [](bool bias) { return bias ? std::vector<const char*>{"weight", "bias"} : std::vector<const char*>{"weight"}; };
  const auto add_gate = [](std::vector<const char*>& names, const Excitation& e) {
    if (e.maps == 0) return;
    names.push_back("squeeze_weight");
    if (e.bias) names.push_back("squeeze_bias");
    names.push_back("excite_weight");
    if (e.bias) names.push_back("excite_bias");
  };
  if (const auto* o = std::get_if<Conv2d>(&op)) {
    std::vector<const char*> names = weight_and(o->bias);
    if (o->affine) names.insert(names.end(), {"input_scale", "input_shift"});
    add_gate(names, o->excitation);
    return names;
  }
  if (const auto* o = std::get_if<InvertedResidual>(&op)) {
    std::vector<const char*> names;
    if (o->expand) names = {"expand_weight", "expand_bias"};
    names.insert(names.end(), {"weight", "bias"});
    if (o->project) names.insert(names.end(), {"project_weight", "project_bias"});
    add_gate(names, o->excitation);
    return names;
  }
  if (const auto* o = std::get_if<ChannelGate>(&op))
    return o->bias ? std::vector<const char*>{"weight", "bias", "excite_weight", "excite_bias"} : std::vector<const char*>{"weight", "excite_weight"};
  if (const auto* o = std::get_if<ConvTranspose2d>(&op)) return weight_and(o->bias);
  if (const auto* o = std::get_if<Linear>(&op)) return weight_and(o->bias);
  if (const auto* o = std::get_if<Pool>(&op)) return o->affine ? weight_and(true) : std::vector<const char*>{};
  if (std::holds_alternative<ConvPool>(op)) return weight_and(true);
  if (std::holds_alternative<PoolChain>(op)) return {"weight"};
  if (std::holds_alternative<BatchNorm>(op)) return {"weight", "bias", "running_mean", "running_var"};
  return {};
}

double multiply_adds(const Op& op, Descs in, const Desc& out) {
  if (const auto* o = std::get_if<Conv2d>(&op)) {
    const Desc& w = o->inputs(in).weight;
    if (const Desc& x = in[0]; o->low_products) return static_cast<double>(x.n() * x.h() * x.w()) * static_cast<double>(w.elements());
    double per_output = 0;  // taps times channels, of all sources
    const auto taps = static_cast<double>(w.extent[2] * w.extent[3]);
    for (std::size_t k = 0; k < o->sources.size(); ++k) per_output += static_cast<double>(in[k].c()) * (o->sources[k].centre ? 1 : taps);
    return static_cast<double>(out.elements()) * per_output / o->groups;
  }
  if (const auto* o = std::get_if<InvertedResidual>(&op)) {
    const auto role = o->inputs(in);
    const auto weights = [](const Desc* w) { return w ? static_cast<double>(w->elements()) : 0; };
    return static_cast<double>(in[0].n() * in[0].h() * in[0].w()) * weights(role.expand_weight) +
           static_cast<double>(out.n() * out.h() * out.w()) * (weights(&role.weight) + weights(role.project_weight));
  }
  if (const auto* o = std::get_if<ConvPool>(&op)) return multiply_adds(o->conv(), in, o->conv().infer(in));
  if (const auto* o = std::get_if<ChannelGate>(&op))
    return static_cast<double>(out.n() * (in[o->maps(in.size())].elements() + in[o->maps(in.size()) + 1 + o->bias].elements()));
  if (std::holds_alternative<ConvTranspose2d>(op))
    return static_cast<double>(in[0].elements()) * static_cast<double>(in[1].elements() / in[1].extent[0]);
  if (std::holds_alternative<Linear>(op)) return static_cast<double>(out.elements()) * static_cast<double>(in[0].c());
  return 0;
}

namespace {

// Prints the fields of an op that differ from those of a default one.
struct Printer {
  static std::string show(bool v) { return v ? "true" : "false"; }
  static std::string show(int v) { return std::to_string(v); }
  static std::string show(float v) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%g", static_cast<double>(v));
    return digits;
  }
  static std::string show(Size2 v) { return v.h == v.w ? show(v.h) : show(v.h) + "x" + show(v.w); }
  static std::string show(const Padding& p) {
    if (p == Padding(p.top)) return show(p.top);
    return show(p.top) + "," + show(p.left) + "," + show(p.bottom) + "," + show(p.right);
  }
  template <class T>
  static std::string show(const std::vector<T>& list) {
    std::string text = "[";
    for (std::size_t k = 0; k < list.size(); ++k) text += (k ? ", " : "") + show(list[k]);
    return text + "]";
  }
  template <class T>
  static std::string show(const T& v) {
    if constexpr (std::is_enum_v<T>) {
      return enum_names<T>[static_cast<std::size_t>(v)];
    } else {
      return fields_of(v);
    }
  }
  template <class T>
  static std::string fields_of(const T& op) {
    // Walks the same fields of a default op in step, to leave out what was not set.
    std::vector<std::string> defaults;
    const T plain{};
    T::fields(plain, [&](const char*, const auto& v) { defaults.push_back(show(v)); });
    std::string text;
    std::size_t k = 0;
    T::fields(op, [&](const char* field, const auto& v) {
      const std::string now = show(v);
      if (now != defaults[k++]) text += (text.empty() ? "" : " ") + std::string(field) + " " + now;
    });
    return text;
  }
};

}  // namespace

std::string to_text(const Op& op) {
  return std::visit(
      [](const auto& o) {
        const std::string fields = Printer::fields_of(o);
        return fields.empty() ? std::string(o.name) : std::string(o.name) + " " + fields;
      },
      op);
}

}  // namespace fathom
