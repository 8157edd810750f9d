// y = act(shuffle((conv(pad(x'), w) + b) * output_gate) + residual + resize(addend))
//   x' = input_activation(gate * (scale x + shift)), x = concat(source_k...)
//
// One image at a time. Its sources are first gathered into one map x (h, w, c), resized, scaled, gated and padded; then
// every strip of 16 output positions copies what its windows see and multiplies it by the weights of one output channel
// after another. Sums run in double, in the order channel, row, column of the weights.
#include <algorithm>
#include <array>

#include "kernels/in_parts.hpp"
#include "kernels/reference/kernels.hpp"
#include "kernels/reference/loops.hpp"
#include "kernels/reference/sampling.hpp"

namespace fathom {

namespace {

using namespace reference;

constexpr std::int64_t strip = 16;  // output positions that share one pass over the weights

// Sizes of one convolution, all in elements.
struct Geometry {
  Size2 stride, dilation;
  std::int64_t height, width, channels;  // of the gathered map
  std::int64_t kernel_h, kernel_w;
  std::int64_t group_in, group_out;  // channels of one group
  std::int64_t out_w, positions;     // of one output image
  std::vector<bool> centre;          // channels that only the middle of the kernel reads
  std::int64_t window() const { return group_in * kernel_h * kernel_w; }
};

struct Gathered {
  std::int64_t w, c;
  float* data;
  float& operator()(std::int64_t i, std::int64_t j, std::int64_t k) const { return data[(i * w + j) * c + k]; }
};

// What happens to a channel between its source and the padding: input_activation(gate * (scale x + shift)).
struct Prologue {
  const Conv2d& op;
  View<const float, 4> gate, scale, shift;
  float operator()(std::int64_t n, std::int64_t c, double value) const {
    // Rounded to float at each stage, as the unfused ops store it.
    auto x = static_cast<float>(value);
    if (op.affine) x = static_cast<float>(static_cast<double>(scale(c, 0, 0, 0)) * x + shift(c, 0, 0, 0));
    if (op.gate) x = static_cast<float>(static_cast<double>(x) * gate(n, c, 0, 0));
    return static_cast<float>(apply(op.input_activation, x));
  }
};

// x(i, j, channels of this source) = pad(prologue(resize(source))) of image n
void gather(const Gathered& x, std::int64_t first_channel, const View<const float, 4>& source, const MapTaps& taps,
            const Prologue& prologue, std::int64_t n) {
  for (std::size_t i = 0; i < taps.rows.size(); ++i)
    for (std::size_t j = 0; j < taps.cols.size(); ++j)
      for (std::int64_t c = 0; c < source.extent[1]; ++c) {
        const bool outside = taps.rows[i].first < 0 || taps.cols[j].first < 0;
        x(static_cast<std::int64_t>(i), static_cast<std::int64_t>(j), first_channel + c) =
            outside ? 0 : prologue(n, first_channel + c, sample(source, n, c, taps.rows[i], taps.cols[j]));
      }
}

// The same of a photograph: x = pad((resize(source) / 255 - mean[c]) / std[c])
void gather(const Gathered& x, std::int64_t first_channel, const View<const std::uint8_t, 4>& photo,
            const MapTaps& taps, const Source& source, std::int64_t n) {
  const auto of = [](const std::vector<float>& list, std::int64_t c) {
    return list[list.size() == 1 ? 0 : static_cast<std::size_t>(c)];
  };
  for (std::size_t i = 0; i < taps.rows.size(); ++i)
    for (std::size_t j = 0; j < taps.cols.size(); ++j)
      for (std::int64_t c = 0; c < photo.extent[1]; ++c) {
        const Tap &row = taps.rows[i], &col = taps.cols[j];
        const bool outside = row.first < 0 || col.first < 0;
        x(static_cast<std::int64_t>(i), static_cast<std::int64_t>(j), first_channel + c) =
            outside ? 0
                    : static_cast<float>((sample(photo, n, c, row, col) / 255.0 - of(source.mean, c)) / of(source.std, c));
      }
}

// window[k][p] = what tap k = (c, a, b) of the kernel sees of this group at output position start + p
// (positions past the end repeat the last one; they are not stored)
void copy_windows(double* window, const Gathered& x, const Geometry& g, std::int64_t group, std::int64_t start) {
  for (std::int64_t p = 0; p < strip; ++p) {
    const std::int64_t at = std::min(start + p, g.positions - 1);
    const std::int64_t top = at / g.out_w * g.stride.h, left = at % g.out_w * g.stride.w;
    double* cell = window + p;
    for (std::int64_t c = group * g.group_in; c < (group + 1) * g.group_in; ++c)
      for (std::int64_t a = 0; a < g.kernel_h; ++a)
        for (std::int64_t b = 0; b < g.kernel_w; ++b, cell += strip)
          *cell = g.centre[static_cast<std::size_t>(c)] && (a != g.kernel_h / 2 || b != g.kernel_w / 2)
                      ? 0
                      : x(top + a * g.dilation.h, left + b * g.dilation.w, c);
  }
}

// sums[p] = sum over k of w[k] window[k][p]
std::array<double, strip> dot(const float* w, const double* window, std::int64_t taps) {
  std::array<double, strip> sums{};
  for (std::int64_t k = 0; k < taps; ++k)
    for (std::int64_t p = 0; p < strip; ++p)
      sums[static_cast<std::size_t>(p)] += static_cast<double>(w[k]) * window[k * strip + p];
  return sums;
}

}  // namespace

Step prepare(const Conv2d& op, const NodeIo& io, ReferenceBackend& backend) {
  const int residual_input = static_cast<int>(op.sources.size()) + op.gate;
  const bool on_residual = op.residual && op.crop == Size2(0) && io.in_place == residual_input;
  Step step = begin(op, io, on_residual ? Reuse::same_element : Reuse::none);
  const auto role = op.inputs(io.inputs());
  std::vector<Input> sources;
  std::vector<MapTaps> taps;  // of each source: its resize, its stride, then its padding
  std::int64_t channels = 0;
  std::vector<bool> centre;
  for (std::size_t k = 0; k < op.sources.size(); ++k) {
    const Source& source = op.sources[k];
    const Desc& x = role.sources[k].desc;
    sources.emplace_back(role.sources[k]);
    const MapTaps resized = taps_of(source.resize, x, source.resize.infer({&x, 1}));
    taps.push_back(pad(every(source.stride, resized), op.padding, source.pad_mode));
    channels += x.c();
    centre.resize(static_cast<std::size_t>(channels), source.centre);
  }
  const Desc &w = role.weight.desc, &y = io.out.desc;
  MapTaps addend_taps;
  if (role.addend) addend_taps = taps_of(op.addend, role.addend->desc, op.addend.infer({&role.addend->desc, 1}));
  const Geometry g{.stride = op.stride,
                   .dilation = op.dilation,
                   .height = static_cast<std::int64_t>(taps[0].rows.size()),
                   .width = static_cast<std::int64_t>(taps[0].cols.size()),
                   .channels = channels,
                   .kernel_h = w.extent[2],
                   .kernel_w = w.extent[3],
                   .group_in = w.extent[1],
                   .group_out = w.extent[0] / op.groups,
                   .out_w = y.w() / op.shuffle,
                   .positions = y.h() * y.w() / op.shuffle / op.shuffle,
                   .centre = centre};
  const std::int64_t window_bytes = g.window() * strip * static_cast<std::int64_t>(sizeof(double));
  step.workspace_bytes = window_bytes + g.height * g.width * g.channels * static_cast<std::int64_t>(sizeof(float));

  step.run = [op, g, window_bytes, sources, taps, addend_taps, operands = io.in, weight_in = Input(role.weight),
              bias_in = Input(role.bias), gate_in = Input(role.gate), scale_in = Input(role.scale),
              shift_in = Input(role.shift), residual_in = Input(role.residual), addend_in = Input(role.addend),
              output_gate_in = Input(role.output_gate), out = io.out](const RunArgs& args) {
    const View<const float, 4> weight = weight_in(args), bias = bias_in(args), output_gate = output_gate_in(args);
    const View<const float, 4> residual = residual_in(args), addend = addend_in(args);
    const Prologue prologue{op, gate_in(args), scale_in(args), shift_in(args)};
    const View<float, 4> y = args.view<float>(out);
    auto* window = reinterpret_cast<double*>(args.workspace);  // (window, strip)
    const Gathered x{g.width, g.channels, reinterpret_cast<float*>(args.workspace + window_bytes)};
    const auto store = [&](std::int64_t n, std::int64_t o, std::int64_t at, double value) {
      if (bias_in) value += bias(o, 0, 0, 0);
      if (output_gate_in) value *= output_gate(n, o, 0, 0);
      const std::int64_t f = op.shuffle, c = o / (f * f);
      const std::int64_t i = at / g.out_w * f + o % (f * f) / f, j = at % g.out_w * f + o % f;
      if (op.residual_last) value = apply(op.activation, value);
      if (residual_in) value += residual(n, c, i, j);
      if (addend_in)
        value += sample(addend, n, c, addend_taps.rows[static_cast<std::size_t>(i)],
                        addend_taps.cols[static_cast<std::size_t>(j)]);
      if (!op.residual_last) value = apply(op.activation, value);
      value = op.result.scale * value + op.result.shift;
      y(n, c, i, j) = static_cast<float>(op.reciprocal ? 1 / value : value);
    };

    for (std::int64_t n = 0; n < y.extent[0]; ++n) {
      std::int64_t first_channel = 0;
      for (std::size_t k = 0; k < sources.size(); ++k) {
        const Operand& from = operands[k];
        if (from.desc.dtype == DType::u8)
          gather(x, first_channel, args.view<const std::uint8_t>(from), taps[k], op.sources[k], n);
        else
          gather(x, first_channel, sources[k](args), taps[k], prologue, n);
        first_channel += from.desc.c();
      }
      for (std::int64_t start = 0; start < g.positions; start += strip)
        for (std::int64_t group = 0; group < op.groups; ++group) {
          copy_windows(window, x, g, group, start);
          for (std::int64_t o = group * g.group_out; o < (group + 1) * g.group_out; ++o) {
            const std::array<double, strip> sums = dot(weight.data + o * g.window(), window, g.window());
            for (std::int64_t p = 0; p < std::min(strip, g.positions - start); ++p)
              store(n, o, start + p, sums[static_cast<std::size_t>(p)]);
          }
        }
    }
  };
  step = with_second_output(std::move(step), op, io, backend);
  step.kernel = "reference";
  return step;
}

}  // namespace fathom
