// ConvTranspose2d: with stride 1 it is a convolution with turned weights; else each output pixel pulls its own taps.
#include <algorithm>

#include "kernels/cpu/input.hpp"
#include "kernels/cpu/kernels.hpp"
#include "kernels/cpu/simd.hpp"

namespace fathom {

using namespace cpu;

namespace {

// (C, O / groups, kh, kw) becomes (O, C / groups, kh, kw) with its taps turned by half a circle.
Operand turned(const Operand& weight, int groups) {
  const std::int64_t c = weight.desc.extent[0], group_o = weight.desc.extent[1], kh = weight.desc.extent[2],
                     kw = weight.desc.extent[3];
  const std::int64_t group_c = c / groups, taps = kh * kw;
  Operand out = weight;
  out.name = weight.name + " turned in " + std::to_string(groups) + " groups";
  out.desc = Desc::dense({group_o * groups, group_c, kh, kw});
  auto made = std::make_shared<Constant>();
  made->desc = out.desc;
  made->values = [=]() -> std::shared_ptr<const float[]> {
    const auto from = constant_values(weight);
    std::shared_ptr<float[]> to(new float[static_cast<std::size_t>(c * group_o * taps)]);
    for (std::int64_t q = 0; q < c; ++q)
      for (std::int64_t o = 0; o < group_o; ++o)
        for (std::int64_t t = 0; t < taps; ++t)
          to[(((q / group_c * group_o) + o) * group_c + q % group_c) * taps + taps - 1 - t] =
              from[(q * group_o + o) * taps + t];
    return to;
  };
  out.constant = made;
  return out;
}

// y += x[c] w[c] for all input channels of one tap.
FATHOM_CLONES void add_tap(const float* x, std::int64_t c, const float* w, std::int64_t o, float* __restrict y) {
  for (std::int64_t q = 0; q < c; ++q) {
    const float v = x[q];
    for (std::int64_t k = 0; k < o; ++k) y[k] += v * w[q * o + k];
  }
}

Step as_convolution(const ConvTranspose2d& op, const NodeIo& io, CpuBackend& backend) {
  const Desc& w = io.in[1].desc;
  const int reach_h = op.dilation.h * int(w.extent[2] - 1), reach_w = op.dilation.w * int(w.extent[3] - 1);
  const Conv2d conv{
      .padding = {reach_h - op.padding.top, reach_w - op.padding.left,
                  reach_h - op.padding.bottom + op.output_padding.h, reach_w - op.padding.right + op.output_padding.w},
      .dilation = op.dilation,
      .groups = op.groups,
      .bias = op.bias,
      .activation = op.activation};
  NodeIo turned_io = io;
  turned_io.in[1] = turned(io.in[1], op.groups);
  Step step = prepare(conv, turned_io, backend);
  const Step meant = describe(op, io);
  step.op = meant.op, step.flops = meant.flops, step.bytes = meant.bytes;
  step.kernel = "as a convolution: " + step.kernel;
  return step;
}

}  // namespace

Step prepare(const ConvTranspose2d& op, const NodeIo& io, CpuBackend& backend) {
  expect_channels_last(io.out.desc, io.out.name);
  const Desc& w = io.in[1].desc;
  const bool room =
      op.padding.top <= op.dilation.h * (w.extent[2] - 1) && op.padding.bottom <= op.dilation.h * (w.extent[2] - 1) &&
      op.padding.left <= op.dilation.w * (w.extent[3] - 1) && op.padding.right <= op.dilation.w * (w.extent[3] - 1);
  if (op.stride == Size2(1) && room) return as_convolution(op, io, backend);

  Step step = describe(op, io);
  step.refused.push_back(std::string("as a convolution: ") +
                         (room ? "stride above 1" : "more padding than the kernel reaches"));
  step.kernel = "vector loops";
  const std::int64_t c = w.extent[0], group_o = w.extent[1], taps = w.extent[2] * w.extent[3];
  const Packed weight = packed(backend, io.in[1], "taps first", w.elements(), [&](const float* from, float* to) {
    for (std::int64_t t = 0; t < taps; ++t)
      for (std::int64_t k = 0; k < c * group_o; ++k) *to++ = from[k * taps + t];
  });
  const Packed bias = op.bias
                          ? packed(backend, io.in[2], "it is", group_o * op.groups,
                                   [&](const float* from, float* to) { std::copy_n(from, group_o * op.groups, to); })
                          : nullptr;
  step.run = [x = Input(io.in[0], backend), out = io.out, op, weight, bias, c, group_o, kh = w.extent[2],
              kw = w.extent[3], threads = backend.threads()](const RunArgs& args) {
    const View<const float, 4> in = x.view(args);
    const View<float, 4> y = args.view<float>(out);
    const std::int64_t h = y.extent[2], o = y.extent[1], group_c = c / op.groups;
    parallel_for(threads, y.extent[0] * h, [&](std::int64_t row, int) {
      const std::int64_t n = row / h, i = row % h;
      for (std::int64_t j = 0; j < y.extent[3]; ++j) {
        float* to = &y(n, 0, i, j);
        if (bias) {
          std::copy_n(bias.get(), o, to);
        } else {
          std::fill_n(to, o, 0.f);
        }
        for (std::int64_t a = 0; a < kh; ++a)
          for (std::int64_t b = 0; b < kw; ++b) {
            // The input pixel that tap (a, b) sends here, if the stride meets one.
            const std::int64_t up = i + op.padding.top - a * op.dilation.h,
                               left = j + op.padding.left - b * op.dilation.w;
            if (up < 0 || left < 0 || up % op.stride.h || left % op.stride.w) continue;
            if (up / op.stride.h >= in.extent[2] || left / op.stride.w >= in.extent[3]) continue;
            const float* from = &in(n, 0, up / op.stride.h, left / op.stride.w);
            for (std::int64_t g = 0; g < op.groups; ++g)
              add_tap(from + g * group_c, group_c, weight.get() + ((a * kw + b) * c + g * group_c) * group_o, group_o,
                      to + g * group_o);
          }
        activate_run(op.activation, to, to, o);
      }
    });
  };
  return step;
}

}  // namespace fathom
