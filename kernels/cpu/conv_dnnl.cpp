// Convolutions by oneDNN: one source as it is, zero padding, dense maps.
#include <algorithm>
#include <cstdint>
#include <limits>

#include "kernels/cpu/conv.hpp"
#include "kernels/cpu/dnnl.hpp"

namespace fathom::cpu {

namespace {

DnnlShape shape_of(const ConvTask& t) {
  const Desc& y = t.io.out.desc;
  return {.n = y.n(),
          .c = t.c,
          .h = t.h,
          .w = t.w,
          .o = y.c(),
          .oh = y.h(),
          .ow = y.w(),
          .kh = int(t.kh()),
          .kw = int(t.kw()),
          .stride = t.op.stride,
          .dilation = t.op.dilation,
          .padding = t.op.padding,
          .groups = t.op.groups,
          .bias = t.op.bias,
          .sum = t.op.residual,
          .activation = t.op.activation};
}

// The residual comes to where the sum is made.
void copy_residual(const View<const float, 4>& r, const View<float, 4>& y, int threads) {
  parallel_for(threads, y.extent[0] * y.extent[2], [&](std::int64_t k, int) {
    const std::int64_t n = k / y.extent[2], i = k % y.extent[2];
    copy_pixels(&r(n, 0, i, 0), r.stride[3], &y(n, 0, i, 0), y.stride[3], y.extent[3], y.extent[1]);
  });
}

}  // namespace

std::string fits_dnnl(const ConvTask& t) {
  if (!t.plain()) return "more than one source, a resize, a gate, or padding other than zeros";
  if (!t.io.out.desc.is_dense_nhwc()) return "the output is a channel slice";
  if (!Input(t.role.sources[0], t.backend).desc().is_dense_nhwc()) return "the input is a channel slice";
  // oneDNN counts the pixels and elements of one image in 32 bits.
  const auto too_large = [](const Desc& d) { return d.c() * d.h() * d.w() > std::numeric_limits<std::int32_t>::max(); };
  if (too_large(t.io.out.desc) || too_large(t.role.sources[0].desc)) return "an image of more than 2^31 elements";
  // Measured: groups of several channels reach a fifth of a dense convolution's speed; up to 8 outputs are padded
  // to 16.
  const std::int64_t outputs = t.io.out.desc.c(),
                     per_group = std::max(outputs / t.op.groups, t.role.weight.desc.extent[1]);
  if (t.op.groups > 1 && per_group > 1) return "groups of several channels are slow there";
  if (t.op.groups == 1 && outputs <= 8) return "few output channels are slow there";
  std::string why;
  DnnlConv::make(shape_of(t), t.backend.threads(), why);
  return why;
}

void build_dnnl(const ConvTask& t, Step& step) {
  std::string why;
  const int threads = t.backend.threads();
  const auto conv = DnnlConv::make(shape_of(t), threads, why);
  step.kernel += " " + conv->implementation();
  step.workspace_bytes = conv->scratchpad_bytes();
  std::vector<Input> residual;
  if (t.role.residual && !t.residual_in_y) residual.emplace_back(*t.role.residual, t.backend);
  Packed bias;
  if (t.role.bias)
    bias = packed(t.backend, *t.role.bias, "it is", t.role.bias->desc.elements(),
                  [n = t.role.bias->desc.elements()](const float* from, float* to) { std::copy_n(from, n, to); });
  step.run = [conv, x = Input(t.role.sources[0], t.backend), weight = conv->pack(t.backend, t.role.weight), bias,
              residual, out = t.io.out, threads](const RunArgs& args) {
    const ThreadScope scope(threads);
    if (!residual.empty()) copy_residual(residual[0].view(args), args.view<float>(out), threads);
    conv->run(x.view(args).data, weight.get(), bias.get(), args.pointer<float>(out), args.workspace);
  };
}

}  // namespace fathom::cpu
