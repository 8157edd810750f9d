// ConvTranspose2d, read from the output's side: y(n, o, p, q) = act(bias(o) + sum of w(c, o, a, b) x(n, c, i, j)) over
// the taps (a, b) that reach it, those with p + padding - a dilation = i stride (q and j alike). All phases of the
// stride are one launch. One thread makes one output; neighbouring threads make neighbouring channels of one pixel, so
// that all of them take the same taps. Weights and sums in float32: taps, then channels.
#include <algorithm>

#include "conv.cuh"

namespace fathom {

namespace gpu {

namespace {

// The input coordinate that a tap brings to `at` (of the padded output), -1: none.
__device__ int meeting(int at, int stride, int in) {
  return at >= 0 && at % stride == 0 && at / stride < in ? at / stride : -1;
}

__global__ void conv_transpose_kernel(AnyMap x, AnyMap y, ConvGeometry g, const float* weight, const float* bias,
                                      Activation f, int stored) {
  const int q = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y), p = static_cast<int>(blockIdx.y),
            n = static_cast<int>(blockIdx.z);
  if (q >= g.ow) return;
  for (int o = static_cast<int>(threadIdx.x); o < stored; o += static_cast<int>(blockDim.x)) {
    const int first = o / g.group_out() * g.group_in();  // the first channel of o's group
    float sum = bias && o < g.o ? bias[o] : 0;
    for (int a = 0; a < g.kh && o < g.o; ++a) {
      const int i = meeting(p + g.top - a * g.dilation_h, g.stride_h, g.h);
      if (i < 0) continue;
      for (int b = 0; b < g.kw; ++b) {
        const int j = meeting(q + g.left - b * g.dilation_w, g.stride_w, g.w);
        if (j < 0) continue;
        const float* w = weight + (a * g.kw + b) * g.group_in() * g.o + o;  // (taps, C / groups, O)
        for (int c = 0; c < g.group_in(); ++c) sum += x.load(n, first + c, i, j) * w[c * g.o];
      }
    }
    y.store(n, o, p, q, o < g.o ? apply(f, sum) : 0);
  }
}

}  // namespace

}  // namespace gpu

using namespace gpu;

namespace {

// (C, O / groups, kh, kw) becomes (O, C / groups, kh, kw) with its taps turned by half a circle.
Operand turned(const Operand& weight, int groups) {
  const std::int64_t c = weight.desc.extent[0], group_o = weight.desc.extent[1], kh = weight.desc.extent[2],
                     kw = weight.desc.extent[3];
  const std::int64_t group_c = c / groups, taps = kh * kw;
  Operand out = weight;
  out.name = weight.name + " turned in " + std::to_string(groups) + " groups";
  out.desc = Desc::dense({group_o * groups, group_c, kh, kw});
  out.constant = std::make_shared<Constant>(Constant{
      out.desc, [=]() -> std::shared_ptr<const float[]> {
        const auto from = constant_values(weight);
        std::shared_ptr<float[]> to(new float[static_cast<std::size_t>(c * group_o * taps)]);
        for (std::int64_t q = 0; q < c; ++q)
          for (std::int64_t o = 0; o < group_o; ++o)
            for (std::int64_t t = 0; t < taps; ++t)
              to[static_cast<std::size_t>(((q / group_c * group_o + o) * group_c + q % group_c) * taps + taps - 1 -
                                          t)] = from[static_cast<std::size_t>((q * group_o + o) * taps + t)];
        return to;
      }});
  return out;
}

// How far the kernel reaches beyond an output; padding beyond that would cut the input.
Size2 reach(const ConvTranspose2d& op, const Desc& weight) {
  return {op.dilation.h * static_cast<int>(weight.extent[2] - 1),
          op.dilation.w * static_cast<int>(weight.extent[3] - 1)};
}

std::string fits_convolution(const ConvTranspose2d& op, const Desc& weight) {
  const Size2 r = reach(op, weight);
  if (op.stride != Size2(1)) return "stride above 1";
  if (std::max(op.padding.top, op.padding.bottom) > r.h || std::max(op.padding.left, op.padding.right) > r.w)
    return "more padding than the kernel reaches";
  return {};
}

Step as_convolution(const ConvTranspose2d& op, const NodeIo& io, CudaBackend& backend) {
  const Size2 r = reach(op, io.in[1].desc);
  const Conv2d conv{
      .padding = {r.h - op.padding.top, r.w - op.padding.left, r.h - op.padding.bottom + op.output_padding.h,
                  r.w - op.padding.right + op.output_padding.w},
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

Step prepare(const ConvTranspose2d& op, const NodeIo& io, CudaBackend& backend) {
  const std::string reason = fits_convolution(op, io.in[1].desc);
  if (reason.empty()) return as_convolution(op, io, backend);
  Step step = describe(op, io);
  step.kernel = "gather";
  step.refused.push_back("as a convolution: " + reason);
  const Operand x = io.in[0], y = io.out, weight_in = io.in[1];
  ConvGeometry g;
  g.c = static_cast<int>(x.desc.c()), g.h = static_cast<int>(x.desc.h()), g.w = static_cast<int>(x.desc.w());
  g.o = static_cast<int>(y.desc.c()), g.oh = static_cast<int>(y.desc.h()), g.ow = static_cast<int>(y.desc.w());
  g.kh = static_cast<int>(weight_in.desc.extent[2]), g.kw = static_cast<int>(weight_in.desc.extent[3]);
  g.stride_h = op.stride.h, g.stride_w = op.stride.w, g.top = op.padding.top, g.left = op.padding.left;
  g.dilation_h = op.dilation.h, g.dilation_w = op.dilation.w, g.groups = op.groups;

  const int taps = g.kh * g.kw, group_in = g.group_in(), group_out = g.group_out();
  const auto weight =
      packed<float>(backend, weight_in, "taps, inputs, outputs in " + std::to_string(op.groups) + " groups",
                    std::int64_t{taps} * group_in * g.o, [&](const float* from, float* to) {
                      for (int t = 0; t < taps; ++t)
                        for (int c = 0; c < group_in; ++c)
                          for (int o = 0; o < g.o; ++o)
                            *to++ = from[((o / group_out * group_in + c) * group_out + o % group_out) * taps + t];
                    });
  const auto bias = op.bias ? packed<float>(backend, io.in[2], "it is", g.o,
                                            [&](const float* from, float* to) { std::copy_n(from, g.o, to); })
                            : nullptr;
  const int stored = stored_channels(y.desc), lanes = std::min(stored, 128), pixels = 128 / lanes;
  const LaunchShape shape{.grid = dim3(static_cast<unsigned>((g.ow + pixels - 1) / pixels), static_cast<unsigned>(g.oh),
                                       static_cast<unsigned>(y.desc.n())),
                          .block = dim3(static_cast<unsigned>(lanes), static_cast<unsigned>(pixels))};
  step.run = [=, f = op.activation](const RunArgs& args) {
    launch(conv_transpose_kernel, shape, static_cast<cudaStream_t>(args.stream), AnyMap(x.desc, args.data[x.id]),
           AnyMap(y.desc, args.data[y.id]), g, weight.get(), bias.get(), f, stored);
  };
  return step;
}

}  // namespace fathom
