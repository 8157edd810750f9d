// y = act(conv(pad(concat(resize(x_k)...) * gate), w) + b + residual)
//
// One image at a time. Its sources are first gathered into one map x (h, w, c), resized, gated and padded; then every
// strip of 16 output positions copies what its windows see and multiplies it by the weights of one output channel after
// another. Sums run in double, in the order channel, row, column of the weights.
#include <algorithm>
#include <array>

#include "kernels/reference/kernels.hpp"
#include "kernels/reference/loops.hpp"
#include "kernels/reference/sampling.hpp"

namespace fathom {

namespace {

using namespace reference;

constexpr std::int64_t strip = 16;  // output positions that share one pass over the weights

struct Gathered {
  std::int64_t h, w, c;  // of the padded, concatenated map
  float* data;
  float& operator()(std::int64_t i, std::int64_t j, std::int64_t k) const { return data[(i * w + j) * c + k]; }
};

// x(i, j, channels of this source) = pad(resize(source) * gate) of image n
void gather(const Gathered& x, std::int64_t first_channel, const View<const float, 4>& source, const MapTaps& taps,
            const View<const float, 4>* gate, std::int64_t n) {
  const std::int64_t channels = source.extent[1];
  for (std::int64_t i = 0; i < x.h; ++i)
    for (std::int64_t j = 0; j < x.w; ++j)
      for (std::int64_t c = 0; c < channels; ++c) {
        float& value = x(i, j, first_channel + c);
        // Rounded to float at each stage, as the unfused ops store it.
        value = static_cast<float>(
            sample(source, n, c, taps.rows[static_cast<std::size_t>(i)], taps.cols[static_cast<std::size_t>(j)]));
        if (gate) value = static_cast<float>(static_cast<double>(value) * (*gate)(n, first_channel + c, 0, 0));
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

Step prepare(const Conv2d& op, const NodeIo& io, ReferenceBackend&) {
  Step step = begin(
      op, io,
      op.residual && io.in_place == static_cast<int>(op.sources.size()) + op.gate ? Reuse::same_element : Reuse::none);
  const auto role = op.inputs(io.inputs());
  std::vector<Input> sources;
  std::vector<MapTaps> taps;
  std::int64_t channels = 0;
  for (std::size_t k = 0; k < op.sources.size(); ++k) {
    const Desc& x = role.sources[k].desc;
    sources.emplace_back(role.sources[k]);
    taps.push_back(
        pad(taps_of(op.sources[k].resize, x, op.sources[k].resize.infer({&x, 1})), op.padding, op.sources[k].pad_mode));
    channels += x.c();
  }
  const auto height = static_cast<std::int64_t>(taps[0].rows.size()),
             width = static_cast<std::int64_t>(taps[0].cols.size());
  const Desc w_desc = role.weight.desc;
  const std::int64_t group_in = w_desc.extent[1], kernel_h = w_desc.extent[2], kernel_w = w_desc.extent[3];
  const std::int64_t group_out = w_desc.extent[0] / op.groups, window_taps = group_in * kernel_h * kernel_w;
  const std::int64_t window_bytes = window_taps * strip * static_cast<std::int64_t>(sizeof(double));
  step.workspace_bytes = window_bytes + height * width * channels * static_cast<std::int64_t>(sizeof(float));

  const auto optional = [](const Operand* o) {
    return std::vector<Input>(o ? std::vector<Input>{Input(*o)} : std::vector<Input>{});
  };
  step.run = [=, weight = Input(role.weight), bias = optional(role.bias), gate = optional(role.gate),
              residual = optional(role.residual), out = io.out](const RunArgs& args) {
    const auto views = [&](const std::vector<Input>& in) { return in.empty() ? View<const float, 4>{} : in[0](args); };
    const View<const float, 4> w = weight(args), b = views(bias), g = views(gate), r = views(residual);
    const View<float, 4> y = args.view<float>(out);
    auto* window = reinterpret_cast<double*>(args.workspace);  // (window taps, strip)
    const Gathered x{height, width, channels, reinterpret_cast<float*>(args.workspace + window_bytes)};
    const std::int64_t positions = y.extent[2] * y.extent[3];

    for (std::int64_t n = 0; n < y.extent[0]; ++n) {
      std::int64_t first_channel = 0;
      for (std::size_t k = 0; k < sources.size(); ++k) {
        const View<const float, 4> source = sources[k](args);
        gather(x, first_channel, source, taps[k], gate.empty() ? nullptr : &g, n);
        first_channel += source.extent[1];
      }
      for (std::int64_t start = 0; start < positions; start += strip)
        for (std::int64_t group = 0; group < op.groups; ++group) {
          const std::int64_t count = std::min(strip, positions - start);
          for (std::int64_t p = 0; p < strip; ++p) {  // positions past the end repeat the last one and are not stored
            const std::int64_t at = start + std::min(p, count - 1), i = at / y.extent[3], j = at % y.extent[3];
            double* cell = window + p;
            for (std::int64_t c = 0; c < group_in; ++c)
              for (std::int64_t a = 0; a < kernel_h; ++a)
                for (std::int64_t e = 0; e < kernel_w; ++e, cell += strip)
                  *cell =
                      x(i * op.stride.h + a * op.dilation.h, j * op.stride.w + e * op.dilation.w, group * group_in + c);
          }
          for (std::int64_t o = group * group_out; o < (group + 1) * group_out; ++o) {
            const std::array<double, strip> sums = dot(w.data + o * window_taps, window, window_taps);
            for (std::int64_t p = 0; p < count; ++p) {
              const std::int64_t i = (start + p) / y.extent[3], j = (start + p) % y.extent[3];
              double value = sums[static_cast<std::size_t>(p)];
              if (!bias.empty()) value += b(o, 0, 0, 0);
              if (!residual.empty()) value += r(n, o, i, j);
              y(n, o, i, j) = static_cast<float>(apply(op.activation, value));
            }
          }
        }
    }
  };
  return step;
}

}  // namespace fathom
